'use strict';
// Projects that use the library as npm would install it, beside a set of tools: each test makes one of its own, runs a
// command in it, and looks at what came of it.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { spawn } = require('node:child_process');
const { test } = require('node:test');

const { root, within } = require('../../support/helpers');
const { packHere } = require('../../support/packages');
const { run } = require('../../../scripts/toolchains');
const { PLACE, tools, whyMissing } = require('./tools');

const LIBRARY = path.join(PLACE, 'node_modules', '@parallelizer');
const DEADLINE = 120_000;

/** When anything that is packed was last changed. */
function newest() {
  const files = fs.readdirSync(path.join(root, 'lib'), { recursive: true }).map((name) => path.join('lib', String(name)));
  const top = fs.readdirSync(root).filter((name) => /\.(?:js|ts|json|node)$/.test(name));
  return Math.max(...[...files, ...top].map((name) => fs.statSync(path.join(root, name)).mtimeMs));
}

/** Puts the packed library where every project finds it, unless that is there already. */
async function installLibrary() {
  const stamp = path.join(LIBRARY, '.packed');
  const version = String(newest());
  if (fs.existsSync(stamp) && fs.readFileSync(stamp, 'utf8') === version) return;
  fs.rmSync(LIBRARY, { recursive: true, force: true });
  const out = path.join(PLACE, 'packed');
  fs.rmSync(out, { recursive: true, force: true });
  for (const { name, tarball } of await packHere(out)) {
    const folder = path.join(PLACE, 'node_modules', name);
    fs.mkdirSync(folder, { recursive: true });
    run('tar', ['-xzf', tarball, '--strip-components=1', '-C', folder]);
  }
  fs.writeFileSync(stamp, version);
}

/**
 * A project with these files, in a folder of its own that finds the tools of a set and the library.
 * @param {import('node:test').TestContext} t
 * @param {import('./tools').SetName | null} set
 * @param {Record<string, string | object>} files objects become JSON
 * @returns {string} its folder
 */
function project(t, set, files) {
  const place = path.join(set === null ? PLACE : tools(set).folder, 'projects');
  fs.mkdirSync(place, { recursive: true });
  const folder = fs.mkdtempSync(path.join(place, 'project-'));
  t.after(() => fs.rmSync(folder, { recursive: true, force: true, maxRetries: 5 }));
  const all = { 'package.json': { name: 'project', private: true }, ...files };
  for (const [name, content] of Object.entries(all)) {
    const file = path.join(folder, name);
    fs.mkdirSync(path.dirname(file), { recursive: true });
    fs.writeFileSync(file, typeof content === 'string' ? content : JSON.stringify(content, null, 2));
  }
  return folder;
}

/** The environment of somebody who has set nothing of ours. @param {NodeJS.ProcessEnv} [own] */
function cleanEnv(own = {}) {
  const { NODE_TEST_CONTEXT, NODE_OPTIONS, NODE_V8_COVERAGE, ...rest } = process.env;
  return { ...rest, ...own };
}

/**
 * Runs a command in a project, in a process group of its own that ends with the test.
 * @param {import('node:test').TestContext} t @param {string} folder @param {string[]} command
 * @param {{ env?: NodeJS.ProcessEnv, deadline?: number, input?: string }} [options]
 * @returns {Promise<{ code: number | null, signal: string | null, stdout: string, stderr: string, output: string, pid: number }>}
 */
async function execute(t, folder, [program, ...args], { env, deadline = DEADLINE } = {}) {
  const child = spawn(program, args, { cwd: folder, env: cleanEnv(env), detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
  const ended = { code: null, signal: null, stdout: '', stderr: '', output: '', pid: child.pid };
  for (const name of ['stdout', 'stderr']) {
    child[name].setEncoding('utf8').on('data', (text) => {
      ended[name] += text;
      ended.output += text;
    });
  }
  const sweep = () => {
    try {
      process.kill(-child.pid, 'SIGKILL');
    } catch (error) {
      if (error.code !== 'ESRCH') throw error;
    }
  };
  t.after(sweep);
  const done = new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code, signal) => Object.assign(ended, { code, signal }));
    child.once('close', resolve);
  });
  await within(done, `${path.basename(program)} ${args.join(' ').slice(0, 80)}`, deadline).catch((error) => {
    error.message += `\n${ended.output.slice(-4000)}`;
    throw error;
  });
  return ended;
}

/** The same, for a command that has to succeed. */
async function succeed(t, folder, command, options) {
  const ended = await execute(t, folder, command, options);
  assert.equal(ended.code, 0, `${command.join(' ').slice(0, 120)}: exit code ${ended.code}, signal ${ended.signal}\n${ended.output.slice(-6000)}`);
  return ended;
}

/**
 * A test that needs tools; skipped, with the reason, where they cannot be had.
 * @param {string} name
 * @param {(import('./tools').SetName | import('./tools').NodeVersion)[]} needs sets of tools, or versions of Node
 * @param {(t: import('node:test').TestContext) => Promise<void>} body
 */
function ecosystemTest(name, needs, body) {
  test(name, { skip: whyMissing(needs) ?? false }, async (t) => {
    await installLibrary();
    await body(t);
  });
}

/** Lines of a text that are JSON, parsed. @param {string} text */
const jsonLines = (text) => text.split('\n').filter((line) => /^[[{]/.test(line)).map((line) => JSON.parse(line));

module.exports = { LIBRARY, cleanEnv, ecosystemTest, execute, installLibrary, jsonLines, project, succeed };
