'use strict';

/**
 * The first thing that runs in a worker thread: takes the port to the parent out of `workerData`, then serves.
 *
 * The addon is not loaded here: Node has bugs in the teardown of addons in threads, and a port moves as much.
 */

const { clones, partsOf, post } = require('../transport/ports');
const { CALLS, SENT_COUNT_WORD, MAY_SPIN_WORD } = require('../transport/constants');
const { Slot } = require('../transport/slot');
const { Turns } = require('../transport/time-slice');
const { Spin } = require('./spin');
const { serve, markAsWorker, removeScriptGlobals } = require('./serve');

/**
 * @param {NodeRequire} nodeRequire
 * @param {(url: string) => Promise<Record<string, unknown>>} load
 */
function bootThread(nodeRequire, load) {
  const threads = nodeRequire('node:worker_threads');
  /** @type {{ init: import('./serve').Init, initParts: any[], port: import('node:worker_threads').MessagePort, page: Uint32Array }} */
  const { init, initParts, port, page } = threads.workerData;
  // Not for the user's module, which would find a stranger's data.
  Reflect.set(threads, 'workerData', null);
  removeScriptGlobals(nodeRequire);
  markAsWorker(init);
  process.argv.splice(1, Infinity, ...(init.filePath === null ? [] : [init.filePath]));
  const v8 = () => nodeRequire('node:v8');
  const slot = new Slot(page, false);
  /** Messages, and those among the received that bring calls, in counts that wrap. */
  let [posted, received, calls] = [0, 0, 0];
  /** Handles what has come through the page, if it is its turn. */
  const takePlaced = () => {
    const frame = slot.isFull ? slot.take(received) : null;
    if (frame !== null) receive(frame);
    return frame !== null;
  };
  const turns = new Turns(receivePosted);
  const poll = () => {
    turns.drain();
    takePlaced();
    for (let next = threads.receiveMessageOnPort(port); next; next = threads.receiveMessageOnPort(port)) {
      receivePosted(next.message);
    }
    takePlaced();
  };
  const spin = new Spin({
    isAllowed: () => page[MAY_SPIN_WORD] !== 0,
    isIdle: () => server.isIdle() && !turns.isBehind,
    poll: (polls) => slot.poll(polls),
    // To ask the port each time would keep its lock from whoever posts: 50 microseconds instead of 20.
    hasCome: () => slot.isFull || Atomics.load(page, SENT_COUNT_WORD) !== calls,
    take: () => {
      if (!takePlaced()) poll();
    },
  });
  const server = serve(
    {
      send: (kind, id, seq, aux, parts) => {
        if (slot.send(kind, id, seq, aux, parts, posted)) return;
        post(port, kind, id, seq, aux, parts);
        posted = (posted + 1) >>> 0;
      },
      poll,
      served: () => spin.served(),
      page,
      memory: () => {
        const { total_heap_size: heap, external_memory: external } = v8().getHeapStatistics();
        return heap + external;
      },
      clones,
    },
    init,
    initParts,
    nodeRequire,
    load,
  );
  /** @param {any[]} frame */
  function receivePosted(frame) {
    try {
      // What was put there before it was posted.
      takePlaced();
    } finally {
      received = (received + 1) >>> 0;
      if (frame[0] === CALLS) calls = (calls + 1) >>> 0;
      receive(frame);
    }
  }
  /** @param {any[]} frame */
  function receive(frame) {
    server.onFrame(frame[0], frame[1], frame[2], partsOf(frame));
  }
  port.on('message', (frame) => {
    spin.woken();
    // A single call may take any time.
    turns.add(frame, frame[0] === CALLS);
  });
  process.on('exit', () => server.flush());
}

module.exports = { bootThread };
