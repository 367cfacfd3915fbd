'use strict';
// What calls emit while they run: in order, before the outcome, as much as there is room for.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { test } = require('node:test');

const { Pool } = require('@parallelizer/node');
const { make, sleep, waitFor, within } = require('./support/helpers');
const { forEachMode, isFallback } = require('./support/modes');

/** How much may be under way: over pipes it is what these have room for. */
const roomOf = (mode) => (isFallback && mode.hasProcess ? 48 * 1024 : 1024 * 1024);

const FILE = path.join(__dirname, 'fixtures', 'emitting.js');
const own = (name) => ({ filePath: FILE, name });

const open = (t, options) => {
  const pool = new Pool(options);
  t.after(() => pool.terminate());
  return pool;
};

/** Runs a call and gives its messages, with what they are about, and its outcome. */
async function heard(call) {
  const messages = [];
  let isOver = false;
  const onMessage = (value, info) => {
    assert.equal(isOver, false, 'a message after the outcome');
    messages.push({ value, ...info });
  };
  const outcome = await within(call(onMessage), 'the outcome').then(
    (value) => ({ value }),
    (error) => ({ error }),
  );
  isOver = true;
  return { messages, values: messages.map(({ value }) => value), ...outcome };
}

forEachMode((mode) => {
  const one = { type: mode.type, processes: mode.hasWorkers ? 1 : 0 };
  const two = { type: mode.type, processes: mode.hasWorkers ? 2 : 0 };

  for (const name of ['countSync', 'countAsync', 'countDeep', 'countByCurrent']) {
    test(`${name}: all messages come in order and before the result`, async (t) => {
      const pool = open(t, one);
      const { messages, values, value } = await heard((onMessage) => pool.apply(own(name), [50], { onMessage }));
      assert.deepEqual(values, Array.from({ length: 50 }, (_, i) => i));
      assert.equal(value, 'done');
      for (const { index, workerIndex, attempt } of messages) assert.deepEqual([index, workerIndex, attempt], [0, 0, 1]);
    });
  }

  test('whoever aborts other calls while a message is handled gets the next ones in order all the same', async (t) => {
    const pool = open(t, two);
    // Long ones, and the result, go another way than short ones.
    const emitted = Array.from({ length: 60 }, (_, i) => String(i).padEnd(i % 3 === 1 ? 40_000 : 1));
    for (let round = 0; round < 10; round++) {
      const others = emitted.map(() => new AbortController());
      const seen = [];
      const onMessage = (value) => {
        seen.push(value);
        // So slow that what arrives meanwhile has to wait for a turn of its own.
        for (const end = performance.now() + 1; performance.now() < end; );
        others[seen.length - 1].abort();
      };
      const call = pool.apply(own('each'), [emitted], { onMessage });
      const aborted = others.map(({ signal }) => pool.apply(own('sleep'), [5], { signal }));
      const [result, ...settled] = await within(Promise.allSettled([call, ...aborted]), 'all calls');
      assert.deepEqual(seen, emitted);
      assert.equal(result.value.length, 20_000);
      for (const { status, reason } of settled) {
        assert.ok(status === 'fulfilled' || reason.code === 'ERR_PARALLELIZER_ABORTED', String(reason));
      }
    }
  });

  test('run: batchIndex says whose message it is', async (t) => {
    const parallelizer = make(t, {
      type: mode.type, parallelization: two.processes, batchSize: 1, filePath: FILE, processBatchFunctionName: 'batch',
    });
    const { messages, value } = await heard((onMessage) => parallelizer.run([7, 8, 9], null, { onMessage }));
    assert.deepEqual(value.failures, []);
    for (const batchIndex of value.responses.keys()) {
      const its = messages.filter((message) => message.batchIndex === batchIndex).map((message) => message.value);
      assert.deepEqual(its, value.responses[batchIndex].emitted);
    }
    assert.equal(messages.length, value.responses.reduce((sum, { emitted }) => sum + emitted.length, 0));
  });

  test('map, starmap, imap and imapUnordered: index says whose message it is', async (t) => {
    const pool = open(t, two);
    const items = Array.from({ length: 40 }, (_, i) => i + 100);
    const expected = items.flatMap((item, index) => [`${index}: ${item}`, `${index}: ${item * 2}`]).sort();
    const gather = async (iterable) => {
      const all = [];
      for await (const one of iterable) all.push(one);
      return all;
    };
    for (const method of ['map', 'imap', 'imapUnordered', 'starmap']) {
      const { messages, value } = await heard((onMessage) => {
        const given = method === 'starmap' ? items.map((item) => [item]) : items;
        const running = pool[method](own('twice'), given, { onMessage });
        return method.startsWith('imap') ? gather(running) : running;
      });
      assert.equal(value.length, items.length);
      assert.deepEqual(messages.map((message) => `${message.index}: ${message.value}`).sort(), expected, method);
    }
  });

  test('values are what they would be as a result', async (t) => {
    const pool = open(t, one);
    const { values } = await heard((onMessage) => pool.apply(own('values'), [], { onMessage }));
    assert.deepEqual(values, [
      undefined, null, -0, NaN, 'ä€😀', new Map([[1, new Set(['a'])]]), Buffer.from([1, 2, 3]), 12n, new Date(5),
      [{ a: 1 }, { a: 2 }], new Uint8Array(300_000).fill(7),
    ]);
  });

  test('a value that cannot travel throws at emit, with its place, and harms nothing else', async (t) => {
    const pool = open(t, one);
    const { values, value } = await heard((onMessage) => pool.apply(own('untravelling'), [], { onMessage }));
    assert.deepEqual(values, ['before', 'after']);
    assert.equal(value.code, 'ERR_PARALLELIZER_SERIALIZATION');
    assert.match(value.message, /deep\.fn/);
  });

  test('it needs no this, and after the outcome it does nothing', async (t) => {
    const pool = open(t, one);
    const { values, value } = await heard((onMessage) => pool.apply(own('later'), [], { onMessage }));
    assert.deepEqual([values, value], [['now'], 'done']);
    await sleep(30);
    assert.equal(await pool.apply(() => 1), 1);
  });

  test('an error comes after the messages before it', async (t) => {
    const pool = open(t, one);
    const { values, error } = await heard((onMessage) => pool.apply(own('fails'), [], { onMessage }));
    assert.deepEqual(values, [1, 2]);
    assert.match(error.message, /as intended/);
  });

  test('nobody listens: it does nothing', async (t) => {
    const pool = open(t, two);
    assert.equal(await pool.apply(own('countSync'), [10]), 'done');
    assert.deepEqual(await pool.map(own('countAsync'), [3, 4]), ['done', 'done']);
  });

  test('a message larger than all that may be under way arrives in its place', async (t) => {
    const pool = open(t, one);
    const { values } = await heard((onMessage) => pool.apply(own('large'), [3_000_000], { onMessage }));
    assert.deepEqual(values.map((value) => (value.length === 1 ? value : value.length)), ['a', 3_000_000, 'b']);
  });

  test('what a function emits without waiting fills the room: then it throws, and nothing is lost', async (t) => {
    const pool = open(t, one);
    const marker = path.join(fs.mkdtempSync(path.join(os.tmpdir(), 'emit-')), 'done');
    t.after(() => fs.rmSync(path.dirname(marker), { recursive: true }));
    let count = 0;
    const onMessage = ({ i }) => {
      assert.equal(i, count++);
      // Nothing is taken before it has emitted all that it can.
      for (const end = performance.now() + 30_000; !fs.existsSync(marker) && performance.now() < end; );
    };
    const flood = { size: 100_000, count: 400, marker };
    const found = await within(pool.apply(own('floods'), [flood], { onMessage }), 'it', 60_000);
    // While nobody takes anything, a megabyte is sent, and 16 wait at most.
    const most = Math.max(1, Math.floor(roomOf(mode) / 100_000));
    assert.ok(found.immediate >= Math.ceil(most / 2) && found.immediate <= most + 1, `${found.immediate} at once`);
    assert.ok(found.accepted >= 140 && found.accepted <= 170, `${found.accepted} accepted`);
    assert.equal(found.code, 'ERR_PARALLELIZER_QUEUE_FULL');
    assert.equal(count, found.accepted);
  });

  test('what a slow listener has not taken makes emit wait, and memory stays flat', async (t) => {
    const pool = open(t, one);
    let last = -1;
    const onMessage = ({ i }) => assert.equal(i, ++last);
    const waited = await within(pool.apply(own('patient'), [{ size: 50_000, count: 300 }], { onMessage }), 'it', 60_000);
    assert.equal(last, 299);
    assert.ok(waited <= 300);
  });

  test('an aborted call has no messages after its end', async (t) => {
    const pool = open(t, one);
    const controller = new AbortController();
    const { error, messages } = await heard((onMessage) => {
      const listen = (value, info) => {
        onMessage(value, info);
        if (value === 3) controller.abort();
      };
      return pool.apply(own('untilAborted'), [], { onMessage: listen, signal: controller.signal });
    });
    assert.equal(error.code, 'ERR_PARALLELIZER_ABORTED');
    const count = messages.length;
    await sleep(60);
    assert.equal(messages.length, count);
  });

  test('a call that times out has no messages after its end', async (t) => {
    const pool = open(t, one);
    const { error, values } = await heard((onMessage) => pool.apply(own('untilAborted'), [], { onMessage, timeout: 60 }));
    assert.equal(error.code, 'ERR_PARALLELIZER_TIMEOUT');
    assert.deepEqual(values, Array.from(values.keys()));
  });

  test('calls that run at the same time each have their own messages', async (t) => {
    const pool = open(t, { ...one, concurrency: 5 });
    const { messages } = await heard((onMessage) => pool.map(own('interleaved'), [0, 1, 2, 3, 4, 5, 6, 7], { onMessage }));
    for (let index = 0; index < 8; index++) {
      const its = messages.filter((message) => message.index === index).map(({ value }) => value);
      assert.deepEqual(its, [0, 1, 2, 3].map((step) => `${index}.${step}`));
    }
  });

  test('what onMessage throws is an uncaught exception, and the call goes on', async (t) => {
    const pool = open(t, one);
    const listeners = process.rawListeners('uncaughtException');
    process.removeAllListeners('uncaughtException');
    const caught = [];
    process.on('uncaughtException', (error) => caught.push(error.message));
    t.after(() => {
      process.removeAllListeners('uncaughtException');
      listeners.forEach((listener) => process.on('uncaughtException', listener));
    });
    const onMessage = (value) => {
      throw new Error(`no ${value}`);
    };
    assert.equal(await pool.apply(own('countSync'), [3], { onMessage }), 'done');
    await waitFor(() => caught.length === 3, 'three exceptions');
    assert.deepEqual(caught, ['no 0', 'no 1', 'no 2']);
  });

  test('closing in the middle lets all messages arrive', async (t) => {
    const pool = open(t, one);
    const running = heard((onMessage) => pool.apply(own('countAsync'), [200], { onMessage }));
    pool.close();
    const { values, value } = await running;
    assert.deepEqual([values.length, value], [200, 'done']);
    await within(pool.join(), 'the end');
  });
});

