'use strict';

/** `npm pack`, and what it says. */

const { execFileSync } = require('node:child_process');
const path = require('node:path');

/**
 * Runs npm and parses what it says.
 * @param {string[]} args @returns {any}
 */
function npm(...args) {
  // As it must be where it is published from: no script of ours has a part in it.
  return JSON.parse(execFileSync('npm', [...args, '--json', '--ignore-scripts', '--loglevel=error'], { encoding: 'utf8' }));
}

/** What `npm pack --json` says of one package; older versions give a list, newer ones may give an object. @param {any} said */
const only = (said) => Object.values(said)[0];

/**
 * @param {string} folder @param {string} out
 * @returns {{ name: string, tarball: string, size: number, unpackedSize: number, files: string[] }}
 */
function packFolder(folder, out) {
  const { name, filename, size, unpackedSize, files } = only(npm('pack', folder, '--pack-destination', out));
  // Some versions of npm name a scoped package's file with its slash.
  const tarball = path.join(out, filename.replace(/^@/, '').replace(/\//g, '-'));
  return { name, tarball, size, unpackedSize, files: files.map((/** @type {any} */ file) => file.path) };
}

module.exports = { npm, only, packFolder };
