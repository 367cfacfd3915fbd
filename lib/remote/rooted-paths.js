'use strict';

/**
 * Paths of modules, which mean the same below the root of a producer and below that of a host.
 *
 * Must not depend on who asks, nor on what is in a module.
 */

const fs = require('node:fs');
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

/**
 * The file that this path means below the host's root, all symbolic links resolved. Nothing outside of it is meant,
 * whatever the path says.
 * @param {string} root @param {unknown} relative
 * @returns {string}
 */
function pathBelowRoot(root, relative) {
  const segments = typeof relative === 'string' ? relative.split('/') : [];
  const isPlain = (/** @type {string} */ segment) =>
    segment !== '' && segment !== '.' && segment !== '..' && !/[\\\0]/.test(segment);
  if (segments.length === 0 || !segments.every(isPlain)) {
    throw optionError('filePath', relative, 'a plain path below the "root" of the host');
  }
  const wanted = path.join(root, ...segments);
  let found;
  let base;
  try {
    base = fs.realpathSync(root);
    found = fs.realpathSync(wanted);
  } catch (cause) {
    throw moduleError(wanted, { cause });
  }
  if (!found.startsWith(base.endsWith(path.sep) ? base : base + path.sep)) {
    throw optionError('filePath', relative, 'a path below the "root" of the host, and a symbolic link leads out of it');
  }
  return found;
}

module.exports = { pathBelowRoot, pathFromRoot };
