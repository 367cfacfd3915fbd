'use strict';
// `parallelizer map`: records in, results out, in every format, from and to files and pipes.

const assert = require('node:assert/strict');
const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const { describe, test } = require('node:test');

const { folder, linesOf, ndjson, read, records, run, start, waitFor, within } = require('./support/command');

const COUNT = 500;
const ids = (count = COUNT) => Array.from({ length: count }, (_, i) => i);

for (const type of ['processes', 'threads', 'inline']) {
  describe(type, () => {
    test('each record of a file has its result, in the order of the records', async (t) => {
      const at = folder(t);
      const input = at('in.ndjson', ndjson(COUNT));
      const { code, stdout, stderr } = await run(['map', './work.js#doubled', '--in', input, '--out', at('out'), '--type', type]);
      assert.equal(code, 0, stderr);
      assert.equal(stdout, '');
      assert.deepEqual(records(read(at('out'))), ids().map((id) => ({ id, twice: 2 * id })));
      assert.match(stderr, /^500 records in .* \(.*\/s\)\n$/);
    });

    test('a record that fails has no result, is told of with its line, and harms no other', async (t) => {
      const at = folder(t);
      const { code, stdout, stderr } = await run(
        ['map', './work.js#thirds', '--failed', at('failed'), '--type', type],
        { stdin: `\n${ndjson(10)}no JSON\n` },
      );
      assert.equal(code, 1, stderr);
      assert.deepEqual(records(stdout).map(({ id }) => id), [1, 2, 4, 5, 7, 8]);
      const failed = records(read(at('failed')));
      assert.deepEqual(failed.map(({ line }) => line), [2, 5, 8, 11, 12]);
      assert.deepEqual(failed[1].record, { id: 3 });
      const { name, message, code: own, cause, stack } = failed[1].error;
      assert.deepEqual([name, message, own, cause.message], ['RangeError', '3 is a multiple of 3', 'E_THIRD', 'it is']);
      assert.match(stack, /work\.js/);
      assert.equal(failed[4].record, 'no JSON');
      assert.match(failed[4].error.message, /^the record is not JSON: /);
      assert.match(stderr, /11 records in .*, 5 failed, see .*failed\n$/);
    });

    test('what the code prints does not come to stand among the results', async () => {
      const { code, stdout, stderr } = await run(['map', './work.js#talking', '--type', type], { stdin: ndjson(3) });
      assert.equal(code, 0, stderr);
      assert.deepEqual(records(stdout), ids(3).map((id) => ({ id })));
      for (const text of ['console.log 1', 'console.error 2', 'process.stdout.write']) assert.ok(stderr.includes(text), stderr);
    });
  });
}

test('from stdin to stdout, with nothing else there', async () => {
  const { code, stdout, stderr } = await run(['map', './work.js#doubled', '--quiet'], { stdin: ndjson(COUNT) });
  assert.equal(code, 0);
  assert.equal(stderr, '');
  assert.deepEqual(records(stdout).map(({ twice }) => twice), ids().map((id) => 2 * id));
});

test('results come while there is more input to come', async () => {
  const { child, said, ended } = start(['map', './work.js#doubled'], { stdin: 'open' });
  child.stdin.write('{"id":1}\n');
  await waitFor(() => said.stdout === '{"id":1,"twice":2}\n', 'the first result');
  child.stdin.end('{"id":2}');
  const { code, stdout } = await within(ended, 'the end');
  assert.equal(code, 0);
  assert.equal(stdout, '{"id":1,"twice":2}\n{"id":2,"twice":4}\n');
});

test('an empty input has an empty output', async (t) => {
  const at = folder(t);
  for (const [flag, expected] of [['--lines', ''], ['--csv', ''], ['--to=ndjson', '']]) {
    const { code } = await run(['map', './work.js#same', flag, '--in', at('in', ''), '--out', at('out')]);
    assert.deepEqual([code, read(at('out'))], [0, expected], flag);
  }
  const { code, stdout } = await run(['map', './work.js#same', '--json'], { stdin: ' [ ]\n' });
  assert.deepEqual([code, JSON.parse(stdout)], [0, []]);
});

