'use strict';
// A value that cannot travel is refused with an error that says where in it the trouble is, and fails only its call.

const assert = require('node:assert/strict');
const { after, before, describe, test } = require('node:test');
const { MessageChannel } = require('node:worker_threads');

const { Parallelizer, ParallelizerError, Pool } = require('@parallelizer/node');
const { badGetter, culprits, cycle, nested, places } = require('./fixtures/culprits');
const { fixture, root, within } = require('./support/helpers');
const { forEachMode } = require('./support/modes');
const { asynchronous, run } = require('./support/scripts');

const filePath = fixture('culprits.js');
const task = (name) => ({ filePath, name });

/** Node 20 ignores what is already detached. */
const refusesDetached = (() => {
  const { port1 } = new MessageChannel();
  try {
    const bytes = culprits['a detached ArrayBuffer']();
    port1.postMessage(null, [bytes]);
    return false;
  } catch {
    return true;
  } finally {
    port1.close();
  }
})();

function assertRefused(error, where, what) {
  assert.ok(error instanceof ParallelizerError, `${what}: ${error}`);
  assert.equal(error.code, 'ERR_PARALLELIZER_SERIALIZATION', what);
  assert.ok(error.message.startsWith(`${where} cannot travel`), `${what}: ${error.message.slice(0, 300)}`);
}

/** Asserts that of these settled results only the second one was refused. */
function assertSecondRefused(results, where, what) {
  assert.deepEqual(results.map(({ status }) => status), ['fulfilled', 'rejected', 'fulfilled'], what);
  assert.deepEqual([results[0].value, results[2].value], ['before', { after: [1, undefined] }], what);
  assertRefused(results[1].reason, where, what);
}

/** Whether this V8 writes and reads JSON without a stack: that of Node 26 does. */
function jsonIsFlat() {
  try {
    return JSON.parse(JSON.stringify(nested(100_000))) !== undefined;
  } catch {
    return false;
  }
}

