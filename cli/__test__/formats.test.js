'use strict';
// Input that is not what it should be: what is good in it is done, and what is not is told of with its line.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const { describe, test } = require('node:test');

const { folder, read, records, run, start, waitFor, within } = require('./support/command');

/** The results, and of the failures line, record and message. */
async function mapped(t, args, input, options = {}) {
  const at = folder(t);
  fs.writeFileSync(at('in'), input);
  const { code, stdout, stderr } = await run(['map', './work.js#same', ...args, '--in', at('in'), '--failed', at('failed'), ...(options.more ?? [])]);
  const failed = fs.existsSync(at('failed')) ? records(read(at('failed'))) : [];
  return { code, stderr, stdout, found: options.text ? stdout : records(stdout), failed: failed.map(({ line, record, error }) => [line, record, error.message]) };
}

const HEAD = 'id,text\n';
/** Rows before and behind, far enough from each other to go to the workers together and apart. */
const rows = (from, count) => Array.from({ length: count }, (_, i) => `${from + i},"text ${from + i}"\n`).join('');
const objects = (from, count) => Array.from({ length: count }, (_, i) => ({ id: String(from + i), text: `text ${from + i}` }));

describe('CSV', () => {
  /** Rows that are none, what they are in the file of failed records, and why. @type {[row: string, record: unknown, why: RegExp][]} */
  const BROKEN = [
    ['7,a"b', '7,a"b', /^the row is not CSV: Invalid Opening Quote: a quote is found on field 1, value is "a"$/],
    ['7,"a"b', '7,"a"b', /^the row is not CSV: Invalid Closing Quote: got "b" instead of/],
    ['7,"ab', '7,"ab', /^the row is not CSV: /],
    ['7, "a"', '7, "a"', /^the row is not CSV: Invalid Opening Quote/],
    ['7', ['7'], /^fields in the row: 1, names in the first row: 2$/],
    ['7,a,b', ['7', 'a', 'b'], /^fields in the row: 3, names in the first row: 2$/],
  ];

  for (const [where, before, behind] of [['first', 0, 1], ['between others', 700, 700], ['last', 1, 0]]) {
    test(`rows that are none, ${where}: each fails with its line, and no other row does`, async (t) => {
      let input = HEAD;
      const lines = [];
      for (const [i, [row]] of BROKEN.entries()) {
        input += rows(i * (before + behind), before);
        lines.push(input.split('\n').length);
        input += `${row}\n${rows(i * (before + behind) + before, behind)}`;
      }
      const { code, found, failed, stderr } = await mapped(t, ['--csv'], input);
      assert.equal(code, 1, stderr);
      assert.deepEqual(found, objects(0, BROKEN.length * (before + behind)));
      assert.deepEqual(failed.map(([line, record]) => [line, record]), BROKEN.map(([, record], i) => [lines[i], record]));
      for (const [i, [, , message]] of failed.entries()) assert.match(message, BROKEN[i][2]);
    });
  }

  test('a quote that is not closed costs its line, however much comes after it', async (t) => {
    const lines = Array.from({ length: 40_000 }, (_, i) => `${i},text ${i}\n`).join('');
    const { code, found, failed } = await mapped(t, ['--csv'], `${HEAD}x,"open\n${lines}`);
    assert.deepEqual([code, found.length, found[39_999]], [1, 40_000, { id: '39999', text: 'text 39999' }]);
    assert.deepEqual(failed.map(([line, record]) => [line, record]), [[2, 'x,"open']]);
  });

  test('a field that goes on over lines is one where its quote is closed; a broken row behind it has its line', async (t) => {
    const { found, failed } = await mapped(t, ['--csv'], `${HEAD}1,"a\n\nb"\r\n2,"c ""d"""\n\n3,x"\n4,"e,\r\nf"\n5,g`);
    assert.deepEqual(found, [
      { id: '1', text: 'a\n\nb' }, { id: '2', text: 'c "d"' }, { id: '4', text: 'e,\r\nf' }, { id: '5', text: 'g' },
    ]);
    assert.deepEqual(failed.map(([line, record]) => [line, record]), [[7, '3,x"']]);
  });

  test('rows that end with a carriage return, delimiters of several bytes, and names like those of all objects', async (t) => {
    const mac = await mapped(t, ['--csv'], 'id,text\r1,"a\rb"\r\r2,c');
    assert.deepEqual(mac.found, [{ id: '1', text: 'a\rb' }, { id: '2', text: 'c' }]);
    const bars = await mapped(t, ['--csv', '--delimiter', '¦'], 'id¦__proto__\n1¦"a¦b"\n2¦"x"y\n3¦c\n');
    assert.equal(bars.stdout, '{"id":"1","__proto__":"a¦b"}\n{"id":"3","__proto__":"c"}\n');
    assert.deepEqual(bars.failed.map(([line]) => line), [3]);
  });

  test('a first row that is none ends it, with that as the reason', async (t) => {
    const { code, stdout, stderr } = await mapped(t, ['--csv', '--quiet'], 'id,te"xt\n1,2\n');
    assert.deepEqual([code, stdout], [1, '']);
    assert.match(stderr, /the first row has no names: the row is not CSV: Invalid Opening Quote/);
  });

  test('a row is there as soon as its line ends, quotes or not', async () => {
    const { child, said, ended } = start(['map', './work.js#same', '--csv'], { stdin: 'open' });
    child.stdin.write('id,text\n1,a\n2,"b');
    await waitFor(() => said.stdout === '{"id":"1","text":"a"}\n', 'the first row');
    child.stdin.write('c"\n');
    await waitFor(() => said.stdout.endsWith('{"id":"2","text":"bc"}\n'), 'the second');
    child.stdin.end();
    assert.equal((await within(ended, 'the end')).code, 0);
  });

  test('it goes on behind broken rows, with the same lines', async (t) => {
    const at = folder(t);
    const text = Array.from({ length: 400 }, (_, i) => (i % 50 === 7 ? `${i},"x"y,4\n` : `${i},${at('log')},"4"\n`)).join('');
    fs.writeFileSync(at('in'), `id,log,sleep\n${text}`);
    const args = ['map', './work.js#noted', '--csv', '--in', at('in'), '--out', at('out'), '--failed', at('failed')];
    const { child, ended } = start(args);
    await waitFor(() => fs.existsSync(at('out')) && fs.statSync(at('out')).size > 800, 'some output');
    child.kill('SIGKILL');
    await within(ended, 'its end');
    const { code, stderr } = await run([...args, '--resume']);
    assert.equal(code, 1, stderr);
    const all = Array.from({ length: 400 }, (_, i) => i);
    assert.deepEqual(records(read(at('out'))).map(({ id }) => Number(id)), all.filter((i) => i % 50 !== 7));
    assert.deepEqual(records(read(at('failed'))).map(({ line }) => line), all.filter((i) => i % 50 === 7).map((i) => i + 2));
  });
});