test('--unordered has each result once', async (t) => {
  const at = folder(t);
  const args = ['map', './work.js#backwards', '--unordered', '--concurrency', '16', '--in', at('in', ndjson(200)), '--out', at('out')];
  const { code, stderr } = await run(args);
  assert.equal(code, 0, stderr);
  const found = records(read(at('out'))).map(({ id }) => id);
  assert.deepEqual(found.toSorted((a, b) => a - b), ids(200));
  assert.notDeepEqual(found, ids(200), 'they came as they were done');
});

test('--unordered tells the failures by their lines', async (t) => {
  const at = folder(t);
  const { code, stdout } = await run(['map', './work.js#thirds', '--unordered', '--failed', at('failed')], { stdin: ndjson(30) });
  assert.equal(code, 1);
  assert.deepEqual(records(stdout).map(({ id }) => id).sort((a, b) => a - b), ids(30).filter((id) => id % 3 !== 0));
  for (const { line, record } of records(read(at('failed')))) assert.equal(line, record.id + 1);
});

test('--lines: strings in, strings out, with Windows line ends, blank lines and no newline at the end', async () => {
  const { code, stdout } = await run(['map', './work.js#upper', '--lines'], { stdin: '\ufeffaä\r\n\nb b\nlast' });
  assert.equal(code, 0);
  assert.equal(stdout, 'AÄ\n\nB B\nLAST\n');
});

test('--json: an array in, an array out', async (t) => {
  const at = folder(t);
  const list = ids().map((id) => ({ id, text: `"],[\\ ${id} é\n`, list: [[], {}, [1, { a: '}' }]] }));
  const texts = [JSON.stringify(list), JSON.stringify(list, null, 2), `\ufeff\n${JSON.stringify(list)}\n\n`];
  for (const text of texts) {
    const { code, stdout, stderr } = await run(['map', './work.js#same', '--json', '--in', at('in.json', text)]);
    assert.equal(code, 0, stderr);
    assert.deepEqual(JSON.parse(stdout), list);
  }
});

test('--json: elements that are not JSON fail by themselves, with their line', async (t) => {
  const at = folder(t);
  const text = '[\n {"id": 1,\n  "a": 1},\n {"id": oops},\n\n 3,\n]';
  const { code, stdout } = await run(['map', './work.js#same', '--json', '--failed', at('failed')], { stdin: text });
  assert.equal(code, 1);
  assert.deepEqual(JSON.parse(stdout), [{ id: 1, a: 1 }, 3]);
  assert.deepEqual(records(read(at('failed'))).map(({ line, record }) => [line, record]), [[4, '{"id": oops}'], [7, '']]);
});

test('--json: what is no array, or not all of it, is said', async () => {
  for (const [text, message] of [
    ['{"id":1}', /does not begin with "\[".*leave out --json/],
    ['', /is empty/],
    ['[1,2', /ends in line 1, within its array/],
    ['[1]\n[2]', /more after the end of the array, in line 2/],
  ]) {
    const { code, stderr } = await run(['map', './work.js#same', '--json', '--quiet'], { stdin: text });
    assert.equal(code, 1, text);
    assert.match(stderr, message);
    assert.doesNotMatch(stderr, /\n {4}at /);
  }
});

test('an input that cannot be read to its end has what comes before done first, and then says so', async (t) => {
  const at = folder(t);
  const text = `[${ids(40).map((id) => JSON.stringify({ id })).join()},`;
  for (const order of [[], ['--unordered']]) {
    const args = ['map', './work.js#backwards', '--json', '--out', at('out'), '--no-journal', ...order];
    const { code, stderr } = await run(args, { stdin: text });
    assert.equal(code, 1);
    assert.match(stderr, /^40 records in .*\nparallelizer: the input ends in line 1, within its array/);
    const done = JSON.parse(read(at('out'))).map(({ id }) => id);
    assert.deepEqual(done.toSorted((a, b) => a - b), ids(40));
  }
});

