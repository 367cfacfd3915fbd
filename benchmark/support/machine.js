'use strict';

/** The machine that a figure was measured on, without which the figure means nothing. */

const { readFileSync } = require('node:fs');
const os = require('node:os');
const path = require('node:path');

const ROOT = path.join(__dirname, '..', '..');

const PEERS = [
  'piscina', 'tinypool', 'workerpool', 'poolifier', 'jest-worker', '@aws-lambda-powertools/batch', 'bullmq', 'ioredis',
];

function machine() {
  const cpus = os.cpus();
  return {
    node: process.version,
    // What follows the version of the kernel is a distributor's own.
    platform: `${os.platform()} ${/^\d+\.\d+/.exec(os.release())?.[0] ?? os.release()} ${os.arch()}`,
    cpus: cpus.length,
    availableParallelism: os.availableParallelism(),
    model: cpus[0]?.model.trim() ?? 'unknown',
    memory: os.totalmem(),
    // What else was running.
    load: os.loadavg(),
    versions: versions(),
  };
}

/** @param {string} folder */
const versionIn = (folder) => JSON.parse(readFileSync(path.join(ROOT, folder, 'package.json'), 'utf8')).version;

/** @returns {Record<string, string>} of this package and its peers */
function versions() {
  return Object.fromEntries([
    ['@parallelizer/node', versionIn('.')],
    ...PEERS.map((name) => [name, versionIn(path.join('node_modules', name))]),
  ]);
}

/** @param {ReturnType<typeof machine>} found */
function describeMachine({ node, platform, cpus, availableParallelism, model, memory }) {
  return `Node ${node}, ${platform}, ${cpus} CPUs (${availableParallelism} usable, ${model}), `
    + `${Math.round(memory / 2 ** 30)} GiB`;
}

/** @param {ReturnType<typeof machine>} found */
const describeVersions = (found) =>
  Object.entries(found.versions)
    .map(([name, version]) => `${name} ${version}`)
    .join(', ');

/** @param {ReturnType<typeof machine>} found @param {string[]} names of peers */
const versionsOf = ({ versions: all }, names) => ['@parallelizer/node', ...names].map((name) => `${name} ${all[name]}`).join(', ');

module.exports = { machine, describeMachine, describeVersions, versionsOf };
