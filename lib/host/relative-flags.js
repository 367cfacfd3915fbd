'use strict';

/**
 * Makes what Node's flags name by a relative path independent of the working directory, so that a worker that starts
 * after a `process.chdir` finds it, as the parent did.
 *
 * Only what is found where the process was started, and is not where it is now, is changed.
 *
 * Must not depend on which flags a worker inherits.
 */

const fs = require('node:fs');
const { createRequire } = require('node:module');
const path = require('node:path');
const { pathToFileURL } = require('node:url');
const { currentDirectory, startDirectories } = require('./start-directory');

/** Flags whose value is the path of a file or folder that is read. */
const FILES = new Set([
  'env-file', 'env-file-if-exists', 'experimental-config-file', 'icu-data-dir', 'openssl-config', 'allow-fs-read',
  'allow-fs-write',
]);
/** Flags whose value is what `require` takes, and what `import` takes. */
const REQUIRED = new Set(['require']);
const IMPORTED = new Set(['import', 'loader', 'experimental-loader']);

/** Where Node looks for a configuration that is not named. */
const DEFAULT_CONFIG = 'node.config.json';

/** Flags of a single environment, which a thread may be given, and whether another argument belongs to them. */
const FOR_THREADS = new Map([
  ['-r', true], ['--require', true], ['--import', true], ['--loader', true], ['--experimental-loader', true],
  ['-C', true], ['--conditions', true], ['--enable-source-maps', false], ['--no-warnings', false],
  ['--trace-warnings', false], ['--preserve-symlinks', false], ['--experimental-strip-types', false],
]);

/** @param {string} file */
function exists(file) {
  try {
    return fs.existsSync(file);
  } catch {
    return false; // The permission model of some versions of Node forbids to ask.
  }
}

/**
 * @param {string} directory @param {string} specifier
 * @returns {string | null}
 */
function resolved(directory, specifier) {
  try {
    return createRequire(path.join(directory, 'preload')).resolve(specifier);
  } catch {
    return null;
  }
}

/**
 * What a value names when it is looked at from a directory.
 * @param {string} name of the flag @param {string} value @param {string} directory
 * @returns {string | null} `null`: nothing there, or nothing that depends on the directory
 */
function seenFrom(name, value, directory) {
  if (FILES.has(name)) {
    if (path.isAbsolute(value) || value === '*') return null;
    const file = path.resolve(directory, value);
    return exists(file) ? file : null;
  }
  // A package is looked for from the working directory as well.
  if (REQUIRED.has(name)) return path.isAbsolute(value) ? null : resolved(directory, value);
  if (!IMPORTED.has(name) || !/^\.\.?\//.test(value)) return null;
  const url = new URL(value, pathToFileURL(`${directory}${path.sep}`));
  return exists(path.resolve(directory, value)) ? url.href : null;
}

/**
 * @param {string} name @param {string} value
 * @returns {string} the same value, or one that means the same from everywhere
 */
function fixed(name, value) {
  const here = currentDirectory();
  const directories = startDirectories();
  if (directories.every((directory) => directory === here)) return value;
  for (const directory of directories) {
    const found = seenFrom(name, value, directory);
    if (found !== null) return directory === here ? value : found;
  }
  return value;
}

/**
 * @param {readonly string[]} args
 * @returns {string[]}
 */
function withoutRelativePaths(args) {
  const result = [];
  for (let i = 0; i < args.length; i++) {
    const argument = args[i];
    const [flag] = argument.split('=', 1);
    const name = flag === '-r' ? 'require' : flag.startsWith('--') ? flag.slice(2).replaceAll('_', '-') : '';
    const takesPath = FILES.has(name) || REQUIRED.has(name) || IMPORTED.has(name);
    if (name === 'experimental-default-config-file') {
      const file = fixed('experimental-config-file', DEFAULT_CONFIG);
      result.push(file === DEFAULT_CONFIG ? argument : `--experimental-config-file=${file}`);
    } else if (!takesPath) {
      result.push(argument);
    } else if (argument.includes('=')) {
      result.push(`${flag}=${fixed(name, argument.slice(flag.length + 1))}`);
    } else {
      result.push(argument);
      if (i + 1 < args.length) result.push(fixed(name, args[++i]));
    }
  }
  return result;
}

/**
 * Leaves out files of variables that are gone since: Node would refuse to start, and this process has the variables.
 * @param {readonly string[]} args
 * @returns {string[]}
 */
function withoutMissingEnvFiles(args) {
  const result = [];
  for (let i = 0; i < args.length; i++) {
    const isAlone = args[i] === '--env-file';
    const file = isAlone ? args[i + 1] : /^--env-file=(.*)$/s.exec(args[i])?.[1];
    if (file === undefined || exists(file)) result.push(args[i]);
    else if (isAlone) i++;
  }
  return result;
}

/**
 * Those of some flags that a thread can be given.
 * @param {readonly string[]} args
 * @returns {string[]}
 */
function forThreads(args) {
  const kept = [];
  for (let i = 0; i < args.length; i++) {
    const [flag] = args[i].split('=', 1);
    const takesValue = FOR_THREADS.get(flag);
    if (takesValue === undefined) continue;
    kept.push(args[i]);
    if (takesValue && !args[i].includes('=') && i + 1 < args.length) kept.push(args[++i]);
  }
  return kept;
}

module.exports = { forThreads, withoutMissingEnvFiles, withoutRelativePaths };
