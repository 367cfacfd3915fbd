'use strict';
// The slot for small frames in the page that a parent shares with a thread: each frame arrives once, by either path,
// whoever stops polling.

const assert = require('node:assert/strict');
const { once } = require('node:events');
const { test } = require('node:test');
const { Worker } = require('node:worker_threads');

const { Pool } = require('@parallelizer/node');
const { PAGE_WORDS } = require('../lib/transport/constants');
const { Slot } = require('../lib/transport/slot');

const LATIN1 = 0;
const UTF8 = 1;
const newPage = () => new Uint32Array(new SharedArrayBuffer(PAGE_WORDS * 4));
const textPart = (text, encoding = LATIN1) => [encoding, 1, 2, 3, 0xffffffff, text];

test('a frame goes through the slot only while the receiver polls', () => {
  const page = newPage();
  const [parent, worker] = [new Slot(page, true), new Slot(page, false)];
  assert.equal(parent.send(2, 7, 8, 9, textPart('[1]'), 0), false, 'it sleeps');
  worker.setPolling(true);
  assert.equal(parent.send(2, 7, 0xfffffffe, 9, textPart('[1]é'), 0), true);
  assert.equal(worker.isFull, true);
  assert.equal(parent.isFull, false);
  assert.equal(parent.send(2, 7, 8, 9, textPart('[2]'), 0), false, 'there is room for one');
  assert.equal(worker.send(18, 7, 8, 9, textPart('[2]'), 0), false, 'the parent sleeps');
  assert.deepEqual(worker.take(0), [2, 7, 0xfffffffe, 9, textPart('[1]é')]);
  assert.equal(worker.take(0), null);
});

test('a frame that is long, or not one part of text, does not fit; an empty text does', () => {
  const page = newPage();
  const [parent, worker] = [new Slot(page, true), new Slot(page, false)];
  worker.setPolling(true);
  for (const parts of [textPart('x'.repeat(2000)), textPart('x', UTF8), [...textPart('a'), ...textPart('b')], []]) {
    assert.equal(parent.send(2, 1, 1, 0, parts, 0), false);
  }
  for (const text of ['', 'x'.repeat(1800)]) {
    assert.equal(parent.send(2, 1, 1, 0, textPart(text), 0), true);
    assert.equal(worker.take(0)?.[4][5], text);
  }
});

test('a frame waits for the messages that were posted before it, even when their count wraps', () => {
  const page = newPage();
  const [parent, worker] = [new Slot(page, true), new Slot(page, false)];
  worker.setPolling(true);
  assert.equal(parent.send(2, 1, 1, 0, textPart('a'), 1), true);
  assert.equal(worker.take(0xffffffff), null);
  assert.equal(worker.take(0), null);
  assert.equal(worker.isFull, true);
  assert.notEqual(worker.take(1), null);
});

test('between threads each frame arrives once, whenever the receiver stops polling', async () => {
  const page = newPage();
  const slot = new Slot(page, true);
  const receiver = new Worker(require.resolve('./fixtures/slot-receiver'), { workerData: page });
  await once(receiver, 'message');
  const count = 100_000;
  const back = [];
  for (let id = 0; id < count; id++) {
    if (!slot.send(2, id, 0, 0, textPart(`${id}`), 0)) back.push(id);
  }
  receiver.postMessage('end');
  const [taken] = await once(receiver, 'message');
  assert.ok(taken.every(([id, text]) => text === String(id)));
  assert.deepEqual([...taken.map(([id]) => id), ...back].sort((a, b) => a - b), [...Array(count).keys()]);
});

test('calls keep their order and their results, whichever path their frames take', async (t) => {
  for (const type of ['worker-threads', 'child-process']) {
    const pool = new Pool({ type, processes: 1 });
    t.after(() => pool.terminate());
    const remember = (/** @type {any} */ x) => {
      (globalThis.seen ??= []).push(typeof x === 'number' ? x : x.id);
      return x;
    };
    const pending = [];
    const expected = [];
    for (let id = 0; id < 600; id++) {
      // Small, too long, with two bytes per character, and bytes; one at a time, and several at once.
      const item = [id, { id, text: 'y'.repeat(3000) }, { id, text: '\u4e16' }, { id, bytes: new Uint8Array(5000) }][
        (id * 7) % 4
      ];
      expected.push(id);
      const result = pool.apply(remember, [item]);
      pending.push(result.then((back) => assert.deepEqual(back, item)));
      if (id % 5 !== 0) await result;
    }
    await Promise.all(pending);
    assert.deepEqual(await pool.apply(() => globalThis.seen), expected);
  }
});
