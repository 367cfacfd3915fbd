'use strict';

/**
 * By what a process is known after it has ended, and whether it has: a process id alone is given to others later.
 */

const { execFileSync } = require('node:child_process');
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

/** What macOS says of its boot; `null` if it does not. */
function bootOfMac() {
  try {
    return String(execFileSync('sysctl', ['-n', 'kern.bootsessionuuid'], { stdio: ['ignore', 'pipe', 'ignore'] }));
  } catch {
    return null;
  }
}

/** @type {string | null | undefined} */
let boot;

/** Differs after each boot of the machine; `null` where it cannot be told. */
function bootId() {
  if (boot === undefined) {
    const text = process.platform === 'darwin' ? bootOfMac() : readText('/proc/sys/kernel/random/boot_id');
    boot = text?.trim() || null;
  }
  return boot;
}

/** @returns {ProcessName} */
function thisProcess() {
  return { pid: process.pid, began: statOf(process.pid)?.began ?? null, boot: bootId() };
}

/** @param {ProcessName} name */
function isRunning(name) {
  const { pid, began } = name;
  if (pid === process.pid || name.boot !== bootId()) return false;
  const stat = statOf(pid);
  if (stat !== null) return stat.began === began && !['Z', 'X'].includes(stat.state);
  if (began !== null) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return /** @type {NodeJS.ErrnoException} */ (error).code === 'EPERM';
  }
}

module.exports = { bootId, isRunning, thisProcess };
