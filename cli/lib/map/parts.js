'use strict';

/**
 * Gives the records of the input to the workers, some at a time, and takes what they have come to.
 *
 * 1. As many records go together as take some milliseconds, by what the ones before took, and no more than eight times
 *    as many as came back together last. Where each has a time limit, or several are in progress at a time, each goes
 *    alone.
 * 2. A worker that finds out that they take longer answers before they are done; the rest is given out anew, before
 *    what has not been read yet.
 * 3. When a worker dies, what it had published counts. The record that it had begun is tried again, alone, or has
 *    failed; the rest is given out anew. Nothing else is lost, or done twice.
 * 4. What is finished of records whose worker is busy with one for long is looked up, and does not wait for that.
 *
 * Must not depend on what becomes of results.
 */

const { describeError } = require('./failure');
const { Slots, readPublished } = require('./published');

/** @typedef {InstanceType<typeof import('./input/records').Records>} Records */
/** @typedef {import('./input/records').Block} Block */
/** @typedef {import('./published').Slot} Slot */
/** @typedef {import('./worker').SomeAnswer} SomeAnswer */
/** @typedef {import('./worker').OneAnswer} OneAnswer */
/** @typedef {[index: number, error: import('./failure').ErrorFields]} Failed */
/** @typedef {import('../../..').Pool} Pool */

/** For how long the records of a part should keep a worker busy, and after how long it answers; in milliseconds. */
const TARGET = 3;
const LONGEST = 10;
/** The most that a part has. */
const MAX_RECORDS = 4096;
const MAX_BYTES = 64 * 1024;
/** By what a part may have more records than the last one. */
const GROWTH = 8;
/** The weight of the latest measurement. */
const NEWEST = 0.3;
/** How many parts a worker has, so that there is one when it is done with another. */
const AHEAD = 2;
/** How many single records there may be in progress, where they are cheap. */
const MAX_AHEAD = 256;
/** In order, so many times as many may be finished before one that is not. */
const PATIENCE = 4;
/** How often is looked for what is finished of parts that take long, in milliseconds. */
const LOOK_EVERY = 50;

/** Records that are given to a worker together. */
class Part {
  block;
  /** Which records of the block. */
  from;
  to;
  /** How many times the first record was tried before. */
  retries = 0;
  /** The part that comes next in the input. @type {Part | null} */
  next = null;
  /** @type {{ slot: Slot, id: number } | null} Where is published what is finished. */
  published = null;
  isDone = false;
  /** What the results are, and which have failed. @type {Buffer} */
  text = EMPTY;
  /** @type {Failed[]} */
  failures = [];
  /** How many records, and bytes of their results, were taken already. */
  taken = 0;
  takenBytes = 0;

  /** @param {Block} block @param {number} from @param {number} to */
  constructor(block, from, to) {
    this.block = block;
    this.from = from;
    this.to = to;
  }

  get count() {
    return this.to - this.from;
  }
}

const EMPTY = Buffer.alloc(0);

/** The workers' functions. */
const filePath = require.resolve('./worker');
const ONE = { filePath, name: 'one' };
const SOME = { filePath, name: 'some' };

class Parts {
  #pool;
  #records;
  #slots = new Slots();
  #skip;
  #hooks;
  #isOrdered;
  #retries;
  #separator;
  /** How many records go together; 0: as many as measurement says. */
  #fixed;
  /** How many calls the workers can run at a time. */
  #lanes;
  #size = 1;
  /** How long a record takes, in milliseconds; 0: not known. */
  #cost = 0;
  #id = 0;
  #number;
  /** Parts that were given to workers, and are not answered. @type {Set<Part>} */
  #running = new Set();
  /** Parts that are to be given out before anything else is read. @type {Part[]} */
  #waiting = [];
  /** In order: the first and the last part that was not taken as a whole. @type {Part | null} */
  #first = null;
  /** @type {Part | null} */
  #last = null;
  /** How many parts there are from the first to the last. */
  #held = 0;
  /** How many records were read and are not taken. */
  unfinished = 0;
  #isReading = false;
  #isPaused = false;
  #hasEnded = false;
  #isOver = false;
  /** @type {NodeJS.Timeout | undefined} */
  #timer;
  /** @type {(value: void) => void} */
  #resolve = () => {};
  /** @type {(error: unknown) => void} */
  #reject = () => {};

