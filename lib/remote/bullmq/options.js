'use strict';

/**
 * What `bullmq()` is given, checked and completed.
 *
 * Must not depend on what the options do.
 */

const { optionError } = require('../../errors');

const OPTIONS = ['queue', 'connection', 'cluster', 'prefix'];
const DEFAULT_PREFIX = 'bull';
/** What a Redis Cluster finds the node of a key by, if a key has it: the first such part that is not empty. */
const HASH_TAG = /^[^{]*\{[^}]+\}/;

/**
 * @typedef {object} Settings
 * @property {string} queue
 * @property {string} prefix
 * @property {Readonly<Record<string, any>>} connection of ioredis
 * @property {readonly any[] | null} cluster its nodes; null: it is none
 */

/**
 * @param {unknown} input
 * @returns {Readonly<Settings>}
 */
function settingsOf(input) {
  if (typeof input !== 'object' || input === null || Array.isArray(input)) {
    throw optionError('bullmq()', input, 'an object { queue, connection }');
  }
  const unknown = Object.keys(input).find((key) => !OPTIONS.includes(key));
  if (unknown !== undefined) throw optionError(unknown, undefined, `is not known: the names are ${OPTIONS.join(', ')}`);
  const { queue, connection = {}, cluster, prefix = DEFAULT_PREFIX } = /** @type {Record<string, unknown>} */ (input);
  if (typeof queue !== 'string' || queue === '' || queue.includes(':')) {
    throw optionError('queue', queue, 'the name of a queue, without colons');
  }
  if (typeof prefix !== 'string' || prefix === '') throw optionError('prefix', prefix, 'what the keys begin with');
  if (cluster !== undefined && (!Array.isArray(cluster) || cluster.length === 0)) {
    throw optionError('cluster', undefined, 'needs the nodes of a cluster, one at least');
  }
  if (cluster !== undefined && !HASH_TAG.test(prefix)) {
    const why = 'since all keys of a queue have to be on one node of the cluster';
    throw optionError('prefix', prefix, `a text with a hash tag, such as '{orders}', ${why}`);
  }
  return Object.freeze({ queue, prefix, connection: connectionOf(connection), cluster: cluster ?? null });
}

/**
 * Options, since several connections are made with them, one by a thread. Nothing of them is shown.
 * @param {unknown} connection
 */
function connectionOf(connection) {
  if (typeof connection !== 'object' || connection === null || Array.isArray(connection)) {
    throw optionError('connection', undefined, 'needs the options of an ioredis connection: { host, port, … }');
  }
  if (typeof Reflect.get(connection, 'duplicate') === 'function') {
    throw optionError('connection', undefined, 'needs options and not a client: each host and pool makes its own');
  }
  try {
    return Object.freeze(structuredClone(connection));
  } catch (cause) {
    throw optionError('connection', undefined, 'needs plain options, which a thread can be given too', { cause });
  }
}

module.exports = { settingsOf };
