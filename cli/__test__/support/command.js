'use strict';
// The command as its users run it: as a program of its own, with pipes and files.

const { spawn } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const path = require('node:path');

const { read, temporary, waitFor, within } = require('../../../__test__/support/helpers');

const program = path.join(__dirname, '..', '..', 'bin', 'parallelizer.js');
const fixtures = path.join(__dirname, '..', 'fixtures');

/** Of one run, however busy the machine is. */
const DEADLINE = 120_000;

/** The environment of a user: the test runner's own variables make children report to it. */
function environment() {
  const { NODE_TEST_CONTEXT, NODE_OPTIONS, NODE_V8_COVERAGE, ...env } = process.env;
  return env;
}

/**
 * Starts the command.
 * @param {string[]} args @param {{ cwd?: string, stdin?: string | 'open', execArgv?: string[], stdout?: any }} [options]
 */
function start(args, { cwd = fixtures, stdin = '', execArgv = [], stdout = 'pipe' } = {}) {
  const child = spawn(process.execPath, [...execArgv, program, ...args], {
    cwd,
    env: environment(),
    stdio: ['pipe', stdout, 'pipe'],
  });
  const said = { stdout: '', stderr: '' };
  child.stdout?.setEncoding('utf8').on('data', (text) => (said.stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text) => (said.stderr += text));
  // It may end before it has read everything.
  child.stdin.on('error', () => {});
  if (stdin !== 'open') child.stdin.end(stdin);
  const ended = once(child, 'close').then(([code, signal]) => ({ code, signal, ...said }));
  return { child, said, ended };
}

/** Runs the command to its end. @type {(args: string[], options?: Parameters<typeof start>[1]) => Promise<any>} */
async function run(args, options) {
  const { child, ended } = start(args, options);
  try {
    return await within(ended, `parallelizer ${args.join(' ')}`, DEADLINE);
  } finally {
    child.kill('SIGKILL');
  }
}

/** @param {string} file */
const linesOf = (file) => read(file).split('\n').slice(0, -1);
/** @param {string} text */
const records = (text) => text.split('\n').slice(0, -1).map((line) => JSON.parse(line));
/** @param {number} count @param {(i: number) => unknown} make */
const ndjson = (count, make = (i) => ({ id: i })) => Array.from({ length: count }, (_, i) => `${JSON.stringify(make(i))}\n`).join('');

/** A function that makes paths in an empty directory. @param {import('node:test').TestContext} t */
function folder(t) {
  const directory = temporary(t);
  /** @param {string} name @param {string} [text] what is in it */
  return (name, text) => {
    const file = path.join(directory, name);
    if (text !== undefined) fs.writeFileSync(file, text);
    return file;
  };
}

module.exports = { DEADLINE, environment, fixtures, folder, linesOf, ndjson, program, read, records, run, start, waitFor, within };
