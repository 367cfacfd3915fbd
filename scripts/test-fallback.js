'use strict';

/**
 * Runs the Node tests without the addon: `npm run test:fallback [-- FILE…]`, FILE being the name of a test file, such as
 * `close`. Without names it runs all but those that are about the addon itself, which it lists with its reasons.
 *
 * `parallelizer.wasm` is built first where it is missing or older than its sources. Where it cannot be built, nothing
 * runs, and the reason is printed: everything else of a clone works without it.
 */

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');

const { ensureWasm } = require('./wasm');

const root = path.join(__dirname, '..');

/** Test files that are not about what the fallback does. */
const LEFT_OUT = {
  bundles: 'bundles of the published package, with an addon beside them',
  'changed-user': 'who may signal whom, on descriptors of the addon',
  debugger: 'that a silent worker waits for a debugger is noticed by the addon',
  'first-steps': 'a fresh clone, which builds the addon',
  leaks: 'memory of the addon',
  'no-addons': 'Node with --no-addons, where there is an addon',
  'not-plain-node': 'programs that are no Node: tried with the addon',
  'other-runtimes': 'Bun and Deno, which are refused',
  'package-lint': 'the published package as such',
  packages: 'the published package, with an addon beside it',
  'parent-death-at-boot': 'the end of a parent before the first line of a worker, of which only the kernel can tell it',
  'platform-packages': 'packages with addons',
  remote: 'calls on other machines, which the addon packs',
  ring: 'rings in memory that processes share',
  scarcity: 'descriptors of the addon',
  segments: 'values in memory that processes share',
  'shared-workers': 'workers that instances of one process share',
};

/** @param {string} file */
const nameOf = (file) => path.basename(file).replace(/\.test\.m?js$/, '');

function main() {
  if (!ensureWasm()) {
    console.log('SKIPPED: parallelizer.wasm is not there and cannot be built here, for the reason above');
    return;
  }
  const wanted = process.argv.slice(2);
  const files = fs.readdirSync(path.join(root, '__test__')).filter((file) => /\.test\.m?js$/.test(file));
  const chosen = files.filter((file) =>
    wanted.length > 0 ? wanted.includes(nameOf(file)) : !Object.hasOwn(LEFT_OUT, nameOf(file)));
  if (wanted.length === 0) {
    for (const [name, reason] of Object.entries(LEFT_OUT)) console.log(`left out: ${name} (${reason})`);
  }
  const tests = chosen.map((file) => path.join('__test__', file));
  const args = ['--test', '--test-concurrency=3', '--test-reporter=spec', ...tests];
  const { status } = spawnSync(process.env.NODE_BINARY ?? process.execPath, args, {
    cwd: root,
    env: { ...process.env, PARALLELIZER_FALLBACK: '1' },
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  process.exitCode = status ?? 1;
}

main();
