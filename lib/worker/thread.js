'use strict';

/**
 * The first thing that runs in a worker thread: takes the port to the parent out of `workerData`, then serves calls.
 *
 * The addon is not loaded here: Node has bugs in the teardown of addons in threads, and a port moves values as well.
 */

const { CALLS, MAY_SPIN_WORD } = require('../transport/constants');
const { clones } = require('../transport/ports');
const { ThreadChannel } = require('../transport/thread-channel');
const { TimeSlice } = require('../transport/time-slice');
const { Spin } = require('./spin');
const { serve, markAsWorker, removeScriptGlobals } = require('./serve');

/**
 * What the parent passes as `workerData`.
 * @typedef {object} ThreadData
 * @property {import('./serve').Init} init
 * @property {any[]} initParts
 * @property {import('node:worker_threads').MessagePort} port
 * @property {Uint32Array} page
 */

/**
 * @param {NodeRequire} nodeRequire
 * @param {(url: string) => Promise<Record<string, unknown>>} load
 */
function bootThread(nodeRequire, load) {
  const threads = nodeRequire('node:worker_threads');
  /** @type {ThreadData} */
  const { init, initParts, port, page } = threads.workerData;
  // The user's module must not find data that is not its own.
  Reflect.set(threads, 'workerData', null);
  removeScriptGlobals(nodeRequire);
  markAsWorker(init);
  process.argv.splice(1, Infinity);
  if (init.filePath !== null) process.argv.push(init.filePath);
  const v8 = () => nodeRequire('node:v8');
  let isHeld = true;
  const hold = (/** @type {boolean} */ held) => {
    isHeld = held;
    if (held) port.ref();
    else port.unref();
  };
  const slice = new TimeSlice((/** @type {any[]} */ frame) => channel.receiveMessage(frame));
  const channel = new ThreadChannel({
    port,
    words: page,
    isParent: false,
    slice,
    receive: (kind, id, seq, _aux, parts) => server.onFrame(kind, id, seq, parts),
  });
  const spin = new Spin({
    isAllowed: () => page[MAY_SPIN_WORD] !== 0,
    isIdle: () => server.isIdle() && !slice.isBehind,
    setAwake: (awake) => channel.setAwake(awake),
    hasPending: () => channel.hasPending,
    receivePending: () => channel.receivePending(),
  });
  const server = serve(
    {
      send: channel.send.bind(channel),
      publish: channel.publish.bind(channel),
      publishAnswer: channel.publishAnswer.bind(channel),
      begun: null,
      wake: channel.wake.bind(channel),
      poll: channel.receiveAll.bind(channel),
      hold,
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
  port.on('message', (frame) => {
    spin.woken();
    // A single call may take any time.
    slice.add(frame, frame[0] === CALLS);
    spin.rest();
  });
  // To listen is to hold.
  if (!isHeld) port.unref();
  process.on('exit', () => server.flush());
}

module.exports = { bootThread };
