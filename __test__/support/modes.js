'use strict';
// The modes in which the shared cases run. Each case is written once, inside `forEachMode`, and runs once per mode
// listed in `enabled`; PARALLELIZER_TEST_MODES=child,threads overrides the list.
//
//   node --test __test__/close.test.js                                  one file
//   node --test --test-name-pattern='SIGKILL' __test__/lifetime.test.js one case of it
//   node --test __test__/*.test.*js                                     everything

//   PARALLELIZER_FALLBACK=1 node --test __test__/close.test.js          without the addon, see docs/platforms.md

const { describe, test } = require('node:test');

/** Whether the library runs without the addon here: there is none for Windows. */
const isFallback = process.env.PARALLELIZER_FALLBACK === '1' || process.platform === 'win32';

const known = {
  child: {
    name: 'child',
    type: 'child-process',
    hasProcess: true, // a worker is a process: pid, exit code, signals, /proc
    hasWorkers: true, // a worker can die, be replaced and be stopped in the middle of a loop
    isParallel: true, // two calls can run at the same instant
    loadsFirst: true, // ready() means that the modules are loaded
    measuresLag: true, // how late the caller looks after its workers is known, with the addon
  },
  threads: {
    name: 'threads',
    type: 'worker-threads',
    hasProcess: false,
    hasWorkers: true,
    isParallel: true,
    loadsFirst: true,
    measuresLag: true,
  },
  inline: {
    name: 'inline',
    type: 'inline',
    hasProcess: false,
    hasWorkers: false,
    isParallel: false,
    loadsFirst: true,
    measuresLag: false,
  },
  // Only with NODE_OPTIONS="--require …/support/remote/mode.js", as `npm run test:remote` has it.
  remote: {
    name: 'remote',
    type: 'remote',
    hasProcess: false, // a worker is a lane: its process is somebody else's
    hasWorkers: true,
    isParallel: true,
    loadsFirst: false, // ready() means that a host is there
    measuresLag: false, // a lane has a chunk that is worth a trip, however late the caller is
  },
};

const enabled = ['child', 'threads', 'inline'];

const names = process.env.PARALLELIZER_TEST_MODES
  ? process.env.PARALLELIZER_TEST_MODES.split(',').map((name) => name.trim())
  : enabled;

const modes = names.map((name) => {
  if (!known[name]) throw new Error(`PARALLELIZER_TEST_MODES: no mode named '${name}'`);
  return known[name];
});

/**
 * Runs `define(mode)` once per mode, in a suite of that name. `needs` names flags that a mode must have; a mode without
 * them is reported as skipped, with the reason.
 */
function forEachMode(define, { needs = [] } = {}) {
  for (const mode of modes) {
    const missing = [].concat(needs).filter((flag) => !mode[flag]);
    if (missing.length > 0) {
      test(mode.name, { skip: `mode '${mode.name}' has no ${missing.join(', ')}` }, () => {});
    } else {
      describe(mode.name, () => define(mode));
    }
  }
}

/**
 * The options of a test about something that only the addon has: it is skipped without, with this reason.
 * @param {string} reason
 */
function withAddon(reason) {
  return isFallback ? { skip: `without the addon: ${reason}` } : {};
}

module.exports = { forEachMode, isFallback, modes, withAddon };
