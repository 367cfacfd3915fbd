'use strict';

/**
 * Makes a fresh clone ready to run: installs what package.json asks for and builds the addon, each only when missing
 * or out of date. `npm start` and `npm test` begin with it.
 *
 * Needs nothing but Node, npm and Rust, so it uses nothing but Node's own modules.
 */

const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');

const root = path.join(__dirname, '..');

/** @param {string} file the time that it was last changed; 0 if it is missing */
function changed(file) {
  return fs.statSync(path.join(root, file), { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

/** @param {string} folder @returns {number} when anything in it was last changed */
function newestIn(folder) {
  const entries = fs.readdirSync(path.join(root, folder), { recursive: true });
  return Math.max(changed(folder), ...entries.map((entry) => changed(path.join(folder, String(entry)))));
}

/** @param {string} command @param {string[]} args */
function run(command, args) {
  console.error(`> ${command} ${args.join(' ')}`);
  execFileSync(command, args, { cwd: root, stdio: ['ignore', 2, 2] });
}

/** Whether a command can be run. @param {string} command */
function has(command) {
  try {
    execFileSync(command, ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** @param {string} file @returns {any} `undefined` if it is missing */
function readJson(file) {
  const name = path.join(root, file);
  return fs.existsSync(name) ? JSON.parse(fs.readFileSync(name, 'utf8')) : undefined;
}

/**
 * Whether node_modules holds what the lock file says, and the lock file what package.json asks for. Times say nothing
 * about that: a checkout changes them, and an install that has nothing to do does not.
 */
function isInstalled() {
  const locked = readJson('package-lock.json')?.packages;
  const installed = readJson('node_modules/.package-lock.json')?.packages;
  if (locked === undefined || installed === undefined) return false;
  const asked = JSON.stringify(readJson('package.json').devDependencies);
  if (asked !== JSON.stringify(locked[''].devDependencies)) return false;
  return Object.entries(locked).every(([folder, { version, optional }]) => {
    if (folder === '') return true;
    // A package for other platforms is locked, and not installed.
    return installed[folder] === undefined ? optional === true : installed[folder].version === version;
  });
}

if (!isInstalled()) {
  // Installs what is locked and nothing newer, and fails where package.json asks for something else.
  run('npm', ['ci', '--no-audit', '--no-fund']);
}

const addons = fs.readdirSync(root).filter((name) => name.endsWith('.node'));
const built = Math.min(changed('native.d.ts'), ...addons.map(changed));
const sources = Math.max(
  ...['Cargo.toml', 'Cargo.lock', 'build.rs'].map(changed),
  ...['bundle-worker', 'chunks', 'code-cache'].map((name) => changed(`scripts/${name}.js`)),
  newestIn('src'),
  // What workers run is compiled in.
  newestIn('lib'),
);
if (addons.length === 0 || built < sources) {
  if (!has('cargo')) {
    console.error('Building the addon needs Rust (cargo is not on the PATH). Install it from https://rustup.rs');
    process.exit(1);
  }
  run('npm', ['run', '--silent', 'build']);
}
