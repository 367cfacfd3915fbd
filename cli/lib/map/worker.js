'use strict';

/**
 * What runs in the workers of `map`: the user's function, between a record as it stands in the input and a result as it
 * goes into the output. Parsing and formatting are done here, on every core, so that the process that reads and writes
 * has nothing to do but that.
 *
 * `start` is the initializer of the pool, `one` and `tagged` are its tasks.
 */

const { describeError, failure } = require('./failure');
const { loadFunction } = require('./load-function');

/**
 * @typedef {object} Work
 * @property {string} filePath @property {string} name the user's function
 * @property {boolean} isJson whether records arrive as text that is JSON
 * @property {boolean} isText whether results that are strings go out as they are
 */

/** A record as it travels: its text, or the fields of a row. @typedef {string | Record<string, unknown>} Item */
/** The text of a result, or why there is none. @typedef {string | import('./failure').Failure} Outcome */

/** @type {Function} */
let work = () => {};
let isJson = true;
let isText = false;

/** @param {Work} options */
async function start(options) {
  ({ isJson, isText } = options);
  work = await loadFunction(options.filePath, options.name);
}

/** @param {unknown} value @returns {string} */
function textOf(value) {
  if (isText) {
    if (typeof value === 'string') return value;
    if (value === undefined || value === null) return '';
  }
  // Neither `undefined` nor a function is anything in JSON, and yet each record has its line.
  return JSON.stringify(value) ?? 'null';
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

/**
 * @this {unknown} the context of the call, which is the user's
 * @param {Item | null} item
 * @returns {Outcome | Promise<Outcome>} what the user's function throws is a result as well: it is a record's own
 *   failure, and the rest goes on
 */
function one(item) {
  // A row that is none: the parent knows why.
  if (item === null) return '';
  let record;
  try {
    record = isJson && typeof item === 'string' ? JSON.parse(item) : item;
  } catch (error) {
    return failure(describeError(error, 'the record is not JSON: '));
  }
  let result;
  try {
    result = work.call(this, record);
    // Whatever has a `then`: the promises of some libraries are none of the language's.
    if (typeof result?.then === 'function') return Promise.resolve(result).then(formatted, failed);
  } catch (error) {
    return failed(error);
  }
  return formatted(result);
}

/**
 * For results that come in any order.
 * @this {unknown} @param {[number: number, item: Item | null]} numbered
 */
function tagged(numbered) {
  const [number, item] = numbered;
  const outcome = one.call(this, item);
  return outcome instanceof Promise ? outcome.then((each) => [number, each]) : [number, outcome];
}

module.exports = { one, start, tagged };
