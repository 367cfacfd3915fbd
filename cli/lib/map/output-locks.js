'use strict';

/**
 * Keeps other runs from the files that a run writes. Node has no locks of the operating system, which would end with
 * their process; so each file has another beside it, FILE.lock, that says which process writes:
 *
 * 1. Only a run that finds no such file makes it.
 * 2. One that is there counts as long as its process runs, see this-process.js.
 * 3. One that is left over is removed by whoever has made FILE.lock.taken. Whoever has that looks once more, since the
 *    lock may be another's by then, and removes it again; then everybody begins with step 1.
 *
 * Where the directory cannot be written there is no lock.
 */

const fs = require('node:fs');
const path = require('node:path');
const { setTimeout: sleep } = require('node:timers/promises');
const { UsageError } = require('../usage-error');
const { isRunning, thisProcess } = require('./this-process');

const KIND = 'parallelizer map';
/** Nobody takes longer than a millisecond to write a lock or to remove one that is left over. In milliseconds. */
const PATIENCE = 2000;
const INTERVAL = 20;

/** @typedef {import('./this-process').ProcessName} ProcessName */

/** @param {unknown} error @param {string} code */
const hasCode = (error, code) => /** @type {NodeJS.ErrnoException} */ (error).code === code;

/** @param {string} file @param {string} text @returns {boolean} false if there is such a file */
function created(file, text) {
  try {
    fs.writeFileSync(file, text, { flag: 'wx' });
    return true;
  } catch (error) {
    if (hasCode(error, 'EEXIST')) return false;
    throw error;
  }
}

/**
 * @param {string} lock
 * @returns {ProcessName | 'nobody' | 'unknown'} unknown: it is not written yet, or no lock of ours
 */
function ownerOf(lock) {
  let text;
  try {
    text = fs.readFileSync(lock, 'utf8');
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return 'nobody';
    throw error;
  }
  try {
    const { kind, process: owner } = JSON.parse(text);
    return kind === KIND ? owner : 'unknown';
  } catch {
    return 'unknown';
  }
}

/** Removes a lock whose process has ended. @param {string} lock @param {string} text @returns {string} what hinders */
function removeLeftOver(lock, text) {
  const taken = `${lock}.taken`;
  if (!created(taken, text)) return `${taken} is left over from a run that was killed: remove it`;
  try {
    const owner = ownerOf(lock);
    if (typeof owner === 'object' && !isRunning(owner)) fs.rmSync(lock);
  } finally {
    fs.rmSync(taken, { force: true });
  }
  return 'others are faster';
}

/**
 * @param {string} file @param {string} lock @param {string} text
 * @returns {string | null} what hinders, for the moment
 */
function tryToLock(file, lock, text) {
  if (created(lock, text)) return null;
  const owner = ownerOf(lock);
  if (owner === 'unknown') return `${lock} is not a lock of this command: move it, or name another file than ${file}`;
  if (owner === 'nobody') return 'others are faster';
  if (!isRunning(owner)) return removeLeftOver(lock, text);
  throw new UsageError(`process ${owner.pid} is writing ${file}: wait until it has ended, or name another file`);
}

/** @param {string} file @returns {string | null} `null` if nothing has to be locked, or nothing can be */
function lockOf(file) {
  const kind = fs.statSync(file, { throwIfNoEntry: false });
  if (kind !== undefined && !kind.isFile()) return null;
  // One file may have several names.
  const real = kind === undefined ? file : fs.realpathSync(file);
  try {
    fs.accessSync(path.dirname(real), fs.constants.W_OK);
  } catch {
    return null;
  }
  return `${real}.lock`;
}

/**
 * Locks files until the returned function is called, or this process exits.
 * @param {readonly (string | null)[]} files
 * @returns {Promise<() => void>} rejects with a `UsageError`
 */
async function lockOutputs(files) {
  const text = JSON.stringify({ kind: KIND, process: thisProcess() });
  /** @type {string[]} */
  const locks = [];
  const release = () => {
    process.off('exit', release);
    for (const lock of locks.splice(0)) fs.rmSync(lock, { force: true });
  };
  process.on('exit', release);
  try {
    for (const file of files) {
      const lock = file === null ? null : lockOf(file);
      if (file === null || lock === null) continue;
      const end = Date.now() + PATIENCE;
      for (let hindrance = tryToLock(file, lock, text); hindrance !== null; hindrance = tryToLock(file, lock, text)) {
        if (Date.now() > end) throw new UsageError(hindrance);
        await sleep(INTERVAL);
      }
      locks.push(lock);
    }
  } catch (error) {
    release();
    throw error;
  }
  return release;
}

module.exports = { lockOutputs };
