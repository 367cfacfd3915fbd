'use strict';

/**
 * The first thing that runs in a worker process: connects to the parent, then serves.
 *
 * 1. The parent starts `node -e` with a constant script that loads the addon and compiles this source out of it.
 * 2. The channel is taken over; from then on this process ends when its parent does. A first frame says that it runs.
 *    The parent's `Init` frame is in the socket already and is read without a turn of the event loop.
 * 3. What `-e` leaves behind is removed, so that the user's module finds what any module finds.
 * 4. The module is loaded; `Ready` or `LoadFailed` is sent.
 * 5. `Stop` ends the process, `exit` handlers included. Whatever ends it, results that are there are written out.
 *
 * Starts in every worker, so it loads nothing before it is needed.
 */

const { ARGUMENT_WORD, BEGUN, INIT, PART_FIELDS } = require('../transport/constants');
const { createRegisters, passParts, receiveParts } = require('../transport/registers');
const { serve, markAsWorker, removeScriptGlobals } = require('./serve');

/** The `seq` of an `Init` frame that comes with a shared page. */
const WITH_PAGE = 1;

/** How long a process that exits tries to get its last results out, in milliseconds. */
const DRAIN = 2000;

/**
 * @param {any} native the addon
 * @param {NodeRequire} nodeRequire
 * @param {(url: string) => Promise<Record<string, unknown>>} load
 */
function boot(native, nodeRequire, load) {
  /** @type {ReturnType<typeof serve> | null} */
  let served = null;
  const registers = createRegisters();
  /** @param {any} passed */
  const onFrame = (passed) => {
    const [kind, id, seq] = [registers[ARGUMENT_WORD], registers[ARGUMENT_WORD + 1], registers[ARGUMENT_WORD + 2]];
    const parts = receiveParts(registers, passed);
    if (kind === INIT) start(JSON.parse(String(parts[PART_FIELDS - 1])), parts.slice(PART_FIELDS), seq === WITH_PAGE);
    else served?.onFrame(kind, id, seq, parts);
  };
  const channel = new native.WorkerChannel(onFrame, registers);
  const sendParts = channel.sender();
  /** @type {import('./serve').Connection['send']} */
  const send = (kind, id, seq, aux, parts) => {
    registers[ARGUMENT_WORD] = kind;
    registers[ARGUMENT_WORD + 1] = id;
    registers[ARGUMENT_WORD + 2] = seq;
    registers[ARGUMENT_WORD + 3] = aux;
    sendParts(passParts(registers, parts));
  };
  process.on('exit', () => {
    served?.flush();
    channel.drain(DRAIN);
  });
  // That this process runs: whoever is left without threads by the system never gets here.
  send(BEGUN, 0, 0, 0, []);
  channel.receiveAll();

  /** @param {import('./serve').Init} init @param {any[]} initParts @param {boolean} hasPage */
  function start(init, initParts, hasPage) {
    removeScriptGlobals(nodeRequire);
    // Node sets one of them again when the script has ended.
    process.nextTick(removeScriptGlobals, nodeRequire);
    markAsWorker(init);
    imitateFork(init.filePath);
    // Without one its descriptor's number is another's.
    const shared = hasPage ? channel.sharedPage() : null;
    const connection = {
      send,
      poll: channel.receiveAll.bind(channel),
      page: shared instanceof ArrayBuffer ? new Uint32Array(shared) : null,
      memory: process.memoryUsage.rss,
      clones: null,
    };
    served = serve(connection, init, initParts, nodeRequire, load);
  }
}

/**
 * Makes the process look as one that was forked with the user's module.
 * @param {string | null} filePath
 */
function imitateFork(filePath) {
  process.argv.splice(1, Infinity, ...(filePath === null ? [] : [filePath]));
  const script = process.execArgv.lastIndexOf('-e');
  // With the flag before it, which is ours too.
  if (script >= 0) process.execArgv.splice(script - 1, 3);
  Reflect.deleteProperty(process, '_eval');
  // Code that was written for `fork` may call it; there is nobody to receive it.
  process.send ??= (...args) => {
    const done = args.findLast((argument) => typeof argument === 'function');
    if (typeof done === 'function') process.nextTick(done, null);
    return true;
  };
}

module.exports = { boot };
