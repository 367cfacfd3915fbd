'use strict';

/**
 * Everything that has to hold before a change lands: formatting, lint, types, the Rust tests, the Node tests.
 *
 * All steps run even when one fails; the last line says how many did. `npm test -- NAME…` runs the steps whose names
 * begin so. `NODE_BINARY` names another Node to run the Node tests with.
 */

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');

const root = path.join(__dirname, '..');
const tests = ['__test__', 'cli/__test__'].flatMap((folder) =>
  fs
    .readdirSync(path.join(root, folder))
    .filter((name) => /\.test\.m?js$/.test(name))
    .map((name) => path.join(folder, name)),
);

/** @type {[name: string, command: string, ...args: string[]][]} */
const steps = [
  ['fmt', 'cargo', 'fmt', '--check'],
  ['clippy', 'cargo', 'clippy', '--quiet', '--all-targets', '--', '-D', 'warnings'],
  ['lint', 'npx', '--no-install', 'eslint', '.'],
  ['lint:workflows', 'npm', 'run', '--silent', 'lint:workflows'],
  // By its path: typescript-5, which the type tests use besides, has a command of the same name.
  ['types', process.execPath, path.join('node_modules', 'typescript', 'bin', 'tsc'), '--noEmit'],
  ['rust', 'cargo', 'test', '--quiet'],
  // Most of them wait for processes and timers: two cores have time for more than one file. Of the reporters it is
  // `spec` that repeats at the end what failed, where a reader of a long log finds it.
  [
    'node',
    process.env.NODE_BINARY ?? process.execPath,
    '--test',
    '--test-concurrency=3',
    '--test-reporter=spec',
    ...tests,
  ],
];

// The random histories that the Rust tests play through are the same in every run, so that whatever fails is the fault
// of what has changed. `cargo test` by itself plays others each time, and so does the nightly run, many more.
const env = { PROPTEST_RNG_SEED: '1', ...process.env };

const wanted = process.argv.slice(2);
/** @type {string[]} */
const failed = [];
let ran = 0;
for (const [name, command, ...args] of steps) {
  if (wanted.length > 0 && !wanted.some((prefix) => name.startsWith(prefix))) continue;
  console.log(`\n== ${name}: ${[command, ...args].join(' ').slice(0, 120)}`);
  ran++;
  const { status, error } = spawnSync(command, args, { cwd: root, env, stdio: ['ignore', 'inherit', 'inherit'] });
  if (error) console.error(error.message);
  if (status !== 0) failed.push(name);
}
if (failed.length > 0) console.log(`\nfailed: ${failed.join(', ')}`);
console.log(`\nsteps: ${ran - failed.length} passed, ${failed.length} failed`);
process.exitCode = failed.length > 0 || ran === 0 ? 1 : 0;
