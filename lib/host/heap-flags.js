'use strict';

/**
 * Gives threads heap limits of their own.
 *
 * V8 prefers the process's `--max-old-space-size` and `--max-semi-space-size` to the limits that a thread is given, and
 * AWS Lambda starts every process with both, set to nearly all its memory. V8 reads the flags when it creates a heap,
 * so they are suspended while threads start; existing heaps stay as they are.
 *
 * Must not depend on workers or options.
 */

const v8 = require('node:v8');

const FLAG = /^--max[-_](old|semi)[-_]space[-_]size=(\d+)$/;

/** Threads that are starting. */
let starting = 0;

/** The sizes that the process was started with, in megabytes, by space. */
function flagsOfProcess() {
  /** @type {Map<string, string>} */
  const flags = new Map();
  (process.env.NODE_OPTIONS ?? '').split(' ').concat(process.execArgv).forEach((argument) => {
    const match = FLAG.exec(argument);
    // The last one wins.
    if (match !== null) flags.set(match[1], match[2]);
  });
  return flags;
}

/** @param {string} space @param {string} megabytes 0: no limit */
function setFlag(space, megabytes) {
  v8.setFlagsFromString(`--max-${space}-space-size=${megabytes}`);
}

/**
 * Suspends the flags while a thread starts.
 * @returns {() => void} restores them; to be called once the thread has its heap, or failed to start
 */
function suspendHeapFlags() {
  const flags = flagsOfProcess();
  if (flags.size === 0) return () => {};
  if (starting++ === 0) for (const space of flags.keys()) setFlag(space, '0');
  let isRestored = false;
  return function restoreHeapFlags() {
    if (isRestored) return;
    isRestored = true;
    if (--starting === 0) flags.forEach((megabytes, space) => setFlag(space, megabytes));
  };
}

module.exports = { suspendHeapFlags };