  /**
   * @param {object} options
   * @param {import('./settings').MapSettings} options.settings
   * @param {Pool} options.pool
   * @param {Records} options.records
   * @param {number} options.first the number of the first record
   * @param {{
   *   skip: (number: number) => { isFinished: boolean, count: number },
   *   skipped: (block: Block) => void,
   *   taken: (part: Part, from: number, to: number, text: Buffer, failures: Failed[]) => boolean,
   *   unreadable: (error: unknown) => void,
   * }} options.hooks `skip`: whether a record is finished already, and how many behind it are the same; `taken`: what
   *   records of a part have come to, and whether to go on
   */
  constructor({ settings, pool, records, first, hooks }) {
    const { isOrdered, chunkSize, pool: { timeout, concurrency = 1 }, retries } = settings;
    this.#pool = pool;
    this.#records = records;
    this.#number = first;
    this.#hooks = hooks;
    this.#skip = hooks.skip;
    this.#isOrdered = isOrdered;
    this.#retries = retries;
    this.#separator = separatorOf(settings.to);
    this.#lanes = Math.max(1, pool.stats().workers.length) * concurrency;
    this.#fixed = timeout !== undefined || concurrency > 1 ? 1 : (chunkSize ?? 0);
  }

  /** Resolves when all records are taken, or when it was ended. */
  async run() {
    this.#timer = setInterval(() => this.#look(), LOOK_EVERY);
    try {
      await new Promise((/** @type {(value: void) => void} */ resolve, reject) => {
        this.#resolve = resolve;
        this.#reject = reject;
        this.#goOn();
      });
    } finally {
      this.#isOver = true;
      clearInterval(this.#timer);
      this.#slots.close();
    }
  }

  /** Ends at once, with what is finished by now. */
  end() {
    if (!this.#isOver) this.#look();
    this.#stop();
  }

  #stop() {
    this.#isOver = true;
    this.#resolve();
  }

  /** Ends with what makes it impossible to go on. @param {unknown} error */
  fail(error) {
    this.#isOver = true;
    this.#reject(error);
  }

  /** Nothing more is given out until `resume`. */
  pause() {
    this.#isPaused = true;
  }

  resume() {
    this.#isPaused = false;
    this.#goOn();
  }

  // ---- Giving out -------------------------------------------------------------------------------------------------

  /** Gives out as much as there may be in progress. */
  #goOn() {
    while (!this.#isOver && !this.#isPaused && this.#hasRoom()) {
      const part = this.#nextPart();
      if (part === null) break;
      this.#give(part);
    }
    const isDone = this.#hasEnded && this.#running.size === 0 && this.#waiting.length === 0;
    if (isDone && !this.#isReading && !this.#isPaused) this.#resolve();
  }

  #hasRoom() {
    const isSingle = this.#fixed === 1 && this.#cost > 0;
    const ahead = isSingle ? Math.min(MAX_AHEAD, Math.max(AHEAD, TARGET / this.#cost)) : AHEAD;
    const most = ahead * this.#lanes;
    // All others may be held up by one that waits.
    return this.#running.size < most && (this.#waiting.length > 0 || this.#held < PATIENCE * most);
  }

  /** @returns {Part | null} */
  #nextPart() {
    const size = this.#fixed > 0 ? this.#fixed : this.#size;
    const waiting = this.#waiting.shift();
    if (waiting !== undefined) {
      // What is tried again goes alone.
      this.#split(waiting, waiting.retries > 0 ? 1 : size);
      return waiting;
    }
    if (this.#hasEnded || this.#isReading) return null;
    try {
      for (;;) {
        const { isFinished, count } = this.#skip(this.#number);
        const bytes = this.#fixed > 0 ? Infinity : MAX_BYTES;
        const block = this.#records.take({ records: Math.min(size, count), bytes });
        if (block === null) break;
        block.number = this.#number;
        this.#number += block.count;
        if (isFinished) {
          this.#hooks.skipped(block);
          continue;
        }
        this.unfinished += block.count;
        return this.#append(new Part(block, 0, block.count));
      }
    } catch (error) {
      this.#unreadable(error);
      return null;
    }
    this.#isReading = true;
    this.#records.more().then(
      (isMore) => {
        this.#hasEnded = !isMore;
        this.#isReading = false;
        this.#goOn();
      },
      (error) => {
        this.#isReading = false;
        this.#unreadable(error);
        this.#goOn();
      },
    );
    return null;
  }

  /** @param {unknown} error */
  #unreadable(error) {
    this.#hasEnded = true;
    this.#hooks.unreadable(error);
  }

