'use strict';

/**
 * Builds the addons that are published, into `dist/addons`, as far as this machine can.
 *
 *   npm run build:release [-- TARGET…]
 *
 * Without arguments all targets of package.json, and those that cannot be built here are left out, with the reason. A
 * target that was named has to be built. On Linux zig links, against glibc 2.17 where it is glibc, so that an addon runs
 * on whatever is newer; addons for macOS are built on macOS.
 */

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

const { node } = require('../__test__/support/nodes');
const { bundlePackage } = require('./bundle-package');
const { canLoad, compilePackage, compiledBeside } = require('./compile-package');
const { rustFor, zig } = require('./toolchains');

const root = path.join(__dirname, '..');
const out = path.join(root, 'dist', 'addons');
const napi = path.join(root, 'node_modules', '.bin', 'napi');
const { napi: config } = require('../package.json');

const OLDEST_GLIBC = '2.17';
/** The Nodes for which the addon has what V8 compiles of the workers' JavaScript, as `build.rs` says: Lambda's. */
const COMPILED_FOR = [22, 24];

/**
 * How a target is built here. Throws, with the reason, if it is not.
 * @param {string} target @param {boolean} isNamed
 */
function plan(target, isNamed) {
  if (target.endsWith('-apple-darwin')) {
    if (process.platform !== 'darwin') throw new Error('it needs the libraries of macOS, and this is another system');
    const { env, args, from } = rustFor(target, isNamed);
    return { env, flags: ['--target', target], args, from };
  }
  const { env, args, from } = rustFor(target, isNamed);
  const PATH = [zig(), process.env.PATH].join(path.delimiter);
  const oldest = target.endsWith('-gnu') ? `${target}.${OLDEST_GLIBC}` : target;
  return { env: { ...env, PATH }, flags: ['--cross-compile', '--target', oldest], args, from };
}

/** The programs of those Nodes; one that cannot be had is left out, and its workers start later. */
function nodesToCompileFor() {
  const found = COMPILED_FOR.map(node);
  for (const { reason } of found) if (reason !== null) console.error(`nothing is compiled in advance: ${reason}`);
  return found.flatMap(({ binary }) => binary ?? []).join(path.delimiter);
}

/** @param {string} target @param {boolean} isNamed @returns {string | null} why it was left out */
function build(target, isNamed) {
  let how;
  try {
    how = plan(target, isNamed);
  } catch (error) {
    return /** @type {Error} */ (error).message;
  }
  console.log(`\n== ${target} (Rust: ${how.from})`);
  const common = ['build', '--platform', '--release', '--no-js', '--dts', 'native.d.ts', '--output-dir', out];
  const extra = how.args.length > 0 ? ['--', ...how.args] : [];
  const { status } = spawnSync(napi, [...common, ...how.flags, ...extra], {
    cwd: root,
    env: { ...process.env, PARALLELIZER_CODE_CACHE_NODES: nodesToCompileFor(), ...how.env },
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  return status === 0 ? null : `the build failed with status ${status}`;
}

/** Has V8 compile the package, for those addons that are for this processor, with one that this machine can load. */
async function compile() {
  const addons = fs.readdirSync(out).filter((name) => name.endsWith('.node')).map((name) => path.join(out, name));
  const addon = addons.find(canLoad);
  if (addon === undefined) return;
  const stage = fs.mkdtempSync(path.join(os.tmpdir(), 'parallelizer-release-'));
  process.env.PARALLELIZER_CODE_CACHE_NODES = nodesToCompileFor();
  await bundlePackage(stage);
  for (const failure of compilePackage(compiledBeside(addon), { root: stage, addon })) console.error(failure);
  fs.rmSync(stage, { recursive: true });
}

async function main() {
  const named = process.argv.slice(2);
  for (const target of named) {
    if (!config.targets.includes(target)) throw new Error(`"${target}" is no target: take one of ${config.targets.join(', ')}`);
  }
  fs.mkdirSync(out, { recursive: true });
  const left = (named.length > 0 ? named : config.targets).map((/** @type {string} */ target) => ({
    target,
    why: build(target, named.length > 0),
  }));
  await compile();
  console.log('');
  for (const name of fs.readdirSync(out).filter((name) => name.endsWith('.node')).sort()) {
    console.log(`${name}: ${Math.ceil(fs.statSync(path.join(out, name)).size / 1024)} KiB`);
  }
  const missing = left.filter(({ why }) => why !== null);
  for (const { target, why } of missing) console.log(`${target}: left out: ${why}`);
  const isFailure = missing.some(({ why }) => named.length > 0 || why?.startsWith('the build failed'));
  process.exitCode = isFailure || missing.length === left.length ? 1 : 0;
}

main();
