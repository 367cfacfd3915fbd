'use strict';

/**
 * What runs in the workers of `map`: the user's function, between a record as it stands in the input and a result as it
 * goes into the output. Parsing and formatting are done here, on every core, so that the process that reads and writes
 * has nothing to do but that.
 *
 * `start` is the initializer of the pool, `one` and `some` are its tasks. Records that cost little come some at a time,
 * since each message costs more than they do. Nothing of them is lost or done again when this worker dies: before
 * the next one begins, what the one before has come to is published.
 */

// The user's code may replace those of these modules and globals.
const { isAscii, isUtf8 } = require('node:buffer');
const { performance } = require('node:perf_hooks');
const { describeError, failure } = require('./failure');
const { loadFunction } = require('./load-function');
const { Publisher } = require('./published');

const now = performance.now.bind(performance);
/** @type {(text: string, from: number, to: number) => string} */
const slice = Function.prototype.call.bind(String.prototype.slice);
const { parse, stringify } = JSON;

/**
 * @typedef {object} Work
 * @property {string} filePath @property {string} name the user's function
 * @property {import('./input/records').Format} format of the records @property {string} delimiter
 * @property {boolean} isText whether results that are strings go out as they are
 * @property {string} separator what comes behind each result
 * @property {boolean} stopsOnError
 * @property {number} longest after how long records that came together are answered, in milliseconds
 */

/** @typedef {import('./published').Outcome} Outcome */
/** @typedef {import('./failure').ErrorFields} ErrorFields */
/** @typedef {import('./input/rows').Header | null} Header */
/** For how many milliseconds it ran, and what it has come to. @typedef {[took: number, outcome: Outcome]} OneAnswer */
/**
 * How many are finished; for how many milliseconds they ran; the text of the results; which have failed.
 * @typedef {[done: number, took: number, text: Buffer, failures: [index: number, error: ErrorFields][]]} SomeAnswer
 */
/** Where is published what is finished, and the name of these records there. */
/** @typedef {[file: string, name: number, id: number]} Slot */

/** Results that are longer are answered before the next record begins, in characters. */
const MAX_TEXT = 256 * 1024;

const NOT_UTF8 = 'the record is not UTF-8';

/** @type {Function} */
let work = () => {};
/** @type {Work} */
let options;
const publisher = new Publisher();

/** @param {Work} given */
async function start(given) {
  options = given;
  work = await loadFunction(options.filePath, options.name);
}

/** @param {unknown} value @returns {string} */
function textOf(value) {
  if (options.isText) {
    if (typeof value === 'string') return value;
    if (value === undefined || value === null) return '';
  }
  // Neither `undefined` nor a function is anything in JSON, and yet each record has its line.
  return stringify(value) ?? 'null';
}

/** @param {unknown} value @returns {Outcome} */
function formatted(value) {
  try {
    return textOf(value);
  } catch (error) {
    return failure(describeError(error, 'the result is not JSON: '));
  }
}

/** @param {unknown} error @returns {Outcome} */
const failed = (error) => failure(describeError(error));

/** The text of records. */
class Texts {
  #bytes;
  #ranges;
  /** All of it, where a byte is a character. @type {string | null} */
  #text;
  #isValid;

  /** @param {Buffer} bytes @param {Uint32Array} ranges where each record begins and ends */
  constructor(bytes, ranges) {
    this.#bytes = bytes;
    this.#ranges = ranges;
    this.#text = isAscii(bytes) ? bytes.toString('latin1') : null;
    this.#isValid = this.#text !== null || isUtf8(bytes);
  }

