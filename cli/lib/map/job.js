'use strict';

/**
 * One run: records from the input through the workers to the output, with no more of them in memory than the workers
 * need.
 *
 * Results are gathered for one turn of the event loop and written together. Where there is a journal, it is told first.
 */

const { Finished } = require('./finished');
const { describeError, shortText } = require('./failure');
const { counted } = require('./progress');

/** @typedef {InstanceType<typeof import('./input/records').Records>} Records */
/** @typedef {import('./input/records').Entry} Entry */
/** @typedef {InstanceType<typeof import('./journal').Journal>} Journal */
/** @typedef {import('./journal').Snapshot} Snapshot */
/** @typedef {InstanceType<typeof import('./output').FileOutput | typeof import('./output').StdoutOutput>} Output */
/** @typedef {import('./settings').MapSettings} MapSettings */
/** @typedef {import('../../..').Pool} Pool */

/** A record that was given to the workers. @typedef {{ entry: Entry, number: number }} Pending */

/** So much is written at once, in characters, even if there is more to come in this turn. */
const MAX_GATHERED = 64 * 1024;
/** How often the output is synced, in milliseconds. */
const SYNC_INTERVAL = 1000;
/** How many failures are shown where no file takes them. */
const MAX_SHOWN = 10;

class Job {
  #settings;
  #pool;
  #records;
  #output;
  #failedOutput;
  #journal;
  #say;
  #finished;
  #results;
  #failures;
  /** The number of the next record that is read. */
  #next;
  /** How many were given to the workers. */
  #given = 0;
  /** @type {Map<number, Pending>} By the order in which they were given to the workers. */
  #pending = new Map();
  /** Finished records behind unfinished ones, since the last entry of the journal. @type {number[]} */
  #beyond = [];
  #text = '';
  #failedText = '';
  #isScheduled = false;
  /** What was written is not synced yet. */
  #isDirty = false;
  #isSyncing = false;
  /** @type {{ error: unknown } | null} What the run ended with that nobody asked for. */
  #broken = null;
  /** Why the input cannot be read any further. @type {{ error: unknown } | null} */
  #unreadable = null;
  /** Whether everything is to end at once. */
  #isAborted = false;
  /** The error that ended the run, under `stopsOnError`. @type {string | null} */
  stoppedBy = null;
  /** Bytes of the input up to the last record that was finished. */
  #bytes;

  /**
   * @param {object} options
   * @param {MapSettings} options.settings
   * @param {Pool} options.pool
   * @param {Records} options.records which begin where `state` says
   * @param {Output} options.output @param {Output | null} options.failedOutput
   * @param {Journal | null} options.journal
   * @param {Snapshot} options.state
   * @param {(text: string) => void} options.say tells the user
   */
  constructor({ settings, pool, records, output, failedOutput, journal, state, say }) {
    this.#settings = settings;
    this.#pool = pool;
    this.#records = records;
    this.#output = output;
    this.#failedOutput = failedOutput;
    this.#journal = journal;
    this.#say = say;
    this.#finished = new Finished(state.records, state.place, state.beyond);
    this.#results = state.results;
    this.#failures = state.failures;
    this.#next = state.records;
    this.#bytes = state.place.offset;
  }

