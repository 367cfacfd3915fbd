'use strict';

/**
 * The records of the input, one after another, as an asynchronous iterator that reads no more than it is asked for.
 * Where a record ends is known of each, so that a later run can go on there.
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

/**
 * @typedef {object} Entry
 * @property {import('../worker').Item | null} item what the worker is given
 * @property {string} [bad] why it cannot be given to a worker @property {unknown} [raw] what it is then
 * @property {number} line the line in which the record begins, from 1
 * @property {number} end how many bytes of the input are before what follows @property {number} endLine and how many
 *   lines
 */

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
   * @param {string[] | null} columns the names of the fields, where rows are read from a later place on
   */
  constructor(file, { format, delimiter }, place, columns) {
    this.#source = new ByteSource(file, place.offset);
    if (format === 'json') this.#reader = new JsonArray(this.#source, place);
    else if (format === 'csv') this.#reader = new Rows(this.#source, place, { delimiter, columns });
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
    const needsColumns = options.format === 'csv' && place.offset > 0;
    return new Records(file, options, place, needsColumns ? await columnsOf(file, options) : null);
  }

  /** Whether everything was read. */
  get hasEnded() {
    return this.#hasEnded;
  }

  /** @returns {Entry | undefined | Promise<Entry | undefined>} `undefined` at the end */
  next() {
    if (this.#isStopped) return undefined;
    return this.#reader.take() ?? this.#read();
  }

  /** @returns {Promise<Entry | undefined>} */
  async #read() {
    while (await this.#reader.more()) {
      if (this.#isStopped) return undefined;
      const entry = this.#reader.take();
      if (entry !== undefined) return entry;
    }
    if (this.#isStopped) return undefined;
    if (this.#reader instanceof JsonArray) this.#reader.finish();
    this.#hasEnded = true;
    return undefined;
  }

  /** There is nothing more to be read; whoever waits for the next record is told so. */
  stop() {
    this.#isStopped = true;
    this.#source.stop();
  }
}

/** The names in the first row. @param {string | null} file @param {{ delimiter: string }} options */
async function columnsOf(file, options) {
  const source = new ByteSource(file, 0);
  const rows = new Rows(source, BEGINNING, options);
  while (rows.columns === null && (await rows.more())) rows.take();
  source.stop();
  return rows.columns;
}

module.exports = { BEGINNING, Records };
