'use strict';
// What others have put on `Object.prototype`, or in the place of the iterator of arrays, changes nothing here.

const assert = require('node:assert/strict');
const { test } = require('node:test');

const { root } = require('./support/helpers');
const { forEachMode, isFallback } = require('./support/modes');
const { makePool } = require('./support/pool');
const { asynchronous, run } = require('./support/scripts');

/** Calls `act` while something is on `Object.prototype`. */
function extended(name, descriptor, act) {
  Object.defineProperty(Object.prototype, name, { configurable: true, writable: true, enumerable: true, ...descriptor });
  try {
    return act();
  } finally {
    Reflect.deleteProperty(Object.prototype, name);
  }
}

/** Options and fields that a look at what an object lacks would find. */
const NAMES = [
  'signal', 'timeout', 'error', 'errors', 'keys', 'resource', 'task', 'values', 'thrown', 'skipped', 'records', 'cause',
  'maxOldGenerationSizeMb', 'stackSizeMb', 'batchSize', 'pkg', 'electron', 'bun', 'permission', 'encoding', 'context',
  'env', 'execPath', 'type', 'initArgs', 'transferList', 'groupBy', 'text', 'flags', 'toString2', 'importModuleDynamically',
];

/** What Node itself reads from the prototypes of its own options: not to be tried in the parent. */
const OF_NODE = ['signal', 'encoding', 'importModuleDynamically', 'timeout', 'env', 'type', 'flags', 'resource', 'errors'];
// Of Node 20, in what `writeSync` and others leave their error in.
if (isFallback) OF_NODE.push('error');

const PATCHES = {
  'a method that for-in finds': `Object.prototype.extended = function () {};`,
  'an object that cannot travel': `Object.prototype.extended = { channel: new (require('node:worker_threads').MessageChannel)() };`,
  setters: `for (const name of ['value', 'at', 'name', 'code', 'promise', 'resolve', 'filePath']) {
    Object.defineProperty(Object.prototype, name, { __proto__: null, get() {}, set() {}, configurable: true });
  }`,
  'an iterator of arrays that gives nothing': `Array.prototype[Symbol.iterator] = function* () {};`,
};

/** Everything that a call passes through, and back. */
const USE = `
  const { Pool, Parallelizer } = library;
  const type = process.env.TEST_MODE_TYPE;
  const seen = {};
  const list = [];
  for (let i = 0; i < 3000; i++) list[i] = { at: i, name: 'x' + i, inner: { at: i, list: [i] } };
  const given = { map: new Map().set('a', { b: 1 }), bytes: new Uint8Array(10), list };
  const pool = new Pool({ processes: 1, type, env: process.env, resourceLimits: { stackSizeMb: 2 } });
  await pool.apply(patch);
  seen.apply = await pool.apply((a, b) => a + b, [2, 3]);
  seen.map = (await pool.map((n) => n * 2, [1, 2, 3])).join();
  seen.starmap = (await pool.starmap((a, b) => a * b, [[1, 2], [3, 4]])).join();
  const back = await pool.apply((value) => value, [given]);
  seen.back = [back.map.get('a').b, back.bytes.length, back.list.length, Object.getOwnPropertyNames(back.list[7]).join('-')].join();
  seen.records = await pool.apply((records) => records.length, [list]);
  const failure = await pool.apply(() => { class Own extends RangeError { code = 'E'; in = { deep: 1n }; constructor(text) { super(text); } } throw new Own('no'); }).catch((error) => error);
  seen.error = [failure instanceof RangeError, failure.message, failure.code, failure.in.deep].join();
  const refused = await pool.apply(() => 1, [{ inner: [() => 1] }]).catch((error) => error);
  seen.refused = [refused.code, refused.message.includes('.inner[0]')].join();
  seen.stream = '';
  for await (const item of pool.imap((n) => n, (function* () { yield 1; yield 2; })())) seen.stream += item;
  await pool.terminate();
  const parallelizer = new Parallelizer([{ id: 1, type, filePath: fixture('values.js'), processBatchFunctionName: 'echo', parallelization: 2 }]);
  const runs = await parallelizer.run([{ id: 1, batch: list }], undefined, { groupBy: (record) => record.at % 3 });
  seen.run = [runs.length, runs[0].responses.length, runs[0].failures.length].join();
  await parallelizer.close();
`;

const EXPECTED = {
  apply: 5, map: '2,4,6', starmap: '2,12', back: '1,10,3000,at-name-inner', records: 3000, error: 'true,no,E,1',
  refused: 'ERR_PARALLELIZER_SERIALIZATION,true', stream: '12', run: '1,3,0',
};

/** Node loads these when they are first used, and cannot under some of the patches. */
const LOADED = ['stream', 'net', 'crypto', 'worker_threads', 'v8', 'string_decoder', 'vm', 'util'];

forEachMode((mode) => {
  test('environment: a method on Object.prototype is no variable; what another prototype has, is', async (t) => {
    const env = Object.assign(Object.create({ INHERITED: '1' }), { OWN: '2', PATH: process.env.PATH });
    const pool = extended('extended', { value() {} }, () => makePool(t, mode, { processes: 1, env }));
    const seen = await pool.apply(() => [process.env.INHERITED, process.env.OWN, 'extended' in process.env]);
    if (mode.hasWorkers) assert.deepEqual(seen, ['1', '2', false]);
  });

  test('options: what every object has is not given; what a class of options has, is', async (t) => {
    class Options {
      get chunkSize() {
        return 'large';
      }
    }
    const pool = extended('retries', { value() {} }, () => makePool(t, mode, { processes: 1 }));
    const signal = new AbortController().signal;
    const result = extended('timeout', { value: 'much' }, () => pool.apply((n) => n, [1], { signal }));
    assert.equal(await result, 1);
    await assert.rejects(pool.map((n) => n, [1], new Options()), { code: 'ERR_PARALLELIZER_OPTION', message: /chunkSize/ });
  });

  for (const [what, patch] of Object.entries(PATCHES)) {
    for (const where of mode.hasWorkers ? ['in the parent', 'in the worker'] : ['in the process']) {
      test(`${what}, ${where}`, async (t) => {
        const { messages } = await run(t, asynchronous(`
          ${JSON.stringify(LOADED)}.forEach((name) => require('node:' + name));
          const write = process.stdout.write.bind(process.stdout);
          const library = require(${JSON.stringify(root)});
          const names = ${JSON.stringify(LOADED)};
          const patch = (0, eval)(${JSON.stringify(`(() => {
            ${JSON.stringify(LOADED)}.forEach((name) => require('node:' + name));
            void process.stdout;
            ${where === 'in the parent' ? '' : patch}
          })`)});
          ${where === 'in the parent' ? patch : ''}
          ${USE}
          write(JSON.stringify(seen) + '\\n', () => process.exit());
        `), { mode });
        assert.deepEqual(messages, [EXPECTED]);
      });
    }
  }

  test('fields of the library that others have put on Object.prototype', async (t) => {
    const patch = (names) =>
      `${JSON.stringify(names)}.forEach((name) => { Object.prototype[name] = new Map().set(1, 2); });`;
    const inParent = patch(NAMES.filter((name) => !OF_NODE.includes(name)));
    const { messages } = await run(t, asynchronous(`
      ${JSON.stringify(LOADED)}.forEach((name) => require('node:' + name));
      const write = process.stdout.write.bind(process.stdout);
      const library = require(${JSON.stringify(root)});
      const patch = () => {};
      ${inParent}
      ${USE}
      write(JSON.stringify(seen) + '\\n', () => process.exit());
    `), { mode });
    assert.deepEqual(messages, [EXPECTED]);
  });
});
