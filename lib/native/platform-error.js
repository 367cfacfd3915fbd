'use strict';

/**
 * Explains why there is no addon for this process, and what to do about it. Loaded only when it is needed.
 *
 * The errors are made here and not in `errors.js`, which is part of what workers run: a worker has an addon.
 */

const fs = require('node:fs');
const path = require('node:path');
const { ParallelizerError } = require('../errors');

const CODE = 'ERR_PARALLELIZER_PLATFORM';
const SUPPORTED = 'Linux (x64, arm64; glibc 2.17 or newer, or musl) and macOS (x64, arm64)';
const PREFIX = '@parallelizer/node-';

/** The C library that this Node runs on. @returns {'glibc' | 'musl'} */
function libc() {
  const report = /** @type {any} */ (process.report);
  // Otherwise the report looks up the names of all network peers.
  report.excludeNetwork = true;
  return report.getReport().header.glibcVersionRuntime ? 'glibc' : 'musl';
}

/** Whether there was no addon at all, as opposed to one that does not load. @param {any} failure */
function isAbsent(failure) {
  return failure?.code === 'MODULE_NOT_FOUND' && /parallelizer/.test(String(failure.message).split('\n', 1)[0]);
}

/** The directory of this package: the nearest one with a package.json, since the bundle for npm has fewer folders. */
function packageRoot() {
  let folder = __dirname;
  while (!fs.existsSync(path.join(folder, 'package.json')) && folder !== path.dirname(folder)) {
    folder = path.dirname(folder);
  }
  return folder;
}

/** The packages with an addon that are installed beside this one. @returns {string[]} */
function installed() {
  try {
    // A bundle may have no such folder.
    const names = fs.readdirSync(path.dirname(packageRoot()));
    return names.filter((name) => /^node-(?:linux|darwin)-/.test(name)).map((name) => `@parallelizer/${name}`);
  } catch {
    return [];
  }
}

/** Whether this is a clone with the sources of the addon. */
function isClone() {
  try {
    return fs.existsSync(path.join(packageRoot(), 'Cargo.toml'));
  } catch {
    return false;
  }
}

/**
 * For runtimes that imitate Node.
 * @param {string} runtime its name and version
 */
function otherRuntimeError(runtime) {
  return new ParallelizerError(
    CODE,
    `@parallelizer/node runs on Node.js 20 or newer, and this is ${runtime}, which cannot run its native part. Run ` +
      'the program with `node`',
  );
}

/** Node refuses to load any addon. @param {any} cause */
function disabledError(cause) {
  const how = /** @type {any} */ (process).permission === undefined
    ? 'with --no-addons: start it without that flag (look into NODE_OPTIONS, too)'
    : 'with the permission model and without --allow-addons: add that flag, and --allow-child-process or ' +
      '--allow-worker';
  const message = `@parallelizer/node needs its native part, and Node.js was started ${how}`;
  return new ParallelizerError(CODE, message, { cause });
}

/**
 * @param {unknown[]} failures what each attempt to load it threw
 */
function noNativeError(failures) {
  const { platform, arch } = process;
  const disabled = failures.find((failure) => /** @type {any} */ (failure)?.code === 'ERR_DLOPEN_DISABLED');
  if (disabled !== undefined) return disabledError(disabled);
  const family = platform === 'linux' ? libc() : undefined;
  const wanted = `${PREFIX}${platform}-${arch}${family === undefined ? '' : family === 'musl' ? '-musl' : '-gnu'}`;
  const there = installed();
  const broken = failures.filter((failure) => !isAbsent(failure));
  if (broken.length > 0 && (there.length === 0 || there.includes(wanted))) {
    const reasons = broken.map((failure) => String(/** @type {any} */ (failure)?.message ?? failure).split('\n', 1)[0]);
    return new ParallelizerError(
      CODE,
      `the native part of @parallelizer/node is there, and does not load: ${reasons.join('; ')}. ` +
        `It runs on ${SUPPORTED}; install it on, or for, the system that it is to run on (${target(family)})`,
      { cause: broken[0] },
    );
  }
  const others = there.filter((name) => name !== wanted);
  let why = 'npm has left it out';
  let remedy =
    'install without --omit=optional (or --no-optional); if there is a package-lock.json from another platform, ' +
    'remove it and node_modules, then run `npm install` again';
  if (isClone()) {
    why = 'it has not been built';
    remedy = 'run `npm run build`';
  } else if (others.length > 0) {
    why = `the one installed is for another system (${others.join(', ')})`;
    remedy = `install for the one that it is to run on: \`npm install ${target(family)} @parallelizer/node\``;
  }
  return new ParallelizerError(
    CODE,
    `the native part of @parallelizer/node for this system, the package ${wanted}, is not there: ${why}. To have it, ` +
      `${remedy}. In a bundle, keep "@parallelizer/node" external, or give esbuild --loader:.node=copy`,
    { cause: broken[0] ?? failures[failures.length - 1] },
  );
}

/** The flags that have npm install for this system. @param {string | undefined} family */
function target(family) {
  return `--os=${process.platform} --cpu=${process.arch}${family === undefined ? '' : ` --libc=${family}`}`;
}

/**
 * The fallback is to be used, and its WebAssembly module is not there.
 * @param {string} reason why it is to be used
 */
function noModuleError(reason) {
  const remedy = isClone() ? 'it has not been built: run `npm run build:wasm`'
    : 'install @parallelizer/node again; in a bundle, copy parallelizer.wasm from the package to where the bundle ' +
      'is, or keep "@parallelizer/node" external';
  return new ParallelizerError(
    CODE,
    `@parallelizer/node is to run without its addon (${reason}), and parallelizer.wasm is not there. To have it, ` +
      remedy,
  );
}

/** @param {string} other the addon's version @param {string} own this package's */
function otherVersionError(other, own) {
  return new ParallelizerError(
    CODE,
    `@parallelizer/node is of version ${own}, its native part of ${other}: they have to be the same. ` +
      (isClone() ? 'Run `npm run build` (and `npm run build:wasm`)'
        : 'Remove node_modules and run `npm install` again, or build the bundle again'),
  );
}

/**
 * For a process that cannot start workers, whatever addon it has.
 * @param {{ problem: string, remedy?: string }} obstacle
 */
function cannotStartError({ problem, remedy }) {
  const otherProgram =
    'Use threads (the type PARALLELIZER_THREADS), or name a Node.js to run workers with by the option "execPath"';
  return new ParallelizerError(CODE, `no workers can be started: ${problem}. ${remedy ?? otherProgram}`);
}

module.exports = { cannotStartError, noModuleError, noNativeError, otherRuntimeError, otherVersionError };