  /** @param {Part} part */
  #append(part) {
    this.#held++;
    if (!this.#isOrdered) return part;
    if (this.#last === null) this.#first = part;
    else this.#last.next = part;
    this.#last = part;
    return part;
  }

  /** What exceeds so many records waits. @param {Part} part @param {number} count */
  #split(part, count) {
    if (part.count <= count) return;
    const rest = new Part(part.block, part.from + count, part.to);
    part.to = rest.from;
    rest.next = part.next;
    part.next = rest;
    if (part === this.#last) this.#last = rest;
    this.#held++;
    this.#waiting.unshift(rest);
  }

  /** @param {Part} part */
  #give(part) {
    const slot = part.count > 1 ? this.#slotFor(part) : null;
    const { block, from, to } = part;
    const { header } = this.#records;
    this.#running.add(part);
    /** @type {Promise<SomeAnswer | OneAnswer>} */
    let answer;
    if (slot === null) {
      answer = this.#pool.apply(ONE, [block.bytesOf(from), header]);
    } else {
      const id = ++this.#id;
      part.published = { slot, id };
      answer = this.#pool.apply(SOME, [...block.slice(from, to), header, [slot.file, slot.name, id]]);
    }
    answer.then(
      (found) => this.#answered(part, found),
      (error) => this.#lost(part, error),
    );
  }

