'use strict';
// What Node's structured clone knows and V8's own format does not: between threads it arrives as what it is, with what
// stands beside it; between processes the call says which part of its value cannot travel. As an argument and as a result.

const assert = require('node:assert/strict');
const { test } = require('node:test');
const { isProxy, isSharedArrayBuffer } = require('node:util').types;

const { forEachMode } = require('../support/modes');
const { makePool } = require('../support/pool');

const EMPTY_MODULE = [0, 97, 115, 109, 1, 0, 0, 0];

/** Functions that make a value, and that tell of one what it is; both run here and in workers. */
const KINDS = {
  'WebAssembly.Module': [
    () => new WebAssembly.Module(new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0])),
    (value) => value instanceof WebAssembly.Module && new WebAssembly.Instance(value) instanceof WebAssembly.Instance,
  ],
  'a shared WebAssembly.Memory': [
    () => new WebAssembly.Memory({ initial: 1, maximum: 2, shared: true }),
    (value) => value instanceof WebAssembly.Memory && value.buffer instanceof SharedArrayBuffer && value.buffer.byteLength === 65536,
  ],
  SharedArrayBuffer: [() => new SharedArrayBuffer(8), (value) => value instanceof SharedArrayBuffer && value.byteLength === 8],
  Blob: [() => new Blob(['text']), (value) => value instanceof Blob && value.size === 4],
  KeyObject: [
    () => require('node:crypto').createSecretKey(Buffer.from('secret')),
    (value) => value instanceof require('node:crypto').KeyObject && value.export().toString() === 'secret',
  ],
  CryptoKey: [
    () => require('node:crypto').webcrypto.subtle.generateKey({ name: 'HMAC', hash: 'SHA-256' }, true, ['sign']),
    (value) => value.constructor.name === 'CryptoKey' && value.type === 'secret',
  ],
  BlockList: [() => new (require('node:net').BlockList)(), (value) => require('node:net').BlockList.isBlockList?.(value) ?? value.rules.length === 0],
};

/** Ways to contain a value, and to find it again. */
const PLACES = {
  'by itself': [(value) => value, (found) => found, ''],
  'in a list of arguments with bytes': [(value) => ({ list: [1, { deep: value }], bytes: Buffer.from('bytes') }), (found) => found.list[1].deep, '.list[1].deep'],
  'in a Map': [(value) => new Map([['key', value], ['other', new Date(0)]]), (found) => found.get('key'), 'key'],
};

forEachMode((mode) => {
  const isThread = mode.type !== 'child-process';
  for (const [kind, [make, isRight]] of Object.entries(KINDS)) {
    for (const [place, [contain, find, path]] of Object.entries(PLACES)) {
      test(`${kind}, ${place}: as an argument`, async (t) => {
        const pool = makePool(t, mode, { processes: 1 });
        const value = contain(await make());
        const promise = pool.apply((given, source, finder) => {
          const compile = (text) => new Function('require', `return (${text})`)(require);
          return [compile(source)(compile(finder)(given)), !Object.hasOwn(given, 'bytes') || Buffer.isBuffer(given.bytes)];
        }, [value, String(isRight), String(find)]);
        if (isThread) {
          assert.deepEqual(await promise, [true, true]);
        } else {
          const error = await promise.then(() => assert.fail('it has travelled'), (thrown) => thrown);
          assert.equal(error.code, 'ERR_PARALLELIZER_SERIALIZATION', error.stack);
          if (path.startsWith('.')) assert.ok(error.message.includes(path), error.message);
        }
        assert.equal(await pool.apply(() => 1), 1);
        assert.equal(pool.stats().restarts, 0);
      });

      test(`${kind}, ${place}: as a result`, async (t) => {
        const pool = makePool(t, mode, { processes: 1 });
        const promise = pool.apply(async (source, container) => {
          const compile = (text) => new Function('require', `return (${text})`)(require);
          return compile(container)(await compile(source)());
        }, [String(make), String(contain)]);
        if (isThread) {
          const found = await promise;
          assert.ok(isRight(find(found)));
          assert.ok(!Object.hasOwn(found, 'bytes') || Buffer.isBuffer(found.bytes), 'a Buffer beside it is one');
        } else {
          const error = await promise.then(() => assert.fail('it has travelled'), (thrown) => thrown);
          assert.equal(error.code, 'ERR_PARALLELIZER_SERIALIZATION', error.stack);
        }
        assert.equal(await pool.apply(() => 1), 1);
        assert.equal(pool.stats().restarts, 0);
      });
    }
  }

  test('shared memory of WebAssembly is the same memory in a thread', async (t) => {
    if (!isThread) return t.skip('processes share no memory of JavaScript');
    const pool = makePool(t, mode, { processes: 1 });
    const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
    await pool.apply((given) => void (new Uint8Array(given.buffer)[0] = 7), [memory]);
    assert.equal(new Uint8Array(memory.buffer)[0], 7);
    assert.ok(isSharedArrayBuffer(memory.buffer));
  });

  test('a WebAssembly.Memory that is not shared, and a module in a job of many items', async (t) => {
    const pool = makePool(t, mode, { processes: 1 });
    const own = await pool.apply((value) => value, [new WebAssembly.Memory({ initial: 1 })]).catch((error) => error);
    assert.equal(own.code, 'ERR_PARALLELIZER_SERIALIZATION');
    const compiled = new WebAssembly.Module(new Uint8Array(EMPTY_MODULE));
    const outcomes = await pool.map((value) => typeof value, [1, compiled, 'text'], { onError: 'collect' });
    assert.deepEqual([outcomes[0].value, outcomes[2].value], ['number', 'string']);
    if (isThread) assert.equal(outcomes[1].value, 'object');
    else assert.equal(outcomes[1].reason.code, 'ERR_PARALLELIZER_SERIALIZATION');
    assert.ok(!isProxy(compiled));
  });
});
