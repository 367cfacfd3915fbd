'use strict';
// Records that cost little go to the workers together, and yet each of them fails, dies and is resumed by itself.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const { describe, test } = require('node:test');

const { folder, linesOf, ndjson, read, records, run, start, waitFor, within } = require('./support/command');

const COUNT = 3000;
const ids = (count = COUNT) => Array.from({ length: count }, (_, i) => i);
const note = (at, options = {}) => (id) => ({ id, log: at('log'), ...options });
const calls = (at) => linesOf(at('log')).map(Number);
const sorted = (numbers) => numbers.toSorted((a, b) => a - b);

for (const [order, more] of [['ordered', []], ['unordered', ['--unordered']], ['threads', ['--type', 'threads']]]) {
  describe(order, () => {
    const isUnordered = more.includes('--unordered');

    test('a death among cheap records costs the one that had begun: all others have their result, and are called once', async (t) => {
      const at = folder(t);
      const deadly = new Set([0, 1, 700, 701, 1500, 2999]);
      at('in', ndjson(COUNT, (id) => ({ ...note(at)(id), dies: deadly.has(id) })));
      const args = ['map', './work.js#notedAndDying', '--in', at('in'), '--out', at('out'), '--failed', at('failed'), ...more];
      const { code, stderr } = await run(args);
      assert.equal(code, 1, stderr);
      const found = records(read(at('out'))).map(({ id }) => id);
      assert.deepEqual(isUnordered ? sorted(found) : found, ids().filter((id) => !deadly.has(id)));
      const failed = records(read(at('failed')));
      assert.deepEqual(sorted(failed.map(({ record }) => record.id)), [...deadly]);
      for (const { line, record, error } of failed) assert.deepEqual([line, error.code], [record.id + 1, 'ERR_PARALLELIZER_WORKER_EXITED']);
      assert.deepEqual(sorted(calls(at)), ids(), 'each was called once');
    });

    test('with --retries only the one that had begun is tried again, as often as that says', async (t) => {
      const at = folder(t);
      at('in', ndjson(COUNT, (id) => ({ ...note(at)(id), dies: id === 1000, diesOnce: id === 2000 ? at('mark') : undefined })));
      const args = ['map', './work.js#notedAndDying', '--in', at('in'), '--out', at('out'), '--retries', '2', ...more];
      const { code, stderr } = await run(args);
      assert.equal(code, 1, stderr);
      assert.match(stderr, /line 1001: /);
      assert.deepEqual(sorted(records(read(at('out'))).map(({ id }) => id)), ids().filter((id) => id !== 1000));
      assert.deepEqual(sorted(calls(at)), sorted([...ids(), 1000, 1000, 2000]));
    });

    test('results do not wait for a record that takes long and came together with them', async (t) => {
      const at = folder(t);
      // Enough for many to go together; the last one waits for a file.
      at('in', ndjson(COUNT, (id) => ({ ...note(at)(id), until: id === COUNT - 1 ? at('until') : undefined })));
      const { child, said, ended } = start(['map', './work.js#waiting', '--in', at('in'), '--workers', '2', ...more]);
      t.after(() => child.kill('SIGKILL'));
      await waitFor(() => said.stdout.split('\n').length === COUNT, 'all results but one');
      at('until', '');
      const { code, stdout } = await within(ended, 'the end');
      assert.equal(code, 0);
      const found = records(stdout).map(({ id }) => id);
      assert.deepEqual(isUnordered ? sorted(found) : found, ids());
    });

    test('failures between cheap records have their lines, in every format of the output', async (t) => {
      const at = folder(t);
      for (const to of ['ndjson', 'lines', 'json']) {
        const args = ['map', './work.js#thirds', '--to', to, '--failed', at('failed'), ...more];
        const { code, stdout } = await run(args, { stdin: ndjson(COUNT) });
        assert.equal(code, 1);
        const found = to === 'json' ? JSON.parse(stdout) : records(stdout);
        assert.deepEqual(sorted(found.map(({ id }) => id)), ids().filter((id) => id % 3 !== 0));
        const failed = records(read(at('failed')));
        assert.deepEqual(sorted(failed.map(({ line }) => line)), ids().filter((id) => id % 3 === 0).map((id) => id + 1));
      }
    });
  });
}

test('--stop-on-error among cheap records begins nothing behind the one that failed, in its worker', async (t) => {
  const at = folder(t);
  at('in', ndjson(COUNT, (id) => ({ ...note(at)(id), fails: id >= 1000 })));
  const args = ['map', './work.js#noted', '--in', at('in'), '--out', at('out'), '--workers', '1', '--stop-on-error'];
  const { code, stderr } = await run(args);
  assert.equal(code, 1);
  assert.match(stderr, /stopped by line 1001: Error: record 1000 fails/);
  assert.deepEqual(records(read(at('out'))).map(({ id }) => id), ids(1000));
});

test('--chunk-size says how many go together, also where they take long', async (t) => {
  const at = folder(t);
  at('in', ndjson(30, note(at, { sleep: 5 })));
  const { code } = await run(['map', './work.js#noted', '--in', at('in'), '--out', at('out'), '--chunk-size', '10']);
  assert.equal(code, 0);
  assert.deepEqual(records(read(at('out'))).map(({ id }) => id), ids(30));
});

test('records that turn out to take long are given to all workers', async (t) => {
  const at = folder(t);
  const slow = new Set(ids(12).map((i) => 2000 + i));
  at('in', ndjson(2100, (id) => ({ ...note(at)(id), sleep: slow.has(id) ? 40 : 0, process: true })));
  const { code, stderr } = await run(['map', './work.js#notedBy', '--in', at('in'), '--out', at('out'), '--workers', '2']);
  assert.equal(code, 0, stderr);
  const by = records(read(at('out'))).filter(({ id }) => slow.has(id)).map(({ pid }) => pid);
  assert.equal(by.length, 12);
  assert.equal(new Set(by).size, 2, 'both workers had some');
});

for (const type of ['processes', 'threads']) {
  test(`prototypes that the function replaces in its worker do no harm (${type})`, async () => {
    const { code, stdout, stderr } = await run(['map', './work.js#patching', '--type', type, '--quiet'], { stdin: ndjson(COUNT) });
    assert.equal(code, 0, stderr);
    assert.equal(stdout, ndjson(COUNT));
  });
}

test('files for what is published do not outlive the run', async (t) => {
  const at = folder(t);
  const left = () => ['/dev/shm', require('node:os').tmpdir()].flatMap((dir) => (fs.existsSync(dir) ? fs.readdirSync(dir) : []))
    .filter((name) => name.startsWith('parallelizer-map-'));
  const before = left();
  const { code } = await run(['map', './work.js#same', '--in', at('in', ndjson(COUNT)), '--out', at('out')]);
  assert.equal(code, 0);
  // Another run may be at it at this moment.
  await waitFor(() => left().every((name) => before.includes(name)), 'no file is left');
});
