'use strict';

/**
 * The options of pools whose calls run on other machines. What is a host's own business is refused by name.
 *
 * Must not depend on what the options do.
 */

const path = require('node:path');
const { optionError } = require('../errors');
const { engineOption } = require('../remote/engine');
const { duration, isObject } = require('./option-checks');

/** The options that each host has for itself. */
const HOST_OPTIONS = [
  'processes',
  'parallelization',
  'parallelizationPerCPU',
  'env',
  'execPath',
  'execArgv',
  'resourceLimits',
  'stdio',
  'spin',
  'maxWorkerMemory',
  'idleTimeout',
  'shared',
];

const DEFAULT_HOST_TIMEOUT = 30_000;
const DEFAULT_LEASE = 2000;
const DEFAULT_PRODUCER_TIMEOUT = 30_000;
/** A lease is renewed several times while it lasts, over a network. */
const MIN_LEASE = 100;

/** @typedef {import('./option-checks').Option} Option */

/**
 * @typedef {object} RemoteOptions
 * @property {import('../remote/engine').Engine} engine
 * @property {string} root absolute
 * @property {number} hostTimeout milliseconds
 * @property {number} lease milliseconds
 * @property {number} producerTimeout milliseconds
 * @property {Uint8Array | null} secret
 */

/** @param {(key: string) => Option} option @returns {Readonly<RemoteOptions>} */
function remoteOptions(option) {
  return Object.freeze({
    engine: engineOption(option('engine')),
    root: rootPath(option('root')),
    hostTimeout: duration(option('hostTimeout'), DEFAULT_HOST_TIMEOUT),
    lease: leaseDuration(option('lease')),
    producerTimeout: duration(option('producerTimeout'), DEFAULT_PRODUCER_TIMEOUT),
    secret: secretBytes(option('secret')),
  });
}

/**
 * Refuses what each host has for itself.
 * @param {(key: string) => Option} option @param {readonly string[]} known the names of all options that there are
 */
function refuseHostOptions(option, known) {
  const given = HOST_OPTIONS.filter((name) => known.includes(name)).map(option);
  const found = given.find(({ value }) => value !== undefined);
  if (found === undefined) return;
  throw optionError(found.name, undefined, 'is for each host to say: give it to serve() there, not to what uses it');
}

/** @param {Option} option */
function leaseDuration(option) {
  const lease = duration(option, DEFAULT_LEASE);
  if (lease < MIN_LEASE) throw optionError(option.name, option.value, `at least ${MIN_LEASE} milliseconds`);
  return lease;
}

/** @param {Option} option */
function rootPath({ name, value }) {
  if (value === undefined) return process.cwd();
  if (typeof value !== 'string' || value === '' || value.includes('\0')) {
    throw optionError(name, value, 'the path of the folder that has your modules');
  }
  return path.resolve(value);
}

/** @param {Option} option @returns {Uint8Array | null} */
function secretBytes({ name, value }) {
  if (value === undefined) return null;
  const bytes = typeof value === 'string' ? Buffer.from(value)
    : isObject(value) && value instanceof Uint8Array ? Buffer.from(value) : null;
  // The value is not shown.
  if (bytes === null || bytes.length === 0) throw optionError(name, undefined, 'needs a text or bytes, at least one');
  return bytes;
}

module.exports = { leaseDuration, refuseHostOptions, remoteOptions, rootPath, secretBytes };
