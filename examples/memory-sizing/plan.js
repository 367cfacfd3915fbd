'use strict';

/** What is done in one invocation, how often it is measured, and how its result is checked. */

const assert = require('node:assert/strict');
const { derive } = require('./work.js');
const { TWO, WAYS } = require('./ways.js');
const { defaultWorkers } = require('./sizes.js');

/**
 * @typedef {object} Settings
 * @property {number} keys to derive
 * @property {number} iterations for each
 * @property {number} writes to DynamoDB
 * @property {number} latency of DynamoDB in milliseconds
 */

/** @type {Settings} */
const FULL = { keys: 4, iterations: 1_000_000, writes: 100, latency: 5 };
/** A fiftieth of the computing: enough to see that all of it works, not to tell ways apart. */
const QUICK = { keys: 4, iterations: 20_000, writes: 20, latency: 5 };

/**
 * To derive keys takes long at a small size, and its quota evens out what else the machine does. Writing is over soon,
 * and depends on more.
 *
 * @param {{ work: string, size: number, rounds: number }} what
 */
function roundsFor({ work, size, rounds }) {
  if (work === 'write') return 2 * rounds;
  return size < 512 ? 1 : rounds;
}

/** @param {number} length @param {string} name */
const names = (length, name) => Array.from({ length }, (_, index) => `${name}-${index}`);

/** @type {Map<string, Promise<string[]>>} by what makes them differ */
const derived = new Map();

/** The keys as this process derives them. @param {Settings} settings */
function expectedKeys({ keys, iterations }) {
  const id = `${keys} ${iterations}`;
  if (!derived.has(id)) {
    derived.set(id, Promise.all(names(keys, 'password').map((password) => derive(password, iterations))));
  }
  return /** @type {Promise<string[]>} */ (derived.get(id));
}

const WORKS = {
  derive: {
    /** @param {Settings} settings */
    title: ({ keys, iterations }) => `${keys} × PBKDF2 with ${iterations.toLocaleString('en')} iterations`,
    /** @param {Settings} settings */
    plan(settings) {
      const items = names(settings.keys, 'password');
      return {
        items,
        params: { iterations: settings.iterations },
        warmUp: { items, params: { iterations: 1000 } },
        /** @param {string[]} results */
        async check(results) {
          assert.deepEqual(results, await expectedKeys(settings), 'the keys are not those that were asked for');
        },
      };
    },
  },
  write: {
    /** @param {Settings} settings */
    title: ({ writes, latency }) => `${writes} single writes to DynamoDB, each answered after ${latency} ms`,
    /**
     * @param {Settings} settings
     * @param {{ database: { table: string, count: (invocation: string) => Promise<number> }, invocation: string }} context
     */
    plan({ writes }, { database, invocation }) {
      const items = names(writes, 'item');
      const { table } = database;
      return {
        items,
        params: { table, invocation },
        // As much as what is measured: a client is slow until its code is compiled and its connections are made.
        warmUp: { items, params: { table, invocation: `${invocation}-warm-up` } },
        /** @param {string[]} results */
        async check(results) {
          assert.deepEqual(results, items);
          assert.equal(await database.count(invocation), writes, 'the table does not hold what was written');
        },
      };
    },
  },
};

/**
 * Every measurement to be taken, those that are compared with each other in turn.
 *
 * @param {readonly number[]} sizes
 * @param {number} rounds
 */
function schedule(sizes, rounds) {
  const list = [];
  for (const size of sizes) {
    for (const work of Object.keys(WORKS)) {
      // Where two workers are the default there is no need to ask for them.
      const ways = WAYS.filter((way) => way !== TWO || defaultWorkers(size) !== 2);
      for (let round = 0; round < roundsFor({ work, size, rounds }); round += 1) {
        for (let turn = 0; turn < ways.length; turn += 1) list.push({ size, work, way: ways[(turn + round) % ways.length], round });
      }
    }
  }
  return list;
}

module.exports = { FULL, QUICK, WORKS, schedule };