forEachMode((mode) => {
  for (const serialization of ['auto', 'advanced']) {
    describe(serialization, () => {
      let pool;
      let parallelizer;
      let producer;
      before(() => {
        pool = new Pool(1, { type: mode.type, serialization });
        const options = { type: mode.type, serialization, filePath, parallelization: 3 };
        parallelizer = new Parallelizer({ ...options, processBatchFunctionName: 'batch' });
        producer = new Parallelizer({ ...options, processBatchFunctionName: 'produceBatch' });
      });
      after(() => Promise.all([pool.terminate(), parallelizer.terminate(), producer.terminate()]));

      const send = (value) =>
        within(
          pool.map(task('echo'), ['before', value, { after: [1, undefined] }], { chunkSize: 3, onError: 'collect' }),
          'the call',
        );
      const fetch = (order) =>
        within(
          pool.map(task('produce'), [{ value: 'before' }, order, { value: { after: [1, undefined] } }], {
            chunkSize: 3,
            onError: 'collect',
          }),
          'the call',
        );

      for (const [name, make] of Object.entries(culprits)) {
        test(`${name}: as an item and as a result`, async () => {
          const pid = await pool.apply(task('pid'), []);
          assertSecondRefused(await send({ a: { b: make() } }), '.a.b', 'an item');
          assertSecondRefused(await send(make()), 'the value', 'an item that is one');
          assertSecondRefused(await fetch({ name }), '.a.b', 'a result');
          assert.equal(await pool.apply(task('pid'), []), pid, 'the worker stays');
        });
      }

      for (const [where, place] of Object.entries(places)) {
        test(`says where: ${where}`, async () => {
          assertSecondRefused(await send(place(() => 1)), where, 'an item');
          assertSecondRefused(await fetch({ place: where }), where, 'a result');
        });
      }

      test('a getter that throws: where it is, and what it threw', async () => {
        for (const results of [await send(badGetter()), await fetch({ getter: true })]) {
          assert.deepEqual(results.map(({ status }) => status), ['fulfilled', 'rejected', 'fulfilled']);
          const { reason } = results[1];
          assert.equal(reason.code, 'ERR_PARALLELIZER_SERIALIZATION');
          assert.match(reason.message, /^\.list\[1\].*do not look/);
          assert.equal(reason.cause.message, 'do not look');
        }
      });

      test('many bad ones among many good ones', async () => {
        const items = Array.from({ length: 300 }, (_, i) =>
          i % 7 === 3 ? { i, bad: () => i } : i % 5 === 0 ? new Map([[i, i]]) : { i },
        );
        const results = await within(pool.map(task('echo'), items, { onError: 'collect' }), 'the call');
        for (const [i, { status, value, reason }] of results.entries()) {
          if (i % 7 === 3) assertRefused(reason, '.bad', `item ${i}`);
          else assert.deepEqual([status, value], ['fulfilled', items[i]]);
        }
      });

      test('map rejects with the error, and the pool goes on', async () => {
        await assert.rejects(pool.map(task('echo'), [1, { a: { b: () => 1 } }, 3]), (error) => {
          assertRefused(error, '.a.b', 'map');
          return true;
        });
        assert.deepEqual(await pool.map(task('echo'), [1, 2, 3]), [1, 2, 3]);
      });

      test('the error has the index of its item', async () => {
        const results = [...(await send({ a: { b: () => 1 } })), ...(await fetch({ name: 'a symbol' }))];
        for await (const result of pool.imap(task('echo'), [1, () => 1], { onError: 'collect' })) results.push(result);
        assert.deepEqual(
          results.flatMap(({ reason }) => (reason === undefined ? [] : [reason.records])),
          [[1], [1], [1]],
        );
      });

      test('single calls at the same time', async () => {
        const calls = ['before', { a: { b: Symbol('x') } }, { after: 1 }].map((value) =>
          pool.apply(task('echo'), [value]),
        );
        const results = await within(Promise.allSettled(calls), 'the calls');
        assert.deepEqual([results[0].value, results[2].value], ['before', { after: 1 }]);
        assertRefused(results[1].reason, '.a.b', 'apply');
        const spread = await within(
          Promise.allSettled([pool.apply(task('echo'), [1, { b: () => 1 }]), pool.apply(task('echo'), [2, 3])]),
          'the calls',
        );
        assertRefused(spread[0].reason, '[1].b', 'apply with two arguments');
        assert.equal(spread[1].value, 2);
      });

      test('items of a stream', async () => {
        const results = [];
        for await (const result of pool.imap(task('echo'), [1, { a: [() => 1] }, 3], { onError: 'collect' }))
          results.push(result);
        assert.deepEqual([results[0].value, results[2].value], [1, 3]);
        assertRefused(results[1].reason, '.a[0]', 'imap');
      });

      test('a record fails its own sub-batch', async () => {
        const { responses, errors } = await within(
          parallelizer.run([1, { a: { b: () => 1 } }, [3, undefined]]),
          'the run',
        );
        assert.deepEqual(responses, [[1], [[3, undefined]]]);
        assert.equal(errors.length, 1);
        assert.equal(errors[0].code, 'ERR_PARALLELIZER_SERIALIZATION');
        assertRefused(errors[0], 'batch[0].a.b', 'a record');
        assert.deepEqual([errors[0].batchIndex, [...errors[0].records]], [1, [1]]);
      });

      test('params and context fail every sub-batch', async () => {
        const context = { a: { b: () => 1 } };
        for (const [params, options, where] of [[context, {}, 'params.a.b'], [null, { context }, 'context.a.b']]) {
          const { responses, errors } = await within(parallelizer.run([1, 2, 3], params, options), 'the run');
          assert.deepEqual(responses, []);
          assert.deepEqual(errors.map(({ code }) => code), Array(3).fill('ERR_PARALLELIZER_SERIALIZATION'));
          for (const error of errors) assertRefused(error, where, 'what all have in common');
        }
        assert.deepEqual((await parallelizer.run([1, 2, 3])).responses, [[1], [2], [3]]);
      });

      test('a response fails its own sub-batch', async () => {
        const orders = [{ value: 1 }, { name: 'a function' }, { value: [3, undefined] }];
        const { responses, failures, errors } = await within(producer.run(orders), 'the run');
        assert.deepEqual(responses, [1, [3, undefined]]);
        assert.match(failures[0], /^ParallelizerError: \.a\.b cannot travel/);
        assertRefused(errors[0], '.a.b', 'a response');
        assert.equal(errors[0].batchIndex, 1);
      });

      test('initArgs are refused by the constructor', () => {
        const options = { type: mode.type, serialization, initializer: task('echo'), initArgs: [1, { a: [() => 1] }] };
        assert.throws(() => void new Pool(1, options).terminate(), (error) => {
          assertRefused(error, 'initArgs[1].a[0]', 'initArgs');
          return true;
        });
      });
    });
  }

  describe('nesting', () => {
    for (const serialization of ['auto', 'json', 'advanced']) {
      test(`${serialization}: values nested too deep are refused, and fail only their call`, async (t) => {
        const pool = new Pool(1, { type: mode.type, serialization });
        t.after(() => pool.terminate());
        const refused = { code: 'ERR_PARALLELIZER_SERIALIZATION' };
        // If the reader has the smaller stack, it is the reader that refuses.
        for (const depth of [1000, 2500, 3000, 3500, 4000, 4500, 5000, 6000, 10_000, 100_000]) {
          for (const [name, sent] of [
            ['echo', nested(depth)],
            ['produce', { depth }],
          ]) {
            const [one, two, three] = await within(
              pool.map(task(name), [{ value: 1 }, sent, { value: 3 }], { chunkSize: 3, onError: 'collect' }),
              'the call',
            );
            assert.deepEqual([one.status, three.status], ['fulfilled', 'fulfilled'], `${name} ${depth}`);
            if (two.status === 'fulfilled') assert.equal(depthOf(two.value), depth);
            else assert.deepEqual({ code: two.reason.code }, refused, `${name} ${depth}: ${two.reason}`.slice(0, 300));
            if (depth === 1000) assert.equal(two.status, 'fulfilled');
            if (depth === 100_000 && !(serialization === 'json' && jsonIsFlat())) assert.equal(two.status, 'rejected');
          }
        }
      });
    }
  });

  describe('json', () => {
    let pool;
    before(() => {
      pool = new Pool(1, { type: mode.type, serialization: 'json' });
    });
    after(() => pool.terminate());
    const send = (value) =>
      within(pool.map(task('echo'), ['before', value, 'after'], { chunkSize: 3, onError: 'collect' }), 'the call');

    test('refuses BigInt and cycles, and says where they are', async () => {
      for (const [value, where] of [
        [{ a: [1, { b: 10n }] }, '.a[1].b'],
        [5n, 'the value'],
        [cycle(), '.list[0].value'],
      ]) {
        const results = await send(value);
        assert.deepEqual([results[0].value, results[2].value], ['before', 'after']);
        assertRefused(results[1].reason, where, where);
      }
      const results = await within(pool.map(task('cycle'), [1, 2], { onError: 'collect' }), 'the call');
      for (const { reason } of results) assertRefused(reason, '.list[0].value', 'a result');
    });

    test('refuses what throws when it is read', async () => {
      const badToJSON = { toJSON() { throw new Error('no JSON'); } };
      for (const value of [badGetter(), { a: badToJSON }]) {
        const results = await send(value);
        assert.deepEqual([results[0].value, results[2].value], ['before', 'after']);
        assert.equal(results[1].reason.code, 'ERR_PARALLELIZER_SERIALIZATION');
      }
    });

    test('drops and changes what JSON drops and changes', async () => {
      const point = { x: 1, toJSON: () => 'by toJSON' };
      const value = {
        a: undefined,
        b: [undefined, () => 1, Symbol('x'), NaN, -0],
        c: () => 1,
        d: new Date(5),
        e: new Map([[1, 2]]),
        f: point,
      };
      const [, { value: arrived }] = await send(value);
      assert.deepEqual(arrived, JSON.parse(JSON.stringify(value)));
    });

    test('keeps undefined as an item, an argument and a result', async () => {
      assert.deepEqual(await pool.map((x) => [typeof x, x], [undefined, null, 1]), [
        ['undefined', null],
        ['object', null],
        ['number', 1],
      ]);
      assert.deepEqual(await pool.map(task('echo'), [undefined, 1, undefined]), [undefined, 1, undefined]);
      assert.equal(await pool.apply(task('echo'), [undefined]), undefined);
    });
  });

  test('a Proxy whose traps throw is refused, and fails only its call', async (t) => {
    // In its own program, which an escaping error would end.
    const { messages } = await run(
      t,
      asynchronous(`
        const { Pool } = require(${JSON.stringify(root)});
        const { proxies } = require(fixture('culprits.js'));
        const task = (name) => ({ filePath: fixture('culprits.js'), name });
        const pool = new Pool(1, { type: process.env.TEST_MODE_TYPE });
        const told = [];
        for (const [proxy, make] of Object.entries(proxies)) {
          const sent = await pool.map(task('echo'), [1, make(), [2, make()], 3], { chunkSize: 4, onError: 'collect' });
          const got = await pool.map(task('produce'), [{ value: 1 }, { proxy }, { value: 3 }], { chunkSize: 3, onError: 'collect' });
          // What a function returns is asked for its \`then\`, by whoever awaits it: its own error is that of the
          // function.
          told.push([...sent.map(({ value, reason }) => value ?? reason.code), ...got.map(({ value, status }) => value ?? status)]);
        }
        console.log(JSON.stringify(told));
        await pool.terminate();`),
      { mode },
    );
    const refused = 'ERR_PARALLELIZER_SERIALIZATION';
    assert.deepEqual(messages[0], Array(2).fill([1, refused, refused, 3, 1, 'rejected', 3]));
  });

  describe('transferList', () => {
    let pool;
    before(() => {
      pool = new Pool(1, { type: mode.type });
    });
    after(() => pool.terminate());
    const moves = !mode.hasProcess;

    test('what is not an object is refused by name, and nothing is detached', async () => {
      const good = new ArrayBuffer(8);
      for (const bad of [5, null, 'text', undefined]) {
        const call = () => pool.map(task('echo'), [{ good }], { transferList: [good, bad] });
        await assert.rejects(async () => call(), { code: 'ERR_PARALLELIZER_OPTION', message: /transferList\[1\]/ });
      }
      await assert.rejects(async () => pool.apply(task('echo'), [good], { transferList: good }), {
        code: 'ERR_PARALLELIZER_OPTION',
        message: /transferList/,
      });
      assert.equal(good.byteLength, 8);
    });

    test('what cannot be transferred fails the call that it belongs to', async () => {
      const detached = culprits['a detached ArrayBuffer']();
      for (const bad of [detached, {}, Buffer.alloc(8), new Map()]) {
        const [one, three] = [new ArrayBuffer(8), new ArrayBuffer(16)];
        const items = [{ at: one }, { at: bad }, { at: three }];
        const running = pool.map(task('echo'), items, {
          transferList: [one, bad, three],
          onError: 'collect',
          chunkSize: 3,
        });
        if (moves) assert.deepEqual([one.byteLength, three.byteLength], [0, 0], 'the others are detached at the call');
        const results = await within(running, 'the call');
        assert.deepEqual([results[0].value?.at.byteLength, results[2].value?.at.byteLength], [8, 16]);
        const isRefused = moves ? bad !== detached || refusesDetached : bad === detached;
        if (isRefused) assert.equal(results[1].reason?.code, 'ERR_PARALLELIZER_SERIALIZATION', String(bad));
      }
      assert.equal(await pool.apply(task('echo'), [5]), 5);
    });

    test('a function next to what is transferred is refused, with its place', async () => {
      const bytes = new ArrayBuffer(8);
      await assert.rejects(
        pool.apply(task('echo'), [{ bytes, a: { b: () => 1 } }], { transferList: [bytes] }),
        (error) => {
          assert.equal(error.code, 'ERR_PARALLELIZER_SERIALIZATION');
          assert.match(error.message, /^\S*\.a\.b cannot travel/);
          return true;
        },
      );
    });

    test('by a worker: with nothing to move, the value itself arrives', async () => {
      for (const serialization of ['auto', 'json', 'advanced']) {
        const other = new Pool(1, { type: mode.type, serialization });
        try {
          assert.deepEqual(
            await other.map(task('move'), [5, 'text', { a: [1] }, [{ b: null }]]),
            [5, 'text', { a: [1] }, [{ b: null }]],
            serialization,
          );
        } finally {
          await other.terminate();
        }
      }
    });

    test('by a worker: fails that call only, and the worker stays', async () => {
      const pid = await pool.apply(task('pid'), []);
      const orders = ['twice', 'nothing', 'detached', 'nothing', 'no transferable', 'function', 'nothing'].map(
        (what) => ({ what }),
      );
      const results = await within(pool.map(task('misuse'), orders, { onError: 'collect', chunkSize: 10 }), 'the call');
      for (const [i, { value, reason }] of results.entries()) {
        const { what } = orders[i];
        if (what === 'nothing') assert.equal(value?.bytes.byteLength, 8);
        else if (what === 'function') assertRefused(reason, '.a.b', what);
        // Where everything is copied, the list has no effect.
        else if (moves && (what !== 'detached' || refusesDetached))
          assert.equal(reason?.code, 'ERR_PARALLELIZER_SERIALIZATION', what);
      }
      assert.equal(await pool.apply(task('pid'), []), pid);
    });
  });
});

