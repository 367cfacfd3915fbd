'use strict';
// A process that is frozen and thawed together with its workers (by Lambda between invocations, or by closing a laptop)
// sees no false timeout. SIGSTOP and SIGCONT to all of them stand in for the freezer.

const assert = require('node:assert/strict');
const path = require('node:path');
const { test } = require('node:test');

const { childrenOf, lines, sleep, temporary, waitFor, within } = require('./support/helpers');
const { forEachMode } = require('./support/modes');
const { asynchronous, start } = require('./support/scripts');

const FROZEN = 4_000;

forEachMode(
  (mode) => {
    // Freezes the program and its workers for longer than any of its deadlines.
    async function freeze(program, order) {
      const pids = [program.pid, ...childrenOf(program.pid)];
      const all = (signal, list) => {
        for (const pid of list) process.kill(pid, signal);
      };
      all('SIGSTOP', pids);
      await sleep(FROZEN);
      // Which of them is thawed first is chance, so both orders are tried.
      all('SIGCONT', order === 'parent first' ? pids : [...pids].reverse());
    }

    for (const order of ['parent first', 'workers first']) {
      test(`work under way goes on: ${order}`, async (t) => {
        const file = path.join(temporary(t), 'held');
        const program = start(
          t,
          asynchronous(`
            const parallelizer = make({ timeout: 2500, gracePeriod: 200 });
            await parallelizer.ready();
            const { responses, failures } = await parallelizer.run([
              { do: 'gate', file: ${JSON.stringify(file)}, value: 'gate' }, { do: 'sleep', ms: 700, value: 'timer' },
            ]);
            console.log(JSON.stringify([responses, failures]));
            console.log(JSON.stringify((await parallelizer.run([{ do: 'echo', value: 'next' }])).responses));
            await parallelizer.close();`),
          { mode },
        );
        await waitFor(() => lines(`${file}.started`).length === 1, 'the work to begin');
        await freeze(program, order);
        require('node:fs').writeFileSync(`${file}.go`, '');
        const { code, stderr } = await within(program.exited, 'the program', 60_000);
        assert.equal(code, 0, stderr);
        assert.deepEqual(program.messages(), [[['gate', 'timer'], []], ['next']]);
      });
    }

    test('an idle instance, with an idle timeout shorter than the freeze, serves the next run', async (t) => {
      const go = path.join(temporary(t), 'go');
      const program = start(
        t,
        asynchronous(`
          const parallelizer = make({ timeout: 2500, idleTimeout: 3000 });
          console.log(JSON.stringify((await parallelizer.run([{ do: 'echo', value: 1 }, { do: 'echo', value: 2 }])).responses));
          while (!require('node:fs').existsSync(${JSON.stringify(go)})) await sleep(20);
          for (let i = 0; i < 3; i++) {
            const { responses, failures } = await parallelizer.run([{ do: 'echo', value: i }, { do: 'echo', value: i }]);
            console.log(JSON.stringify([responses, failures]));
          }
          await parallelizer.close();`),
        { mode },
      );
      await program.says('[1,2]');
      await freeze(program, 'parent first');
      require('node:fs').writeFileSync(go, '');
      const { code, stderr } = await within(program.exited, 'the program', 60_000);
      assert.equal(code, 0, stderr);
      assert.deepEqual(program.messages().slice(1), [[[0, 0], []], [[1, 1], []], [[2, 2], []]]);
    });

    test('while workers start', async (t) => {
      const file = path.join(temporary(t), 'started');
      const program = start(
        t,
        asynchronous(`
          const parallelizer = make({ filePath: fixture('slow-load.js'), timeout: 2500 });
          const { responses, failures } = await parallelizer.run([{ do: 'echo', value: 1 }, { do: 'echo', value: 2 }]);
          console.log(JSON.stringify([responses, failures]));
          await parallelizer.close();`),
        { mode, env: { SLOW_LOAD_FILE: file, SLOW_LOAD_MS: '1000' } },
      );
      await waitFor(() => lines(file).length === 2, 'the workers to load');
      await freeze(program, 'workers first');
      const { code, stderr } = await within(program.exited, 'the program', 60_000);
      assert.equal(code, 0, stderr);
      assert.deepEqual(program.messages(), [[[1, 2], []]]);
    });

    test('a deadline still holds after the thaw', async (t) => {
      const file = path.join(temporary(t), 'looping');
      const program = start(
        t,
        asynchronous(`
          const parallelizer = make({ timeout: 2500, gracePeriod: 200 });
          const { errors } = await parallelizer.run([{ do: 'loop', file: ${JSON.stringify(file)} }]);
          console.log(JSON.stringify(errors.map(({ code }) => code)));
          await parallelizer.close();`),
        { mode },
      );
      await waitFor(() => lines(file).length === 1, 'the work to begin');
      await freeze(program, 'parent first');
      const { code } = await within(program.exited, 'the program', 60_000);
      assert.equal(code, 0);
      assert.deepEqual(program.messages(), [['ERR_PARALLELIZER_TIMEOUT']]);
    });
  },
  { needs: ['hasProcess'] },
);
