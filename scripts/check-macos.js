'use strict';

/**
 * Has the addon checked for both kinds of Mac: it compiles there, and has not been linked or run.
 *
 *   node scripts/check-macos.js
 *
 * Works on any system, because a check needs no libraries of the target. Rust's standard library for it is added by
 * rustup where that is, or else compiled from Debian's source.
 */

const { spawnSync } = require('node:child_process');
const path = require('node:path');

const { addTarget, rustFor } = require('./toolchains');

const root = path.join(__dirname, '..');
const targets = ['aarch64-apple-darwin', 'x86_64-apple-darwin'];

for (const target of targets) {
  addTarget(target);
  const { env, args, from } = rustFor(target, true);
  console.log(`== cargo check --target ${target} (Rust: ${from})`);
  const { error, status } = spawnSync('cargo', ['check', '--quiet', '--target', target, ...args], {
    cwd: root,
    env: { ...process.env, RUSTFLAGS: '-D warnings', ...env },
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  if (error) throw error;
  console.log(status === 0 ? `${target}: compiles, not run` : `${target}: does not compile`);
  if (status !== 0) process.exitCode = 1;
}
