'use strict';

/**
 * Lets `node --watch` know of the files that a worker loads, so that it restarts the program when one of them changes.
 *
 * Under the watch mode Node's loaders report each file by `process.send`, which reaches the watching process from the
 * program itself only. What a worker reports goes to its parent, which passes it on (lib/jobs/print.js).
 *
 * Must not depend on whether it runs in a process or a thread.
 */

const { toJson } = require('../intrinsics/json');

/** @param {import('./output').Print} print */
function reportLoadedFiles(print) {
  const { send } = process;
  /** @type {(message: any, ...rest: any[]) => boolean} */
  const reporting = (message, ...rest) => {
    if (Array.isArray(message?.['watch:require'] ?? message?.['watch:import'])) print('log', toJson(message), 'watch');
    else if (send !== undefined) return Reflect.apply(send, process, [message, ...rest]);
    return true;
  };
  process.send = reporting;
}

module.exports = { reportLoadedFiles };
