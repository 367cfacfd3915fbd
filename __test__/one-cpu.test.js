'use strict';
// One CPU for a caller and all of its workers: they give way to each other instead of sleeping, and nobody starves.

const assert = require('node:assert/strict');
const { spawnSync } = require('node:child_process');
const { test } = require('node:test');

const { root } = require('./support/helpers');
const { forEachMode } = require('./support/modes');
const { range } = require('./support/pool');
const { asynchronous, run } = require('./support/scripts');

const cpus = spawnSync('taskset', ['-cp', String(process.pid)], { encoding: 'utf8' });
/** The first of the CPUs that this process may use. */
const [, cpu] = /: (\d+)/.exec(cpus.stdout ?? '') ?? [];
const pinned = cpu === undefined ? { skip: 'taskset is needed to have one CPU only' } : {};
const by = ['taskset', '-c', cpu];

const prelude = `
  const { Pool } = require(${JSON.stringify(root)});
  const pool = new Pool(2, { type: process.env.TEST_MODE_TYPE });
  const echo = (x) => x;
  const spin = (ms) => { for (const end = performance.now() + ms; performance.now() < end; ); return ms; };
  const rest = (ms) => new Promise((resolve) => setTimeout(resolve, ms, ms));
`;

forEachMode(
  (mode) => {
    test('whatever calls do, timers of caller and workers go on, and every call is answered', pinned, async (t) => {
      const { messages } = await run(t, prelude + asynchronous(`
        let ticks = 0;
        const timer = setInterval(() => ticks++, 1);
        const results = [];
        for (let i = 0; i < 500; i++) results.push(await pool.apply(echo, [i]));
        for (let i = 0; i < 20; i++) results.push(await pool.apply(spin, [3]), await pool.apply(rest, [3]));
        const before = ticks;
        await pool.map(spin, Array(100).fill(3));
        results.push(...await Promise.all(Array.from({ length: 2000 }, (_, i) => pool.apply(echo, [i]))));
        clearInterval(timer);
        await pool.close();
        await pool.join();
        console.log(JSON.stringify({ results, ticks: ticks - before }));
      `), { mode, by });
      const [{ results, ticks }] = messages;
      assert.deepEqual(results, [...range(500), ...Array(40).fill(3), ...range(2000)]);
      // 300 ms of work by workers who share the CPU with it.
      assert.ok(ticks > 5, `${ticks} ticks while the workers worked`);
    });

    test('a caller whose loop never sleeps is answered soon', pinned, async (t) => {
      const { messages } = await run(t, prelude + asynchronous(`
        let turns = 0;
        let isOver = false;
        const turn = () => {
          turns++;
          if (!isOver) setImmediate(turn);
        };
        for (let i = 0; i < 500; i++) await pool.apply(echo, [i]);
        turn();
        for (let i = 0; i < 2000; i++) await pool.apply(echo, [i]);
        isOver = true;
        console.log(JSON.stringify({ turns }));
        await pool.terminate();
      `), { mode, by });
      const [{ turns }] = messages;
      // Where a worker gets the CPU at the end of a time slice only, there are a thousand or more for each call.
      assert.ok(turns < 2000 * 300, `${turns} turns for 2,000 calls`);
    });
  },
  { needs: 'hasWorkers' },
);
