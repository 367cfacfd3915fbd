'use strict';
// The ring of frames in the memory that a parent shares with a worker: each frame arrives once and in order, by either
// path, whoever sleeps.

const assert = require('node:assert/strict');
const { once } = require('node:events');
const { test } = require('node:test');
const { MessageChannel, receiveMessageOnPort, Worker } = require('node:worker_threads');

const { Pool } = require('@parallelizer/node');
const {
  BYTES, CALLS, JSON_LIST, LATIN1, PLAIN_VALUES, REPLY, RING_MAX_RECORD, RING_WORDS, SHARED_WORDS, UNDEFINED, UTF16, UTF8,
} = require('../lib/transport/constants');
const { Ring } = require('../lib/transport/ring');
const { ThreadChannel } = require('../lib/transport/thread-channel');
const { within } = require('./support/helpers');

const newMemory = () => new Uint32Array(new SharedArrayBuffer(SHARED_WORDS * 4));
const newEnds = () => {
  const memory = newMemory();
  return [new Ring(memory, true), new Ring(memory, false)];
};
const textPart = (text, encoding = LATIN1) => [encoding, 1, 2, 3, 0xffffffff, text];

test('frames of any parts arrive as they were, in either direction', () => {
  const [parent, worker] = newEnds();
  const frames = [
    [2, 7, 0xfffffffe, 9, textPart('[1]é')],
    [18, 1, 2, 3, []],
    [2, 1, 2, 3, textPart('')],
    [2, 1, 2, 3, textPart('x'.repeat(5000))],
    [2, 1, 2, 3, [...textPart('a'), ...textPart('世界', UTF8), ...textPart('\ud800x', UTF16), ...textPart('odd')]],
    [2, 1, 2, 3, [...textPart('a'), BYTES, 2, 0, 0, 1, Buffer.from([1, 2, 3])]],
  ];
  for (const [from, to] of [[parent, worker], [worker, parent]]) {
    for (const frame of frames) assert.equal(from.send(...frame, 0), true);
    for (const frame of frames) assert.deepEqual(to.take(0), frame);
    assert.equal(to.take(0), null);
  }
});

test('the answer to one call has a form of its own', () => {
  const [parent, worker] = newEnds();
  assert.equal(worker.sendAnswer(7, 8, 9, '"a"', 0), true);
  assert.equal(worker.sendAnswer(7, 9, 1, null, 0), true);
  assert.deepEqual(parent.take(0), [REPLY, 7, 8, 9, [LATIN1, JSON_LIST, 0, 1, 0, '["a"]']]);
  assert.deepEqual(parent.take(0), [REPLY, 7, 9, 1, [LATIN1, UNDEFINED, 0, 1, 0, '']]);
  assert.equal(parent.take(0), null);
  assert.equal(worker.sendAnswer(7, 10, 1, 'x'.repeat(RING_MAX_RECORD + 1), 0), false);
  assert.equal(worker.sendAnswer(7, 10, 1, Buffer.alloc(RING_MAX_RECORD + 1), 0), false);
});

test('answers in V8’s format are joined behind one header', () => {
  const [parent, worker] = newEnds();
  const plain = (text) => Buffer.from(`\xff\x0f${text}`, 'latin1');
  for (const [seq, answer] of [[1, plain('a')], [2, plain('bcd')], [3, plain('ef')], [4, '5'], [5, plain('g')], [7, plain('h')]]) {
    assert.equal(worker.sendAnswer(7, seq, 10, answer, 0), true);
  }
  assert.deepEqual(parent.take(0), [REPLY, 7, 1, 30, [BYTES, PLAIN_VALUES, 0, 3, 0, plain('abcdef')]]);
  assert.deepEqual(parent.take(0), [REPLY, 7, 4, 10, [LATIN1, JSON_LIST, 0, 1, 0, '[5]']]);
  assert.deepEqual(parent.take(0), [REPLY, 7, 5, 10, [BYTES, PLAIN_VALUES, 0, 1, 0, plain('g')]]);
  assert.deepEqual(parent.take(0), [REPLY, 7, 7, 10, [BYTES, PLAIN_VALUES, 0, 1, 0, plain('h')]]);
  assert.equal(parent.take(0), null);
});

