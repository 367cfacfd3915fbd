'use strict';
// Where a worker may run is the user's business: what the library does about it is over when a call has been sent.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const { test } = require('node:test');
const { setTimeout: sleep } = require('node:timers/promises');

const { forEachMode } = require('./support/modes');
const { makePool, range } = require('./support/pool');

const linux = process.platform === 'linux' ? {} : { skip: 'affinities are read from /proc' };

/** The CPUs on which each thread of a process may run. */
function affinities(pid) {
  return fs.readdirSync(`/proc/${pid}/task`).map((id) => {
    const status = fs.readFileSync(`/proc/${pid}/task/${id}/status`, 'utf8');
    return /^Cpus_allowed_list:\s*(.*)$/m.exec(status)[1];
  });
}

forEachMode(
  (mode) => {
    test('workers that were woken again and again may run wherever they could before', linux, async (t) => {
      const pool = makePool(t, mode);
      const [own] = affinities('self');
      // They fall asleep in between.
      for (const i of range(100)) {
        assert.equal(await pool.apply((x) => x, [i]), i);
        await sleep(1);
      }
      assert.deepEqual(await pool.map((x) => x, range(1000)), range(1000));
      // Lists of several chunks per worker, for which all workers are woken at once.
      const slow = (x) => {
        for (const end = performance.now() + 0.1; performance.now() < end;);
        return x;
      };
      for (let round = 0; round < 20; round++) {
        assert.deepEqual(await pool.map(slow, range(100)), range(100));
        await sleep(1);
      }
      const pids = new Set(pool.stats().workers.map(({ pid }) => pid));
      assert.ok(pids.size > 0);
      for (const pid of pids) assert.deepEqual([...new Set(affinities(pid))], [own]);
    });
  },
  { needs: 'hasWorkers' },
);
