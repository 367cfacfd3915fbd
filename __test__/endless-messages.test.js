'use strict';
// A worker that sends as fast as it is heard, or faster: the caller's event loop turns all the same.

const assert = require('node:assert/strict');
const { test } = require('node:test');

const { Parallelizer, Pool } = require('@parallelizer/node');
const { fixture, within } = require('./support/helpers');
const { forEachMode } = require('./support/modes');

forEachMode((mode) => {
  /** Emits as fast as it is heard. */
  async function emitting() {
    for (;;) await this.emit('y'.repeat(10));
  }
  const listen = (micros) => () => {
    for (const end = performance.now() + micros / 1000; performance.now() < end;);
  };

  for (const micros of [0, 50]) {
    test(`a call that emits without end, to a listener of ${micros} µs, can be timed out and aborted`, async (t) => {
      const pool = new Pool({ type: mode.type, processes: 2, gracePeriod: 50 });
      t.after(() => pool.terminate());
      const onMessage = listen(micros);
      await assert.rejects(within(pool.apply(emitting, [], { onMessage, timeout: 200 }), 'the time limit', 60_000), {
        code: 'ERR_PARALLELIZER_TIMEOUT',
      });
      const controller = new AbortController();
      const running = pool.apply(emitting, [], { onMessage, signal: controller.signal });
      // The loop turns, and the other worker is heard.
      for (let i = 0; i < 5; i++) {
        assert.equal(await within(pool.apply((n) => n, [i]), 'another call', 60_000), i);
        await new Promise((resolve) => void setTimeout(resolve, 10));
      }
      controller.abort();
      await assert.rejects(within(running, 'the abort', 60_000), { code: 'ERR_PARALLELIZER_ABORTED' });
    });
  }

  test('so can one that logs without end', async (t) => {
    t.mock.method(console, 'log', () => {});
    const options = { filePath: fixture('act.js'), processBatchFunctionName: 'act', parallelization: 1 };
    const parallelizer = new Parallelizer({ type: mode.type, timeout: 200, gracePeriod: 50, ...options });
    t.after(() => parallelizer.terminate());
    const { errors } = await within(parallelizer.run([{ do: 'logsWithoutEnd' }]), 'the time limit', 60_000);
    assert.deepEqual(errors.map(({ code }) => code), ['ERR_PARALLELIZER_TIMEOUT']);
    assert.deepEqual((await parallelizer.run([{ do: 'echo', value: 1 }])).responses, [1]);
  });
}, { needs: 'hasWorkers' });
