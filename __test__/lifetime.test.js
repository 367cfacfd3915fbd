'use strict';
// An idle instance never keeps the process alive, work under way does, and no worker outlives its parent.

const assert = require('node:assert/strict');
const path = require('node:path');
const { describe, test } = require('node:test');

const { DEADLINE, gone, isRunning, lines, temporary, waitFor } = require('./support/helpers');
const { forEachMode } = require('./support/modes');
const { asynchronous, run, start } = require('./support/scripts');

forEachMode((mode) => {
  test('an instance that is merely created does not keep the process alive', async (t) => {
    const { stdout } = await run(t, `make(); process.on('exit', (code) => console.log('exit ' + code));`, { mode });
    assert.equal(stdout, 'exit 0\n');
  });

  test('nor one that is ready', async (t) => {
    const { stdout } = await run(t, `make().ready().then(() => console.log('ready'));`, { mode });
    assert.equal(stdout, 'ready\n', 'but ready() holds it until it has settled');
  });

  test('nor one that has run', async (t) => {
    const { stdout } = await run(
      t,
      `const parallelizer = make();
       parallelizer.run([{ do: 'sleep', ms: 300, value: 1 }, { do: 'echo', value: 2 }]).then(({ responses }) => console.log(responses.join()));`,
      { mode },
    );
    assert.equal(stdout, '1,2\n', 'but a run holds it until it has settled');
  });

  test('nor one with a second run after some time', async (t) => {
    const { stdout } = await run(
      t,
      asynchronous(`
        const parallelizer = make();
        for (let i = 0; i < 3; i++) {
          console.log((await parallelizer.run([{ do: 'sleep', ms: 20, value: i }])).responses.join());
          await sleep(50);
        }`),
      { mode },
    );
    assert.equal(stdout, '0\n1\n2\n');
  });

  test('nor one after a failed run', async (t) => {
    const { stdout } = await run(
      t,
      `make().run([{ do: 'throws' }, { do: 'rejects' }]).then(({ failures }) => console.log(failures.length));`,
      { mode },
    );
    assert.equal(stdout, '2\n');
  });

  test('creating and dropping many instances lets the process end', async (t) => {
    const { stdout } = await run(t, `for (let i = 0; i < 10; i++) make({ parallelization: 1 }); console.log('made');`, {
      mode,
    });
    assert.equal(stdout, 'made\n');
  });

  test("the exit code is that of the program", async (t) => {
    await run(t, `make().run([{ do: 'echo' }]).then(() => { process.exitCode = 7; });`, { mode, code: 7 });
  });
});

forEachMode(
  (mode) => {
    test('nor one whose worker died', async (t) => {
      const { stdout } = await run(
        t,
        `make().run([{ do: 'exit', code: 1 }, { do: 'echo' }]).then(({ errors }) => console.log(errors[0].code));`,
        { mode },
      );
      assert.equal(stdout, 'ERR_PARALLELIZER_WORKER_EXITED\n');
    });

    test('nor one after a timeout, whose function still runs', async (t) => {
      const { stdout } = await run(
        t,
        `make({ timeout: 200, gracePeriod: 100 }).run([{ do: 'loop' }, { do: 'forever' }]).then(({ errors }) => console.log(errors.map(({ code }) => code).join()));`,
        { mode },
      );
      assert.equal(stdout, 'ERR_PARALLELIZER_TIMEOUT,ERR_PARALLELIZER_TIMEOUT\n');
    });

    test('close keeps the process alive until it is done', async (t) => {
      const { stdout } = await run(
        t,
        `const parallelizer = make();
         parallelizer.run([{ do: 'sleep', ms: 200, value: 1 }]).then(() => console.log('ran'));
         parallelizer.close().then(() => console.log('closed'));`,
        { mode },
      );
      assert.equal(stdout, 'ran\nclosed\n');
    });
  },
  { needs: ['hasWorkers'] },
);