describe('lines', () => {
  const latin1 = (text) => Buffer.from(text, 'latin1');

  test('NDJSON: what is not JSON, or not UTF-8, fails with its line; blank lines, a mark and Windows line ends count for nothing', async (t) => {
    const input = Buffer.concat([
      Buffer.from('\ufeff{"id":1}\r\n\n  \t\r\n{"id":2\n'), latin1('{"id":"caf\xe9"}\n'), Buffer.from('{"id":"é"}\n{"id":3} {"id":4}\nnull'),
    ]);
    const { code, found, failed } = await mapped(t, [], input);
    assert.equal(code, 1);
    assert.deepEqual(found, [{ id: 1 }, { id: 'é' }, null]);
    assert.deepEqual(failed.map(([line]) => line), [4, 5, 7]);
    assert.match(failed[0][2], /^the record is not JSON: /);
    assert.deepEqual(failed[1].slice(1), [{ id: 'caf\ufffd' }, 'the record is not UTF-8']);
    assert.equal(failed[2][1], '{"id":3} {"id":4}');
  });

  test('bytes that are not UTF-8 harm no line beside them, in any format', async (t) => {
    const good = Array.from({ length: 2000 }, (_, i) => `"ü ${i}"`);
    const bad = latin1('"\xfc"');
    const list = [...good.slice(0, 1000).map((each) => Buffer.from(each)), bad, ...good.slice(1000).map((each) => Buffer.from(each))];
    const joined = (separator) => Buffer.concat(list.flatMap((each, i) => (i === 0 ? [each] : [Buffer.from(separator), each])));
    const lines = await mapped(t, ['--lines'], joined('\n'), { text: true });
    assert.equal(lines.found, `${good.join('\n')}\n`);
    assert.deepEqual(lines.failed.map(([line, , message]) => [line, message]), [[1001, 'the record is not UTF-8']]);
    const ndjson = await mapped(t, [], joined('\n'), { text: true });
    assert.equal(ndjson.found, `${good.join('\n')}\n`);
    assert.deepEqual(ndjson.failed.map(([line]) => line), [1001]);
    const json = await mapped(t, ['--json'], Buffer.concat([Buffer.from('['), joined(',\n'), Buffer.from(']')]), { text: true });
    assert.deepEqual(JSON.parse(json.found), good.map((each) => JSON.parse(each)));
    assert.deepEqual(json.failed.map(([line]) => line), [1001]);
    const csv = await mapped(t, ['--csv'], Buffer.concat([Buffer.from('a\n'), joined('\n')]));
    assert.deepEqual(csv.found, good.map((each) => ({ a: JSON.parse(each) })));
    assert.deepEqual(csv.failed.map(([line, , message]) => [line, message]), [[1002, 'the record is not UTF-8']]);
  });

  test('without a newline at the end, with nothing but newlines, and with a mark alone', async (t) => {
    assert.equal((await mapped(t, ['--lines'], 'a\n\nb', { text: true })).found, 'a\n\nb\n');
    assert.equal((await mapped(t, ['--lines'], '\n\n', { text: true })).found, '\n\n');
    for (const text of ['\n \r\n\n', '\ufeff', '\ufeff\n']) assert.deepEqual((await mapped(t, [], text)).found, []);
  });

  test('a long line among short ones, which ends anywhere in what is read at once', async (t) => {
    const piece = 256 * 1024;
    for (const length of [piece - 24, piece - 23, 5 * piece]) {
      const texts = ['a', 'b'.repeat(length), 'c', 'd'];
      const { code, found } = await mapped(t, [], texts.map((text) => JSON.stringify({ text })).join('\n'));
      assert.deepEqual([code, found.map(({ text }) => text.length)], [0, [1, length, 1, 1]]);
    }
  });
});

describe('JSON', () => {
  test('elements over several pieces, and what comes behind the array', async (t) => {
    const list = ['a', 'b'.repeat(700_000), ['c', { d: 'e'.repeat(300_000) }], 'f'];
    const text = `[\n${list.map((each) => JSON.stringify(each, null, 1)).join(',\n')}\n]\n`;
    const { code, stdout } = await mapped(t, ['--json'], text, { text: true });
    assert.deepEqual([code, JSON.parse(stdout)], [0, list]);
    const more = await mapped(t, ['--json', '--quiet'], `${text}x`, { text: true });
    assert.deepEqual([more.code, JSON.parse(more.stdout)], [1, list]);
    assert.match(more.stderr, /there is more after the end of the array, in line 12/);
  });
});
