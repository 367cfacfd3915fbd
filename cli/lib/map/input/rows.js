'use strict';

/**
 * Records that are rows of CSV: objects, with the names of the first row.
 */

const { parse } = require('csv-parse');
const { InputError } = require('./input-error');

/** @typedef {import('./records').Entry} Entry */
/** @typedef {{ record: string[], info: { bytes: number, lines: number } }} Row */

/** A longer row is a mistake, most often of a quote that nothing closes. */
const MAX_ROW = 64 * 1024 * 1024;

class Rows {
  #source;
  #parser;
  #place;
  /** @type {string[] | null} */
  #columns;
  #lines = 0;
  #hasEnded = false;
  /** @type {Error | null} */
  #error = null;

  /**
   * @param {InstanceType<typeof import('./byte-source').ByteSource>} source
   * @param {import('./records').Place} place
   * @param {{ delimiter: string, columns?: string[] | null }} options `columns`: not to be read at that place
   */
  constructor(source, place, { delimiter, columns = null }) {
    this.#source = source;
    this.#place = place;
    this.#columns = columns;
    this.#parser = parse({
      bom: columns === null,
      delimiter,
      info: true,
      max_record_size: MAX_ROW,
      // A row that is too short or too long is that row's failure, and no reason to end.
      relax_column_count: true,
      skip_empty_lines: true,
    });
    this.#parser.on('error', (error) => (this.#error = error));
  }

  /** The names of the fields; `null` before the first row is read. */
  get columns() {
    return this.#columns;
  }

  /** @returns {Entry | undefined} */
  take() {
    for (;;) {
      /** @type {Row | null} */
      const row = this.#parser.read();
      if (row === null) return undefined;
      const entry = this.#entryOf(row);
      if (entry !== undefined) return entry;
    }
  }

  /** @returns {Promise<boolean>} */
  async more() {
    if (this.#hasEnded) return false;
    const piece = await this.#source.read();
    if (piece === null) {
      this.#hasEnded = true;
      this.#parser.end();
    } else {
      this.#parser.write(piece);
    }
    // Errors, and the last row, come in a later turn.
    await new Promise(setImmediate);
    if (this.#error !== null) throw new InputError(this.#explained(this.#error));
    return true;
  }

  /** @param {Row} row @returns {Entry | undefined} nothing for the row of names */
  #entryOf({ record, info }) {
    const end = this.#place.offset + info.bytes;
    const endLine = this.#place.line + info.lines;
    // Rows are on one line each, unless quoted fields go on over several.
    const isLong = info.lines - this.#lines > 1;
    this.#lines = info.lines;
    const line = isLong ? endLine - newlinesIn(record) : endLine;
    if (this.#columns === null) {
      this.#columns = record;
      return undefined;
    }
    const columns = this.#columns;
    if (record.length !== columns.length) {
      const bad = `fields in the row: ${record.length}, names in the first row: ${columns.length}`;
      return { item: null, raw: record, bad, line, end, endLine };
    }
    /** @type {Record<string, string>} */
    const item = {};
    for (let i = 0; i < columns.length; i++) item[columns[i]] = record[i];
    return { item, line, end, endLine };
  }

  /** @param {Error} error */
  #explained({ message }) {
    const { line } = this.#place;
    return line === 0 ? message : `${message} (lines are counted from line ${line + 1})`;
  }
}

/** @param {string[]} fields */
function newlinesIn(fields) {
  return fields.reduce((sum, field) => sum + (field.split('\n').length - 1), 0);
}

module.exports = { Rows };
