'use strict';

/**
 * Whether a file belongs to a package of ES modules, as Node finds it out.
 *
 * Must not depend on what the file is.
 */

const fs = require('node:fs');
const path = require('node:path');

const { parse } = JSON;

/**
 * @param {string} filePath absolute
 * @returns {'module' | 'commonjs' | null} `null` if its package.json cannot be parsed, which Node will report
 */
function packageType(filePath) {
  for (let folder = path.dirname(filePath); ; folder = path.dirname(folder)) {
    if (path.basename(folder) === 'node_modules') return 'commonjs';
    const text = readIfThere(path.join(folder, 'package.json'));
    if (text !== null) {
      try {
        return parse(text).type === 'module' ? 'module' : 'commonjs';
      } catch {
        return null;
      }
    }
    if (folder === path.dirname(folder)) return 'commonjs';
  }
}

/**
 * A file's text; `null` where there is no such file, or none that this process may read.
 * @param {string} file
 */
function readIfThere(file) {
  try {
    // Asked first: an exception for each folder without one would cost more than all the rest.
    return fs.existsSync(file) ? fs.readFileSync(file, 'utf8') : null;
  } catch {
    return null; // Under Node's permission model, even the question may be refused.
  }
}

module.exports = { packageType };
