'use strict';

/**
 * For how long the main thread of a process has had something to do, as the system counts it.
 *
 * Must not depend on workers or pools.
 */

const fs = require('node:fs');

/**
 * Milliseconds that it has run or, on a busy machine, waited for a CPU to run on; `null` where the system does not say.
 * @param {number} pid @param {(file: string) => string} [read]
 * @returns {number | null}
 */
function busyTimeOf(pid, read = (file) => fs.readFileSync(file, 'utf8')) {
  if (process.platform !== 'linux') return null;
  try {
    const { 0: ran, 1: waited } = read(`/proc/${pid}/schedstat`).split(' ').map(Number);
    return ran > 0 && waited >= 0 ? (ran + waited) / 1e6 : null;
  } catch {
    return null;
  }
}

module.exports = { busyTimeOf };
