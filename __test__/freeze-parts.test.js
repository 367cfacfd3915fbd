'use strict';
// Freezes that affect only some of the processes, or come at a delicate moment: the parent alone, the workers alone,
// during a grace period, while a worker polls before it sleeps, and when a worker ends with nobody to notice.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');

const { childrenOf, lines, sleep, temporary, waitFor, within } = require('./support/helpers');
const { forEachMode } = require('./support/modes');
const { asynchronous, start } = require('./support/scripts');

const FROZEN = 3_000;

/** Stops these for longer than any time limit of the programs here; `open`: a gate that opens meanwhile. */
async function freeze(pids, open) {
  for (const pid of pids) process.kill(pid, 'SIGSTOP');
  if (open !== undefined) fs.writeFileSync(`${open}.go`, '');
  await sleep(FROZEN);
  for (const pid of pids) process.kill(pid, 'SIGCONT');
}

async function ended(program) {
  const { code, stderr } = await within(program.exited, 'the program', 60_000);
  assert.equal(code, 0, stderr);
  return program.messages();
}

forEachMode(
  (mode) => {
    const withWorkers = (program) => [program.pid, ...childrenOf(program.pid)];

    test('get(timeout) of an AsyncResult does not time out because of a freeze', async (t) => {
      const file = path.join(temporary(t), 'held');
      const program = start(
        t,
        asynchronous(`
          const { Pool } = require(${JSON.stringify(require('./support/helpers').root)});
          const pool = new Pool(1, { type: process.env.TEST_MODE_TYPE });
          await pool.ready();
          const result = pool.applyAsync({ filePath: fixture('flood.js'), name: 'gate' }, [${JSON.stringify(file)}]);
          console.log(JSON.stringify([await result.get(2500).catch(({ code }) => code)]));
          await pool.terminate();`),
        { mode },
      );
      await waitFor(() => lines(`${file}.started`).length === 1, 'the work to begin');
      await freeze(withWorkers(program), file);
      assert.deepEqual(await ended(program), [['open']]);
    });

    test('during a grace period: a function that stops when its signal fires keeps its worker', async (t) => {
      const file = path.join(temporary(t), 'told');
      const program = start(
        t,
        asynchronous(`
          const parallelizer = make({ parallelization: 1, gracePeriod: 2500 });
          const [{ responses: [before] }] = [await parallelizer.run([{ do: 'who' }])];
          const controller = new AbortController();
          const running = parallelizer.run([{ do: 'gate', file: ${JSON.stringify(file)} }], null, { signal: controller.signal });
          while (!require('node:fs').existsSync(${JSON.stringify(`${file}.started`)})) await sleep(10);
          controller.abort();
          console.log(JSON.stringify((await running).errors.map(({ code }) => code)));
          const { responses: [after] } = await parallelizer.run([{ do: 'who' }]);
          console.log(JSON.stringify([before === after, parallelizer.stats().restarts]));
          await parallelizer.close();`),
        { mode },
      );
      await waitFor(() => program.messages().length === 1, 'the abort');
      await freeze(withWorkers(program));
      fs.writeFileSync(`${file}.go`, '');
      assert.deepEqual(await ended(program), [['ERR_PARALLELIZER_ABORTED'], [true, 0]]);
    });

    test('while calls follow each other so closely that both sides poll before sleeping', async (t) => {
      const stop = path.join(temporary(t), 'stop');
      const program = start(
        t,
        asynchronous(`
          const parallelizer = make({ timeout: 2000, gracePeriod: 100, idleTimeout: 2000 });
          await parallelizer.ready();
          console.log('[]');
          let runs = 0;
          for (; !require('node:fs').existsSync(${JSON.stringify(stop)}); runs++) {
            const { responses, failures } = await parallelizer.run([{ do: 'echo', value: runs }, { do: 'echo', value: -runs }]);
            if (responses[0] !== runs || failures.length > 0) throw new Error('run ' + runs + ': ' + failures);
          }
          console.log(JSON.stringify([runs > 100, parallelizer.stats().restarts]));
          await parallelizer.close();`),
        { mode },
      );
      await waitFor(() => program.messages().length === 1, 'the workers');
      for (let i = 0; i < 2; i++) {
        await sleep(200);
        await freeze(withWorkers(program));
      }
      await sleep(200);
      fs.writeFileSync(stop, '');
      assert.deepEqual((await ended(program))[1], [true, 0]);
    });

    test('while closing', async (t) => {
      const file = path.join(temporary(t), 'held');
      const program = start(
        t,
        asynchronous(`
          const parallelizer = make({ timeout: 2500 });
          const running = parallelizer.run([{ do: 'gate', file: ${JSON.stringify(file)}, value: 'finished' }]);
          const closed = parallelizer.close();
          console.log('[]');
          console.log(JSON.stringify((await running).responses));
          await closed;
          console.log(JSON.stringify(parallelizer.stats().workers));`),
        { mode },
      );
      await waitFor(() => lines(`${file}.started`).length === 1, 'the work to begin');
      await freeze(withWorkers(program));
      fs.writeFileSync(`${file}.go`, '');
      assert.deepEqual((await ended(program)).slice(1), [['finished'], []]);
    });
  },
  { needs: 'hasWorkers' },
);

