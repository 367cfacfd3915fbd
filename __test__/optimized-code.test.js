'use strict';
// A full collection between two events does not cost the code that V8 has optimized for them.

const assert = require('node:assert/strict');
const { execFile } = require('node:child_process');
const { test } = require('node:test');
const { promisify } = require('node:util');

const { fixture } = require('./support/helpers');
const { forEachMode } = require('./support/modes');

const FLAGS = ['--expose-gc', '--trace-deopt', '--trace-deopt-verbose'];

/** How often V8 threw code away because no object of a hidden class was left, and how many events there were. */
async function discarded(type, handling) {
  const args = [...FLAGS, fixture('collected.js'), type, handling];
  const { stdout } = await promisify(execFile)(process.execPath, args, { maxBuffer: 2 ** 30 });
  const [, events] = stdout.match(/^done: (\d+)$/m) ?? assert.fail(stdout.slice(-1000));
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
});
