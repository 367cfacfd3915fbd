'use strict';

/**
 * Loads the addon: the one built in this directory, else the one from the package for this platform.
 *
 * Each `require` names a file or a package in full and stands in a `try` of its own. So a bundler sees which files
 * belong to the program, and takes those that are not installed for what they are: optional.
 *
 * Must not depend on what the addon does.
 */

const { version } = require('../../package.json');

/** @typedef {typeof import('../../native')} Native */

/** @returns {{ addon: Native | null, failures: unknown[] }} `failures`: what each attempt threw */
function attempt() {
  /** @type {unknown[]} */
  const failures = [];
  const found = (/** @type {Native} */ addon) => ({ addon, failures });
  // Of the two C libraries of Linux, the other one's addon fails to load: no need to find out which one this is.
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
  const { bun, deno } = process.versions;
  if (bun !== undefined) throw require('./platform-error').otherRuntimeError(`Bun ${bun}`);
  if (deno !== undefined) throw require('./platform-error').otherRuntimeError(`Deno ${deno}`);
  const { addon, failures } = attempt();
  if (addon === null) throw require('./platform-error').noNativeError(failures);
  // Half of what workers run is in the addon, the other half of the conversation is here.
  const other = addon.version?.() ?? 'another version';
  if (other !== version) throw require('./platform-error').otherVersionError(other, version);
  return addon;
}

module.exports = load();
