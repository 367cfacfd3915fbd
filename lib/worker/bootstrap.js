'use strict';

/**
 * The entry point of a worker process: connects to the parent, then serves.
 *
 * 1. The parent starts Node with the addon, which then has it evaluate a constant script (`boot-script.js`), or with
 *    that script itself (`node -e`). It compiles this source out of the addon.
 * 2. The channel is taken over. From then on this process ends when its parent does. A first frame tells the parent
 *    that it runs. The parent's `Init` frame is in the socket by then, and is read without a turn of the event loop.
 *    Only where another worker still has the index that this one is to get does that frame come later.
 * 3. The globals that `-e` leaves behind are removed, so that the user's module finds what any module finds. There is
 *    no main module.
 * 4. The module is loaded, and `Ready` or `LoadFailed` is sent.
 * 5. `Stop` ends the process; its `exit` handlers run. However it ends, finished results are written out first.
 *
 * This runs in every worker, so it loads nothing before it is needed.
 */

const { nextTick } = require('../intrinsics/clock');
const { fromJson } = require('../intrinsics/json');
const { ARGUMENT_WORD, BEGUN, INIT, PART_FIELDS, STOP } = require('../transport/constants');
const { FrameChannel } = require('../transport/frame-channel');
const { createRegisters, passParts, receiveParts } = require('../transport/registers');
const { Ring } = require('../transport/ring');
const { imitateFork } = require('./imitated-fork');
const { MESSAGE_ROOM } = require('./message-room');
const { announceIndex, serve, markAsWorker, removeScriptGlobals } = require('./serve');

/** In the `seq` of an `Init` frame: whether there is a shared page. The bits above it are the worker's index. */
const WITH_PAGE = 1;

/** How long an exiting process tries to write out its last results, in milliseconds. */
const DRAIN = 2000;

/**
 * @param {any} native the addon
 * @param {import('./module-loader').Loaders} loaders
 * @param {boolean} isScript whether it was started with `-e`
 */
function boot(native, loaders, isScript) {
  /** @type {ReturnType<typeof serve> | null} */
  let served = null;
  const registers = createRegisters();
  /** @param {any} passed */
  const onFrame = (passed) => {
    const kind = registers[ARGUMENT_WORD];
    const id = registers[ARGUMENT_WORD + 1];
    const seq = registers[ARGUMENT_WORD + 2];
    const aux = registers[ARGUMENT_WORD + 3];
    frames.receivePosted(kind, id, seq, aux, receiveParts(registers, passed));
  };
  const channel = new native.WorkerChannel(onFrame, () => frames.receiveShared(), registers);
  const sendParts = channel.sender();
  const frames = new (class extends FrameChannel {
    // Written out: the implicit one goes through the iterator of arrays, which a preloaded module may have replaced.
    /** @param {import('../transport/frame-channel').Receive} receive */
    constructor(receive) {
      super(receive);
    }

    /** @override @type {import('../transport/frame-channel').Receive} */
    postFrame(kind, id, seq, aux, parts) {
      registers[ARGUMENT_WORD] = kind;
      registers[ARGUMENT_WORD + 1] = id;
      registers[ARGUMENT_WORD + 2] = seq;
      registers[ARGUMENT_WORD + 3] = aux;
      sendParts(passParts(registers, parts));
    }

    /** @override */
    receiveAllPosted() {
      channel.receiveAll();
    }
  })((kind, id, seq, aux, parts) => {
    if (kind === INIT) start(fromJson(String(parts[PART_FIELDS - 1])), parts.slice(PART_FIELDS), seq);
    else if (served !== null) served.onFrame(kind, id, seq, aux, parts);
    else if (kind === STOP) process.exit();
  });
  process.on('exit', () => {
    served?.flush();
    channel.drain(DRAIN);
  });
  // Without listeners a signal has its default again, whatever it had before the first one.
  process.on('removeListener', (name) => {
    if (typeof name === 'string' && name.startsWith('SIG') && process.listenerCount(name) === 0) {
      channel.ignoreSignal(name);
    }
  });
  // Tells the parent that this process runs: one that the system refuses threads never gets this far.
  frames.send(BEGUN, 0, 0, 0, []);
  frames.receiveAll();

  /** @param {import('./serve').Init} init @param {any[]} initParts @param {number} seq */
  function start(init, initParts, seq) {
    const workerIndex = seq >>> 1;
    announceIndex(workerIndex);
    if (isScript) {
      const { builtinModules } = loaders.Module;
      removeScriptGlobals(builtinModules);
      // Node sets one of them again after the script has ended.
      nextTick(removeScriptGlobals, builtinModules);
    }
    markAsWorker(init);
    imitateFork(init.filePath);
    // Without a page, another file may have the number of its descriptor.
    const shared = (seq & WITH_PAGE) !== 0 ? channel.sharedPage() : null;
    const page = shared instanceof ArrayBuffer ? new Uint32Array(shared) : null;
    if (page !== null) {
      frames.attachRing(new Ring(page, false));
      frames.attachMessages(page);
    }
    const connection = {
      send: frames.send.bind(frames),
      publish: page === null ? null : frames.publish.bind(frames),
      publishAnswer: page === null ? null : frames.publishAnswer.bind(frames),
      begun: page === null ? (/** @type {number} */ seq) => frames.send(BEGUN, 0, seq, 0, []) : null,
      sendMessage: frames.sendMessage.bind(frames),
      messageRoom: MESSAGE_ROOM,
      wake: frames.wake.bind(frames),
      poll: frames.receiveAll.bind(frames),
      hold: channel.hold.bind(channel),
      page,
      memory: process.memoryUsage.rss,
      clones: null,
      workerIndex,
    };
    served = serve(connection, init, initParts, loaders);
  }
}

module.exports = { WITH_PAGE, boot };
