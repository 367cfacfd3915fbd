'use strict';

/**
 * By what a process is known after it has ended, and whether it has: a process id alone is given to others later.
 */

const fs = require('node:fs');

/** @typedef {{ pid: number, began: string | null, boot: string | null }} ProcessName */

/** @param {string} file */
function readText(file) {
  try {
    return fs.readFileSync(file, 'latin1');
  } catch {
    return null;
  }
}

/** The state of a process, and when it began, counted from the boot. @param {number} pid */
function statOf(pid) {
  const text = readText(`/proc/${pid}/stat`);
  if (text === null) return null;
  // The name of the program may have blanks and brackets.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return { state: fields[0], began: fields[19] };
}

/** Differs after each boot of the machine; `null` where it cannot be told. */
function bootId() {
  return readText('/proc/sys/kernel/random/boot_id')?.trim() ?? null;
}

/** @returns {ProcessName} */
function thisProcess() {
  return { pid: process.pid, began: statOf(process.pid)?.began ?? null, boot: bootId() };
}

/** @param {ProcessName} name */
function isRunning({ pid, began, boot }) {
  if (pid === process.pid || boot !== bootId()) return false;
  const stat = statOf(pid);
  if (stat !== null) return stat.began === began && !['Z', 'X'].includes(stat.state);
  if (boot !== null) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return /** @type {NodeJS.ErrnoException} */ (error).code === 'EPERM';
  }
}

module.exports = { bootId, isRunning, thisProcess };
