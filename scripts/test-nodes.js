'use strict';

/**
 * The Node tests on Nodes that are not the one at hand, one after the other: other versions, whose binaries npm has, and
 * one that is linked with musl, as Alpine's is (on linux-x64). On request (`-- arm64`) a part of them runs on Node 20 for
 * arm64, which qemu emulates.
 *
 * `npm run test:nodes -- 26` runs one of them, and `-- musl close lambda` those of its files whose names begin so. The
 * last line says on how many all has passed. One that cannot be had counts as failed, with the reason.
 */

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');

const { nodeArm64, nodeMusl } = require('../__test__/release/systems');
const { node } = require('../__test__/support/nodes');

const root = path.join(__dirname, '..');
/** Those that others than the one at hand need an addon of their own for. */
const TARGETS = /** @type {Record<string, { target: string, addon: string, node: () => string }>} */ ({
  musl: { target: 'x86_64-unknown-linux-musl', addon: 'parallelizer.linux-x64-musl.node', node: nodeMusl },
  arm64: { target: 'aarch64-unknown-linux-gnu', addon: 'parallelizer.linux-arm64-gnu.node', node: nodeArm64 },
});
/**
 * What is run for arm64 where no files are named: some six minutes on two cores, as each instruction is emulated. What
 * depends on the processor is the addon: values, deaths and their retries, the order of keys, and shared memory.
 */
const ON_ARM64 = ['errors', 'group-by', 'retries', 'segments'];
/** How much longer than elsewhere a test may wait there: to start a process alone takes some 5 s. */
const PATIENCE_ON_ARM64 = '10';
const isLinux64 = process.platform === 'linux' && process.arch === 'x64';
const ALL = isLinux64 ? ['22', '24', '26', 'musl'] : ['22', '24', '26'];

const isNode = (/** @type {string} */ word) => /^\d+$/.test(word) || Object.hasOwn(TARGETS, word);
const wanted = process.argv.slice(2);
const prefixes = wanted.filter((word) => !isNode(word));
const all = fs.readdirSync(path.join(root, '__test__')).filter((name) => /\.test\.m?js$/.test(name));

/** @param {string} node */
function filesFor(node) {
  const part = node === 'arm64' ? ON_ARM64.map((name) => `${name}.test.`) : [];
  const begin = prefixes.length > 0 ? prefixes : part;
  return all.filter((name) => begin.length === 0 || begin.some((prefix) => name.startsWith(prefix)))
    .map((name) => path.join('__test__', name));
}

/**
 * Node for another C library or processor, and an addon for it beside the other one: each Node takes the one that it can
 * load.
 * @param {string} name
 * @returns {{ binary: string | null, reason: string | null }}
 */
function other(name) {
  if (!isLinux64) return { binary: null, reason: 'it can be had on linux-x64 only' };
  const { target, addon, node } = TARGETS[name];
  const build = [path.join('scripts', 'build-release.js'), target];
  const { status } = spawnSync(process.execPath, build, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] });
  if (status !== 0) return { binary: null, reason: `\`node ${build.join(' ')}\` failed` };
  fs.copyFileSync(path.join(root, 'dist', 'addons', addon), path.join(root, addon));
  try {
    return { binary: node(), reason: null };
  } catch (error) {
    return { binary: null, reason: /** @type {Error} */ (error).message };
  }
}

/** @type {string[]} */
const failed = [];
let tried = 0;
const named = wanted.filter(isNode);
const asked = named.length > 0 ? named : ALL;
for (const name of asked) {
  const { binary, reason } = Object.hasOwn(TARGETS, name) ? other(name) : node(Number(name));
  if (binary === null) {
    console.log(`\n== Node ${name}: ${reason}`);
    failed.push(name);
    continue;
  }
  const files = filesFor(name);
  tried += files.length;
  console.log(`\n== Node ${name}, ${String(spawnSync(binary, ['--version']).stdout).trim()}: ${files.length} files`);
  const isEmulated = name === 'arm64';
  const env = isEmulated ? { ...process.env, PARALLELIZER_TEST_PATIENCE: PATIENCE_ON_ARM64 } : process.env;
  // One file by itself has both cores, and its deadlines need not count with others.
  const runs = isEmulated ? files.map((file) => [file]) : [files];
  const ended = runs.map((some) => {
    const args = ['--test', '--test-concurrency=3', '--test-reporter=spec', ...some];
    const { status, error } = spawnSync(binary, args, { cwd: root, env, stdio: ['ignore', 'inherit', 'inherit'] });
    if (error) console.error(error.message);
    return status;
  });
  if (ended.some((status) => status !== 0)) failed.push(name);
}
if (failed.length > 0) console.log(`\nfailed: ${failed.map((name) => `Node ${name}`).join(', ')}`);
console.log(`\nnodes: ${asked.length - failed.length} passed, ${failed.length} failed`);
process.exitCode = failed.length > 0 || tried === 0 ? 1 : 0;
