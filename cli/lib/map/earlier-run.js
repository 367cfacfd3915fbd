'use strict';

/**
 * Where a run begins: at the beginning, or where an earlier one has ended. The journal says where that is; whether it
 * is about this input and this output is found out here.
 */

const fs = require('node:fs');
const { UsageError } = require('../usage-error');
const { startHash } = require('./hash');
const { NOTHING, readJournal } = require('./journal');
const { readBetween } = require('./output');

/** @typedef {import('./settings').MapSettings} MapSettings */
/** @typedef {import('./journal').Snapshot} Snapshot */
/** @typedef {import('./journal').About} About */

/**
 * @typedef {object} Start
 * @property {Snapshot} state
 * @property {boolean} isComplete whether there is nothing left to do
 * @property {About} about for the journal
 * @property {string | null} note for the user
 */

/** @param {string} file */
const sizeOf = (file) => fs.statSync(file, { throwIfNoEntry: false })?.size ?? 0;

const ANEW = 'Leave out --resume to begin anew, which overwrites the output';

/** What a later run will know this one by. @param {MapSettings} settings @param {string} input @returns {About} */
function aboutOf({ format, to, delimiter, failedFile, task }, input) {
  const { size, mtimeNs } = fs.statSync(input, { bigint: true });
  return {
    input: { path: input, size: Number(size), changed: String(mtimeNs) },
    hash: null,
    settings: { format, to, delimiter },
    failedFile,
    task,
  };
}

/**
 * @param {MapSettings} settings @param {string} journal @param {string} input @param {string} output
 * @returns {Promise<Start>} rejects with a `UsageError` if the run cannot go on
 */
async function findStart(settings, journal, input, output) {
  const about = aboutOf(settings, input);
  /** @type {(file: string | null) => import('./journal').Reading} */
  const reading = (file) => (from, to) => (file === null ? Buffer.alloc(0) : readBetween(file, from, to));
  const found = readJournal(journal, (failedFile) => ({ out: reading(output), failed: reading(failedFile) }));
  /** @type {Start} */
  const beginning = { state: NOTHING, isComplete: false, about, note: null };
  if (!settings.isResumed) {
    const isLost = typeof found === 'object' && !found.isComplete && found.state.records > 0;
    const note = isLost ? 'an earlier run was not complete: --resume would have gone on with it' : null;
    return { ...beginning, note };
  }
  if (found === 'none') {
    if (sizeOf(output) === 0) return beginning;
    throw new UsageError(
      `--resume: ${output} has no journal (${journal}), so it is not known what is missing there. ${ANEW}`,
    );
  }
  if (found === 'broken') {
    throw new UsageError(`--resume: ${journal} is no journal that this version understands. ${ANEW}`);
  }
  await checkInput(about, found.about, input, settings.isQuiet);
  for (const name of /** @type {const} */ (['format', 'to', 'delimiter'])) {
    const [now, before] = [about.settings[name], found.about.settings[name]];
    if (now !== before) {
      throw new UsageError(`--resume: the earlier run had ${name} "${before}", and this one has "${now}". ${ANEW}`);
    }
  }
  const state = goingOn(settings, found, output);
  const { task } = found.about;
  const note = task === about.task ? null : `goes on with ${about.task}; it was begun with ${task}`;
  return { state, isComplete: found.isComplete, about: { ...about, hash: found.about.hash }, note };
}

/** It takes seconds to read an input of more bytes. */
const LARGE = 512 * 1024 * 1024;

/**
 * @param {About} now @param {About} before @param {string} input @param {boolean} isQuiet
 */
async function checkInput(now, before, input, isQuiet) {
  const changed = (/** @type {string} */ what) =>
    new UsageError(`--resume: ${input} has changed since the earlier run: ${what}. ${ANEW}`);
  if (now.input.size !== before.input.size) {
    throw changed(`it had ${before.input.size} bytes, and has ${now.input.size}`);
  }
  if (before.hash === null) {
    // The earlier run ended before it had read its input once.
    if (now.input.changed !== before.input.changed) throw changed('it was written to');
    return;
  }
  if (now.input.size > LARGE && !isQuiet) process.stderr.write(`reading ${input}, to see whether it has changed\n`);
  if ((await startHash(input).hash) !== before.hash) throw changed('its hash is another one');
}

/**
 * @param {MapSettings} settings @param {import('./journal').Reached} found @param {string} output
 * @returns {Snapshot}
 */
function goingOn({ failedFile }, { state, about }, output) {
  const isSame = failedFile === about.failedFile;
  /** @type {[string | null, number][]} */
  const needed = [[output, state.out], [isSame ? failedFile : null, state.failed]];
  for (const [file, length] of needed) {
    if (file !== null && sizeOf(file) < length) {
      throw new UsageError(`--resume: ${file} has lost what the earlier run wrote: it had ${length} bytes. ${ANEW}`);
    }
  }
  return isSame ? state : { ...state, failed: 0 };
}

module.exports = { findStart };
