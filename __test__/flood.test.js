'use strict';
// 100,000 items and more through 3 workers, one of which is killed every 50 ms: with retries none is lost and none
// arrives twice. Goes on until there were both enough items and enough kills, whichever takes the machine longer.

const assert = require('node:assert/strict');
const { test } = require('node:test');

const { Random } = require('./chaos/random');
const { fixture, within } = require('./support/helpers');
const { forEachMode } = require('./support/modes');
const { makePool } = require('./support/pool');

const ITEMS = 100_000;
const KILLS = 25;
const PACE = 50;
const task = { filePath: fixture('flood.js'), name: 'item' };

forEachMode(
  (mode) => {
    test('100,000 items, a kill every 50 ms: each arrives exactly once', { timeout: 600_000 }, async (t) => {
      const word = new Int32Array(new SharedArrayBuffer(4));
      const pool = makePool(t, mode, {
        processes: 3,
        retries: 100_000,
        stdio: 'ignore',
        ...(mode.hasProcess ? {} : { initializer: { filePath: fixture('flood.js'), name: 'join' }, initArgs: [word] }),
      });
      const random = new Random(7);
      let kills = 0;
      const killer = setInterval(() => {
        // On a busy machine, workers that are killed as soon as they are up would get nothing done.
        const up = pool.stats().workers.filter((worker) => worker.done > 0);
        if (up.length === 0) return;
        if (!mode.hasProcess) {
          kills += 1 - Atomics.exchange(word, 0, 1);
        } else {
          try {
            process.kill(random.pick(up).pid, 'SIGKILL');
            kills++;
          } catch {
            // It is gone already.
          }
        }
      }, PACE);
      t.after(() => clearInterval(killer));
      const began = performance.now();

      let [offered, taken, doubled] = [0, 0, 0];
      function* numbers() {
        while (offered < ITEMS || kills < KILLS) yield offered++;
      }
      /** @type {Set<number>[]} The numbers that have arrived, a thousand per set; a full set is dropped. */
      const seen = [];
      const take = (number) => {
        const thousand = Math.floor(number / 1000);
        seen[thousand] ??= new Set();
        if (seen[thousand].size === 1000 || seen[thousand].has(number)) doubled++;
        seen[thousand].add(number);
        taken++;
      };
      const source = numbers();
      const inOrder = async () => {
        let last = -1;
        for await (const number of pool.imap(task, source)) {
          assert.ok(number > last, `${number} after ${last}`);
          take((last = number));
        }
      };
      const asTheyCome = async () => {
        for await (const number of pool.imapUnordered(task, source)) take(number);
      };
      await within(Promise.all([inOrder(), asTheyCome()]), 'all of them', 500_000);
      clearInterval(killer);
      const seconds = (performance.now() - began) / 1000;

      const { restarts, done, failed, waiting, running } = pool.stats();
      t.diagnostic(
        `${taken} items, ${kills} kills, ${restarts} restarts in ${seconds.toFixed(1)} s; ${offered - taken} lost, ${doubled} doubled`,
      );
      assert.equal(doubled, 0);
      assert.equal(taken, offered, 'none is lost');
      assert.deepEqual({ done, failed, waiting, running }, { done: offered, failed: 0, waiting: 0, running: 0 });
      assert.ok(taken >= ITEMS && kills >= KILLS && restarts > 0);
    });
  },
  { needs: 'hasWorkers' },
);
