'use strict';

/**
 * Looks for errors of memory where the code is `unsafe`: the Rust tests under AddressSanitizer, else under valgrind, and the
 * addon in a Node under AddressSanitizer through one life of a pool. `npm run test:memory`
 *
 * What is not there to do it with is left out, with the reason; the last line counts both.
 */

const { execFileSync, spawnSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

const root = path.join(__dirname, '..');
const target = 'x86_64-unknown-linux-gnu';
const built = path.join('target', 'sanitized');
const sanitized = { RUSTFLAGS: '-Zsanitizer=address' };
/** Rooms without `unsafe` take long under either. */
const tested = ['--skip', 'engine::'];

/** @param {string} command @param {string[]} args */
function outputOf(command, args) {
  try {
    return execFileSync(command, args, { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  } catch {
    return null;
  }
}

const isHere = process.platform === 'linux' && process.arch === 'x64';
const hasNightly = isHere && outputOf('cargo', ['+nightly', '--version']) !== null;
const hasValgrind = outputOf('valgrind', ['--version']) !== null;
// The linker puts the sanitizer into programs; what a program loads brings none along.
const runtime = outputOf('cc', ['-print-file-name=libasan.so']);
const hasRuntime = runtime !== null && path.isAbsolute(runtime);

const why = {
  nightly: isHere ? 'there is no nightly toolchain (rustup toolchain install nightly)' : `it is tried on Linux on x64 only`,
  valgrind: 'AddressSanitizer has done it, or there is no valgrind',
  runtime: hasNightly ? 'there is no libasan.so (gcc)' : 'there is no nightly toolchain',
};

/** @param {string[]} args @param {Record<string, string>} [env] */
function cargo(args, env = {}) {
  return run('cargo', args, env);
}

/** @param {string} command @param {string[]} args @param {Record<string, string>} env */
function run(command, args, env) {
  console.log(`> ${command} ${args.join(' ').slice(0, 140)}`);
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'], env: { ...process.env, ...env } });
  if (error) console.error(error.message);
  return status === 0;
}

/** The Rust tests as valgrind runs them. */
function underValgrind() {
  const lines = outputOf('cargo', ['test', '--no-run', '--message-format=json']) ?? '';
  const program = lines.split('\n').filter((line) => line.startsWith('{')).map((line) => JSON.parse(line).executable).find(Boolean);
  if (program === undefined) return false;
  // What runs when a test has ended is the threads' own, and no leak.
  return run('valgrind', ['--quiet', '--error-exitcode=9', '--leak-check=no', program, '--test-threads=1', ...tested], {});
}

/** A pool's life, in a Node that has the addon with the sanitizer in it; its workers have it as well. */
function addonUnderSanitizer() {
  if (!cargo(['+nightly', 'build', '--quiet', '--lib', '--target', target, '--target-dir', built], sanitized)) return false;
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'parallelizer-memory-'));
  try {
    // The package as it is, but for its addon.
    for (const name of ['package.json', 'index.js', 'lib', 'scripts']) fs.cpSync(path.join(root, name), path.join(dir, name), { recursive: true });
    const addon = path.join(root, built, target, 'debug', 'libparallelizer.so');
    fs.copyFileSync(addon, path.join(dir, 'parallelizer.linux-x64-gnu.node'));
    const log = path.join(dir, 'report');
    const isDone = run(process.execPath, [path.join(dir, 'scripts', 'memory-scenario.js')], {
      LD_PRELOAD: /** @type {string} */ (runtime),
      // V8 frees nothing at its end; what the workers find must not be lost in their stderr.
      ASAN_OPTIONS: `detect_leaks=0:abort_on_error=1:log_path=${log}`,
    });
    const reports = fs.readdirSync(dir).filter((name) => name.startsWith('report'));
    for (const name of reports) console.log(fs.readFileSync(path.join(dir, name), 'utf8'));
    return isDone && reports.length === 0;
  } finally {
    fs.rmSync(dir, { recursive: true, force: true });
  }
}

/** @type {[name: string, isPossible: boolean, reason: string, step: () => boolean][]} */
const steps = [
  ['Rust tests under AddressSanitizer', hasNightly, why.nightly,
    () => cargo(['+nightly', 'test', '--quiet', '--target', target, '--target-dir', built, '--', ...tested], sanitized)],
  ['Rust tests under valgrind', !hasNightly && hasValgrind, why.valgrind, underValgrind],
  ['the addon in Node under AddressSanitizer', hasNightly && hasRuntime, why.runtime, addonUnderSanitizer],
];

const counts = { passed: 0, failed: 0, skipped: 0 };
for (const [name, isPossible, reason, step] of steps) {
  console.log(`\n== ${name}`);
  if (!isPossible) {
    console.log(`skipped: ${reason}`);
    counts.skipped++;
  } else {
    counts[step() ? 'passed' : 'failed']++;
  }
}
console.log(`\nsteps: ${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`);
process.exitCode = counts.failed > 0 || counts.passed === 0 ? 1 : 0;
