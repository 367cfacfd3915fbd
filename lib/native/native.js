'use strict';

/**
 * Loads the addon: the one built in this directory, or the one from the package for this platform. Where there is none
 * for a platform, or PARALLELIZER_FALLBACK=1 says so, `lib/fallback/` takes its place.
 *
 * Each `require` names a file or a package in full, in a `try` of its own. So a bundler sees which files belong to the
 * program, and that those which are not installed are optional. Must not depend on what the addon does.
 */

const { napi, version } = require('../../package.json');

/** Whether this is a clone, whose package.json says how to build the addon. */
const isClone = napi !== undefined;

/** @typedef {typeof import('../../native')} Native */

// Linux has two C libraries. The addon for the other one fails to load: no need to find out which one is here.

/** The addon in this directory. @param {unknown[]} failures what each attempt threw @returns {Native | null} */
function addonHere(failures) {
  switch (`${process.platform}-${process.arch}`) {
    case 'linux-x64':
      try { return require('../../parallelizer.linux-x64-gnu.node'); } catch (error) { failures.push(error); }
      try { return require('../../parallelizer.linux-x64-musl.node'); } catch (error) { failures.push(error); }
      break;
    case 'linux-arm64':
      try { return require('../../parallelizer.linux-arm64-gnu.node'); } catch (error) { failures.push(error); }
      try { return require('../../parallelizer.linux-arm64-musl.node'); } catch (error) { failures.push(error); }
      break;
    case 'darwin-x64':
      try { return require('../../parallelizer.darwin-x64.node'); } catch (error) { failures.push(error); }
      break;
    case 'darwin-arm64':
      try { return require('../../parallelizer.darwin-arm64.node'); } catch (error) { failures.push(error); }
      break;
  }
  return null;
}

/** That of the platform's package. @param {unknown[]} failures what each attempt threw @returns {Native | null} */
function addonOfPackage(failures) {
  switch (`${process.platform}-${process.arch}`) {
    case 'linux-x64':
      try { return require('@parallelizer/node-linux-x64-gnu'); } catch (error) { failures.push(error); }
      try { return require('@parallelizer/node-linux-x64-musl'); } catch (error) { failures.push(error); }
      break;
    case 'linux-arm64':
      try { return require('@parallelizer/node-linux-arm64-gnu'); } catch (error) { failures.push(error); }
      try { return require('@parallelizer/node-linux-arm64-musl'); } catch (error) { failures.push(error); }
      break;
    case 'darwin-x64':
      try { return require('@parallelizer/node-darwin-x64'); } catch (error) { failures.push(error); }
      break;
    case 'darwin-arm64':
      try { return require('@parallelizer/node-darwin-arm64'); } catch (error) { failures.push(error); }
      break;
  }
  return null;
}

/** @returns {{ addon: Native | null, failures: unknown[] }} */
function attempt() {
  /** @type {unknown[]} */
  const failures = [];
  // To look for what is not there takes time, on Lambda most of all: what is published has no addon of its own.
  const addon = isClone ? addonHere(failures) ?? addonOfPackage(failures)
    : addonOfPackage(failures) ?? addonHere(failures);
  return { addon, failures };
}

/**
 * Where it is not said otherwise, a system that has an addon runs by that or not at all: on AWS Lambda nothing is to
 * become slow in silence. There is none for other systems; that for macOS is not tested.
 * @param {unknown[]} failures
 * @returns {string | null} why the fallback takes its place
 */
function reasonForFallback(failures) {
  const { platform, arch } = process;
  if (failures.length === 0) return `there is no addon for ${platform} (${arch})`;
  return platform === 'darwin' ? 'the addon for macOS is not there, or does not load' : null;
}

/** @param {string} reason @returns {any} */
function loadFallback(reason) {
  const found = require('../fallback/fallback').fallback(reason);
  if (found === null) throw require('./platform-error').noModuleError(reason);
  return found;
}

/** The addon, or what takes its place. @returns {Native} */
function choose() {
  if (process.env.PARALLELIZER_FALLBACK === '1') return loadFallback('PARALLELIZER_FALLBACK=1 is in the environment');
  const { addon, failures } = attempt();
  if (addon !== null) return addon;
  const reason = reasonForFallback(failures);
  if (reason === null) throw require('./platform-error').noNativeError(failures);
  return loadFallback(reason);
}

/** @returns {Native} */
function load() {
  // Not even tried elsewhere: Bun ends the process when it meets the functions of libuv that the addon needs.
  const { versions } = process;
  if (Object.hasOwn(versions, 'bun')) throw require('./platform-error').otherRuntimeError(`Bun ${versions.bun}`);
  if (Object.hasOwn(versions, 'deno')) throw require('./platform-error').otherRuntimeError(`Deno ${versions.deno}`);
  const native = choose();
  // It has the code that workers run, which talks to the code here.
  const other = native.version?.() ?? 'another version';
  if (other !== version) throw require('./platform-error').otherVersionError(other, version);
  return native;
}

module.exports = load();
