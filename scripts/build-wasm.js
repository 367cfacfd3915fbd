'use strict';

/**
 * Builds the scheduler as WebAssembly: `npm run build:wasm` leaves `parallelizer.wasm` in the clone, where the fallback
 * looks for it.
 *
 * It takes Rust's standard library for `wasm32-unknown-unknown`, which rustup adds; where there is no rustup, it is
 * compiled from Debian's source. The version of the package and the JavaScript that workers run are put into sections of
 * their own. Code of the module is only compiled if there is other code than before, by cargo.
 */

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

const { bundleWorker } = require('./bundle-worker');
const { addTarget, rustFor } = require('./toolchains');
const { version } = require('../package.json');

const TARGET = 'wasm32-unknown-unknown';
const root = path.join(__dirname, '..');

/** Compiles the module. @returns {string} its file */
function compile() {
  addTarget(TARGET);
  const { env, args, from } = rustFor(TARGET, true);
  console.error(`== ${TARGET} (Rust: ${from})`);
  const { error, status } = spawnSync('cargo', ['build', '--profile', 'wasm', '--target', TARGET, ...args], {
    cwd: root,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  if (error) throw error;
  if (status !== 0) throw new Error(`cargo has failed with status ${status}`);
  const target = process.env.CARGO_TARGET_DIR ?? path.join(root, 'target');
  return path.join(target, TARGET, 'wasm', 'parallelizer.wasm');
}

/** A number in LEB128, as WebAssembly has lengths. @param {number} number */
function leb128(number) {
  const bytes = [];
  for (let rest = number; ; rest >>>= 7) {
    bytes.push(rest > 0x7f ? (rest & 0x7f) | 0x80 : rest);
    if (rest <= 0x7f) return Buffer.from(bytes);
  }
}

/** A custom section. @param {string} name @param {string} text */
function section(name, text) {
  const head = Buffer.concat([leb128(Buffer.byteLength(name)), Buffer.from(name)]);
  const body = Buffer.concat([head, Buffer.from(text)]);
  return Buffer.concat([Buffer.from([0]), leb128(body.length), body]);
}

/** The JavaScript that workers run, by the names of its chunks. */
async function workerChunks() {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'parallelizer-worker-'));
  try {
    await bundleWorker(folder);
    const files = fs.readdirSync(folder).sort();
    return Object.fromEntries(
      files.map((file) => [path.basename(file, '.js'), fs.readFileSync(path.join(folder, file), 'utf8')]),
    );
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

async function main() {
  const code = fs.readFileSync(compile());
  const file = path.join(root, 'parallelizer.wasm');
  const chunks = JSON.stringify(await workerChunks());
  const sections = [section('parallelizer:version', version), section('parallelizer:worker', chunks)];
  fs.writeFileSync(file, Buffer.concat([code, ...sections]));
  console.error(`${path.basename(file)}: ${Math.ceil(fs.statSync(file).size / 1024)} KiB`);
}

main();