forEachMode(
  (mode) => {
    test('a SharedArrayBuffer, and views of one, are refused between processes', async (t) => {
      const pool = new Pool(1, { type: mode.type });
      t.after(() => pool.terminate());
      const shared = new SharedArrayBuffer(8);
      for (const value of [shared, new Uint8Array(shared), new DataView(shared), Buffer.from(shared)]) {
        const results = await pool.map(task('echo'), [1, { a: [value] }, 3], { onError: 'collect' });
        assert.deepEqual([results[0].value, results[2].value], [1, 3]);
        assertRefused(results[1].reason, '.a[0]', value[Symbol.toStringTag]);
      }
    });
  },
  { needs: ['hasProcess'] },
);

function depthOf(value) {
  let depth = 0;
  for (let at = value; typeof at === 'object'; at = at.value) depth++;
  return depth;
}

forEachMode((mode) => {
  test('a class of the caller that throws when it is looked at fails its call, and no worker', async (t) => {
    class Odd extends Array {
      some() {
        throw new Error('not to be looked at');
      }
    }
    const pool = new Pool({ processes: 1, type: mode.type });
    t.after(() => pool.terminate());
    const odd = Odd.from([1, 2]);
    const results = await within(pool.map((value) => value, ['before', odd, 'after'], { onError: 'collect' }), 'the calls');
    assert.deepEqual(results.map(({ status }) => status), ['fulfilled', 'rejected', 'fulfilled']);
    assert.equal(results[1].reason.code, 'ERR_PARALLELIZER_SERIALIZATION');
    assert.match(results[1].reason.message, /not to be looked at/);
    await assert.rejects(within(pool.apply((value) => value, [odd]), 'a call'), { code: 'ERR_PARALLELIZER_SERIALIZATION' });
    assert.equal(pool.stats().restarts, 0);
    assert.equal(await pool.apply((value) => value, ['works']), 'works');
  });
});