  /** How far it is. */
  get counts() {
    return { records: this.#results + this.#failures, failures: this.#failures, bytes: this.#bytes };
  }

  /** Whether every record is finished. */
  get isComplete() {
    const hasEnded = this.#records.hasEnded && this.#unreadable === null && this.stoppedBy === null;
    return hasEnded && this.#pending.size === 0 && !this.#isAborted;
  }

  /** Whether the input could not be read to its end, which `run` rejects with once all before that is done. */
  get isUnreadable() {
    return this.#unreadable !== null;
  }

  /** How many records were read and are not finished. */
  get unfinished() {
    return this.#pending.size;
  }

  /** Reads no more; what was read is finished. */
  drain() {
    this.#records.stop();
  }

  /** Ends at once. */
  abort() {
    this.#isAborted = true;
    this.#records.stop();
    // It rejects if a process cannot be ended, of which the end of this one is told.
    this.#pool.terminate().catch(() => {});
  }

  /** Runs to the end. Rejects with what makes it impossible to go on. */
  async run() {
    const timer = this.#journal === null ? undefined : setInterval(() => this.#checkpoint(), SYNC_INTERVAL);
    try {
      await this.#mapAll();
    } catch (error) {
      // The pool was terminated, which is why the stream has ended.
      if (!this.#isAborted) throw error;
    } finally {
      clearInterval(timer);
    }
    if (this.#broken !== null) throw this.#broken.error;
    await this.#finish();
    if (this.#unreadable !== null) throw this.#unreadable.error;
  }

  async #mapAll() {
    const { isOrdered, chunkSize } = this.#settings;
    const filePath = require.resolve('./worker');
    const options = /** @type {const} */ ({ onError: 'collect', chunkSize });
    const source = { [Symbol.asyncIterator]: () => this.#source() };
    const stream = isOrdered
      ? this.#pool.imap({ filePath, name: 'one' }, source, options)
      : this.#pool.imapUnordered({ filePath, name: 'tagged' }, source, options);
    let taken = 0;
    for await (const settled of stream) {
      if (this.#isAborted) break;
      let index = taken++;
      let outcome;
      if (settled.status === 'rejected') {
        const { reason } = settled;
        // An error that is about no record is about all of them: a worker's successor may fail to start.
        if (!Array.isArray(reason?.records)) throw reason;
        if (!isOrdered) [index] = reason.records;
        outcome = { error: describeError(reason) };
      } else if (isOrdered) {
        outcome = settled.value;
      } else {
        [index, outcome] = settled.value;
      }
      if (!this.#settle(index, outcome)) break;
      if (this.#broken !== null) break;
      if (this.#text.length + this.#failedText.length >= MAX_GATHERED) {
        this.#flush();
        await this.#output.room();
      } else {
        this.#scheduleFlush();
      }
    }
  }

  /** @returns {Promise<Entry | undefined> | Entry | undefined} the next record, as far as the input can be read */
  #read() {
    const noted = (/** @type {unknown} */ error) => {
      this.#unreadable = { error };
      return undefined;
    };
    try {
      const found = this.#records.next();
      return found instanceof Promise ? found.catch(noted) : found;
    } catch (error) {
      return noted(error);
    }
  }

  /** @returns {AsyncIterator<unknown>} what the workers are given */
  #source() {
    return {
      next: async () => {
        for (;;) {
          const found = this.#read();
          const entry = found instanceof Promise ? await found : found;
          if (entry === undefined) return { value: undefined, done: true };
          const number = this.#next++;
          if (this.#finished.has(number)) {
            // By an earlier run.
            this.#finished.add(number, placeAfter(entry));
            continue;
          }
          const index = this.#given++;
          this.#pending.set(index, { entry, number });
          const { item } = entry;
          return { value: this.#settings.isOrdered ? item : [index, item], done: false };
        }
      },
      return: async () => {
        this.#records.stop();
        return { value: undefined, done: true };
      },
    };
  }

  /**
   * A record is finished.
   * @param {number} index @param {import('./worker').Outcome} outcome
   * @returns {boolean} whether to go on
   */
  #settle(index, outcome) {
    const { entry, number } = /** @type {Pending} */ (this.#pending.get(index));
    const result = entry.bad === undefined ? outcome : { error: { name: 'InputError', message: entry.bad } };
    if (typeof result !== 'string' && this.#settings.stopsOnError) {
      this.stoppedBy = `line ${entry.line}: ${shortText(result.error)}`;
      this.#flush();
      // Not a finished record: a run that goes on begins with it, and cuts this off.
      this.#failedOutput?.write(Buffer.from(failedLine(entry, result, this.#settings.format)));
      this.#failures++;
      return false;
    }
    this.#pending.delete(index);
    if (typeof result === 'string') {
      this.#text += this.#resultText(result);
      this.#results++;
    } else {
      this.#fail(entry, result);
    }
    this.#finished.add(number, placeAfter(entry));
    if (number >= this.#finished.records && this.#journal !== null) this.#beyond.push(number);
    this.#bytes = Math.max(this.#bytes, entry.end);
    return true;
  }

  /** @param {Entry} entry @param {import('./failure').Failure} failure */
  #fail(entry, failure) {
    this.#failures++;
    if (this.#failedOutput !== null) {
      this.#failedText += failedLine(entry, failure, this.#settings.format);
    } else if (this.#failures <= MAX_SHOWN) {
      const isLast = this.#failures === MAX_SHOWN;
      const more = isLast ? '\n(further failures are counted only; --failed FILE keeps all of them)' : '';
      this.#say(`line ${entry.line}: ${shortText(failure.error)}${more}`);
    }
  }

  /** @param {string} result */
  #resultText(result) {
    if (this.#settings.to !== 'json') return `${result}\n`;
    return this.#results === 0 ? `[\n${result}` : `,\n${result}`;
  }

  // ---- Writing ----------------------------------------------------------------------------------------------------

  /** Has what was gathered written at the end of this turn of the event loop. */
  #scheduleFlush() {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      this.#attempt(() => this.#flush());
    });
  }

  /** Does what may fail, outside of the loop over the results, which ends then. @param {() => void} write */
  #attempt(write) {
    if (this.#broken !== null) return;
    try {
      write();
    } catch (error) {
      this.#broken = { error };
      this.abort();
    }
  }

  /** Writes what was gathered. */
  #flush() {
    if (this.#text === '' && this.#failedText === '' && this.#beyond.length === 0) return;
    const out = Buffer.from(this.#text);
    const failed = Buffer.from(this.#failedText);
    const beyond = this.#beyond;
    this.#text = '';
    this.#failedText = '';
    this.#beyond = [];
    this.#isDirty = true;
    this.#journal?.step(this.#state(out.length, failed.length), rangesOf(beyond), out, failed);
    if (failed.length > 0) this.#failedOutput?.write(failed);
    if (out.length > 0) this.#output.write(out);
  }

  /** @param {number} out @param {number} failed how much is about to be written */
  #state(out = 0, failed = 0) {
    const { records, place } = this.#finished;
    return {
      ...{ records, place, results: this.#results, failures: this.#failures },
      out: this.#output.size + out,
      failed: (this.#failedOutput?.size ?? 0) + failed,
    };
  }

  /** Makes certain what was written so far. */
  async #checkpoint() {
    if (!this.#isDirty || this.#isSyncing || this.#journal === null) return;
    this.#isSyncing = true;
    const journal = this.#journal;
    try {
      this.#flush();
      this.#isDirty = false;
      const state = journal.snapshot(this.#state(), this.#finished);
      if (journal.isLong) {
        // Nothing may be written meanwhile.
        this.#output.syncNow();
        this.#failedOutput?.syncNow();
        journal.shorten(state);
      } else {
        await this.#output.sync();
        await this.#failedOutput?.sync();
        journal.synced(state);
      }
    } catch (error) {
      this.#attempt(() => {
        throw error;
      });
    } finally {
      this.#isSyncing = false;
    }
  }

  /** Writes what is left, and what ends an array. */
  async #finish() {
    while (this.#isSyncing) await new Promise(setImmediate);
    this.#flush();
    const state = this.#journal?.snapshot(this.#state(), this.#finished);
    // Whether or not there is more to come: what is there can be read then. A run that goes on cuts it off.
    if (this.#settings.to === 'json') this.#output.write(Buffer.from(this.#results === 0 ? '[]\n' : '\n]\n'));
    await this.#output.room();
    if (this.#journal !== null && state !== undefined) {
      await this.#output.sync();
      await this.#failedOutput?.sync();
      this.#journal.synced(state);
      if (this.isComplete) this.#journal.complete();
      this.#journal.close();
    }
    this.#output.close();
    this.#failedOutput?.close();
  }

  /** What became of it. @param {string} summary */
  conclusion(summary) {
    if (this.stoppedBy !== null) return `stopped by ${this.stoppedBy}`;
    const { failedFile } = this.#settings;
    const where = this.#failures > 0 && failedFile !== null ? `, see ${failedFile}` : '';
    const left = this.#pending.size > 0 ? `, ${counted(this.#pending.size, 'record')} broken off` : '';
    return `${summary}${where}${left}`;
  }
}

/** @param {Entry} entry @returns {import('./input/records').Place} */
const placeAfter = ({ end, endLine }) => ({ offset: end, line: endLine });

/** @param {number[]} numbers @returns {[from: number, to: number][]} */
function rangesOf(numbers) {
  /** @type {[from: number, to: number][]} */
  const ranges = [];
  for (const number of numbers.sort((a, b) => a - b)) {
    const last = ranges[ranges.length - 1];
    if (last !== undefined && last[1] === number) last[1]++;
    else ranges.push([number, number + 1]);
  }
  return ranges;
}

/**
 * A line for the file of failed records.
 * @param {Entry} entry @param {import('./failure').Failure} failure @param {MapSettings['format']} format
 */
function failedLine({ line, item, raw }, { error }, format) {
  const start = JSON.stringify({ line, error }).slice(0, -1);
  const isJson = typeof item === 'string' && format !== 'lines' && isValid(item);
  // As it was written, but in one line: parsing it would round large numbers.
  const record = isJson ? item.replace(/[\r\n]+/g, ' ') : JSON.stringify(raw ?? item);
  return `${start},"record":${record}}\n`;
}

/** @param {string} text */
function isValid(text) {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

module.exports = { Job };