test('the stack of a failed record ends where the function was called', async (t) => {
  const at = folder(t);
  await run(['map', './work.js#thirds', '--failed', at('failed'), '--quiet'], { stdin: `${ndjson(1)}no JSON\n` });
  const [thrown, unreadable] = records(read(at('failed'))).map(({ error }) => error);
  assert.match(thrown.stack, /^RangeError: 0 is a multiple of 3\n {4}at .*work\.js:\d+:\d+\)$/);
  assert.doesNotMatch(unreadable.stack, /worker\.js|parallelizer:/);
});

test('CSV: rows are objects; quotes, line ends, and rows that do not fit', async (t) => {
  const at = folder(t);
  const text = '\ufeffid,name,note\r\n1,"a ""q"" é",x\r\n\r\n2,"two\nlines",y\r\n3,short\r\n4,"",z';
  const { code, stdout } = await run(['map', './work.js#same', '--in', at('in.csv', text), '--failed', at('failed')]);
  assert.equal(code, 1);
  assert.deepEqual(records(stdout), [
    { id: '1', name: 'a "q" é', note: 'x' },
    { id: '2', name: 'two\nlines', note: 'y' },
    { id: '4', name: '', note: 'z' },
  ]);
  const [{ line, record, error }] = records(read(at('failed')));
  assert.deepEqual([line, record], [6, ['3', 'short']]);
  assert.equal(error.message, 'fields in the row: 2, names in the first row: 3');
  const other = await run(['map', './work.js#same', '--csv', '--delimiter', ';'], { stdin: 'a;b\n1;"2;3"\n' });
  assert.equal(other.stdout, '{"a":"1","b":"2;3"}\n');
  const tabs = await run(['map', './work.js#same', '--in', at('in.tsv', 'a\tb\n1\t2\n'), '--to', 'json']);
  assert.deepEqual(JSON.parse(tabs.stdout), [{ a: '1', b: '2' }]);
});

test('whatever a function returns has its line, or its failure', async (t) => {
  const at = folder(t);
  const { stdout } = await run(['map', './work.js#odd', '--failed', at('failed')], { stdin: ndjson(5) });
  assert.equal(stdout, 'null\nnull\n"thenable"\n');
  const messages = records(read(at('failed'))).map(({ error }) => error.message);
  assert.match(messages[0], /^the result is not JSON: .*BigInt/);
  assert.equal(messages[1], "'a text' was thrown");
});

test('whatever a function throws is the failure of its record, and harms no other', async (t) => {
  const at = folder(t);
  const { code, stdout } = await run(['map', './work.js#hostile', '--failed', at('failed')], { stdin: ndjson(8) });
  assert.equal(code, 1);
  assert.deepEqual(records(stdout).map(({ id }) => id), [6, 7]);
  const failures = records(read(at('failed')));
  assert.equal(failures.length, 6);
  assert.deepEqual([0, 5].map((i) => failures[i].error.message), ['kept', 'kept']);
  for (const { error } of failures) assert.equal(typeof error.message, 'string');
});

test('a file that is not a journal is not taken for one', async (t) => {
  const at = folder(t);
  const input = at('in', ndjson(3));
  const foreign = at('out.journal', 'something of mine\n');
  const refused = await run(['map', './work.js#same', '--in', input, '--out', at('out')]);
  assert.deepEqual([refused.code, read(foreign)], [2, 'something of mine\n']);
  assert.match(refused.stderr, /out\.journal is not a journal/);
  for (const more of [[], ['--no-journal']]) {
    const itself = await run(['map', './work.js#same', '--in', foreign, '--out', at('out'), ...more]);
    assert.match(itself.stderr, /--in and the journal of --out name the same file/);
  }
});

