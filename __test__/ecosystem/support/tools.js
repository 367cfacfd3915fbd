'use strict';
// The tools that the ecosystem tests run, each set of them in a folder of its own under `.tools/ecosystem`, which git
// ignores. A set is installed from the npm registry when a test file first asks for it, at the versions below, and kept.
// Where that is impossible, `missing` says why, and the tests that need the set are skipped with that reason.

const fs = require('node:fs');
const path = require('node:path');

const { node } = require('../../support/nodes');
const { TOOLS, once, run } = require('../../../scripts/toolchains');

const PLACE = path.join(TOOLS, 'ecosystem');
/** Major versions of Node that there are tests for; see ../../support/nodes.js. */
const NODES = /** @type {const} */ ([20, 22, 24, 26]);

const platform = `${process.platform}-${process.arch}`;

/** Packages by set. Names with a platform in them exist for some platforms only. */
const SETS = {
  jest: { jest: '30.5.2' },
  // Version 5 does not run on Node 20.
  vitest: { vitest: '4.1.12', '@vitest/coverage-istanbul': '4.1.12', '@vitest/coverage-v8': '4.1.12' },
  sinon: { sinon: '22.1.0' },
  coverage: { c8: '12.0.0', nyc: '18.0.0' },
  loaders: { tsx: '4.23.15', 'ts-node': '10.9.2', typescript: '5.9.3', '@types/node': '20.19.43' },
  loggers: {
    pino: '10.4.0',
    winston: '3.19.0',
    bunyan: '2.0.5',
    'aws-embedded-metrics': '4.2.1',
    '@aws-lambda-powertools/logger': '2.36.0',
    '@aws-lambda-powertools/metrics': '2.36.0',
    '@aws-lambda-powertools/tracer': '2.36.0',
  },
  events: {
    '@aws-lambda-powertools/batch': '2.35.0',
    '@aws-lambda-powertools/idempotency': '2.35.0',
    '@aws-lambda-powertools/kafka': '2.35.0',
    '@aws-lambda-powertools/parser': '2.35.0',
    '@aws-lambda-powertools/tracer': '2.36.0',
    'aws-kinesis-agg': '4.2.8',
    '@aws-sdk/util-dynamodb': '3.996.9',
    '@middy/core': '6.4.5',
    '@middy/event-normalizer': '6.4.5',
    zod: '4.6.7',
  },
  yarn: { '@yarnpkg/cli-dist': '4.18.1' },
  postject: { postject: '1.0.0-alpha.6' },
  bun: { [`@oven/bun-${platform}`]: '1.4.5' },
  deno: { [`@deno/${platform}-glibc`]: '2.9.6' },
};

/** @typedef {keyof typeof SETS} SetName */
/** @typedef {typeof NODES[number]} NodeVersion */

/** @type {Map<string, { missing: string | null, folder: string }>} */
const asked = new Map();

/**
 * A set of tools: where it is installed, or why it is not.
 * @param {SetName} name
 */
function tools(name) {
  const known = asked.get(name);
  if (known !== undefined) return known;
  const folder = path.join(PLACE, name);
  /** @type {string | null} */
  let missing = null;
  try {
    once(folder, JSON.stringify(SETS[name]), install);
  } catch (error) {
    missing = `no ${name} here: ${String(error.message).split('\n', 1)[0]}`;
  }
  const answer = { missing, folder };
  asked.set(name, answer);
  return answer;

  /** @param {string} into */
  function install(into) {
    fs.writeFileSync(path.join(into, 'package.json'), JSON.stringify({ private: true, dependencies: SETS[name] }));
    run('npm', ['install', '--no-audit', '--no-fund', '--ignore-scripts', '--fetch-retries=1'], { cwd: into });
  }
}

/** A file of a set. @param {SetName} name @param {string[]} parts below `node_modules` */
function inSet(name, ...parts) {
  return path.join(tools(name).folder, 'node_modules', ...parts);
}

/** The first reason why one of these cannot be had, or null. @param {(SetName | NodeVersion)[]} needs */
function whyMissing(needs) {
  for (const need of needs) {
    const missing = typeof need === 'number' ? node(need).reason : tools(need).missing;
    if (missing !== null) return missing;
  }
  return null;
}

module.exports = { NODES, PLACE, SETS, inSet, node, tools, whyMissing };
