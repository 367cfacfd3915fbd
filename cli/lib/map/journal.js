'use strict';

/**
 * What a run has finished, in a file beside its output, so that another run can go on where it ended.
 *
 * 1. Before something is written to the output, an entry says how long the output will be then, with a checksum of what
 *    is written. So whatever is in the output is known here. If this process is killed between the two, or while it
 *    writes the output, that is too short for the last entry, and the one before it counts.
 * 2. That is enough as long as the machine runs: what a process has written, the system keeps. After a crash of the
 *    machine only what was synced is certain to be there. Therefore every second the output is synced, and after it an
 *    entry is written that says how long it was before. When the machine has booted since, only such entries count.
 * 3. What the output has beyond the entry that counts is cut off.
 *
 * The input is known by its size and its hash; until that is computed, the time of its last change stands in for it.
 */

const { Finished } = require('./finished');
const { JournalFile, checksum } = require('./journal-file');
const { bootId, thisProcess } = require('./this-process');

const KIND = 'parallelizer map';
const VERSION = 1;
/** A journal that is longer is begun anew with what counts. */
const MAX_BYTES = 4 * 1024 * 1024;

/** @typedef {import('./input/records').Place} Place */
/** @typedef {{ path: string, size: number, changed: string }} InputName */

/**
 * @typedef {object} Settings what must be the same when a run goes on
 * @property {string} format @property {string} to @property {string} delimiter
 */

/**
 * @typedef {object} State what was reached
 * @property {number} n counts the entries
 * @property {number} records @property {Place} place the first records, which are all finished, and where they end
 * @property {number} results @property {number} failures
 * @property {number} out @property {number} failed the length of the output and of the file of failed records
 */

/** @typedef {State & { beyond: [from: number, to: number][] }} Snapshot with finished records behind unfinished ones */
/** @typedef {State & { ranges?: [from: number, to: number][], sum: string }} Step and what is new of them */

/**
 * @typedef {object} Reached
 * @property {Snapshot} state
 * @property {boolean} isComplete
 * @property {import('./this-process').ProcessName} process the last that wrote here
 * @property {About} about
 */

/**
 * @typedef {object} About what a journal is about
 * @property {InputName} input @property {string | null} hash
 * @property {Settings} settings @property {string | null} failedFile @property {string} task
 */

/**
 * What is in a file between two places; `null` if it is shorter.
 * @typedef {(from: number, to: number) => Buffer | null} Reading
 */
/** Of the output and of the file of failed records. @typedef {{ out: Reading, failed: Reading }} Readings */

/** @type {Snapshot} */
const NOTHING = Object.freeze({
  n: 0,
  records: 0,
  place: Object.freeze({ offset: 0, line: 0 }),
  results: 0,
  failures: 0,
  out: 0,
  failed: 0,
  beyond: [],
});

/** @param {Buffer} out @param {Buffer} failed what is written to each */
const sumOf = (out, failed) => checksum(Buffer.concat([out, failed]));

/** @param {State} state @param {InstanceType<typeof Finished>} finished @returns {Snapshot} */
function snapshotOf({ n, results, failures, out, failed }, finished) {
  const { records, place, beyond } = finished;
  return { n, records, place, results, failures, out, failed, beyond };
}

/**
 * What a journal says.
 * @param {string} file
 * @param {(failedFile: string | null) => Readings} readingsOf reads what was written
 * @param {string | null} [boot] of the machine, now
 * @returns {Reached | 'none' | 'broken'}
 */
