'use strict';
// A full collection between two events does not cost the code that V8 has optimized for them, and a user's function is
// compiled by itself: in the middle of a runner V8 compiles its loops badly.

const assert = require('node:assert/strict');
const { execFile } = require('node:child_process');
const { test } = require('node:test');
const { promisify } = require('node:util');

const { fixture } = require('./support/helpers');
const { forEachMode } = require('./support/modes');

const FLAGS = ['--expose-gc', '--trace-deopt', '--trace-deopt-verbose'];

/** What a program and V8 print. */
async function output(flags, ...args) {
  return promisify(execFile)(process.execPath, [...flags, ...args], { maxBuffer: 2 ** 30 });
}

/** How often V8 threw code away because no object of a hidden class was left, and how many events there were. */
async function discarded(type, handling) {
  const { stdout, stderr } = await output(FLAGS, fixture('collected.js'), type, handling);
  const [, events] = stderr.match(/^done: (\d+)$/m) ?? assert.fail(stderr.slice(-1000));
  return { count: stdout.match(/for deoptimization, reason: weak objects/g)?.length ?? 0, events: Number(events) };
}

forEachMode((mode) => {
  for (const handling of ['one', 'batch']) {
    test(`code for ${handling === 'one' ? 'single records' : 'sub-batches'} outlives collections`, async () => {
      const { count, events } = await discarded(mode.type, handling);
      // Code that no record depends on may go.
      assert.ok(count < events, `${count} functions lost their code with ${events} events`);
    });
  }

  for (const how of ['map', 'starmap', 'batches', 'records', 'decode', 'schema']) {
    test(`a function is called as it is, and not inlined: ${how}`, async () => {
      let stdout = '';
      // V8 optimizes the runner in a thread of its own, which may be late.
      for (let times = 0; times < 10 && !/Inlining .*#runSome/.test(stdout); times++) {
        const printed = await output(['--trace-turbo-inlining'], fixture('inlined.js'), mode.type, how);
        assert.match(printed.stderr, /^done$/m);
        stdout += printed.stdout;
      }
      assert.ok(/Inlining .*#runSome/.test(stdout), 'the runner was optimized');
      const inlined = stdout.split('\n').filter((line) => /\bspun>\} into /.test(line));
      assert.deepEqual(inlined.slice(0, 3), []);
    });
  }
});
