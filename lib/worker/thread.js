'use strict';

/**
 * The first thing that runs in a worker thread: takes the port to the parent out of `workerData`, then serves calls.
 *
 * Frames come without the addon: Node has had bugs in the teardown of what addons keep in threads, and a port moves
 * values as well. The addon is loaded where one CPU is all there is, for a function that keeps nothing: JavaScript has
 * no way to yield the CPU to other threads.
 */

const { CALLS, INIT, STOP, THREAD_ID_WORD, WAITED_MISSED, WAITING_WORD } = require('../transport/constants');
const { clones } = require('../transport/ports');
const { Ring } = require('../transport/ring');
const { ThreadChannel } = require('../transport/thread-channel');
const { TimeSlice } = require('../transport/time-slice');
const { MESSAGE_ROOM } = require('./message-room');
const { Spin } = require('./spin');
const { announceIndex, serve, markAsWorker, removeScriptGlobals } = require('./serve');

/**
 * What the parent passes as `workerData`.
 * @typedef {object} ThreadData
 * @property {import('./serve').Init} init
 * @property {any[]} initParts
 * @property {import('node:worker_threads').MessagePort} port
 * @property {Uint32Array} page
 * @property {string | null} addonPath `null`: there is none
 * @property {number} index the worker's; -1: nothing is to be loaded before a frame that says which
 */

/**
 * The number by which the system knows this thread; 0 where that is not to be had.
 * @param {NodeRequire} nodeRequire
 */
function systemId(nodeRequire) {
  if (process.platform !== 'linux') return 0;
  try {
    const { 0: pid, 2: id } = nodeRequire('node:fs').readlinkSync('/proc/thread-self').split('/');
    // Processes may be numbered otherwise where /proc comes from.
    return Number(pid) === process.pid ? Number(id) : 0;
  } catch {
    return 0;
  }
}

/**
 * The function of the addon that has others run. The addon is loaded when it is called first.
 * @param {string | null} addonPath
 * @returns {typeof import('../../native').giveWay}
 */
function giveWayOf(addonPath) {
  // The user's module may replace it.
  const { dlopen } = process;
  const load = () => {
    const addon = { exports: /** @type {any} */ ({}) };
    try {
      if (addonPath !== null) dlopen(addon, addonPath);
    } catch {
      // Threads may not be allowed what the parent is. Then they sleep.
    }
    return addon.exports.giveWay ?? (() => WAITED_MISSED);
  };
  /** @type {typeof import('../../native').giveWay | null} */
  let giveWay = null;
  return (page, received) => (giveWay ??= load())(page, received);
}

/**
 * @param {import('./module-loader').Loaders} loaders
 */
function bootThread(loaders) {
  const { require: nodeRequire } = loaders;
  const threads = nodeRequire('node:worker_threads');
  /** @type {ThreadData} */
  const { init, initParts, port, page, addonPath, index } = threads.workerData;
  page[THREAD_ID_WORD] = systemId(nodeRequire);
  // The user's module must not find data that is not its own.
  Reflect.set(threads, 'workerData', null);
  // A thread's script has to require what Node has, as a module does.
  removeScriptGlobals([]);
  markAsWorker(init);
  process.argv.splice(1, Infinity);
  if (init.filePath !== null) process.argv.push(init.filePath);
  const giveWay = giveWayOf(addonPath);
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
    ring: new Ring(page, false),
    drain: () => slice.drain(),
    receive: (kind, id, seq, aux, parts) => {
      if (kind === INIT) start(seq);
      else if (server !== null) server.onFrame(kind, id, seq, aux, parts);
      else if (kind === STOP) process.exit();
    },
  });
  /** @type {import('./serve').Server | null} `null` before it has an index. */
  let server = null;
  const spin = new Spin({
    waiting: () => page[WAITING_WORD],
    isIdle: () => server !== null && server.isIdle() && !slice.isBehind,
    setAwake: (awake) => channel.setAwake(awake),
    hasPending: () => channel.hasPending,
    receivePending: () => channel.receivePending(),
    giveWay: () => giveWay(page, channel.receivedCalls),
  });
  /** @param {number} workerIndex */
  const start = (workerIndex) => {
    if (!init.sharesEnv) announceIndex(workerIndex);
    server = serve(
      {
        send: channel.send.bind(channel),
        publish: channel.publish.bind(channel),
        publishAnswer: channel.publishAnswer.bind(channel),
        begun: null,
        sendMessage: channel.sendMessage.bind(channel),
        messageRoom: MESSAGE_ROOM,
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
        workerIndex,
      },
      init,
      initParts,
      loaders,
    );
  };
  if (index >= 0) start(index);
  port.on('message', (frame) => {
    spin.woken();
    // A single call may take any time.
    slice.add(frame, frame[0] === CALLS);
    spin.rest();
  });
  // To listen is to hold.
  if (!isHeld) port.unref();
  process.on('exit', () => server?.flush());
}

module.exports = { bootThread };
