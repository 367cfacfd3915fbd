'use strict';
// Instances inside workers.

const assert = require('node:assert/strict');
const { test } = require('node:test');

const { isWorker } = require('@parallelizer/node');
const { fixture, gone, lines, make, temporary, waitFor } = require('./support/helpers');
const { forEachMode } = require('./support/modes');
const { asynchronous, run } = require('./support/scripts');

test('isWorker is false here', () => assert.equal(isWorker, false));

forEachMode(
  (mode) => {
    const options = { type: mode.type, env: { ...process.env, TEST_MODE_TYPE: mode.type } };

    test('isWorker is true in a worker', async (t) => {
      const parallelizer = make(t, { ...options, filePath: fixture('nest-self.js') });
      assert.deepEqual((await parallelizer.run(['isWorker'])).responses, [true]);
    });

    test('a module that creates an instance for itself works, and does not multiply', async (t) => {
      const { messages } = await run(
        t,
        asynchronous(`
          const { parallelizer } = require(fixture('nest-self.js'));
          const { responses, failures } = await parallelizer.run(['a', 'b', 'c', 'd']);
          await sleep(500);
          const fs = require('node:fs');
          const parents = new Map();
          for (const pid of fs.readdirSync('/proc').filter((name) => /^\\d+$/.test(name))) {
            try { parents.set(Number(pid), Number(fs.readFileSync('/proc/' + pid + '/stat', 'latin1').replace(/^.*\\) . /s, '').split(' ')[0])); } catch {}
          }
          const descends = (pid) => pid > 1 && (parents.get(pid) === process.pid || descends(parents.get(pid)));
          console.log(JSON.stringify([responses.length, failures, [...parents.keys()].filter(descends).length]));`),
        { mode },
      );
      const [responses, failures, descendants] = messages[0];
      assert.deepEqual([responses, failures], [2, []]);
      assert.ok(descendants <= 2, `${descendants} processes below it`);
    });

    test('a run on itself inside a worker is an option error that explains why', async (t) => {
      const parallelizer = make(t, { ...options, filePath: fixture('nest-self.js') });
      const { responses, failures } = await parallelizer.run(['nest']);
      assert.deepEqual(failures, []);
      assert.equal(responses[0].code, 'ERR_PARALLELIZER_OPTION');
      assert.equal(responses[0].name, 'ParallelizerError');
      assert.deepEqual((await parallelizer.run(['plain'])).failures, [], 'the worker goes on');
    });

    test('another module, two levels deep, works', async (t) => {
      const parallelizer = make(t, { ...options, filePath: fixture('nest-other.js'), parallelization: 1 });
      const { responses, failures } = await parallelizer.run(['once']);
      assert.deepEqual(failures, []);
      assert.equal(responses[0].isWorker, true);
      assert.deepEqual(responses[0].failures, []);
      if (mode.hasProcess)
        assert.ok(new Set([process.pid, responses[0].pid, ...responses[0].responses]).size >= 3, 'three levels');
    });

    test('a third level is an option error', async (t) => {
      const parallelizer = make(t, { ...options, filePath: fixture('nest-other.js'), parallelization: 1 });
      const { responses } = await parallelizer.run(['deep']);
      assert.deepEqual(responses[0].failures, []);
      assert.equal(responses[0].responses[0].code, 'ERR_PARALLELIZER_OPTION');
    });
  },
  { needs: ['hasWorkers'] },
);

forEachMode(
  (mode) => {
    for (const end of ['terminate', 'SIGKILL of the worker']) {
      test(`workers of workers end with them: ${end}`, async (t) => {
        const parallelizer = make(t, {
          type: mode.type,
          filePath: fixture('nest-other.js'),
          parallelization: 1,
          env: { ...process.env, TEST_MODE_TYPE: mode.type },
        });
        const file = `${temporary(t)}/pids`;
        const running = parallelizer.run(['forever', file]);
        await waitFor(() => lines(file).length === 2, 'the inner workers to begin');
        const pids = lines(file).map(Number);
        if (end === 'terminate') await parallelizer.terminate();
        else process.kill(parallelizer.stats().workers[0].pid, 'SIGKILL');
        for (const pid of pids) await gone(pid);
        assert.equal((await running).errors.length, 1);
      });
    }
  },
  { needs: ['hasProcess'] },
);
