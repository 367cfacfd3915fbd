'use strict';
// Polling shortly before sleeping changes no outcome, starves nobody, and ends when nothing is expected.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const { describe, test } = require('node:test');

const { Pool } = require('@parallelizer/node');
const { sleep } = require('./support/helpers');
const { forEachMode } = require('./support/modes');

const increment = (x) => x + 1;

/** The CPU time that these processes have used, in milliseconds. */
function cpuTime(pids) {
  return pids.reduce((sum, pid) => {
    const [, rest] = fs.readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ');
    const [user, system] = rest.split(' ').slice(11, 13).map(Number);
    return sum + (user + system) * 10;
  }, 0);
}

forEachMode((mode) => {
  for (const spin of ['auto', false]) {
    describe(`spin: ${spin}`, () => {
      const make = (t, options) => {
        const pool = new Pool({ type: mode.type, processes: 2, spin, ...options });
        t.after(() => pool.terminate());
        return pool;
      };

      test('calls one after another get their results', async (t) => {
        const pool = make(t);
        for (let i = 0; i < 2000; i++) assert.equal(await pool.apply(increment, [i]), i + 1);
      });

      test('timers of the caller and of the worker fire meanwhile', async (t) => {
        const pool = make(t, { processes: 1 });
        let ticks = 0;
        const timer = setInterval(() => ticks++, 1);
        t.after(() => clearInterval(timer));
        await pool.apply(() => {
          globalThis.ticks = 0;
          globalThis.timer = setInterval(() => globalThis.ticks++, 1);
        });
        const count = () => globalThis.ticks;
        for (let calls = 0; calls < 100 || ticks < 20 || (await pool.apply(count)) < 20; calls++) {
          await pool.apply(increment, [calls]);
        }
        await pool.apply(() => clearInterval(globalThis.timer));
      });

      test('a pause between calls does no harm', async (t) => {
        const pool = make(t);
        for (let i = 0; i < 30; i++) {
          assert.deepEqual(await pool.map(increment, [i, i]), [i + 1, i + 1]);
          if (i % 3 === 0) await sleep(2);
        }
      });

      const isLinux = process.platform === 'linux';
      test('an idle pool costs no CPU time', { skip: isLinux ? false : 'reads /proc' }, async (t) => {
        const pool = make(t);
        for (let i = 0; i < 500; i++) await pool.apply(increment, [i]);
        const pids = new Set([process.pid, ...pool.stats().workers.map(({ pid }) => pid)]);
        await sleep(100);
        const before = cpuTime([...pids]);
        await sleep(1000);
        const used = cpuTime([...pids]) - before;
        t.diagnostic(`${used} ms of CPU time in a second`);
        assert.ok(used <= 300, `${used} ms`);
      });
    });
  }
});
