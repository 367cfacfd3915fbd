'use strict';
// What V8 has compiled of the workers' JavaScript when the addon was built: taken where it fits, and else left alone.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const { test } = require('node:test');
const { Script } = require('node:vm');

const { CHUNKS } = require('../scripts/code-cache');
const { addonPath } = require('../lib/native/native');
const { temporary, within } = require('./support/helpers');
const { forEachMode, isFallback } = require('./support/modes');
const { makePool } = require('./support/pool');

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
  vm.runInThisContext = (text, options) => {
    const script = new vm.Script(text, options);
    noted[options.filename] = script.cachedDataRejected === undefined ? 'none' : script.cachedDataRejected ? 'refused' : 'taken';
    return script.runInThisContext();
  };
`;

test('V8 takes what it has compiled of each chunk, and its text is the same', compiled(), () => {
  for (const name of CHUNKS) {
    const cachedData = native.workerCodeCache(name, process.versions.v8);
    const script = new Script(native.workerChunk(name), { filename: name, cachedData });
    assert.equal(script.cachedDataRejected, false, name);
  }
});

test('other versions of V8, and chunks that are not there, have nothing', compiled(), () => {
  assert.equal(native.workerCodeCache(CHUNKS[0], '1.2.3.4'), null);
  assert.equal(native.workerCodeCache('no-such-chunk', process.versions.v8), null);
});

forEachMode((mode) => {
  const noted = async (t, execArgv) => {
    const notes = `${temporary(t)}/notes.cjs`;
    fs.writeFileSync(notes, NOTES);
    const pool = makePool(t, mode, { processes: 1, execArgv: ['--require', notes, ...execArgv] });
    return within(pool.apply(() => globalThis.noted), 'the first call');
  };

  test('a worker starts with it', compiled(), async (t) => {
    const seen = await noted(t, []);
    assert.equal(seen['parallelizer:core'], 'taken');
    assert.deepEqual([...new Set(Object.values(seen))].filter((what) => what !== 'none'), ['taken']);
  });

  test('with flags for which it does not fit, V8 refuses it, and all works', {
    ...compiled(),
    ...(mode.hasProcess ? {} : { skip: 'a thread has the flags of its process' }),
  }, async (t) => {
    const seen = await noted(t, ['--stack-size=900']);
    assert.equal(seen['parallelizer:core'], 'refused');
  });
}, { needs: 'hasWorkers' });
