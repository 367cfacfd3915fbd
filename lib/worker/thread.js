'use strict';

/**
 * The first thing that runs in a worker thread: takes the port to the parent out of `workerData`, then serves.
 *
 * The addon is not loaded here: Node has bugs in the teardown of addons in threads, and a port moves as much.
 */

const { partsOf, post, wrapClone, unwrapClone } = require('../ports');
const { SENT_WORD, SPIN_WORD } = require('../frames');
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
  const poll = () => {
    let next = threads.receiveMessageOnPort(port);
    if (next === undefined) return false;
    for (; next; next = threads.receiveMessageOnPort(port)) receive(next.message);
    return true;
  };
  let sent = 0;
  // To ask the port each time would keep its lock from whoever posts: 50 microseconds instead of 20.
  const pollSent = () => {
    const count = Atomics.load(page, SENT_WORD);
    if (count === sent) return false;
    sent = count;
    return poll();
  };
  const spin = new Spin(pollSent, () => page[SPIN_WORD] !== 0, () => server.isIdle());
  const server = serve(
    {
      send: (kind, id, seq, aux, parts) => post(port, kind, id, seq, aux, parts),
      poll,
      served: () => spin.served(),
      page,
      memory: () => {
        const { total_heap_size: heap, external_memory: external } = v8().getHeapStatistics();
        return heap + external;
      },
      clones: { wrap: wrapClone, unwrap: unwrapClone },
    },
    init,
    initParts,
    nodeRequire,
    load,
  );
  /** @param {any[]} frame */
  function receive(frame) {
    server.onFrame(frame[0], frame[1], frame[2], partsOf(frame));
  }
  port.on('message', (frame) => {
    spin.woken();
    receive(frame);
  });
  process.on('exit', () => server.flush());
}

module.exports = { bootThread };
