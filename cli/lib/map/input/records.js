'use strict';

/**
 * The records of the input, in blocks of as many as are wanted. No more is read than is asked for.
 */

const { ByteSource } = require('./byte-source');
const { JsonArray } = require('./json-array');
const { Lines } = require('./lines');
const { Rows } = require('./rows');

/** @typedef {'ndjson' | 'lines' | 'json' | 'csv'} Format */

/**
 * A place in the input: how many bytes and lines are before it.
 * @typedef {{ offset: number, line: number }} Place
 */

/** The most records of a block, and how many bytes are enough. @typedef {{ records: number, bytes: number }} Limit */
/** @typedef {InstanceType<typeof import('./block').Block>} Block */

/** @type {Place} */
const BEGINNING = { offset: 0, line: 0 };

class Records {
  #source;
  #reader;
  #isStopped = false;
  #hasEnded = false;

  /**
   * @param {string | null} file `null`: stdin
   * @param {{ format: Format, delimiter: string }} options
   * @param {Place} place
   * @param {import('./rows').Header | null} header of rows that are read from a later place on
   */
  constructor(file, { format, delimiter }, place, header) {
    this.#source = new ByteSource(file, place.offset);
    if (format === 'json') this.#reader = new JsonArray(this.#source, place);
    else if (format === 'csv') this.#reader = new Rows(this.#source, place, { delimiter, header });
    else {
      const isJson = format === 'ndjson';
      const hint = isJson ? 'is it one record per line? --json is for one array' : 'is it text?';
      this.#reader = new Lines(this.#source, place, { skipsBlank: isJson, hint });
    }
  }

  /**
   * @param {string | null} file @param {{ format: Format, delimiter: string }} options @param {Place} [place]
   */
  static async open(file, options, place = BEGINNING) {
    const needsHeader = options.format === 'csv' && place.offset > 0;
    return new Records(file, options, place, needsHeader ? await headerOf(file, options) : null);
  }

  /** Whether everything was read. */
  get hasEnded() {
    return this.#hasEnded;
  }

  /** The first row of rows. */
  get header() {
    return this.#reader instanceof Rows ? this.#reader.header : null;
  }

  /** The next records that are there already. @param {Limit} limit @returns {Block | null} */
  take(limit) {
    return this.#isStopped || this.#hasEnded ? null : this.#reader.take(limit);
  }

  /** Reads more. Resolves to whether there may be more to take. @returns {Promise<boolean>} */
  async more() {
    if (this.#isStopped || this.#hasEnded) return false;
    const isMore = await this.#reader.more();
    if (this.#isStopped || isMore) return isMore && !this.#isStopped;
    if (this.#reader instanceof JsonArray) this.#reader.finish();
    this.#hasEnded = true;
    return false;
  }

  /** There is nothing more to be read; whoever waits for the next record is told so. */
  stop() {
    this.#isStopped = true;
    this.#source.stop();
  }
}

/** The first row. @param {string | null} file @param {{ delimiter: string }} options */
async function headerOf(file, options) {
  const source = new ByteSource(file, 0);
  const rows = new Rows(source, BEGINNING, options);
  while (rows.header === null && (await rows.more())) rows.take({ records: 1, bytes: 0 });
  source.stop();
  return rows.header;
}

module.exports = { BEGINNING, Records };
