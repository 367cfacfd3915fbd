'use strict';

/**
 * Makes one example ready to run: `node scripts/setup-example.js examples/NAME`, or without an argument from inside of
 * it, as the examples' `prestart` and `pretest` do. Each step is taken only when what it reads has changed.
 *
 * - The library itself, by setup.js.
 * - `package.json`: `npm install`.
 * - `requirements.txt`, if there is one: a Python environment in `.setup/venv`.
 * - `apt.txt`, if there is one, with a Debian package a line: `apt-get install` where that is possible.
 *
 * Without the first two nothing works, and it fails. What is missing of the others is said, and left to the example:
 * one part of it may do without.
 */

const { execFileSync, spawnSync } = require('node:child_process');
const { createHash } = require('node:crypto');
const fs = require('node:fs');
const path = require('node:path');

const directory = path.resolve(process.argv[2] ?? '.');
const prepared = path.join(directory, '.setup');
const environment = path.join(prepared, 'venv');
const name = path.basename(directory);

/** @param {string} file @returns {string | null} its text, without what a `#` begins; `null` if there is no such file */
function read(file) {
  try {
    return fs.readFileSync(path.join(directory, file), 'utf8').replace(/#.*$/gm, '').trim();
  } catch (error) {
    if (error.code === 'ENOENT') return null;
    throw error;
  }
}

/** @param {string} command @param {string[]} args @param {NodeJS.ProcessEnv} [env] */
function run(command, args, env = process.env) {
  console.error(`> ${[command, ...args].join(' ')}`);
  execFileSync(command, args, { cwd: directory, env, stdio: ['ignore', 2, 2] });
}

/** @param {string} command @param {...string} args @returns {boolean} whether it ran and succeeded */
const succeeds = (command, ...args) => spawnSync(command, args, { stdio: 'ignore' }).status === 0;

/**
 * Takes a step unless it was taken with the same input before.
 *
 * @param {string} step
 * @param {string | null} input
 * @param {() => string | void} take returns what stands in its way, if anything
 */
function once(step, input, take) {
  if (input === null) return;
  const stamp = path.join(prepared, `${step}.stamp`);
  const digest = createHash('sha256').update(`${process.version}\n${input}`).digest('hex');
  if (fs.existsSync(stamp) && fs.readFileSync(stamp, 'utf8') === digest) return;

  fs.mkdirSync(prepared, { recursive: true });
  fs.rmSync(stamp, { force: true });
  const obstacle = take();
  if (obstacle) console.error(`${name}: ${obstacle}`);
  else fs.writeFileSync(stamp, digest);
}

function installNodePackages() {
  run('npm', ['install', '--no-package-lock', '--no-audit', '--no-fund']);
}

/** An environment that lacks something is none: the example looks whether it is there. */
function installPythonPackages() {
  fs.rmSync(environment, { recursive: true, force: true });
  const obstacle = makePythonEnvironment();
  if (obstacle) fs.rmSync(environment, { recursive: true, force: true });
  return obstacle;
}

/** @returns {string | void} */
function makePythonEnvironment() {
  const makeEnvironment = () => succeeds('python3', '-m', 'venv', environment);
  if (!makeEnvironment()) {
    const obstacle = installDebianPackages(['python3', 'python3-venv']);
    if (obstacle) return `what it runs in Python needs python3 with its module venv. ${obstacle}`;
    if (!makeEnvironment()) return `'python3 -m venv ${environment}' fails; run it to see why`;
  }
  try {
    run(path.join(environment, 'bin', 'python'), ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '-r', 'requirements.txt']);
  } catch (error) {
    return `pip could not install the packages of requirements.txt: ${error.message}`;
  }
}

/** @param {string[]} packages @returns {string | void} */
function installDebianPackages(packages) {
  const list = packages.join(' ');
  if (!succeeds('dpkg-query', '--version')) return `This is not Debian: install what Debian's packages ${list} hold.`;

  const missing = packages.filter((one) => !isInstalled(one));
  if (missing.length === 0) return;
  if (process.getuid?.() !== 0) return `Run 'sudo apt-get install ${missing.join(' ')}', then this again.`;
  try {
    // The list may be too old to know what the mirror has now.
    run('apt-get', ['update', '--quiet', '--quiet']);
    run('apt-get', ['install', '--yes', '--quiet', '--no-install-recommends', ...missing], {
      ...process.env,
      DEBIAN_FRONTEND: 'noninteractive',
    });
  } catch (error) {
    return `apt-get could not install ${missing.join(' ')}: ${error.message}`;
  }
}

/** @param {string} debianPackage */
function isInstalled(debianPackage) {
  const { stdout } = spawnSync('dpkg-query', ['--show', '--showformat=${db:Status-Abbrev}', debianPackage]);
  return String(stdout).startsWith('ii');
}

if (read('package.json') === null) {
  console.error(`${directory} is no example: it has no package.json`);
  process.exit(1);
}
execFileSync(process.execPath, [path.join(__dirname, 'setup.js')], { stdio: 'inherit' });
once('npm', read('package.json'), installNodePackages);
once('python', read('requirements.txt'), installPythonPackages);
const packages = read('apt.txt');
once('apt', packages, () => installDebianPackages(packages?.split(/\s+/) ?? []));
