'use strict';

/** What is in rows of CSV. */

const { parse } = require('csv-parse/sync');

/** A row that is too short or too long is that row's failure, and no reason to end. */
const OPTIONS = { relax_column_count: true, skip_empty_lines: true };

/**
 * The fields of a row. Throws if it is none.
 * @param {Buffer} row @param {string} delimiter
 * @returns {string[]}
 */
function fieldsOf(row, delimiter) {
  let rows;
  try {
    rows = parse(row, { ...OPTIONS, delimiter, record_delimiter: ['\r\n', '\n'] });
  } catch (cause) {
    // Lines are counted from this row.
    const { message } = /** @type {Error} */ (cause);
    throw new Error(`the row is not CSV: ${message.replace(/ at line \d+/, '')}`, { cause });
  }
  if (rows.length !== 1) throw new Error(`the row is not CSV: it would be ${rows.length} rows`);
  return rows[0];
}

/**
 * The fields of consecutive rows, which takes far less time than one after another; null unless it is as many rows.
 * @param {Buffer} bytes @param {string} delimiter @param {number} newline @param {number} count
 * @returns {string[][] | null}
 */
function rowsOf(bytes, delimiter, newline, count) {
  const newlines = newline === 10 ? ['\r\n', '\n'] : '\r';
  try {
    const rows = parse(bytes, { ...OPTIONS, delimiter, record_delimiter: newlines });
    return rows.length === count ? rows : null;
  } catch {
    return null;
  }
}

/**
 * @param {string[]} fields @param {string[]} columns
 * @returns {Record<string, string>} throws if there are not as many
 */
function recordOf(fields, columns) {
  if (fields.length !== columns.length) {
    throw new Error(`fields in the row: ${fields.length}, names in the first row: ${columns.length}`);
  }
  // Not by assignment: a field may be called `__proto__`.
  return Object.fromEntries(columns.map((column, i) => [column, fields[i]]));
}

module.exports = { fieldsOf, recordOf, rowsOf };
