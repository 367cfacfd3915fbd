'use strict';

/** The ways to do a list of items, for either kind of work. Each gives the results in the order of the items. */

const { Parallelizer } = require('@parallelizer/node');
const { derive, deriveSync, write } = require('./work.js');

const ONE = 'one thread';
const ALL = 'Promise.all';
const ADDON = '@parallelizer/node';
const TWO = '@parallelizer/node, 2 workers';
const WAYS = [ONE, ALL, ADDON, TWO];

/**
 * @typedef {object} Work
 * @property {string} functionName for a sub-batch, in work.js
 * @property {(item: string, params: any) => unknown} one an item in this thread
 * @property {(item: string, params: any) => Promise<string>} asynchronous
 */

/** @type {Record<string, Work>} */
const WORKS = {
  derive: {
    functionName: 'deriveBatch',
    one: (item, { iterations }) => deriveSync(item, iterations),
    asynchronous: (item, { iterations }) => derive(item, iterations),
  },
  write: { functionName: 'writeBatch', one: write, asynchronous: write },
};

/**
 * @param {string} work
 * @param {string} way
 * @returns {(items: string[], params: object) => Promise<unknown[]>}
 */
function makeWay(work, way) {
  const { functionName, one, asynchronous } = WORKS[work];
  if (way === ONE) {
    return async (items, params) => {
      const results = [];
      for (const item of items) results.push(await one(item, params));
      return results;
    };
  }
  if (way === ALL) return (items, params) => Promise.all(items.map((item) => asynchronous(item, params)));

  const parallelizer = new Parallelizer({
    filePath: require.resolve('./work.js'),
    processBatchFunctionName: functionName,
    // Without a number it goes by the function's memory.
    parallelization: way === TWO ? 2 : false,
  });
  return async (items, params) => {
    const { responses, failures } = await parallelizer.run(items, params);
    if (failures.length > 0) throw new Error(failures.join('; '));
    return responses.flat();
  };
}

module.exports = { makeWay, WAYS, ONE, ALL, ADDON, TWO };
