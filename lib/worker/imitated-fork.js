'use strict';

/**
 * What a worker process shows of itself: that of a process which was forked with the user's module.
 *
 * Must not depend on how it is connected to its parent.
 */

const { nextTick } = require('../intrinsics/clock');

/**
 * Makes the process look as if it had been forked with the user's module.
 * @param {string | null} filePath
 */
function imitateFork(filePath) {
  process.argv.splice(1, Infinity);
  if (filePath !== null) process.argv.push(filePath);
  const script = process.execArgv.lastIndexOf('-e');
  // The flag before it is ours as well.
  if (script >= 0) process.execArgv.splice(script - 1, 3);
  Reflect.deleteProperty(process, '_eval');
  // Code that was written for `fork` may call it, though nobody receives the message.
  process.send ??= (...args) => {
    const done = args.findLast((argument) => typeof argument === 'function');
    if (typeof done === 'function') nextTick(done, null);
    return true;
  };
}

module.exports = { imitateFork };
