'use strict';

/**
 * The Node tests on Nodes that are not the one at hand, one after the other: other versions, whose binaries npm has, and
 * one that is linked with musl, as Alpine's is (on linux-x64).
 *
 * `npm run test:nodes -- 26` runs one of them, and `-- musl close lambda` those of its files whose names begin so. The
 * last line says on how many all has passed. One that cannot be had counts as failed, with the reason.
 */

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');

const { nodeMusl } = require('../__test__/release/systems');
const { node } = require('../__test__/support/nodes');

const root = path.join(__dirname, '..');
const MUSL_TARGET = 'x86_64-unknown-linux-musl';
const MUSL_ADDON = 'parallelizer.linux-x64-musl.node';
const hasMusl = process.platform === 'linux' && process.arch === 'x64';
const ALL = hasMusl ? ['22', '24', '26', 'musl'] : ['22', '24', '26'];

const isNode = (/** @type {string} */ word) => /^(?:\d+|musl)$/.test(word);
const wanted = process.argv.slice(2);
const prefixes = wanted.filter((word) => !isNode(word));
const files = fs
  .readdirSync(path.join(root, '__test__'))
  .filter((name) => /\.test\.m?js$/.test(name))
  .filter((name) => prefixes.length === 0 || prefixes.some((prefix) => name.startsWith(prefix)))
  .map((name) => path.join('__test__', name));

/**
 * Node with musl, and an addon for it beside the other one: each Node takes the one that it can load.
 * @returns {{ binary: string | null, reason: string | null }}
 */
function musl() {
  if (!hasMusl) return { binary: null, reason: 'it can be had on linux-x64 only' };
  const build = [path.join('scripts', 'build-release.js'), MUSL_TARGET];
  const { status } = spawnSync(process.execPath, build, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] });
  if (status !== 0) return { binary: null, reason: `\`node ${build.join(' ')}\` failed` };
  fs.copyFileSync(path.join(root, 'dist', 'addons', MUSL_ADDON), path.join(root, MUSL_ADDON));
  try {
    return { binary: nodeMusl(), reason: null };
  } catch (error) {
    return { binary: null, reason: /** @type {Error} */ (error).message };
  }
}

/** @type {string[]} */
const failed = [];
const named = wanted.filter(isNode);
const asked = named.length > 0 ? named : ALL;
for (const name of asked) {
  const { binary, reason } = name === 'musl' ? musl() : node(Number(name));
  if (binary === null) {
    console.log(`\n== Node ${name}: ${reason}`);
    failed.push(name);
    continue;
  }
  console.log(`\n== Node ${name}, ${String(spawnSync(binary, ['--version']).stdout).trim()}: ${files.length} files`);
  const args = ['--test', '--test-concurrency=3', '--test-reporter=spec', ...files];
  const { status, error } = spawnSync(binary, args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] });
  if (error) console.error(error.message);
  if (status !== 0) failed.push(name);
}
if (failed.length > 0) console.log(`\nfailed: ${failed.map((name) => `Node ${name}`).join(', ')}`);
console.log(`\nnodes: ${asked.length - failed.length} passed, ${failed.length} failed`);
process.exitCode = failed.length > 0 || files.length === 0 ? 1 : 0;
