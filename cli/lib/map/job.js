'use strict';

/**
 * One run: records from the input through the workers to the output, with no more of them in memory than the workers
 * need.
 *
 * Results are gathered for one turn of the event loop and written together. Where there is a journal, it is told first.
 */

const { Finished } = require('./finished');
const { shortText } = require('./failure');
const { Parts, separatorOf } = require('./parts');
const { counted } = require('./progress');

/** @typedef {InstanceType<typeof import('./input/records').Records>} Records */
/** @typedef {import('./input/records').Block} Block */
/** @typedef {{ block: Block, from: number }} Part */
/** @typedef {InstanceType<typeof import('./journal').Journal>} Journal */
/** @typedef {import('./journal').Snapshot} Snapshot */
/** @typedef {InstanceType<typeof import('./output').FileOutput | typeof import('./output').StdoutOutput>} Output */
/** @typedef {import('./settings').MapSettings} MapSettings */
/** @typedef {import('../../..').Pool} Pool */

/** So much is written at once, in bytes, even if there is more to come in this turn. */
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
  #parts;
  #finished;
  #results;
  #failures;
  /** Finished records behind unfinished ones, since the last entry of the journal. @type {[number, number][]} */
  #beyond = [];
  /** Results that are not written yet. @type {Buffer[]} */
  #gathered = [];
  #gatheredBytes = 0;
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
    this.#bytes = state.place.offset;
    this.#parts = new Parts({
      ...{ settings, pool, records, first: state.records },
      hooks: {
        skip: (number) => ({ isFinished: this.#finished.has(number), count: this.#finished.sameFrom(number) }),
        skipped: (block) => this.#skipped(block),
        taken: (part, from, to, text, failures) => this.#taken(part, from, to, text, failures),
        unreadable: (error) => (this.#unreadable = { error }),
      },
    });
  }

  /** How far it is. */
  get counts() {
    return { records: this.#results + this.#failures, failures: this.#failures, bytes: this.#bytes };
  }

  /** Whether every record is finished. */
  get isComplete() {
    const hasEnded = this.#records.hasEnded && this.#unreadable === null && this.stoppedBy === null;
    return hasEnded && this.#parts.unfinished === 0 && !this.#isAborted;
  }

  /** Whether the input could not be read to its end, which `run` rejects with once all before that is done. */
  get isUnreadable() {
    return this.#unreadable !== null;
  }

  /** How many records were read and are not finished. */
  get unfinished() {
    return this.#parts.unfinished;
  }

  /** Reads no more; what was read is finished. */
  drain() {
    this.#records.stop();
  }

  /** Ends at once. */
  abort() {
    this.#isAborted = true;
    this.#records.stop();
    this.#parts.end();
    // It rejects if a process cannot be ended, of which the end of this one is told.
    this.#pool.terminate().catch(() => {});
  }

  /** Runs to the end. Rejects with what makes it impossible to go on. */
  async run() {
    const timer = this.#journal === null ? undefined : setInterval(() => this.#checkpoint(), SYNC_INTERVAL);
    try {
      await this.#parts.run();
    } finally {
      clearInterval(timer);
    }
    if (this.#broken !== null) throw this.#broken.error;
    await this.#finish();
    if (this.#unreadable !== null) throw this.#unreadable.error;
  }

  /** Records that an earlier run has finished. @param {Block} block */
  #skipped(block) {
    this.#finished.addAll(block.number, block.number + block.count, block.placeAfter(block.count - 1));
  }

  /**
   * Records are finished.
   * @param {Part} part @param {number} from @param {number} to which of the part
   * @param {Buffer} text their results, each with a separator behind it
   * @param {import('./parts').Failed[]} failures
   * @returns {boolean} whether to go on
   */
  #taken(part, from, to, text, failures) {
    const { block } = part;
    const isStopped = failures.length > 0 && this.#settings.stopsOnError;
    const end = isStopped ? failures[0][0] : to;
    this.#gather(text, end - from - (isStopped ? 0 : failures.length));
    if (end > from) {
      const first = block.number + part.from;
      const place = block.placeAfter(part.from + end - 1);
      this.#finished.addAll(first + from, first + end, place);
      const isBeyond = first + from >= this.#finished.records;
      if (isBeyond && this.#journal !== null) this.#beyond.push([first + from, first + end]);
      this.#bytes = Math.max(this.#bytes, place.offset);
    }
    if (isStopped) {
      const [[index, error]] = failures;
      this.stoppedBy = `line ${block.lineOf(part.from + index)}: ${shortText(error)}`;
      this.#attempt(() => {
        this.#flush();
        // Not a finished record: a run that goes on begins with it, and cuts this off.
        this.#failedOutput?.write(Buffer.from(this.#failedLine(block, part.from + index, error)));
        this.#failures++;
      });
      return false;
    }
    for (const [index, error] of failures) this.#fail(block, part.from + index, error);
    if (this.#gatheredBytes + this.#failedText.length < MAX_GATHERED) {
      this.#scheduleFlush();
    } else {
      this.#attempt(() => this.#flush());
      this.#waitForRoom();
    }
    return this.#broken === null;
  }

  /** No more is given to the workers than the output takes. */
  #waitForRoom() {
    if (!this.#output.isFull) return;
    this.#parts.pause();
    this.#output.room().then(
      () => this.#parts.resume(),
      (error) => this.#attempt(() => {
        throw error;
      }),
    );
  }

  /** @param {Block} block @param {number} index @param {import('./failure').ErrorFields} error */
  #fail(block, index, error) {
    this.#failures++;
    if (this.#failedOutput !== null) {
      this.#failedText += this.#failedLine(block, index, error);
    } else if (this.#failures <= MAX_SHOWN) {
      const isLast = this.#failures === MAX_SHOWN;
      const more = isLast ? '\n(further failures are counted only; --failed FILE keeps all of them)' : '';
      this.#say(`line ${block.lineOf(index)}: ${shortText(error)}${more}`);
    }
  }

  /**
   * A line for the file of failed records.
   * @param {Block} block @param {number} index @param {import('./failure').ErrorFields} error
   */
  #failedLine(block, index, error) {
    const { format, delimiter } = this.#settings;
    const start = JSON.stringify({ line: block.lineOf(index), error }).slice(0, -1);
    return `${start},"record":${recordText(block.bytesOf(index), format, delimiter, this.#records.header)}}\n`;
  }

  /** @param {Buffer} text @param {number} count how many results it has */
  #gather(text, count) {
    if (count === 0) return;
    const { to } = this.#settings;
    if (to === 'json') this.#add(Buffer.from(this.#results === 0 ? '[\n' : ',\n'));
    // The last element of an array has nothing behind it, and which is the last is not known.
    this.#add(to === 'json' ? text.subarray(0, text.length - separatorOf(to).length) : text);
    this.#results += count;
  }

  /** @param {Buffer} bytes */
  #add(bytes) {
    this.#gathered.push(bytes);
    this.#gatheredBytes += bytes.length;
  }

  // ---- Writing ----------------------------------------------------------------------------------------------------

  /** Has what was gathered written at the end of this turn of the event loop. */
  #scheduleFlush() {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      this.#attempt(() => this.#flush());
      this.#waitForRoom();
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
    if (this.#gatheredBytes === 0 && this.#failedText === '' && this.#beyond.length === 0) return;
    const out = this.#gathered.length === 1 ? this.#gathered[0] : Buffer.concat(this.#gathered);
    const failed = Buffer.from(this.#failedText);
    const beyond = this.#beyond;
    this.#gathered = [];
    this.#gatheredBytes = 0;
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
    // Whoever reads it may have stopped to.
    if (!this.#isAborted) await this.#output.room();
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
    const { unfinished } = this.#parts;
    const left = unfinished > 0 ? `, ${counted(unfinished, 'record')} broken off` : '';
    return `${summary}${where}${left}`;
  }
}

/** @param {[from: number, to: number][]} found @returns {[from: number, to: number][]} in order, and joined */
function rangesOf(found) {
  /** @type {[from: number, to: number][]} */
  const ranges = [];
  for (const [from, to] of found.sort(([a], [b]) => a - b)) {
    const last = ranges[ranges.length - 1];
    if (last !== undefined && last[1] === from) last[1] = to;
    else ranges.push([from, to]);
  }
  return ranges;
}

/**
 * A record in the file of failed records, as JSON.
 * @param {Buffer} bytes @param {MapSettings['format']} format @param {string} delimiter
 * @param {import('./input/rows').Header | null} header
 */
function recordText(bytes, format, delimiter, header) {
  const text = bytes.toString();
  if (format === 'csv' && header !== null) {
    const { fieldsOf, recordOf } = require('./input/csv-fields');
    /** @type {string[] | null} */
    let fields = null;
    try {
      fields = fieldsOf(bytes, delimiter);
      return JSON.stringify(recordOf(fields, header.columns));
    } catch {
      return JSON.stringify(fields ?? text);
    }
  }
  // As it was written, but in one line: parsing it would round large numbers.
  return format !== 'lines' && isValid(text) ? text.replace(/[\r\n]+/g, ' ') : JSON.stringify(text);
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