forEachMode(
  (mode) => {
    test('what was emitted arrives although the worker is killed right after', async (t) => {
      for (const size of [10, 3_000, 40_000]) {
        const pool = open(t, { type: mode.type, processes: 1 });
        const count = Math.max(1, Math.floor((roomOf(mode) * 0.85) / (size + 100)));
        const { values, error } = await heard((onMessage) => pool.apply(own('emitsAndDies'), [{ size, count }], { onMessage }));
        assert.equal(error.code, 'ERR_PARALLELIZER_WORKER_EXITED');
        assert.deepEqual(values.map(({ i }) => i), Array.from({ length: count }, (_, i) => i), `of ${size} bytes`);
      }
    });

    test('on a retry messages come again, with the number of the attempt', async (t) => {
      const pool = open(t, { type: mode.type, processes: 1 });
      const marker = path.join(fs.mkdtempSync(path.join(os.tmpdir(), 'emit-')), 'once');
      t.after(() => fs.rmSync(path.dirname(marker), { recursive: true }));
      const { messages, value } = await heard((onMessage) => pool.apply(own('diesOnce'), [marker], { onMessage, retries: 1 }));
      assert.equal(value, 'done');
      assert.deepEqual(messages.map((message) => [message.value, message.attempt]), [['a', 1], ['b', 1], ['a', 2], ['b', 2]]);
    });
  },
  { needs: ['hasWorkers'] },
);

test('bad options are named', async (t) => {
  const pool = open(t, 0);
  for (const onMessage of [1, 'x', {}]) {
    await assert.rejects(pool.apply(own('countSync'), [1], { onMessage }), { code: 'ERR_PARALLELIZER_OPTION', message: /onMessage/ });
    await assert.rejects(pool.map(own('countSync'), [1], { onMessage }), { code: 'ERR_PARALLELIZER_OPTION', message: /onMessage/ });
  }
});
