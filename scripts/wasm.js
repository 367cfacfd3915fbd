'use strict';

/** The module of the fallback in this clone, for whatever tries it out. */

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');

const root = path.join(__dirname, '..');

/** When the newest of these files was changed. @param {string[]} folders */
function newest(...folders) {
  const files = folders.flatMap((folder) => {
    const entries = fs.readdirSync(path.join(root, folder), { recursive: true, withFileTypes: true });
    return entries.filter((entry) => entry.isFile()).map((entry) => path.join(entry.parentPath ?? entry.path, entry.name));
  });
  return Math.max(...files.map((file) => fs.statSync(file).mtimeMs));
}

/** Builds `parallelizer.wasm` where it is missing or older than its sources. @returns {boolean} whether it is there */
function ensureWasm() {
  const built = fs.statSync(path.join(root, 'parallelizer.wasm'), { throwIfNoEntry: false })?.mtimeMs ?? 0;
  if (built > newest('src', 'lib')) return true;
  const { status } = spawnSync(process.execPath, ['scripts/build-wasm.js'], { cwd: root, stdio: ['ignore', 2, 2] });
  return status === 0;
}

module.exports = { ensureWasm };
