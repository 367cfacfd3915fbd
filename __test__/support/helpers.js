'use strict';
// What most test files need. To run one file: node --test __test__/close.test.js (see modes.js for more). A failing
// case that waits for a condition takes DEADLINE; nothing else here depends on the clock. PARALLELIZER_TEST_PATIENCE=10
// makes it ten times as long, for machines that are emulated.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { setTimeout: sleep } = require('node:timers/promises');

const { Parallelizer } = require('@parallelizer/node');

const DEADLINE = 20_000 * Number(process.env.PARALLELIZER_TEST_PATIENCE ?? 1);
const root = path.join(__dirname, '..', '..');

const fixture = (name) => path.join(__dirname, '..', 'fixtures', name);

/** An instance that ends with the test, by default with 2 workers on fixtures/act.js. */
function make(t, options = {}) {
  const defaults = { filePath: fixture('act.js'), processBatchFunctionName: 'act', parallelization: 2 };
  const instance = Array.isArray(options)
    ? new Parallelizer(options.map((one) => ({ ...defaults, ...one })))
    : new Parallelizer({ ...defaults, ...options });
  t.after(() => instance.terminate());
  return instance;
}

/** An empty directory that is removed after the test. */
function temporary(t) {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'parallelizer-test-'));
  t.after(() => {
    try {
      fs.rmSync(dir, { recursive: true, force: true });
    } catch (error) {
      // Windows keeps the working directory of a process that has not ended yet.
      if (!isWindows || error.code !== 'EBUSY') throw error;
    }
  });
  return dir;
}

/** Polls until `condition()` is truthy, and returns its value. */
async function waitFor(condition, what, deadline = DEADLINE) {
  const end = Date.now() + deadline;
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (Date.now() > end) throw new Error(`waited ${deadline} ms in vain: ${what}`);
    await sleep(15);
  }
}

/** Rejects if `promise` has not settled by then, which turns a hang into a failure with a name. */
function within(promise, what, deadline = DEADLINE) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not settled after ${deadline} ms: ${what}`)), deadline);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** The fields of /proc/PID/stat after the command's name, or null when there is no such process. */
function stat(pid) {
  try {
    const text = fs.readFileSync(`/proc/${pid}/stat`, 'latin1');
    return text.slice(text.lastIndexOf(')') + 2).split(' ');
  } catch {
    return null;
  }
}

/** Whether the process is still running, which a zombie is not. */
function isRunning(pid) {
  if (process.platform !== 'linux') return isKnown(pid);
  const fields = stat(pid);
  return fields !== null && fields[0] !== 'Z' && fields[0] !== 'X';
}

/** Whether the system knows the process, for systems without /proc. */
function isKnown(pid) {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

const isWindows = process.platform === 'win32';

/** How the end of a process looks that was killed from outside, or by itself: on Windows there are no signals. */
const KILLED = isWindows ? { exitCode: 1, signal: null } : { exitCode: null, signal: 'SIGKILL' };

/**
 * The options of a test about something that Windows has not: it is skipped there, with this reason.
 * @param {string} reason
 */
const notOnWindows = (reason) => (isWindows ? { skip: `on Windows ${reason}` } : {});

/** The same for a test that sends a signal; those that Windows knows end a process. @param {string} signal */
const withSignal = (signal) => (signal === 'SIGKILL' ? {} : notOnWindows(`there is no ${signal}`));

const gone = (pid, deadline) => waitFor(() => !isRunning(pid), `process ${pid} is still there`, deadline);

/** Pids of a process's children, zombies included. */
function childrenOf(parent) {
  return fs
    .readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => stat(pid)?.[1] === String(parent))
    .map(Number);
}

/** Reads a file that another process writes; '' while it does not exist. */
function read(file) {
  try {
    return fs.readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

const appeared = (file, deadline) => waitFor(() => fs.existsSync(file), `${file} did not appear`, deadline);

/** The pid that a file begins with. It may be there before its text, and 0 would be this process's own group. */
async function pidIn(file, deadline) {
  return waitFor(() => Number.parseInt(read(file), 10) || false, `a pid in ${file}`, deadline);
}

const lines = (file) => read(file).split('\n').filter(Boolean);

/** The pids of an instance's workers, of which there must be `count`: each takes a sub-batch at the same time. */
async function pidsOf(t, parallelizer, count = 2) {
  const dir = temporary(t);
  const batch = Array.from({ length: count }, () => ({ do: 'meet', dir, count }));
  const { responses, failures } = await within(parallelizer.run(batch), `${count} workers to work at the same time`);
  assert.deepEqual(failures, []);
  assert.equal(new Set(responses).size, count);
  return responses;
}

/** Records for `act`, one instruction each (see fixtures/act.js). */
const echo = (value) => ({ do: 'echo', value });

module.exports = {
  DEADLINE,
  KILLED,
  appeared,
  childrenOf,
  echo,
  fixture,
  gone,
  isKnown,
  isRunning,
  isWindows,
  lines,
  make,
  notOnWindows,
  pidIn,
  pidsOf,
  read,
  root,
  sleep,
  stat,
  temporary,
  waitFor,
  within,
  withSignal,
};