test('large records, and lines of any length', async (t) => {
  const at = folder(t);
  const list = [1, 300_000, 5, 3_000_000, 262_143, 262_144, 262_145].map((length, id) => ({ id, text: 'ü'.repeat(length) }));
  const input = at('in', list.map((record) => `${JSON.stringify(record)}\n`).join(''));
  const { code } = await run(['map', './work.js#same', '--in', input, '--out', at('out')]);
  assert.equal(code, 0);
  assert.equal(read(at('out')), read(input));
});

test('ES modules, and their default export', async () => {
  for (const [task, by] of [['./module.mjs#named', 'module.mjs'], ['./module.mjs#default', 'default'], ['./module.mjs', '']]) {
    const { code, stdout, stderr } = await run(['map', task], { stdin: '{"id":1}\n' });
    if (by === '') assert.match(stderr, /does not say which function: write it as \.\/module\.mjs#NAME/);
    else assert.deepEqual([code, JSON.parse(stdout)], [0, { id: 1, by }], stderr);
  }
});

test('TypeScript where Node runs it', async (t) => {
  if (!process.features.typescript) return t.skip('this Node runs no TypeScript');
  const { code, stdout, stderr } = await run(['map', './typed.mts#typed'], { stdin: '{"id":1}\n' });
  assert.deepEqual([code, stdout], [0, '{"id":"1"}\n'], stderr);
});

test('a record that kills its worker fails by itself, and with --retries is tried again', async (t) => {
  const at = folder(t);
  const { code, stdout } = await run(['map', './work.js#dying', '--workers', '2', '--failed', at('failed')], { stdin: ndjson(40) });
  assert.equal(code, 1);
  assert.equal(records(stdout).length, 39);
  const [{ line, record, error }] = records(read(at('failed')));
  assert.deepEqual([line, record.id, error.code], [8, 7, 'ERR_PARALLELIZER_WORKER_EXITED']);
  const marks = at('marks');
  fs.mkdirSync(marks);
  for (const order of [[], ['--unordered']]) {
    fs.rmSync(`${marks}/7`, { force: true });
    const again = await run(['map', './work.js#dyingOnce', '--retries', '1', ...order], { stdin: ndjson(40, (id) => ({ id, marks })) });
    assert.equal(again.code, 0, again.stderr);
    assert.equal(records(again.stdout).length, 40);
  }
});

test('--timeout ends a record that takes too long', async (t) => {
  const at = folder(t);
  for (const order of [[], ['--unordered']]) {
    const args = ['map', './work.js#stuck', '--timeout', '300ms', '--failed', at('failed'), ...order];
    const { code, stdout } = await run(args, { stdin: ndjson(6) });
    assert.equal(code, 1);
    assert.deepEqual(records(stdout).map(({ id }) => id).sort(), [0, 1, 3, 4, 5]);
    const [{ line, error }] = records(read(at('failed')));
    assert.deepEqual([line, error.code], [3, 'ERR_PARALLELIZER_TIMEOUT']);
  }
});

test('--stop-on-error ends with the first failure', async (t) => {
  const at = folder(t);
  const input = at('in', ndjson(5000, (id) => ({ id: id + 1 })));
  const { code, stdout, stderr } = await run(['map', './work.js#thirds', '--stop-on-error', '--failed', at('failed'), '--in', input]);
  assert.equal(code, 1);
  assert.deepEqual(records(stdout).map(({ id }) => id), [1, 2]);
  assert.match(stderr, /stopped by line 3: RangeError: 3 is a multiple of 3\n$/);
  assert.deepEqual(records(read(at('failed'))).map(({ line }) => line), [3]);
});

test('without --failed the first failures are shown', async () => {
  const { code, stderr } = await run(['map', './work.js#thirds'], { stdin: ndjson(100) });
  assert.equal(code, 1);
  assert.match(stderr, /^line 1: RangeError: 0 is a multiple of 3\nline 4: RangeError/);
  assert.match(stderr, /further failures are counted only; --failed FILE keeps all of them/);
  assert.equal(stderr.match(/RangeError/g)?.length, 10);
  assert.match(stderr, /34 failed\n$/);
});

test('a reader that has enough ends it quietly', async (t) => {
  const at = folder(t);
  const input = at('in', ndjson(200_000));
  const { child, said, ended } = start(['map', './work.js#same', '--in', input]);
  child.stdout.once('data', () => child.stdout.destroy());
  const { code, signal } = await within(ended, 'the end');
  assert.deepEqual([code, signal, said.stderr], [0, null, '']);
});

test('what is written through other names of the input is refused', async (t) => {
  const at = folder(t);
  fs.symlinkSync(at('in', ndjson(1)), at('link'));
  const { code, stderr } = await run(['map', './work.js#same', '--in', at('in'), '--out', at('link')]);
  assert.equal(code, 2);
  assert.match(stderr, /--in and --out name the same file/);
  assert.equal(linesOf(at('in')).length, 1);
});

test('from a named pipe to a named pipe, and through /dev/stdin and /dev/stdout', async (t) => {
  const at = folder(t);
  if (spawnSync('mkfifo', [at('in'), at('out')]).status !== 0) return t.skip('mkfifo cannot be run here');
  const { ended } = start(['map', './work.js#doubled', '--in', at('in'), '--out', at('out')]);
  const written = fs.promises.writeFile(at('in'), ndjson(COUNT));
  const text = await within(fs.promises.readFile(at('out'), 'utf8'), 'the output');
  await written;
  assert.equal((await within(ended, 'the end')).code, 0);
  assert.deepEqual(records(text).map(({ id }) => id), ids());
  const output = fs.openSync(at('file'), 'w');
  const args = ['map', './work.js#doubled', '--in', '/dev/stdin', '--out', '/dev/stdout'];
  const { code } = await run(args, { stdin: ndjson(2), stdout: output });
  fs.closeSync(output);
  assert.equal(code, 0);
  assert.equal(linesOf(at('file')).length, 2);
});

test('a help page that nobody reads to its end does no harm', async () => {
  const { child, said, ended } = start(['map', '--help']);
  child.stdout.destroy();
  const { code } = await within(ended, 'the end');
  assert.deepEqual([code, said.stderr], [0, '']);
});

test('an output that has no room left is said, without a stack trace', async (t) => {
  if (!fs.existsSync('/dev/full')) return t.skip('there is no /dev/full here');
  const { code, stderr } = await run(['map', './work.js#same', '--out', '/dev/full', '--quiet'], { stdin: ndjson(3) });
  assert.deepEqual([code, stderr], [1, 'parallelizer: /dev/full: ENOSPC: no space left on device, write\n']);
});

test('so it is if that is stdout, whatever is written to it', async (t) => {
  if (!fs.existsSync('/dev/full')) return t.skip('there is no /dev/full here');
  const full = fs.openSync('/dev/full', 'w');
  t.after(() => fs.closeSync(full));
  for (const args of [['map', './work.js#same', '--quiet'], ['map', '--help'], ['--version']]) {
    const { code, stderr } = await run(args, { stdin: ndjson(3), stdout: full });
    const said = 'parallelizer: stdout cannot be written: ENOSPC: no space left on device, write\n';
    assert.deepEqual([code, stderr], [1, said], args.join(' '));
  }
});

test('a function that ends this process, inline, is no success', async () => {
  const { code, stdout, stderr } = await run(['map', './work.js#exiting', '--type', 'inline'], { stdin: ndjson(10) });
  assert.equal(code, 1, stderr);
  assert.ok(records(stdout).every(({ id }) => id < 5), stdout);
  assert.match(stderr, /the function has ended this process; with --type processes it would end a worker\n$/);
});
