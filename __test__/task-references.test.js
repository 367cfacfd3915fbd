'use strict';
// `task(filePath, name)`: a reference to a function of a module that means the same wherever it is used.

const assert = require('node:assert/strict');
const path = require('node:path');
const { test } = require('node:test');
const { pathToFileURL } = require('node:url');

const { Pool, task } = require('@parallelizer/node');
const { fixture, temporary } = require('./support/helpers');
const { forEachMode } = require('./support/modes');
const { list, makePool } = require('./support/pool');

const file = fixture('pool-tasks.js');

test('paths and URLs become an absolute path; the reference is frozen, and nothing else', (t) => {
  for (const given of [file, path.relative(process.cwd(), file), pathToFileURL(file), pathToFileURL(file).href]) {
    const reference = task(given, 'double');
    assert.deepEqual(reference, { filePath: file, name: 'double' });
    assert.ok(Object.isFrozen(reference));
  }
  const before = process.cwd();
  t.after(() => process.chdir(before));
  const directory = temporary(t);
  const relative = task('work.js', 'double');
  process.chdir(directory);
  assert.equal(relative.filePath, path.join(before, 'work.js'), 'relative to where it was made');
});

test('a bad path or name is refused at the call, by its name', () => {
  for (const [name, args] of [
    ['filePath', []],
    ['filePath', [null, 'double']],
    ['filePath', ['', 'double']],
    ['filePath', [42, 'double']],
    ['filePath', ['https://example.com/work.js', 'double']],
    ['filePath', ['data:text/javascript,', 'double']],
    ['filePath', ['a\0b', 'double']],
    ['name', [file]],
    ['name', [file, null]],
    ['name', [file, '']],
    ['name', [file, 42]],
    ['name', [file, () => {}]],
  ]) {
    assert.throws(() => task(...args), (error) => {
      assert.equal(error.code, 'ERR_PARALLELIZER_OPTION');
      assert.ok(error.message.startsWith(`option "${name}" `), error.message);
      return true;
    });
  }
});

forEachMode((mode) => {
  test('every method accepts it, and so does the initializer', async (t) => {
    const double = task(file, 'double');
    const pool = makePool(t, mode, { initializer: task(file, 'double'), initArgs: [1] });
    assert.equal(await pool.apply(double, [1]), 2);
    assert.deepEqual(await pool.map(double, [1, 2]), [2, 4]);
    assert.deepEqual(await pool.starmap(double, [[3]]), [6]);
    assert.deepEqual(await list(pool.imap(double, [4])), [8]);
    assert.equal(await pool.applyAsync(double, [5]), 10);
  });

  test('a missing module or function is reported by the call', async (t) => {
    const pool = makePool(t, mode);
    for (const missing of [task(file, 'noSuchFunction'), task(fixture('no-such-file.js'), 'double')]) {
      await assert.rejects(pool.apply(missing), { code: 'ERR_PARALLELIZER_MODULE' });
    }
  });
});

test('several pools can use one', async (t) => {
  const double = task(file, 'double');
  const pools = [new Pool(1), new Pool(0)];
  t.after(() => Promise.all(pools.map((pool) => pool.terminate())));
  assert.deepEqual(await Promise.all(pools.map((pool) => pool.map(double, [1]))), [[2], [2]]);
});
