'use strict';
// Runs a whole program in its own process: for what can only be observed from outside (its output, its exit code, what
// it leaves behind), and for what could take the test runner down.

const fs = require('node:fs');
const path = require('node:path');
const { spawn } = require('node:child_process');

const { DEADLINE, fixture, root, temporary, waitFor, within } = require('./helpers');

const prelude = `'use strict';
if (process.env.TEST_MODE_TYPE === 'remote') require(${JSON.stringify(path.join(__dirname, 'remote', 'mode.js'))});
const { Parallelizer } = require(${JSON.stringify(root)});
const fixture = (name) => require('node:path').join(${JSON.stringify(fixture(''))}, name);
const sleep = require('node:timers/promises').setTimeout;
const make = (options) => new Parallelizer({
  type: process.env.TEST_MODE_TYPE, filePath: fixture('act.js'), processBatchFunctionName: 'act', parallelization: 2, ...options,
});
`;

/**
 * Starts `source` as a program (CommonJS, with the prelude's names), as user `uid`, through the command `by` if there
 * is one. Returns its output so far (`stdout`, `stderr`), `exited` (a promise of { code, signal, stdout, stderr }), and
 * `says(text)`, which waits for a text on stdout.
 */
function start(
  t,
  source,
  { mode, args = [], execArgv = [], env = {}, cwd = root, detached = false, uid, by = [] } = {},
) {
  const file = path.join(temporary(t), 'program.js');
  fs.writeFileSync(file, prelude + source);
  // Another user has to be able to read it.
  if (uid !== undefined) fs.chmodSync(path.dirname(file), 0o755);
  const [command, ...first] = [...by, process.execPath];
  const child = spawn(command, [...first, ...execArgv, file, ...args], {
    cwd,
    detached,
    ...(uid === undefined ? {} : { uid, gid: uid }),
    env: { ...clean(process.env), TEST_MODE_TYPE: mode?.type ?? 'child-process', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const program = {
    child,
    pid: child.pid,
    stdout: '',
    stderr: '',
    kill: (signal) => child.kill(signal),
    says: (text) =>
      waitFor(
        () => program.stdout.includes(text) || (child.exitCode !== null && fail(program, `never said '${text}'`)),
        `'${text}' in the output of the program`,
      ).catch((error) => {
        error.message += `\n${report(program)}`;
        throw error;
      }),
    // The lines of stdout that are JSON, parsed.
    messages: () => program.stdout.split('\n').filter((line) => /^[[{]/.test(line)).map((line) => JSON.parse(line)),
  };
  child.stdout.setEncoding('utf8').on('data', (text) => (program.stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text) => (program.stderr += text));
  program.exited = new Promise((resolve, reject) => {
    child.once('error', reject);
    // Not 'close': a worker that holds the pipe open must not hide that the program has ended.
    child.once('exit', async (code, signal) => {
      const drained = Promise.all(
        [child.stdout, child.stderr].map((s) => s.readableEnded || new Promise((r) => s.once('end', r))),
      );
      await within(drained, 'output', 3_000).catch(() => {});
      resolve({ code, signal, stdout: program.stdout, stderr: program.stderr });
    });
  });
  program.exited.catch(() => {});
  t.after(() => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
    child.stdout.destroy();
    child.stderr.destroy();
  });
  return program;
}

/** Runs `source` to its end; fails if it hangs, or exits with a code other than `code` (null allows any). */
async function run(t, source, { deadline = 3 * DEADLINE, code = 0, ...options } = {}) {
  const program = start(t, source, options);
  const end = await within(program.exited, 'the program', deadline).catch((error) => {
    error.message += `\n${report(program)}`;
    throw error;
  });
  if (code !== null && end.code !== code)
    fail(program, `exit code ${end.code}, signal ${end.signal}, expected ${code}`);
  return { ...end, messages: program.messages() };
}

/** Wraps the body of a program that awaits. A rejection ends the program with code 99. */
const asynchronous = (body) =>
  `(async () => {\n${body}\n})().catch((error) => { console.error(error); process.exit(99); });\n`;

// Variables that the test runner sets for its children, which would change how a program prints or exits.
function clean(env) {
  const { NODE_TEST_CONTEXT, NODE_OPTIONS, NODE_V8_COVERAGE, ...rest } = env;
  return rest;
}

const report = ({ stdout, stderr }) => `--- stdout\n${stdout.slice(-4000)}\n--- stderr\n${stderr.slice(-4000)}`;

function fail(program, message) {
  throw new Error(`${message}\n${report(program)}`);
}

module.exports = { asynchronous, run, start };