test('the answers to consecutive calls are taken together, those of others by themselves', () => {
  const [parent, worker] = newEnds();
  const values = (frame, seq, micros, json, calls) =>
    [REPLY, frame, seq, micros, [LATIN1, json === '' ? UNDEFINED : JSON_LIST, 0, calls, 0, json]];
  for (const [seq, json] of [[0xfffffffe, '1'], [0xffffffff, '"a"'], [0, '{}'], [1, null], [2, null], [9, null]]) {
    assert.equal(worker.sendAnswer(7, seq, 10, json, 0), true);
  }
  assert.equal(worker.sendAnswer(8, 10, 4, null, 0), true);
  assert.equal(worker.send(2, 8, 11, 0, textPart('x'), 0), true);
  assert.equal(worker.sendAnswer(8, 11, 0xffffffff, 'true', 0), true);
  assert.equal(worker.sendAnswer(8, 12, 5, 'null', 0), true);
  // This one was sent after a frame that went another way.
  assert.equal(worker.sendAnswer(8, 13, 5, '3', 1), true);
  assert.deepEqual(parent.take(0), values(7, 0xfffffffe, 30, '[1,"a",{}]', 3));
  assert.deepEqual(parent.take(0), values(7, 1, 20, '', 2));
  assert.deepEqual(parent.take(0), values(7, 9, 10, '', 1));
  assert.deepEqual(parent.take(0), values(8, 10, 4, '', 1));
  assert.deepEqual(parent.take(0), [2, 8, 11, 0, textPart('x')]);
  assert.deepEqual(parent.take(0), values(8, 11, 0xffffffff, '[true,null]', 2));
  assert.equal(parent.take(0), null);
  assert.equal(parent.hasPending, false);
  assert.deepEqual(parent.take(1), values(8, 13, 5, '[3]', 1));
});

test('answers are joined beyond the end of the ring', () => {
  const [parent, worker] = newEnds();
  const json = `"${'x'.repeat(4000)}"`;
  let sent = 0;
  let taken = 0;
  for (let round = 0; round < 20; round++) {
    // Not all of them: the next ones are where the ring begins again, behind these.
    for (let i = 0; i < 11; i++) assert.equal(worker.sendAnswer(7, sent + i, 1, json, 0), true);
    sent += 11;
    const frame = parent.take(0);
    assert.deepEqual(frame, [REPLY, 7, taken, 11, [LATIN1, JSON_LIST, 0, 11, 0, `[${Array(11).fill(json)}]`]]);
    assert.equal(parent.take(0), null);
    taken = sent;
  }
});

test('a frame that is long, or has no bytes, does not fit; a full ring takes no more until there is room', () => {
  const [parent, worker] = newEnds();
  assert.equal(parent.send(2, 1, 1, 0, textPart('x'.repeat(RING_MAX_RECORD)), 0), false);
  assert.equal(parent.send(2, 1, 1, 0, textPart('世'.repeat(RING_MAX_RECORD / 2), UTF16), 0), false);
  assert.equal(parent.send(2, 1, 1, 0, [BYTES, 6, 0, 1, 0, new MessageChannel().port1], 0), false);
  let sent = 0;
  while (parent.send(2, sent, 0, 0, textPart('x'.repeat(4000)), 0)) sent++;
  assert.equal(sent, Math.floor(RING_WORDS / (2 + 7 + 5 + 1000)));
  assert.equal(worker.take(0)[1], 0);
  assert.equal(parent.send(2, sent, 0, 0, textPart('x'.repeat(4000)), 0), true);
  for (let id = 1; id <= sent; id++) assert.equal(worker.take(0)[1], id);
  assert.equal(worker.take(0), null);
});

test('a frame waits for those that went another way before it, even when their count wraps', () => {
  const [parent, worker] = newEnds();
  assert.equal(parent.send(2, 1, 1, 0, textPart('a'), 1), true);
  assert.equal(worker.hasPending, true);
  assert.equal(worker.take(0xffffffff), null);
  assert.equal(worker.hasPending, false, 'it is not looked at for ever');
  worker.lookAgain();
  assert.equal(worker.hasPending, true);
  assert.equal(worker.take(0), null);
  assert.notEqual(worker.take(1), null);
});

test('whoever sleeps is woken once', () => {
  const [parent, worker] = newEnds();
  assert.equal(parent.mustWake(), true, 'at first nobody looks');
  assert.equal(parent.mustWake(), false, 'it is being woken');
  worker.setAwake(true);
  assert.equal(parent.mustWake(), false);
  worker.setAwake(false);
  assert.equal(parent.mustWake(), true);
});

/**
 * Both ends of a channel between threads, in this one. The receiver does not listen: it comes upon what was posted only
 * where it looks by itself.
 */
