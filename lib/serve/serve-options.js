'use strict';

/**
 * What `serve()` is given, checked and completed.
 *
 * Must not depend on what the options do.
 */

const fs = require('node:fs');
const os = require('node:os');
const { optionError } = require('../errors');
const { usableCpus } = require('../host/cpus');
const { boolean, integer, reader } = require('../options/option-checks');
const { MAX_WORKERS, PARALLELIZER_REMOTE, workerNumber, workerOptions } = require('../options/options');
const { leaseDuration, rootPath, secretBytes } = require('../options/remote-options');
const { engineOption } = require('../remote/engine');

/** The options of workers that are a host's own. */
const WORKER_OPTIONS = [
  'type', 'env', 'execPath', 'execArgv', 'resourceLimits', 'stdio', 'spin', 'maxWorkerMemory', 'idleTimeout', 'debug',
];
const OWN_OPTIONS = ['engine', 'root', 'processes', 'allowFunctions', 'secret', 'lease', 'name', 'maxPools'];
const SERVE_OPTIONS = OWN_OPTIONS.concat(WORKER_OPTIONS);

/** How many pools a host keeps: each is as many processes as the host has. */
const DEFAULT_MAX_POOLS = 4;

/** @typedef {import('../options/options').WorkerOptions} WorkerOptions */

/**
 * What a host is, whatever brings it its chunks.
 * @typedef {object} HostOptions
 * @property {string} name what errors call it
 * @property {string} root absolute
 * @property {number} slots
 * @property {boolean} allowFunctions
 * @property {Uint8Array | null} secret
 * @property {number} lease milliseconds
 * @property {number} maxPools
 * @property {WorkerOptions} workers
 */

/**
 * @param {unknown} input @param {string} where @param {readonly string[]} [known]
 * @returns {Readonly<HostOptions>}
 */
function hostOptions(input, where, known = SERVE_OPTIONS) {
  const read = reader(input, where, known);
  // What is no host's business is not given here.
  const option = (/** @type {string} */ name) => (known.includes(name) ? read(name) : { name, value: undefined });
  const processes = option('processes');
  const slots = processes.value === undefined ? Math.min(usableCpus(), MAX_WORKERS) : workerNumber(processes);
  const type = option('type');
  if (type.value === PARALLELIZER_REMOTE) throw optionError('type', type.value, 'cannot be remote: a host runs calls');
  return Object.freeze({
    name: hostName(option('name')),
    root: hostRoot(option('root')),
    slots: Math.max(1, slots),
    allowFunctions: boolean(option('allowFunctions'), false),
    secret: secretBytes(option('secret')),
    lease: leaseDuration(option('lease')),
    maxPools: integer(option('maxPools'), 1, DEFAULT_MAX_POOLS),
    workers: workerOptions((name) => (name === 'type' ? type : WORKER_OPTIONS.includes(name) ? option(name)
      : { name, value: undefined }), slots, known),
  });
}

/**
 * Where modules are looked for. It is there now: otherwise each call would fail by itself.
 * @param {import('../options/option-checks').Option} option
 */
function hostRoot({ name, value }) {
  const root = rootPath({ name, value });
  if (!fs.statSync(root, { throwIfNoEntry: false })?.isDirectory()) {
    throw optionError(name, root, 'the path of a folder that is there, with the modules that this host runs');
  }
  return root;
}

/** @param {import('../options/option-checks').Option} option */
function hostName({ name, value }) {
  if (value === undefined) return os.hostname();
  if (typeof value !== 'string' || value === '') throw optionError(name, value, 'a text, which names this host');
  return value;
}

/**
 * @param {unknown} input
 * @returns {{ engine: import('../remote/engine').Engine, host: Readonly<HostOptions> }}
 */
function serveOptions(input) {
  const engine = engineOption(reader(input, 'options', SERVE_OPTIONS)('engine'));
  if (typeof engine.listen !== 'function') {
    throw optionError('engine', undefined, `cannot be served: ${engine.name} starts its hosts itself`);
  }
  return { engine, host: hostOptions(input, 'options') };
}

module.exports = { WORKER_OPTIONS, hostOptions, serveOptions };
