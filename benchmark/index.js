'use strict';

/**
 * Runs the benchmarks, all or those named, each in its own process, so that none inherits the heap or the optimized
 * code of another.
 *
 *   npm run bench
 *   npm run bench -- calls cold
 *   npm run bench -- batch --rounds 5
 *   npm run bench -- --quick
 *   npm run bench -- remote --part rate
 *   npm run bench -- headline --publish
 *   npm run bench -- --publish
 */

const { spawnSync } = require('node:child_process');
const { readdirSync } = require('node:fs');
const path = require('node:path');
const { parseArgs } = require('node:util');
const { publishFigures } = require('./support/figures.js');

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: 'string' },
    quick: { type: 'boolean', default: false },
    // One part of a suite that has parts.
    part: { type: 'string' },
    // The picture of the README, which `headline` makes; without names, the tables and charts of all suites.
    publish: { type: 'boolean', default: false },
  },
});

const known = readdirSync(__dirname)
  .filter((file) => file.endsWith('.js') && file !== path.basename(__filename))
  .map((file) => path.basename(file, '.js'))
  .toSorted();

const unknown = positionals.filter((name) => !known.includes(name));
if (unknown.length > 0) {
  console.error(`No such benchmark: ${unknown.join(', ')}. There are: ${known.join(', ')}.`);
  process.exit(2);
}

const options = [
  ...(values.rounds === undefined ? [] : ['--rounds', values.rounds]),
  ...(values.quick ? ['--quick'] : []),
  ...(values.part === undefined ? [] : ['--part', values.part]),
  ...(values.publish ? ['--publish'] : []),
];
const begin = Date.now();
for (const name of positionals.length > 0 ? positionals : known) {
  const script = path.join(__dirname, `${name}.js`);
  const { status } = spawnSync(process.execPath, ['--expose-gc', script, ...options], { stdio: 'inherit' });
  if (status !== 0) process.exitCode = 1;
}

if (values.publish && positionals.length === 0) {
  publishFigures(known, begin, ['npm run bench --', ...options].join(' '));
}
