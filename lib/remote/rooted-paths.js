'use strict';

/**
 * Paths of modules, which mean the same below the root of a producer and below that of a host.
 *
 * Must not depend on who asks, nor on what is in a module.
 */

const fs = require('node:fs');
const { createRequire } = require('node:module');
const path = require('node:path');
const { moduleError, optionError } = require('../errors');

/**
 * The path of a module as it travels: relative to the producer's root, with slashes.
 * @param {string} root @param {string} filePath absolute @param {string} name the option or argument, for the message
 */
function pathFromRoot(root, filePath, name) {
  const relative = path.relative(root, filePath);
  if (relative === '' || path.isAbsolute(relative) || relative.split(path.sep)[0] === '..') {
    throw optionError(name, filePath, `a path below "root" (${root}), which hosts have a copy of`);
  }
  return relative.split(path.sep).join('/');
}

/** What no name of a file has here: what separates two of them elsewhere is a character like others. */
const NO_NAME = path.sep === '\\' ? /[\\\0]/ : /\0/;

/**
 * The file that this path means below the host's root: found as `require` does, which adds extensions and looks into
 * folders, with all symbolic links resolved. Nothing outside of the root is meant, whatever the path says.
 * @param {string} root @param {unknown} relative
 * @returns {string}
 */
function pathBelowRoot(root, relative) {
  const segments = typeof relative === 'string' ? relative.split('/') : [];
  const isPlain = (/** @type {string} */ segment) =>
    segment !== '' && segment !== '.' && segment !== '..' && !NO_NAME.test(segment);
  if (segments.length === 0 || !segments.every(isPlain)) {
    throw optionError('filePath', relative, 'a plain path below the "root" of the host');
  }
  const wanted = path.join(root, ...segments);
  let found;
  let base;
  try {
    base = fs.realpathSync(root);
    found = fs.realpathSync(createRequire(wanted).resolve(wanted));
  } catch (cause) {
    throw moduleError(wanted, { cause });
  }
  if (!found.startsWith(base.endsWith(path.sep) ? base : base + path.sep)) {
    throw optionError('filePath', relative, 'a path below the "root" of the host, and a symbolic link leads out of it');
  }
  return found;
}

module.exports = { pathBelowRoot, pathFromRoot };
