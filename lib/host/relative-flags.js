'use strict';

/**
 * Makes what Node's flags name independent of the working directory, so that a worker that starts after a
 * `process.chdir` finds it as the parent did.
 *
 * 1. A path becomes absolute, whether or not the directory has changed by now: a worker may be replaced after that.
 * 2. The name of a package is changed only if it means something else by now than where the process was started.
 * 3. What is not found where the process was started stays as it is: Node reports best what is wrong with it.
 *
 * Must not depend on which flags a worker inherits.
 */

const fs = require('node:fs');
const path = require('node:path');
const { pathToFileURL } = require('node:url');
const { toJson } = require('../intrinsics/json');
const { mapOf, setOf } = require('../intrinsics/list');
const { currentDirectory, startDirectories } = require('./start-directory');

/** Flags whose value is the path of a file or folder that is read. */
const FILES = setOf([
  'env-file', 'env-file-if-exists', 'experimental-config-file', 'icu-data-dir', 'openssl-config', 'allow-fs-read',
  'allow-fs-write',
]);
/** Flags whose value is what `require` takes, and what `import` takes. */
const REQUIRED = setOf(['require']);
const IMPORTED = setOf(['import', 'loader', 'experimental-loader']);

/** Where Node looks for a configuration that is not named. */
const DEFAULT_CONFIG = 'node.config.json';

/** Flags of a single environment, which a thread may be given, and whether another argument belongs to them. */
const FOR_THREADS = mapOf([
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

/** Whether a module is named by a path from the working directory. @param {string} specifier */
function isRelative(specifier) {
  return specifier.startsWith('./') || specifier.startsWith('../') ||
    (path.sep === '\\' && /^\.{1,2}\\/.test(specifier));
}

/** Whether a module is named by its package, and looked for from the working directory. @param {string} specifier */
function isBare(specifier) {
  return !path.isAbsolute(specifier) && !isRelative(specifier) && !/^\.{1,2}$|^[a-z][a-z\d+.-]*:/i.test(specifier);
}

/**
 * What `require` finds for a name.
 * @param {string} directory @param {string} specifier
 * @returns {{ file: string | null, text: string } | null} `null`: nothing; no file: a package that has none for
 *   `require`, as the text says
 */
function resolved(directory, specifier) {
  try {
    const file = require('node:module').createRequire(path.join(directory, 'preload')).resolve(specifier);
    return { file, text: file };
  } catch (error) {
    const { code, message } = /** @type {NodeJS.ErrnoException} */ (error);
    return code === 'MODULE_NOT_FOUND' ? null : { file: null, text: message };
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
  if (REQUIRED.has(name)) return path.isAbsolute(value) ? null : (resolved(directory, value)?.file ?? null);
  if (!IMPORTED.has(name)) return null;
  if (isBare(value)) return resolved(directory, value) === null ? null : importedFrom(directory, value, name);
  const url = new URL(value, pathToFileURL(`${directory}${path.sep}`));
  return isRelative(value) && exists(path.resolve(directory, value)) ? url.href : null;
}

/**
 * A module that imports another as from a directory. What a package has for `import` only Node's own loader can tell:
 * the `import()` of a CommonJS module that would be there asks it.
 * @param {string} directory @param {string} specifier @param {string} name of the flag
 */
function importedFrom(directory, specifier, name) {
  const file = toJson(path.join(directory, 'preload'));
  const code = `import Module from 'node:module';
const module = new Module(${file});
module._compile('exports.load = () => import(' + ${toJson(toJson(specifier))} + ')', ${file}, 'commonjs');
const loaded = await module.exports.load();
${name === 'import' ? '' : 'export const { resolve, load, initialize } = loaded;'}`;
  return `data:text/javascript,${encodeURIComponent(code)}`;
}

/**
 * @param {string} name @param {string} value @param {readonly string[]} directories where it may be meant from
 * @returns {string} the same value, or one that means the same from everywhere
 */
function fixed(name, value, directories) {
  const here = currentDirectory();
  const isName = !FILES.has(name) && isBare(value);
  for (let i = 0; i < directories.length; i++) {
    const found = seenFrom(name, value, directories[i]);
    if (found !== null) return isName && isSameFrom(directories[i], here, value) ? value : found;
  }
  return value;
}

/** @param {string} start @param {string | null} here @param {string} specifier */
function isSameFrom(start, here, specifier) {
  if (start === here || here === null) return start === here;
  return resolved(start, specifier)?.text === resolved(here, specifier)?.text;
}

/**
 * @param {readonly string[]} args
 * @param {readonly string[]} [directories] where they are meant from, the likeliest first
 * @returns {string[]}
 */
function withoutRelativePaths(args, directories = startDirectories()) {
  const result = [];
  for (let i = 0; i < args.length; i++) {
    const argument = args[i];
    const { 0: flag } = argument.split('=', 1);
    const name = flag === '-r' ? 'require' : flag.startsWith('--') ? flag.slice(2).replaceAll('_', '-') : '';
    const takesPath = FILES.has(name) || REQUIRED.has(name) || IMPORTED.has(name);
    if (name === 'experimental-default-config-file') {
      const file = fixed('experimental-config-file', DEFAULT_CONFIG, directories);
      result.push(file === DEFAULT_CONFIG ? argument : `--experimental-config-file=${file}`);
    } else if (!takesPath) {
      result.push(argument);
    } else if (argument.includes('=')) {
      result.push(`${flag}=${fixed(name, argument.slice(flag.length + 1), directories)}`);
    } else {
      result.push(argument);
      if (i + 1 < args.length) result.push(fixed(name, args[++i], directories));
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
    const { 0: flag } = args[i].split('=', 1);
    const takesValue = FOR_THREADS.get(flag);
    if (takesValue === undefined) continue;
    kept.push(args[i]);
    if (takesValue && !args[i].includes('=') && i + 1 < args.length) kept.push(args[++i]);
  }
  return kept;
}

module.exports = { forThreads, withoutMissingEnvFiles, withoutRelativePaths };
