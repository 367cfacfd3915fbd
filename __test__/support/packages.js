'use strict';
// The package as its users get it: packed, and installed into an empty project without network, cache, scripts or Rust.

const assert = require('node:assert/strict');
const { execFile, execFileSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { promisify } = require('node:util');

const { root } = require('./helpers');
const { pack } = require('../../scripts/pack');

const run = promisify(execFile);
const LIMIT = 120_000;

/** The C library of this Node, where there is more than one to choose from. @type {'glibc' | 'musl' | undefined} */
const LIBC = process.platform !== 'linux' ? undefined
  : /** @type {any} */ (process.report.getReport()).header.glibcVersionRuntime === undefined ? 'musl' : 'glibc';

/** No directory, and none that could be made. */
const NO_HOME = '/dev/null/home';

/** The environment of a user who only has Node: no Rust on the PATH, no npm settings. */
function bare() {
  const npm = path.dirname(execFileSync('sh', ['-c', 'command -v npm'], { encoding: 'utf8' }).trim());
  const places = [path.dirname(process.execPath), npm, '/usr/bin', '/bin'];
  return { PATH: places.filter((place) => !fs.existsSync(path.join(place, 'cargo'))).join(':'), HOME: NO_HOME };
}

/**
 * Runs `npm install` in a project, which is created if it does not exist.
 * @param {string} folder @param {string[]} args tarballs, packages, flags
 * @param {string} [registry] without one there is no network, and only the tarballs can be installed
 */
async function install(folder, args, registry) {
  fs.mkdirSync(folder, { recursive: true });
  const manifest = path.join(folder, 'package.json');
  if (!fs.existsSync(manifest)) fs.writeFileSync(manifest, '{ "name": "project", "private": true }');
  const settings = {
    cache: path.join(folder, '.npm'),
    userconfig: '/dev/null',
    // Nothing listens on that port.
    registry: registry ?? 'http://127.0.0.1:9/',
    'fetch-retries': '0',
    // Which npm would guess from the machine's files, and not from the Node that runs it.
    ...(LIBC === undefined ? {} : { libc: LIBC }),
  };
  const flags = Object.entries(settings).map(([name, value]) => `--${name}=${value}`);
  const all = ['install', '--ignore-scripts', '--no-audit', '--no-fund', ...flags, ...args];
  if (registry === undefined) all.push('--offline');
  return run('npm', all, { cwd: folder, env: bare(), timeout: LIMIT });
}

/**
 * The tarballs of the root package and of this machine's platform, with the addon that was built here.
 * @param {string} out
 */
async function packHere(out) {
  // Not another platform's that was built here as well: npm refuses to install it.
  const addons = path.join(out, 'addons');
  fs.mkdirSync(addons, { recursive: true });
  const libc = LIBC === undefined ? '' : { glibc: '-gnu', musl: '-musl' }[LIBC];
  const addon = `parallelizer.${process.platform}-${process.arch}${libc}.node`;
  assert.ok(fs.existsSync(path.join(root, addon)), 'the addon of this platform is there: run `npm run build`');
  fs.copyFileSync(path.join(root, addon), path.join(addons, addon));
  const { packages } = await pack({ addons, out });
  assert.equal(packages.length, 2);
  return packages;
}

/**
 * Runs a program of the project; resolves with its output even if it fails.
 * @param {string} folder @param {string[]} args @param {object} [options] of `execFile`
 */
async function node(folder, args, options = {}) {
  const own = { cwd: folder, env: bare(), timeout: LIMIT, ...options };
  return run(process.execPath, args, own).then(
    ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
    ({ code, stdout, stderr }) => ({ code, stdout, stderr }),
  );
}

/**
 * The error that a new pool raises in the project; an empty object if there is none.
 * @param {string} folder @param {string} [prelude]
 */
async function errorIn(folder, prelude = '') {
  const script = `${prelude}; const { Pool } = require('@parallelizer/node');
    try { new Pool(1).terminate(); console.log('{}'); } catch ({ code, name, message }) { console.log(JSON.stringify({ code, name, message })); }`;
  const { stdout, stderr } = await node(folder, ['-e', script]);
  assert.notEqual(stdout, '', stderr);
  return JSON.parse(stdout);
}

/** The code block of the README whose first line is `// name`. @param {string} name */
function fromReadme(name) {
  const readme = fs.readFileSync(path.join(root, 'README.md'), 'utf8');
  const found = readme.match(/^```[jt]s\n[^]*?^```$/gm)?.find((block) => block.slice(6).startsWith(`// ${name}\n`));
  assert.ok(found, `README.md has a block of code that begins with "// ${name}"`);
  return found.split('\n').slice(1, -1).join('\n') + '\n';
}

/** Replaces texts that must be there. @param {string} text @param {[from: string | RegExp, to: string][]} changes */
function changed(text, changes) {
  return changes.reduce((before, [from, to]) => {
    const after = before.replace(from, to);
    assert.notEqual(after, before, `the text has ${from}`);
    return after;
  }, text);
}

/** The README's handler and its worker, as they are there (CommonJS) or as ES modules. @param {'cjs' | 'esm'} format */
function handlerFiles(format) {
  const handler = fromReadme('handler.js');
  const worker = fromReadme('worker.js');
  if (format === 'cjs') return { 'handler.js': handler, 'worker.js': worker };
  return {
    'handler.mjs': changed(handler, [
      ["const { Parallelizer } = require('@parallelizer/node');", "import { Parallelizer } from '@parallelizer/node';"],
      [/`\$\{__dirname\}\/worker\.js`/, "new URL('./worker.mjs', import.meta.url).href"],
      ['exports.handler =', 'export const handler ='],
    ]),
    'worker.mjs': changed(worker, [['exports.batchProcessor =', 'export const batchProcessor =']]),
  };
}

/** @param {string} folder @param {Record<string, string>} files */
function write(folder, files) {
  fs.mkdirSync(folder, { recursive: true });
  for (const [name, text] of Object.entries(files)) fs.writeFileSync(path.join(folder, name), text);
}

/** A program that treats a handler as Lambda does: loads it by its path, and awaits an invocation or two. */
const DRIVER = `
import { pathToFileURL } from 'node:url';
const { handler } = await import(pathToFileURL(process.argv[2]).href);
const answers = [];
for (const count of [10, 7]) answers.push(await handler({ Records: Array.from({ length: count }, (_, i) => ({ i })) }));
console.log(JSON.stringify({ answers }));
`;

/**
 * What the README's handler has done, according to the driver's output.
 * @param {{ code: any, stdout: string, stderr: string }} ended
 */
function assertHandled({ code, stdout, stderr }) {
  assert.equal(code, 0, `${stdout}\n${stderr}`);
  const lines = stdout.trim().split('\n').map((line) => JSON.parse(line));
  const { answers } = lines.pop();
  const sum = (/** @type {number[]} */ counts) => counts.reduce((a, b) => a + b, 0);
  assert.deepEqual(answers.map(sum), [10, 7], 'each record was counted by one worker');
  const logged = lines.filter(({ message }) => message === 'working');
  assert.equal(logged.length, answers.flat().length, 'each sub-batch logged a line');
  assert.ok(JSON.stringify(logged).includes('"table":"orders"'), 'the params have arrived');
}

module.exports = { DRIVER, assertHandled, bare, errorIn, fromReadme, handlerFiles, install, node, packHere, write };
