'use strict';

/**
 * Lets threads have heap limits of their own.
 *
 * V8 takes `--max-old-space-size` of the process before the limit that a thread is given, and AWS Lambda starts every
 * process with one of nearly all its memory. The flag is read when a heap is made: it is taken back while threads start,
 * which leaves the heaps that are there as they are.
 *
 * May not know workers or options.
 */

const v8 = require('node:v8');

const FLAG = /^--max[-_]old[-_]space[-_]size=(\d+)$/;

/** Threads that are starting. */
let starting = 0;

/** What the process was started with, in megabytes; `null` without the flag. */
function flagOfProcess() {
  const given = [...(process.env.NODE_OPTIONS ?? '').split(' '), ...process.execArgv];
  const found = given.map((argument) => FLAG.exec(argument)).findLast((match) => match !== null);
  return found ? Number(found[1]) : null;
}

/**
 * Takes the flag back until what is returned is called, once the thread has its heap.
 * @returns {() => void}
 */
function suspendHeapFlag() {
  const megabytes = flagOfProcess();
  if (megabytes === null) return () => {};
  if (starting++ === 0) v8.setFlagsFromString('--max-old-space-size=0');
  let isDone = false;
  return () => {
    if (isDone) return;
    isDone = true;
    if (--starting === 0) v8.setFlagsFromString(`--max-old-space-size=${megabytes}`);
  };
}

module.exports = { suspendHeapFlag };