  /** Where none can be had, each record goes alone. @param {Part} part */
  #slotFor(part) {
    try {
      return this.#slots.take();
    } catch {
      this.#fixed = 1;
      this.#split(part, 1);
      return null;
    }
  }

  // ---- Taking -----------------------------------------------------------------------------------------------------

  /** @param {Part} part @param {SomeAnswer | OneAnswer} answer */
  #answered(part, answer) {
    this.#running.delete(part);
    if (this.#isOver) return;
    if (part.published === null) {
      const [took, outcome] = /** @type {OneAnswer} */ (answer);
      this.#learn(1, took, true);
      if (typeof outcome === 'string') part.text = this.#textOf([outcome]);
      else part.failures = [[0, outcome.error]];
      this.#settle(part, 1);
      return;
    }
    const [done, took, text, failures] = /** @type {SomeAnswer} */ (answer);
    this.#slots.give(part.published.slot);
    this.#learn(done, took, done === part.count);
    part.text = text;
    part.failures = failures;
    this.#settle(part, done);
  }

  /** @param {number} count @param {number} took @param {boolean} isWhole whether that was all that had been given */
  #learn(count, took, isWhole) {
    const cost = Math.max(took, 0.001) / count;
    this.#cost = this.#cost === 0 ? cost : this.#cost + (cost - this.#cost) * NEWEST;
    const wanted = Math.floor(TARGET / this.#cost);
    const most = isWhole ? Math.max(this.#size, GROWTH * count) : count;
    this.#size = Math.max(1, Math.min(wanted, most, MAX_RECORDS));
  }

  /** @param {readonly string[]} results */
  #textOf(results) {
    return Buffer.from(results.map((result) => result + this.#separator).join(''));
  }

  /** The records of a part have no answer. @param {Part} part @param {any} error */
  #lost(part, error) {
    this.#running.delete(part);
    if (this.#isOver) return;
    if (!isAboutRecord(error)) {
      this.fail(error);
      return;
    }
    const { published } = part;
    const outcomes = published === null ? [] : readPublished(published.slot, published.id);
    if (published !== null) this.#slots.drop(published.slot);
    this.#publishedTo(part, outcomes);
    const begun = outcomes.length;
    const hasDied = error.code === 'ERR_PARALLELIZER_WORKER_EXITED';
    if (hasDied && part.retries < this.#retries) {
      this.#settle(part, begun, begun === 0 ? part.retries + 1 : 1);
      return;
    }
    part.failures.push([begun, describeError(error)]);
    this.#settle(part, begun + 1);
  }

  /** @param {Part} part @param {import('./published').Outcome[]} outcomes */
  #publishedTo(part, outcomes) {
    /** @type {string[]} */
    const results = [];
    part.failures = [];
    for (const [i, outcome] of outcomes.entries()) {
      if (typeof outcome === 'string') results.push(outcome);
      else part.failures.push([i, outcome.error]);
    }
    part.text = this.#textOf(results);
  }

  /**
   * So many records of a part are finished; the rest is to be given out again.
   * @param {Part} part @param {number} count @param {number} [retries] how many times the first of the rest was tried
   */
  #settle(part, count, retries = 0) {
    this.#split(part, count);
    const [rest] = this.#waiting;
    if (retries > 0 && rest !== undefined) rest.retries = retries;
    part.isDone = true;
    this.#take(part);
    this.#goOn();
  }

  /** What is finished of parts whose worker is still busy with them. */
  #look() {
    for (const part of this.#running) {
      if (part.published === null || (this.#isOrdered && part !== this.#first)) continue;
      const outcomes = readPublished(part.published.slot, part.published.id);
      if (outcomes.length <= part.taken) continue;
      this.#publishedTo(part, outcomes);
      this.#takeUpTo(part, outcomes.length);
    }
  }

  /** Takes what there is, in order if that is wanted. @param {Part} part that is done */
  #take(part) {
    if (!this.#isOrdered) {
      this.#held--;
      this.#takeUpTo(part, part.count);
      return;
    }
    for (let first = this.#first; first !== null && first.isDone && !this.#isOver; first = this.#first) {
      this.#first = first.next;
      if (this.#first === null) this.#last = null;
      this.#held--;
      this.#takeUpTo(first, first.count);
    }
  }

  /** @param {Part} part @param {number} count of its records are finished */
  #takeUpTo(part, count) {
    const from = part.taken;
    if (count === from) return;
    const text = part.takenBytes === 0 ? part.text : part.text.subarray(part.takenBytes);
    const failures = from === 0 ? part.failures : part.failures.filter(([index]) => index >= from);
    part.taken = count;
    part.takenBytes = part.text.length;
    this.unfinished -= count - from;
    if (!this.#hooks.taken(part, from, count, text, failures)) this.#stop();
  }
}

/** Whether an error is about one record: others are about all that come after it as well. @param {any} error */
function isAboutRecord(error) {
  if (error?.code === 'ERR_PARALLELIZER_TIMEOUT' || error?.code === 'ERR_PARALLELIZER_SERIALIZATION') return true;
  if (error?.code !== 'ERR_PARALLELIZER_WORKER_EXITED') return false;
  // A worker that never began to run had no record.
  return !('errno' in error) && !/^[^;]* before it was ready/.test(error.message);
}

/** What comes behind each result. @param {import('./settings').MapSettings['to']} to */
function separatorOf(to) {
  return to === 'json' ? ',\n' : '\n';
}

module.exports = { LONGEST, Parts, separatorOf };