  /** Throws if it is not UTF-8. @param {number} index */
  at(index) {
    const from = this.#ranges[2 * index];
    const to = this.#ranges[2 * index + 1];
    if (this.#text !== null) return slice(this.#text, from, to);
    if (!this.#isValid && !isUtf8(this.#bytes.subarray(from, to))) throw new Error(NOT_UTF8);
    return this.#bytes.toString('utf8', from, to);
  }
}

/** The records of rows: objects with the names of the first row. */
class RowTexts {
  #bytes;
  #ranges;
  #header;
  /** The fields of each; null if they have to be looked for row by row. @type {string[][] | null} */
  #rows;

  /** @param {Buffer} bytes @param {Uint32Array} ranges @param {NonNullable<Header>} header */
  constructor(bytes, ranges, header) {
    const { rowsOf } = require('./input/csv-fields');
    this.#bytes = bytes;
    this.#ranges = ranges;
    this.#header = header;
    this.#rows = isUtf8(bytes) ? rowsOf(bytes, options.delimiter, header.newline, ranges.length / 2) : null;
  }

  /** Throws if it is none. @param {number} index */
  at(index) {
    const { fieldsOf, recordOf } = require('./input/csv-fields');
    let fields = this.#rows?.[index];
    if (fields === undefined) {
      const row = this.#bytes.subarray(this.#ranges[2 * index], this.#ranges[2 * index + 1]);
      if (!isUtf8(row)) throw new Error(NOT_UTF8);
      fields = fieldsOf(row, options.delimiter);
    }
    return recordOf(fields, this.#header.columns);
  }
}

/** @param {Buffer} bytes @param {Uint32Array} ranges @param {Header} header */
function recordsOf(bytes, ranges, header) {
  return header === null ? new Texts(bytes, ranges) : new RowTexts(bytes, ranges, header);
}

/**
 * @param {unknown} context that of the call, which is the user's
 * @param {{ at(index: number): unknown }} records @param {number} index
 * @returns {Outcome | Promise<Outcome>} what the user's function throws is a result as well: it is a record's own
 *   failure, and the rest goes on
 */
function done(context, records, index) {
  let record;
  try {
    record = records.at(index);
  } catch (error) {
    return failure({ name: 'InputError', message: /** @type {Error} */ (error).message });
  }
  try {
    if (options.format === 'ndjson' || options.format === 'json') record = parse(/** @type {string} */ (record));
  } catch (error) {
    return failure(describeError(error, 'the record is not JSON: '));
  }
  let result;
  try {
    result = work.call(context, record);
    // Whatever has a `then`: the promises of some libraries are none of the language's.
    if (typeof result?.then === 'function') return Promise.resolve(result).then(formatted, failed);
  } catch (error) {
    return failed(error);
  }
  return formatted(result);
}

/**
 * @this {unknown}
 * @param {Buffer} bytes @param {Header} header
 * @returns {OneAnswer | Promise<OneAnswer>}
 */
function one(bytes, header) {
  const from = now();
  const outcome = done(this, recordsOf(bytes, new Uint32Array([0, bytes.length]), header), 0);
  if (outcome instanceof Promise) return outcome.then((each) => [now() - from, each]);
  return [now() - from, outcome];
}

/** Records that came together, one after another. */
class Some {
  #context;
  #records;
  #count;
  #slot;
  #from = now();
  #index = 0;
  #text = '';
  /** @type {SomeAnswer[3]} */
  #failures = [];

  /**
   * @param {unknown} context @param {Buffer} bytes @param {Uint32Array} ranges @param {Header} header
   * @param {Slot} slot
   */
  constructor(context, bytes, ranges, header, slot) {
    this.#context = context;
    this.#records = recordsOf(bytes, ranges, header);
    this.#count = ranges.length / 2;
    this.#slot = slot;
  }

  /** @returns {SomeAnswer | Promise<SomeAnswer>} */
  run() {
    for (;;) {
      const outcome = done(this.#context, this.#records, this.#index);
      if (outcome instanceof Promise) return this.#runOn(outcome);
      if (!this.#goesOn(outcome)) return this.#answer();
    }
  }

  /** @param {Outcome | Promise<Outcome>} first */
  async #runOn(first) {
    let outcome = first;
    while (this.#goesOn(outcome instanceof Promise ? await outcome : outcome)) {
      outcome = done(this.#context, this.#records, this.#index);
    }
    return this.#answer();
  }

  /** A record is finished. Whether the next one may begin. @param {Outcome} outcome */
  #goesOn(outcome) {
    const isFailure = typeof outcome !== 'string';
    if (isFailure) this.#failures.push([this.#index, outcome.error]);
    else this.#text += outcome + options.separator;
    if (++this.#index === this.#count) return false;
    if (isFailure && options.stopsOnError) return false;
    // Others may do the rest.
    if (this.#text.length > MAX_TEXT || now() - this.#from > options.longest) return false;
    try {
      const slot = this.#slot;
      if (this.#index === 1) publisher.begin(slot[0], slot[1], slot[2]);
      publisher.add(outcome);
      return true;
    } catch {
      return false;
    }
  }

  /** @returns {SomeAnswer} */
  #answer() {
    return [this.#index, now() - this.#from, Buffer.from(this.#text), this.#failures];
  }
}

/**
 * @this {unknown}
 * @param {Buffer} bytes @param {Uint32Array} ranges @param {Header} header @param {Slot} slot
 */
function some(bytes, ranges, header, slot) {
  return new Some(this, bytes, ranges, header, slot).run();
}

module.exports = { one, some, start };
