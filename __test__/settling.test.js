'use strict';
// What a worker waits for while it gets ready, and that can never come, is told; what takes its time has it.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');

const { Parallelizer } = require('@parallelizer/node');
const { temporary, within } = require('./support/helpers');
const { forEachMode } = require('./support/modes');
const { makePool } = require('./support/pool');

function moduleOf(t, text) {
  const file = path.join(temporary(t), 'worker.mjs');
  fs.writeFileSync(file, text);
  return file;
}

const NEVER = 'await new Promise(() => {}); export const work = ({ batch }) => batch; export const double = (n) => n * 2;';
const SLOW = `import { setTimeout as sleep } from 'node:timers/promises'; import { readFile } from 'node:fs/promises';
  await sleep(400); await readFile(new URL(import.meta.url)); export const work = ({ batch }) => batch; export const double = (n) => n * 2;`;

forEachMode(
  (mode) => {
    test('a top-level await that never settles: ready, run, and the tasks of a pool, which goes on', async (t) => {
      const filePath = moduleOf(t, NEVER);
      const parallelizer = new Parallelizer({ type: mode.type, filePath, processBatchFunctionName: 'work', parallelization: 1 });
      t.after(() => parallelizer.terminate());
      const expected = { code: 'ERR_PARALLELIZER_MODULE', message: /unsettled top-level await/ };
      await assert.rejects(within(parallelizer.ready(), 'ready()'), expected);
      const { errors } = await within(parallelizer.run([1]), 'run()');
      assert.equal(errors[0].code, 'ERR_PARALLELIZER_MODULE');
      const pool = makePool(t, mode, { processes: 1 });
      for (let i = 0; i < 2; i++) {
        await assert.rejects(within(pool.map({ filePath, name: 'double' }, [1]), 'map()'), expected);
        assert.equal(await pool.apply((n) => n + 1, [1]), 2);
      }
    });

    test('an initializer', async (t) => {
      const pool = makePool(t, mode, { processes: 1, initializer: () => new Promise(() => {}) });
      const expected = { code: 'ERR_PARALLELIZER_MODULE', message: /the initializer never settles/ };
      await assert.rejects(within(pool.apply(() => 1), 'apply()'), expected);
    });

    test('what is slow may take its time, and the worker stays', async (t) => {
      const filePath = moduleOf(t, SLOW);
      const parallelizer = new Parallelizer({ type: mode.type, filePath, processBatchFunctionName: 'work', parallelization: 1 });
      t.after(() => parallelizer.terminate());
      await parallelizer.ready();
      assert.deepEqual((await parallelizer.run([1])).responses, [[1]]);
      const pool = makePool(t, mode, { processes: 1, initializer: () => new Promise((resolve) => setTimeout(resolve, 300)) });
      assert.equal(await pool.apply({ filePath, name: 'double' }, [2]), 4);
      assert.equal(await pool.apply((n) => n, [1]), 1);
    });
  },
  { needs: ['hasWorkers'] },
);
