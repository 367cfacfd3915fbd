'use strict';

/**
 * The directory that this process was started in. Relative paths among Node's flags are meant from there, wherever the
 * program goes by `process.chdir` later.
 *
 * Must not depend on anything else here; it is loaded as early as the package is.
 */

/** @returns {string | null} `null`: it has been removed */
function currentDirectory() {
  try {
    return process.cwd();
  } catch {
    return null;
  }
}

const atLoad = currentDirectory();

/** Where relative paths may be meant from, the likeliest first. The shell's `PWD` is the start, or out of date. */
function startDirectories() {
  const directories = [atLoad, process.env.PWD];
  return /** @type {string[]} */ (directories.filter((each) => typeof each === 'string' && each !== ''));
}

module.exports = { currentDirectory, startDirectories };
