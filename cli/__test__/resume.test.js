'use strict';
// `--resume`: after a crash at any moment each record has its result once, and what is finished is not done again.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { describe, test } = require('node:test');

const { linesOf, folder, ndjson, read, records, run, start, waitFor, within } = require('./support/command');

/** The function notes that it was called. */
const note = (at, options = {}) => (id) => ({ id, log: at('log'), ...options });
const calls = (at) => linesOf(at('log')).map(Number);
const ids = (count) => Array.from({ length: count }, (_, i) => i);
const outputOf = (at) => records(read(at('out'))).map(({ id }) => id);
const args = (at, ...more) => ['map', './work.js#noted', '--in', at('in'), '--out', at('out'), ...more];

/** Ends a run by SIGKILL when its output has so many bytes. */
async function killAt(at, more, bytes) {
  const { child, ended } = start(args(at, ...more));
  await waitFor(() => fs.existsSync(at('out')) && fs.statSync(at('out')).size >= bytes, `${bytes} bytes of output`);
  child.kill('SIGKILL');
  return within(ended, 'the end');
}

for (const order of ['ordered', 'unordered']) {
  const more = order === 'unordered' ? ['--unordered'] : [];

  test(`what the output has when the process is killed is not done again (${order})`, async (t) => {
    const at = folder(t);
    at('in', ndjson(300, note(at, { sleep: 4 })));
    await killAt(at, more, 300);
    const whole = read(at('out')).split('\n').slice(0, -1).map((line) => JSON.parse(line).id);
    const before = calls(at);
    const { code, stderr } = await run(args(at, '--resume', ...more));
    assert.equal(code, 0, stderr);
    assert.deepEqual(outputOf(at).toSorted((a, b) => a - b), ids(300));
    const again = calls(at).slice(before.length);
    assert.deepEqual(again.filter((id) => whole.includes(id)), [], 'done again');
    assert.match(stderr, /after \d+ before/);
  });
}

for (const [format, flags, text] of [
  ['JSON', ['--json'], (list) => JSON.stringify(list, null, 1)],
  ['CSV', ['--csv'], (list) => `id,log,sleep\n${list.map(({ id, log, sleep }) => `${id},"${log}",${sleep}`).join('\n')}`],
  ['lines', ['--lines'], null],
]) {
  test(`goes on within ${format}`, async (t) => {
    const at = folder(t);
    if (text === null) {
      fs.writeFileSync(at('in'), ids(200).map((id) => `é ${id}\r\n`).join(''));
      const { child, ended } = start(['map', './work.js#upperSlowly', '--in', at('in'), '--out', at('out'), ...flags]);
      await waitFor(() => linesOf(at('out')).length > 20, 'some output');
      child.kill('SIGKILL');
      await ended;
      const { code, stderr } = await run(['map', './work.js#upperSlowly', '--in', at('in'), '--out', at('out'), '--resume', ...flags]);
      assert.equal(code, 0, stderr);
      assert.deepEqual(linesOf(at('out')), ids(200).map((id) => `É ${id}`));
      return;
    }
    at('in', text(ids(200).map(note(at, { sleep: 4 }))));
    await killAt(at, flags, 200);
    const { code, stderr } = await run(args(at, '--resume', ...flags));
    assert.equal(code, 0, stderr);
    const found = format === 'JSON' ? JSON.parse(read(at('out'))) : records(read(at('out')));
    assert.deepEqual(found.map(({ id }) => Number(id)), ids(200));
  });
}

describe('with a run that was killed', () => {
  /** @param {import('node:test').TestContext} t */
  async function killed(t) {
    const at = folder(t);
    at('in', ndjson(400, note(at, { sleep: 4 })));
    await killAt(at, ['--failed', at('failed')], 300);
    return at;
  }

  test('what the output has beyond the journal is cut off', async (t) => {
    const at = await killed(t);
    fs.appendFileSync(at('out'), '{"id":9999}\n{"half":');
    const { code } = await run(args(at, '--resume'));
    assert.equal(code, 0);
    assert.deepEqual(outputOf(at), ids(400));
  });

  test('an input of another size, and one of the same size with another byte, is refused', async (t) => {
    const at = await killed(t);
    const output = read(at('out'));
    const input = read(at('in'));
    for (const [text, why] of [[`${input}{}\n`, /it had \d+ bytes, and has \d+/], [input.replace(/399/, '398'), /has changed/]]) {
      fs.writeFileSync(at('in'), text);
      const { code, stderr } = await run(args(at, '--resume'));
      assert.equal(code, 2);
      assert.match(stderr, why);
      assert.match(stderr, /Leave out --resume to begin anew/);
      assert.equal(read(at('out')), output, 'it is left as it was');
    }
  });

  test('without --resume it begins anew, and says what could have been', async (t) => {
    const at = await killed(t);
    fs.rmSync(at('log'));
    const { code, stderr } = await run(args(at));
    assert.equal(code, 0);
    assert.match(stderr, /--resume would have gone on with it/);
    assert.deepEqual(calls(at).toSorted((a, b) => a - b), ids(400));
    assert.deepEqual(outputOf(at), ids(400));
  });

  test('an output that was shortened, a format that is another, and a journal that is none are refused', async (t) => {
    const at = await killed(t);
    const other = await run(args(at, '--resume', '--to', 'json'));
    assert.deepEqual([other.code, /had to "ndjson", and this one has "json"/.test(other.stderr)], [2, true], other.stderr);
    fs.truncateSync(at('out'), 10);
    const short = await run(args(at, '--resume'));
    assert.deepEqual([short.code, /has lost what the earlier run wrote/.test(short.stderr)], [2, true], short.stderr);
    at('out.journal', 'no journal\n');
    const none = await run(args(at, '--resume'));
    assert.deepEqual([none.code, /no journal that this version understands/.test(none.stderr)], [2, true], none.stderr);
    fs.rmSync(at('out.journal'));
    const gone = await run(args(at, '--resume'));
    assert.deepEqual([gone.code, /has no journal/.test(gone.stderr)], [2, true], gone.stderr);
  });
});