forEachMode(
  (mode) => {
    test('the parent alone: what its workers did meanwhile was in time', async (t) => {
      const file = path.join(temporary(t), 'held');
      const program = start(
        t,
        asynchronous(`
          const parallelizer = make({ timeout: 2500, gracePeriod: 100 });
          await parallelizer.ready();
          const { responses, failures } = await parallelizer.run([
            { do: 'gate', file: ${JSON.stringify(file)}, value: 'gate' }, { do: 'echo', value: 'y'.repeat(1e6) },
          ]);
          console.log(JSON.stringify([responses.map((text) => text.length), failures, parallelizer.stats().restarts]));
          await parallelizer.close();`),
        { mode },
      );
      await waitFor(() => lines(`${file}.started`).length === 1, 'the work to begin');
      process.kill(program.pid, 'SIGSTOP');
      fs.writeFileSync(`${file}.go`, '');
      await sleep(FROZEN);
      process.kill(program.pid, 'SIGCONT');
      assert.deepEqual(await ended(program), [[[4, 1e6], [], 0]]);
    });

    test('the parent alone, while a worker dies: its work is lost, the other goes on, no zombie is left', async (t) => {
      const file = path.join(temporary(t), 'held');
      const program = start(
        t,
        asynchronous(`
          const parallelizer = make({ timeout: 2500 });
          await parallelizer.ready();
          const { responses, errors } = await parallelizer.run([
            { do: 'gate', file: ${JSON.stringify(`${file}1`)}, value: 1 }, { do: 'gate', file: ${JSON.stringify(`${file}2`)}, value: 2 },
          ]);
          console.log(JSON.stringify([responses, errors.map(({ code, signal }) => [code, signal])]));
          console.log(JSON.stringify((await parallelizer.run([{ do: 'echo', value: 3 }, { do: 'echo', value: 4 }])).responses));
          await parallelizer.close();
          console.log('[]');
          await sleep(60000);`),
        { mode },
      );
      for (const n of [1, 2]) await waitFor(() => lines(`${file}${n}.started`).length === 1, 'the work to begin');
      process.kill(program.pid, 'SIGSTOP');
      process.kill(Number(lines(`${file}1.started`)[0]), 'SIGKILL');
      fs.writeFileSync(`${file}2.go`, '');
      await sleep(FROZEN);
      process.kill(program.pid, 'SIGCONT');
      await waitFor(() => program.messages().length === 3, 'the end', 60_000);
      assert.deepEqual(program.messages(), [[[2], [['ERR_PARALLELIZER_WORKER_EXITED', 'SIGKILL']]], [3, 4], []]);
      await waitFor(() => childrenOf(program.pid).length === 0, 'no zombie');
    });

    test('the workers alone, without a time limit: they are not given up', async (t) => {
      const file = path.join(temporary(t), 'held');
      const program = start(
        t,
        asynchronous(`
          const parallelizer = make({ gracePeriod: 100 });
          await parallelizer.ready();
          const many = Array.from({ length: 6 }, (_, value) => ({ do: 'echo', value }));
          const { responses, failures } = await parallelizer.run([{ do: 'gate', file: ${JSON.stringify(file)}, value: 'gate' }, ...many]);
          console.log(JSON.stringify([responses, failures, parallelizer.stats().restarts]));
          await parallelizer.close();`),
        { mode },
      );
      await waitFor(() => lines(`${file}.started`).length === 1, 'the work to begin');
      const workers = childrenOf(program.pid);
      assert.equal(workers.length, 2);
      await freeze(workers, file);
      const [[responses, failures, restarts]] = await ended(program);
      assert.deepEqual([responses.length, failures, restarts], [2, [], 0]);
    });
  },
  { needs: 'hasProcess' },
);
