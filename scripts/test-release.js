'use strict';

/**
 * Builds the addons of a release, as far as this machine can, and tries them out: `npm run test:release [-- TARGET…]`.
 * Takes minutes, and fetches tools from PyPI, npm and Debian into `.tools` (see toolchains.js).
 *
 * The last line says how many steps passed; `node --test` counts the tests before it.
 */

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');

const root = path.join(__dirname, '..');
const tests = fs
  .readdirSync(path.join(root, '__test__', 'release'))
  .filter((name) => name.endsWith('.test.js'))
  .map((name) => path.join('__test__', 'release', name));

/** @type {[name: string, ...args: string[]][]} */
const steps = [
  ['macOS: compiles, not run', 'scripts/check-macos.js'],
  ['build', 'scripts/build-release.js', ...process.argv.slice(2)],
  ['tests', '--test', ...tests],
  ['tarballs', 'scripts/pack.js'],
];
const failed = [];
for (const [name, ...args] of steps) {
  console.log(`\n== ${name}: node ${args.join(' ')}`);
  const { status } = spawnSync(process.execPath, args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] });
  if (status !== 0) failed.push(name);
}
if (failed.length > 0) console.log(`\nfailed: ${failed.join(', ')}`);
console.log(`\nsteps: ${steps.length - failed.length} passed, ${failed.length} failed`);
process.exitCode = failed.length > 0 ? 1 : 0;
