'use strict';

/**
 * Loads the addon: the one built in this directory, else the one from the package for this platform.
 *
 * Each `require` names a file or a package in full, in a `try` of its own. So a bundler sees which files belong to the
 * program, and that those which are not installed are optional. Must not depend on what the addon does.
 */

const { version } = require('../../package.json');

/** @typedef {typeof import('../../native')} Native */

/** @returns {{ addon: Native | null, failures: unknown[] }} `failures`: what each attempt threw */
function attempt() {
  /** @type {unknown[]} */
  const failures = [];
  const found = (/** @type {Native} */ addon) => ({ addon, failures });
  // Linux has two C libraries. The addon for the other one fails to load: no need to find out which one is here.
  switch (`${process.platform}-${process.arch}`) {
    case 'linux-x64':
      try { return found(require('../../parallelizer.linux-x64-gnu.node')); } catch (error) { failures.push(error); }
      try { return found(require('../../parallelizer.linux-x64-musl.node')); } catch (error) { failures.push(error); }
      try { return found(require('@parallelizer/node-linux-x64-gnu')); } catch (error) { failures.push(error); }
      try { return found(require('@parallelizer/node-linux-x64-musl')); } catch (error) { failures.push(error); }
      break;
    case 'linux-arm64':
      try { return found(require('../../parallelizer.linux-arm64-gnu.node')); } catch (error) { failures.push(error); }
      try { return found(require('../../parallelizer.linux-arm64-musl.node')); } catch (error) { failures.push(error); }
      try { return found(require('@parallelizer/node-linux-arm64-gnu')); } catch (error) { failures.push(error); }
      try { return found(require('@parallelizer/node-linux-arm64-musl')); } catch (error) { failures.push(error); }
      break;
    case 'darwin-x64':
      try { return found(require('../../parallelizer.darwin-x64.node')); } catch (error) { failures.push(error); }
      try { return found(require('@parallelizer/node-darwin-x64')); } catch (error) { failures.push(error); }
      break;
    case 'darwin-arm64':
      try { return found(require('../../parallelizer.darwin-arm64.node')); } catch (error) { failures.push(error); }
      try { return found(require('@parallelizer/node-darwin-arm64')); } catch (error) { failures.push(error); }
      break;
  }
  return { addon: null, failures };
}

/** @returns {Native} */
function load() {
  // Not even tried elsewhere: Bun ends the process when it meets the functions of libuv that the addon needs.
  const { versions } = process;
  if (Object.hasOwn(versions, 'bun')) throw require('./platform-error').otherRuntimeError(`Bun ${versions.bun}`);
  if (Object.hasOwn(versions, 'deno')) throw require('./platform-error').otherRuntimeError(`Deno ${versions.deno}`);
  const { addon, failures } = attempt();
  if (addon === null) throw require('./platform-error').noNativeError(failures);
  // The addon has the code that workers run, which talks to the code here.
  const other = addon.version?.() ?? 'another version';
  if (other !== version) throw require('./platform-error').otherVersionError(other, version);
  return addon;
}

module.exports = load();
