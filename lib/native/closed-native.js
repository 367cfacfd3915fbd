'use strict';

/**
 * What takes the place of a native pool when its last worker is gone: it does nothing, and holds nothing.
 *
 * @param {string} stats the last picture of the pool, as JSON
 */
function closedNative(stats) {
  const nothing = () => {};
  return {
    stats: () => stats,
    jobOf: () => -1,
    workerReplied: () => [],
    cancel: nothing,
    dropCalls: nothing,
    isDeferred: () => false,
    remainingCalls: () => 0,
    killRemaining: nothing,
    sendDeferred: nothing,
    callsAhead: () => 1,
    close: nothing,
    terminate: nothing,
    removeWorkers: nothing,
    suspendHold: nothing,
    setExitReport: nothing,
    workerBegun: nothing,
    workerEvent: nothing,
    watchQueue: nothing,
    workerReady: nothing,
    workerLoadFailed: nothing,
    workerMemory: nothing,
    giveUpWorker: nothing,
    workerExited: nothing,
  };
}

module.exports = { closedNative };
