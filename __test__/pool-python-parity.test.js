'use strict';
// `Pool` is Python's multiprocessing.Pool: the same scenarios (fixtures/parity.py and fixtures/parity.js) run with
// CPython and with `Pool`, and the outcomes must be the same except for the departures that parity.js lists. Without a
// python3 on the PATH, or with one that cannot make a Pool, the comparisons are skipped.

const assert = require('node:assert/strict');
const { spawn } = require('node:child_process');
const { after, before, test } = require('node:test');

const { Pool } = require('@parallelizer/node');
const { Scene, scenarios } = require('./fixtures/parity');
const { fixture, within } = require('./support/helpers');
const { forEachMode } = require('./support/modes');

/** Runs parity.py; each of its outcomes is available as soon as it is printed. */
function python() {
  const outcomes = new Map();
  const waiting = new Set();
  const state = { names: null, absent: null, ended: null };
  // In its own process group, since the workers of a Python that is killed would stay.
  const child = spawn('python3', [fixture('parity.py')], { stdio: ['ignore', 'pipe', 'pipe'], detached: true });
  let stderr = '';
  let rest = '';

  const wake = () => {
    for (const look of waiting) look();
  };
  const take = (line) => {
    if (line.unavailable) state.absent = `this python3 can make no Pool: ${line.unavailable}`;
    else if (line.scenarios) state.names = line.scenarios;
    else outcomes.set(line.name, line.outcome);
  };
  child.stderr.setEncoding('utf8').on('data', (text) => (stderr = (stderr + text).slice(-4000)));
  child.stdout.setEncoding('utf8').on('data', (text) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop();
    for (const line of lines) take(JSON.parse(line));
    wake();
  });
  child.once('error', (error) => {
    state.absent = error.code === 'ENOENT' ? 'no python3 in the PATH' : `python3 does not start: ${error.message}`;
    wake();
  });
  child.once('close', (code, signal) => {
    state.ended = `parity.py ended (${signal ?? code})`;
    wake();
  });

  /** Resolves when `there()` returns something; to null if Python is absent; rejects if it ends before that. */
  const until = (there) =>
    new Promise((resolve, reject) => {
      const look = () => {
        const value = there();
        if (value === undefined && !state.absent && !state.ended) return waiting.add(look);
        waiting.delete(look);
        if (value !== undefined) resolve(value);
        else if (state.absent) resolve(null);
        else reject(new Error(`${state.ended} without that outcome; its stderr:\n${stderr}`));
      };
      look();
    });

  return {
    names: () => until(() => state.names ?? undefined),
    outcome: (name) => until(() => outcomes.get(name)),
    absent: () => state.absent,
    stop() {
      if (child.pid && !state.ended) process.kill(-child.pid, 'SIGKILL');
      child.stdout.destroy();
      child.stderr.destroy();
    },
  };
}

let theirs;
before(() => (theirs = python()));
after(() => theirs.stop());

test('both lists have the same scenarios', async (t) => {
  const names = await within(theirs.names(), 'Python', 60_000);
  if (names === null) return t.skip(theirs.absent());
  assert.deepEqual(scenarios.map(({ name }) => name), names);
});

forEachMode((mode) => {
  for (const { name, run, departs, needs } of scenarios) {
    const missing = needs.filter((flag) => !mode[flag]);
    if (missing.length > 0) {
      test(name, { skip: `mode '${mode.name}' has no ${missing.join(', ')}` }, () => {});
      continue;
    }

    test(departs ? `${name} (not as in Python: ${departs.because})` : name, async (t) => {
      const expected = await within(theirs.outcome(name), 'Python', 120_000);
      if (expected === null) return t.skip(theirs.absent());
      const scene = new Scene(Pool, mode);
      t.after(() => scene.end());
      const actual = await within(run(scene), name, 60_000);
      if (departs) {
        assert.deepEqual(actual, departs.here);
        assert.notDeepEqual(actual, expected, 'Python does the same: this is no departure any more');
      } else {
        assert.deepEqual(actual, expected);
      }
    });
  }
});
