'use strict';
// What V8 has compiled of the workers' JavaScript when the addon was built: a worker takes it where it fits.

const assert = require('node:assert/strict');
const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const { test } = require('node:test');
const { Script } = require('node:vm');

const { CHUNKS } = require('../scripts/code-cache');
const { addonPath } = require('../lib/native/native');
const { FLAGS_AT } = require('../lib/package/code-cache');
const { root, temporary, within } = require('./support/helpers');
const { forEachMode, isFallback } = require('./support/modes');
const { makePool } = require('./support/pool');
const { asynchronous, run } = require('./support/scripts');

const native = isFallback ? null : require(addonPath());
const versions = native === null ? [] : native.workerCodeCacheVersions();
const isBuiltHere = versions.includes(process.versions.v8);

/** The options of a test that needs what this V8 has compiled. */
function compiled() {
  if (native === null) return { skip: 'without the addon nothing is compiled in advance' };
  return isBuiltHere ? {} : { skip: `the addon was built with V8 ${versions.join(', ')}, this is ${process.versions.v8}` };
}

/** Has a worker note, for each chunk, whether V8 took what was compiled in advance. */
const NOTES = `
  const vm = require('node:vm');
  const noted = (globalThis.noted = {});
  vm.Script = class extends vm.Script {
    constructor(text, options) {
      super(text, options);
      if (options?.filename === undefined) return;
      const { cachedDataRejected: isRefused } = this;
      noted[options.filename] = isRefused === undefined ? 'none' : isRefused ? 'refused' : 'taken';
    }
  };
`;

/** The file of a module to be preloaded that does so. */
function notes(t) {
  const file = `${temporary(t)}/notes.cjs`;
  fs.writeFileSync(file, NOTES);
  return file;
}

test('V8 takes what it has compiled of each chunk, and its text is the same', compiled(), () => {
  const flags = new Script('').createCachedData().subarray(FLAGS_AT, FLAGS_AT + 4);
  for (const name of CHUNKS) {
    const cachedData = native.workerCodeCache(name, process.versions.v8);
    cachedData.set(flags, FLAGS_AT);
    const script = new Script(native.workerChunk(name), { filename: name, cachedData });
    assert.equal(script.cachedDataRejected, false, name);
  }
});

test('of the core it has what first calls run, and not all of it', compiled(), () => {
  const text = native.workerChunk('core');
  const { length } = native.workerCodeCache('core', process.versions.v8);
  const compileAll = `
    const { Script } = require('node:vm');
    const text = require('node:fs').readFileSync(0, 'utf8');
    console.log(new Script(text, { filename: 'all' }).createCachedData().length);
  `;
  const sizeWith = (...flags) =>
    Number(execFileSync(process.execPath, [...flags, '-e', compileAll], { input: text, encoding: 'utf8' }));
  assert.ok(length > 3 * sizeWith(), 'more than what V8 compiles at once');
  assert.ok(length < 0.75 * sizeWith('--no-lazy'));
});

test('other versions of V8, and chunks that are not there, have nothing', compiled(), () => {
  assert.equal(native.workerCodeCache(CHUNKS[0], '1.2.3.4'), null);
  assert.equal(native.workerCodeCache('no-such-chunk', process.versions.v8), null);
});

test('threads of a process with flags start with it, too', compiled(), async (t) => {
  const { messages } = await run(t, asynchronous(`
    const { Pool } = require(${JSON.stringify(root)});
    const execArgv = ['--require', process.env.TEST_NOTES];
    for (const resourceLimits of [{}, { maxOldGenerationSizeMb: 200 }]) {
      const pool = new Pool({ processes: 1, type: 'worker-threads', execArgv, resourceLimits });
      console.log(JSON.stringify(await pool.apply(() => globalThis.noted)));
      await pool.terminate();
    }
  `), { env: { TEST_NOTES: notes(t) }, execArgv: ['--expose-gc', '--max-old-space-size=300'] });
  assert.deepEqual(messages.map((seen) => seen['parallelizer:core']), ['taken', 'taken']);
});

forEachMode((mode) => {
  const noted = async (t, execArgv, resourceLimits = {}) => {
    const pool = makePool(t, mode, { processes: 1, resourceLimits, execArgv: ['--require', notes(t), ...execArgv] });
    return within(pool.apply(() => globalThis.noted), 'the first call');
  };

  test('a worker starts with it', compiled(), async (t) => {
    const seen = await noted(t, []);
    assert.equal(seen['parallelizer:core'], 'taken');
    assert.deepEqual([...new Set(Object.values(seen))].filter((what) => what !== 'none'), ['taken']);
  });

  test('also with flags of V8, like those that Lambda starts Node with, and a limit of its heap', {
    ...compiled(),
    ...(mode.hasProcess ? {} : { skip: 'a thread has the flags of its process' }),
  }, async (t) => {
    const flags = ['--expose-gc', '--max-semi-space-size=8', '--stack-trace-limit=20', '--no-opt'];
    const seen = await noted(t, flags, { maxOldGenerationSizeMb: 200 });
    assert.equal(seen['parallelizer:core'], 'taken');
  });
}, { needs: 'hasWorkers' });
