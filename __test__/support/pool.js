'use strict';
// What the tests of Pool share. The tasks are in fixtures/pool-tasks.js.

const fs = require('node:fs');

const { Pool } = require('@parallelizer/node');
const { appeared, fixture, pidIn, temporary } = require('./helpers');

/** A pool that ends with the test, by default with 2 workers. */
function makePool(t, mode, options) {
  const pool = new Pool({ type: mode.type, processes: 2, ...options });
  t.after(() => pool.terminate());
  return pool;
}

/** A task of fixtures/pool-tasks.js. */
const task = (name) => ({ filePath: fixture('pool-tasks.js'), name });

const range = (count) => Array.from({ length: count }, (_, i) => i);

async function list(iterable) {
  const all = [];
  for await (const value of iterable) all.push(value);
  return all;
}

/** Settled results in brief: the value, or [code or message, ...records] of the reason. */
const brief = (outcomes) =>
  outcomes.map(({ status, value, reason }) =>
    status === 'fulfilled' ? value : [reason.code ?? reason.message, ...(reason.records ?? [])]);

/** The gate of fixtures/pool-tasks.js; `dir`: for another gate in the same directory. */
function gateIn(t, dir = temporary(t), name = 'gate') {
  const file = `${dir}/${name}`;
  return {
    dir,
    file,
    started: () => appeared(`${file}.started`),
    pid: () => pidIn(`${file}.started`),
    open: () => fs.writeFileSync(`${file}.go`, ''),
  };
}

module.exports = { brief, gateIn, list, makePool, range, task };