test('a run that is complete is not done again, and a first run may be a --resume', async (t) => {
  const at = folder(t);
  at('in', ndjson(20, note(at)));
  assert.equal((await run(args(at, '--resume'))).code, 0);
  const before = read(at('out'));
  const again = await run(args(at, '--resume'));
  assert.equal(again.code, 0, again.stderr);
  assert.match(again.stderr, /nothing is left to do/);
  assert.equal(read(at('out')), before);
  assert.equal(calls(at).length, 20);
});

test('--stop-on-error, then --resume: it goes on with the record that failed', async (t) => {
  const at = folder(t);
  at('in', ndjson(30, (id) => ({ ...note(at)(id), fails: id === 12 })));
  const stopped = await run(args(at, '--stop-on-error', '--failed', at('failed')));
  assert.equal(stopped.code, 1);
  assert.deepEqual(outputOf(at), ids(12));
  assert.equal(linesOf(at('failed')).length, 1);
  const { code } = await run(args(at, '--resume', '--failed', at('failed')));
  assert.equal(code, 1);
  assert.deepEqual(outputOf(at), ids(30).filter((id) => id !== 12));
  assert.equal(linesOf(at('failed')).length, 1, 'once');
});

test('two processes do not write the same output', async (t) => {
  const at = folder(t);
  at('in', ndjson(3, (id) => ({ id, log: at('log'), until: at('until') })));
  const waiting = (/** @type {string[]} */ ...more) => ['map', './work.js#waiting', '--in', at('in'), '--out', at('out'), ...more];
  const first = start(waiting());
  await waitFor(() => calls(at).length > 0, 'the first record');
  for (const more of [[], ['--resume']]) {
    const { code, stderr } = await run(waiting(...more));
    assert.equal(code, 2);
    assert.match(stderr, new RegExp(`process ${first.child.pid} is writing .*out: wait`));
  }
  at('until', '');
  assert.equal((await within(first.ended, 'the first')).code, 0);
  assert.deepEqual(outputOf(at), ids(3));
});

for (const [what, more, input] of [
  ['from stdin', [], (at) => ({ stdin: fs.readFileSync(at('in'), 'utf8') })],
  ['without a journal', ['--no-journal'], () => ({})],
  ['to another output with the same file of failed records', ['--failed'], () => ({})],
]) {
  test(`a second run ${what} does not write it either`, async (t) => {
    const at = folder(t);
    at('in', ndjson(3, (id) => ({ id, log: at('log'), until: at('until') })));
    const failed = more.includes('--failed') ? ['--failed', at('failed')] : [];
    const first = start(['map', './work.js#waiting', '--in', at('in'), '--out', at('out'), ...failed]);
    await waitFor(() => calls(at).length > 0, 'the first record');
    const { stdin } = input(at);
    const second = ['map', './work.js#waiting', ...(stdin === undefined ? ['--in', at('in')] : []),
      ...(failed.length > 0 ? ['--out', at('other'), ...failed] : ['--out', at('out'), ...more])];
    const { code, stderr } = await run(second, { stdin });
    assert.equal(code, 2, stderr);
    assert.match(stderr, new RegExp(`process ${first.child.pid} is writing .*${failed.length > 0 ? 'failed' : 'out'}: wait`));
    at('until', '');
    assert.equal((await within(first.ended, 'the first')).code, 0);
    assert.deepEqual(outputOf(at), ids(3));
    assert.deepEqual(fs.readdirSync(path.dirname(at('in'))).filter((name) => name.includes('.lock')), []);
  });
}

test('of runs that start at the same time one writes, also if a lock is left over', async (t) => {
  const at = folder(t);
  at('in', ndjson(200));
  const same = ['map', './work.js#same', '--in', at('in'), '--out', at('out'), '--workers', '1'];
  for (const isLeft of [false, true]) {
    const gone = { kind: 'parallelizer map', process: { pid: 2 ** 22 + 1, began: null, boot: null } };
    if (isLeft) at('out.lock', JSON.stringify(gone));
    const all = await Promise.all(Array.from({ length: 4 }, () => run(same)));
    const codes = all.map(({ code }) => code);
    assert.ok(codes.includes(0), all.map(({ stderr }) => stderr).join('\n'));
    for (const { code, stderr } of all) if (code !== 0) assert.match(stderr, /process \d+ is writing .*out: wait/);
    assert.deepEqual(outputOf(at), ids(200));
    assert.deepEqual(fs.readdirSync(path.dirname(at('in'))).sort(), ['in', 'out', 'out.journal']);
  }
});

test('a file that only has the name of a lock is left alone', async (t) => {
  const at = folder(t);
  at('in', ndjson(3));
  at('out.lock', 'mine');
  const { code, stderr } = await run(['map', './work.js#same', '--in', at('in'), '--out', at('out')]);
  assert.equal(code, 2);
  assert.match(stderr, /out\.lock is not a lock of this command: move it/);
  assert.equal(read(at('out.lock')), 'mine');
});

test('--no-journal leaves nothing beside the output', async (t) => {
  const at = folder(t);
  at('in', ndjson(3, note(at)));
  assert.equal((await run(args(at, '--no-journal'))).code, 0);
  assert.deepEqual(fs.readdirSync(path.dirname(at('in'))).sort(), ['in', 'log', 'out']);
});
