'use strict';

/**
 * Lets threads have heap limits of their own.
 *
 * V8 takes `--max-old-space-size` and `--max-semi-space-size` of the process before the limits that a thread is given,
 * and AWS Lambda starts every process with both, for nearly all its memory. The flags are read when a heap is made: they
 * are taken back while threads start, which leaves the heaps that are there as they are.
 *
 * May not know workers or options.
 */

const v8 = require('node:v8');

const FLAG = /^--max[-_](old|semi)[-_]space[-_]size=(\d+)$/;

/** Threads that are starting. */
let starting = 0;

/** What the process was started with, in megabytes, by the space. */
function flagsOfProcess() {
  /** @type {Map<string, string>} */
  const flags = new Map();
  for (const argument of [...(process.env.NODE_OPTIONS ?? '').split(' '), ...process.execArgv]) {
    const [, space, megabytes] = FLAG.exec(argument) ?? [];
    // The last one counts.
    if (space !== undefined) flags.set(space, megabytes);
  }
  return flags;
}

/** @param {string} space @param {string} megabytes 0: none */
function setFlag(space, megabytes) {
  v8.setFlagsFromString(`--max-${space}-space-size=${megabytes}`);
}

/**
 * Takes the flags back until what is returned is called, once the thread has its heap.
 * @returns {() => void}
 */
function suspendHeapFlags() {
  const flags = flagsOfProcess();
  if (flags.size === 0) return () => {};
  if (starting++ === 0) for (const space of flags.keys()) setFlag(space, '0');
  let isDone = false;
  return () => {
    if (isDone) return;
    isDone = true;
    if (--starting === 0) for (const [space, megabytes] of flags) setFlag(space, megabytes);
  };
}

module.exports = { suspendHeapFlags };
