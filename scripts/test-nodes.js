'use strict';

/**
 * The Node tests on the versions of Node that are not the one at hand, one after the other; npm has their binaries.
 *
 * `npm run test:nodes -- 26` runs one of them, and `-- 26 close lambda` those of its files whose names begin so. The
 * last line says on how many versions all has passed. A version that cannot be had counts as failed, with the reason.
 */

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');

const { node } = require('../__test__/support/nodes');

const root = path.join(__dirname, '..');
const VERSIONS = [22, 24, 26];

const wanted = process.argv.slice(2);
const versions = wanted.filter((word) => /^\d+$/.test(word)).map(Number);
const prefixes = wanted.filter((word) => !/^\d+$/.test(word));
const files = fs
  .readdirSync(path.join(root, '__test__'))
  .filter((name) => /\.test\.m?js$/.test(name))
  .filter((name) => prefixes.length === 0 || prefixes.some((prefix) => name.startsWith(prefix)))
  .map((name) => path.join('__test__', name));

/** @type {number[]} */
const failed = [];
const asked = versions.length > 0 ? versions : VERSIONS;
for (const version of asked) {
  const { binary, reason } = node(version);
  if (binary === null) {
    console.log(`\n== Node ${version}: ${reason}`);
    failed.push(version);
    continue;
  }
  console.log(`\n== Node ${String(spawnSync(binary, ['--version']).stdout).trim()}: ${files.length} files`);
  const args = ['--test', '--test-concurrency=3', '--test-reporter=spec', ...files];
  const { status, error } = spawnSync(binary, args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] });
  if (error) console.error(error.message);
  if (status !== 0) failed.push(version);
}
if (failed.length > 0) console.log(`\nfailed: ${failed.map((version) => `Node ${version}`).join(', ')}`);
console.log(`\nnodes: ${asked.length - failed.length} passed, ${failed.length} failed`);
process.exitCode = failed.length > 0 || files.length === 0 ? 1 : 0;