function newChannel(t, onFrame) {
  const { port1, port2 } = new MessageChannel();
  t.after(() => port1.close());
  const words = newMemory();
  const end = (port, isParent, receive) =>
    new ThreadChannel({ port, words, ring: new Ring(words, isParent), drain: () => {}, receive });
  return { sender: end(port1, true, () => {}), receiver: end(port2, false, onFrame), port: port2 };
}

test('whoever comes upon the frame that was to wake it is woken by the next one all the same', async (t) => {
  const seen = [];
  const { sender, receiver, port } = newChannel(t, (kind, id) => seen.push(id));
  sender.send(CALLS, 1, 1, 0, textPart('posted, to wake'));
  sender.send(CALLS, 2, 2, 0, textPart('in the ring: it is being woken'));
  receiver.receiveAll();
  assert.deepEqual(seen, [1, 2]);
  const woken = once(port, 'message');
  sender.send(CALLS, 3, 3, 0, textPart('has to wake it again'));
  const [frame] = await within(woken, 'a message that wakes');
  receiver.receiveMessage(frame);
  assert.deepEqual(seen, [1, 2, 3]);
});

test('a frame that waits for one that was put off is received behind it', (t) => {
  const seen = [];
  const { sender, receiver, port } = newChannel(t, (kind, id) => seen.push(id));
  sender.send(CALLS, 1, 1, 0, textPart('posted'));
  sender.send(CALLS, 2, 2, 0, textPart('in the ring'));
  const { message } = receiveMessageOnPort(port);
  receiver.setAwake(false);
  receiver.receiveShared();
  assert.deepEqual(seen, [], 'neither overtakes');
  receiver.receiveMessage(message);
  assert.deepEqual(seen, [1, 2]);
});

test('a handler that looks for more finds what comes first of all that was posted', (t) => {
  const seen = [];
  const { sender, receiver, port } = newChannel(t, (kind, id) => {
    seen.push(id);
    if (id === 1) receiver.receiveAll();
  });
  receiver.setAwake(true);
  sender.send(CALLS, 1, 1, 0, textPart('in the ring'));
  sender.post(CALLS, 2, 2, 0, textPart('posted'));
  sender.post(CALLS, 3, 3, 0, textPart('posted'));
  // It has come as an event, and the handler of the one before it looks for more.
  receiver.receiveMessage(receiveMessageOnPort(port).message);
  assert.deepEqual(seen, [1, 2, 3]);
});

test('what a handler throws leaves no frame behind', (t) => {
  const seen = [];
  const { sender, receiver } = newChannel(t, (kind, id) => {
    seen.push(id);
    if (id === 1) throw new Error('of the user');
  });
  sender.send(CALLS, 1, 1, 0, textPart('posted'));
  sender.send(CALLS, 2, 2, 0, textPart('in the ring'));
  assert.throws(() => receiver.receiveAll(), /of the user/);
  assert.deepEqual(seen, [1, 2]);
});

test('between threads each frame arrives once, and nobody sleeps through one', async () => {
  const memory = newMemory();
  const ring = new Ring(memory, true);
  const receiver = new Worker(require.resolve('./fixtures/ring-receiver'), { workerData: memory });
  await once(receiver, 'message');
  const count = 100_000;
  for (let id = 0; id < count; id++) {
    while (!ring.send(2, id, 0, 0, textPart(`${id}`), 0)) {
      if (ring.mustWake()) receiver.postMessage('wake');
    }
    if (ring.mustWake()) receiver.postMessage('wake');
  }
  receiver.postMessage('end');
  const [{ taken, wakes }] = await once(receiver, 'message');
  assert.deepEqual(taken, Array.from({ length: count }, (_, id) => [id, String(id)]));
  assert.ok(wakes > 0 && wakes <= count);
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

test('what a worker has answered is not lost when the next call kills it', async (t) => {
  for (const type of ['worker-threads', 'child-process']) {
    const pool = new Pool({ type, processes: 1 });
    t.after(() => pool.terminate());
    const items = Array.from({ length: 1000 }, (_, id) => id);
    const die = (/** @type {number} */ x) => {
      if (x === 700) process.exit(1);
      return x;
    };
    const settled = await pool.map(die, items, { chunkSize: 1000, onError: 'collect' });
    const failed = settled.flatMap(({ status }, id) => (status === 'rejected' ? [id] : []));
    assert.deepEqual(failed, [700], type);
  }
});
