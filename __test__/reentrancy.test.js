'use strict';
// Calls made from within callbacks, and moments that are easy to get wrong.

const assert = require('node:assert/strict');
const { spawnSync } = require('node:child_process');
const { test } = require('node:test');

const { fixture, make } = require('./support/helpers');
const { forEachMode } = require('./support/modes');

forEachMode((mode) => {
  const on = (t, options) => make(t, { type: mode.type, parallelization: 1, ...options });

  test('aborting from onProgress when a record could not even be sent', async (t) => {
    const controller = new AbortController();
    const onProgress = ({ failed }) => failed > 0 && controller.abort();
    const result = await on(t, { batchSize: 1 }).run([() => {}, { do: 'echo' }, { do: 'echo' }], null, {
      signal: controller.signal,
      onProgress,
    });
    assert.equal(result.responses.length + result.failures.length, 3);
    assert.equal(result.errors[0].code, 'ERR_PARALLELIZER_SERIALIZATION');
  });

  test('closing and removing from onProgress', async (t) => {
    for (const end of ['terminate', 'removeChildThreads', 'close']) {
      const parallelizer = on(t, { batchSize: 1 });
      const onProgress = () => void parallelizer[end]();
      const { responses, failures } = await parallelizer.run([{ do: 'echo' }, { do: 'echo' }, { do: 'echo' }], null, {
        onProgress,
      });
      assert.equal(responses.length + failures.length, 3, end);
    }
  });
});

forEachMode(
  (mode) => {
    const on = (t, options) => make(t, { type: mode.type, parallelization: 1, ...options });

    test('what is aborted before its worker is up is not run', async (t) => {
      const parallelizer = on(t, { filePath: fixture('slow-load.js'), env: { ...process.env, SLOW_LOAD_MS: '300' } });
      const controller = new AbortController();
      const running = parallelizer.run([{ do: 'echo' }], null, { signal: controller.signal });
      setImmediate(() => controller.abort());
      assert.equal((await running).errors[0].code, 'ERR_PARALLELIZER_ABORTED');
      await parallelizer.ready();
    });

    test('moved records that were lost with a worker fail; the others arrive', async (t) => {
      const buffers = Array.from({ length: 20 }, () => new ArrayBuffer(8));
      const records = buffers.map((buffer, i) =>
        i === 10 ? { do: 'exit', code: 3, buffer } : { do: 'echo', value: i, buffer },
      );
      const { responses, failures } = await on(t, { batchSize: 1 }).run(records, null, { transferList: buffers });
      assert.equal(responses.length + failures.length, 20);
      assert.ok(failures.length >= 1);
      assert.deepEqual(responses.slice(0, 5), [0, 1, 2, 3, 4]);
    });
  },
  { needs: ['hasWorkers'] },
);

test('without shared memory, workers announce their calls, and their deaths cost no more', () => {
  const program = `
    const { Parallelizer } = require('@parallelizer/node');
    const options = { filePath: ${JSON.stringify(fixture('act.js'))}, processBatchFunctionName: 'act', parallelization: 2, stdio: 'ignore' };
    (async () => {
      const parallelizer = new Parallelizer(options);
      const { responses, errors } = await parallelizer.run([{ do: 'exit', code: 3 }, { do: 'echo', value: 1 }]);
      const next = await parallelizer.run([{ do: 'echo', value: 2 }, { do: 'echo', value: 3 }]);
      console.log(JSON.stringify([responses, errors.map(({ exitCode }) => exitCode), next.responses]));
      await parallelizer.close();
    })();`;
  // No file of any kind may grow, neither an anonymous one nor one in the temporary directory.
  const limited = 'trap "" XFSZ; ulimit -f 0; "$0" -e "$1" | cat';
  const { stdout, stderr } = spawnSync('bash', ['-c', limited, process.execPath, program], {
    cwd: __dirname,
    encoding: 'utf8',
    timeout: 60_000,
  });
  assert.equal(stdout.trim(), '[[1],[3],[2,3]]', stderr);
});