function readJournal(file, readingsOf, boot = bootId()) {
  const read = JournalFile.read(file);
  if (read === null) return 'none';
  const [header, ...entries] = read;
  if (header?.kind !== KIND || header.version !== VERSION) return 'broken';
  let { process, hash } = header;
  let isComplete = false;
  /** @type {Snapshot} */
  let synced = NOTHING;
  /** @type {Step[]} */
  let steps = [];
  /** @type {Snapshot} What the steps begin with. */
  let base = NOTHING;
  for (const entry of entries) {
    if (entry.process !== undefined) process = entry.process;
    if (entry.hash !== undefined) hash = entry.hash;
    if (entry.complete !== undefined) isComplete = entry.complete;
    if (entry.step !== undefined) steps.push(entry.step);
    if (entry.synced !== undefined) {
      synced = entry.synced;
      // What another run has gone on from, or a shortened journal begins with.
      if (entry.isBase) [base, steps] = [synced, []];
    }
  }
  const hasBooted = boot === null || process.boot !== boot;
  const state = hasBooted ? synced : replayed(base, steps, readingsOf(header.failedFile));
  const { input, settings, failedFile, task } = header;
  return { state, isComplete, process, about: { input, hash, settings, failedFile, task } };
}

/** @param {Snapshot} base @param {Step[]} steps @param {Readings} readings */
function replayed(base, steps, { out, failed }) {
  const finished = new Finished(base.records, base.place, base.beyond);
  /** @type {State} */
  let state = base;
  for (const [i, step] of steps.entries()) {
    if (i === steps.length - 1) {
      const written = out(state.out, step.out);
      const writtenFailed = failed(state.failed, step.failed);
      if (written === null || writtenFailed === null || sumOf(written, writtenFailed) !== step.sum) break;
    }
    for (const [from, to] of step.ranges ?? []) finished.addRange(from, to);
    if (step.records > finished.records) finished.advanceTo(step.records, step.place);
    state = step;
  }
  return snapshotOf(state, finished);
}

class Journal {
  #path;
  #header;
  #hash;
  #n;
  #isClosed = false;
  #file;

  /** @param {string} file @param {About} about @param {Snapshot} state to go on from, which is certain */
  constructor(file, { hash, ...header }, state) {
    this.#path = file;
    this.#header = { kind: KIND, version: VERSION, ...header };
    this.#hash = hash;
    this.#n = state.n;
    this.#file = this.#begun(state);
  }

  /** A file in the place of the one before, at once or not at all. @param {Snapshot} state */
  #begun(state) {
    const header = { ...this.#header, hash: this.#hash, process: thisProcess() };
    return JournalFile.create(this.#path, [header, { synced: state, isBase: true }]);
  }

  /** @param {string} hash of the input, which may be known only when the run is over */
  setHash(hash) {
    if (this.#isClosed) return;
    this.#hash = hash;
    this.#file.append({ hash });
  }

  /** Whether it should be begun anew. */
  get isLong() {
    return this.#file.size > MAX_BYTES;
  }

  /** @param {Snapshot} state which is certain, and the last */
  shorten(state) {
    this.#file.close();
    this.#file = this.#begun(state);
  }

  /**
   * Called before something is written to the output.
   * @param {Omit<State, 'n'>} state that is reached by it @param {[from: number, to: number][]} ranges
   * @param {Buffer} out @param {Buffer} failed what is written
   */
  step(state, ranges, out, failed) {
    const step = { n: ++this.#n, ...state, ...(ranges.length > 0 && { ranges }), sum: sumOf(out, failed) };
    this.#file.append({ step });
  }

  /**
   * What is reached now, to be handed to `synced` once it is certain.
   * @param {Omit<State, 'n'>} state @param {InstanceType<typeof Finished>} finished
   */
  snapshot(state, finished) {
    return snapshotOf({ n: this.#n, ...state }, finished);
  }

  /** @param {Snapshot} state which is certain, since the output was synced after it */
  synced(state) {
    this.#file.append({ synced: state });
    this.#file.sync();
  }

  /** All records are finished. */
  complete() {
    this.#file.append({ complete: true });
    this.#file.sync();
  }

  close() {
    this.#isClosed = true;
    this.#file.close();
  }
}

module.exports = { Journal, NOTHING, readJournal };