forEachMode(
  (mode) => {
    // What the workers are doing when their parent ends. `ready` resolves once they are doing it.
    const states = {
      idle: { options: '{}', begin: 'await parallelizer.ready();' },
      busy: { options: '{}', record: "{ do: 'forever', file }" },
      'in an endless loop': { options: '{}', record: "{ do: 'loop', file }" },
      'blocked in a system call': { options: '{}', record: "{ do: 'block', file }" },
      'still booting': { options: "{ filePath: fixture('slow-load.js') }", boots: true },
    };
    const ends = {
      SIGKILL: { by: (program) => program.kill('SIGKILL') },
      SIGTERM: { by: (program) => program.kill('SIGTERM') },
      'process.exit': { code: 'process.exit(3)' },
      'an uncaught exception': { code: "throw new Error('the end')" },
      'an unhandled rejection': { code: "Promise.reject(new Error('the end'))" },
    };

    for (const [state, { options, begin = '', record, boots }] of Object.entries(states)) {
      describe(`workers ${state}`, () => {
        for (const [end, { by, code }] of Object.entries(ends)) {
          test(`${end} of the parent leaves no workers behind`, async (t) => {
            const file = path.join(temporary(t), 'pids');
            const program = start(
              t,
              asynchronous(`
                const file = ${JSON.stringify(file)};
                const parallelizer = make(${options});
                ${begin}
                ${record ? `parallelizer.run([${record}, ${record}]);` : ''}
                ${begin ? "console.log(parallelizer.stats().workers.map(({ pid }) => pid).join(' '));" : ''}
                const { existsSync, readFileSync } = require('node:fs');
                const lines = () => existsSync(file) ? readFileSync(file, 'utf8').trim().split('\\n') : [];
                ${begin ? '' : "while (lines().length < 2) await sleep(10); console.log(lines().join(' '));"}
                ${code ? `setTimeout(() => { ${code} }, 20);` : ''}
                setInterval(() => {}, 1000);`),
              { mode, env: boots ? { SLOW_LOAD_FILE: file } : {} },
            );
            const pids = await waitFor(
              () => program.stdout.endsWith('\n') && program.stdout.trim().split(' ').map(Number),
              `the workers to begin; ${program.stderr}`,
              2 * DEADLINE,
            );
            t.after(() => {
              for (const pid of pids) if (isRunning(pid)) process.kill(pid, 'SIGKILL');
            });
            assert.equal(new Set(pids).size, 2);
            by?.(program);
            await gone(program.pid);
            for (const pid of pids) await gone(pid);
          });
        }
      });
    }

    test('the death of the parent ends a worker that handles SIGTERM, SIGINT and SIGHUP', async (t) => {
      const file = path.join(temporary(t), 'pids');
      const program = start(
        t,
        asynchronous(`
          make({ filePath: fixture('stubborn.js') }).run([{ do: 'forever', file: ${JSON.stringify(file)} }]);
          setInterval(() => {}, 1000);`),
        { mode },
      );
      await waitFor(() => lines(file).length === 1, 'the worker to begin');
      program.kill('SIGKILL');
      await gone(Number(lines(file)[0]));
    });

    test('Ctrl-C reaches the whole process group, and the parent decides what becomes of its workers', async (t) => {
      const file = path.join(temporary(t), 'go');
      const program = start(
        t,
        asynchronous(`
          process.on('SIGINT', () => console.log('interrupted'));
          const parallelizer = make();
          const running = parallelizer.run([{ do: 'gate', file: ${JSON.stringify(file)}, value: 'finished' }]);
          await sleep(0);
          console.log((await running).responses.join());`),
        { mode, detached: true },
      );
      await waitFor(() => lines(`${file}.started`).length === 1, 'the worker to begin');
      process.kill(-program.pid, 'SIGINT');
      await program.says('interrupted');
      require('node:fs').writeFileSync(`${file}.go`, '');
      const { code, stdout } = await program.exited;
      assert.equal(stdout, 'interrupted\nfinished\n');
      assert.equal(code, 0);
    });

    test('without a handler Ctrl-C ends the parent, and the workers with it', async (t) => {
      const file = path.join(temporary(t), 'pids');
      const program = start(t, `make().run([{ do: 'loop', file: ${JSON.stringify(file)} }]);`, {
        mode,
        detached: true,
      });
      await waitFor(() => lines(file).length === 1, 'the worker to begin');
      process.kill(-program.pid, 'SIGINT');
      assert.equal((await program.exited).signal, 'SIGINT');
      await gone(Number(lines(file)[0]));
    });

    test('a program that ends by itself leaves no worker and no zombie', async (t) => {
      const { messages } = await run(
        t,
        asynchronous(`
          const parallelizer = make({ parallelization: 3 });
          console.log(JSON.stringify((await parallelizer.run([1, 2, 3].map(() => ({ do: 'pid' })))).responses));`),
        { mode },
      );
      for (const pid of messages[0]) await gone(pid);
    });

    test('child processes of the caller are left alone', async (t) => {
      const { messages } = await run(
        t,
        asynchronous(`
          const { spawn } = require('node:child_process');
          const own = spawn(process.execPath, ['-e', 'setTimeout(() => process.exit(6), 600)']);
          const end = new Promise((resolve) => own.once('exit', (...how) => resolve(how)));
          const parallelizer = make();
          await parallelizer.run([{ do: 'exit', code: 2 }, { do: 'kill', signal: 'SIGKILL' }]);
          await parallelizer.close();
          console.log(JSON.stringify(await end));
          const later = spawn(process.execPath, ['-e', 'process.exit(5)']);
          console.log(JSON.stringify(await new Promise((resolve) => later.once('exit', (...how) => resolve(how)))));`),
        { mode },
      );
      assert.deepEqual(messages, [[6, null], [5, null]], 'its exit is reported to its owner');
    });
  },
  { needs: ['hasProcess'] },
);
