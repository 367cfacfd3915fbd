'use strict';
// runOptions.signal: cancels what a run has under way, and nothing else.

const assert = require('node:assert/strict');
const { getEventListeners } = require('node:events');
const fs = require('node:fs');
const { test } = require('node:test');

const { appeared, echo, gone, lines, make, read, temporary, waitFor, within } = require('./support/helpers');
const { forEachMode } = require('./support/modes');

const PATIENCE = 15_000; // A grace period that no case is meant to reach.

function assertAborted(error, reason) {
  assert.equal(error.code, 'ERR_PARALLELIZER_ABORTED');
  assert.equal(error.name, 'AbortError');
  assert.equal(error.cause, reason);
}

/** An instance that knows how many sub-batches a batch has. Where hosts say so, one has to be there. */
async function makeCutting(t, mode, options = {}) {
  const parallelizer = make(t, { type: mode.type, ...options });
  if (!mode.loadsFirst) await within(parallelizer.ready(), 'a host');
  return parallelizer;
}

forEachMode((mode) => {
  const on = (t, options) => make(t, { type: mode.type, ...options });

  test('already aborted: every sub-batch fails, and none begins', async (t) => {
    const parallelizer = await makeCutting(t, mode);
    const file = `${temporary(t)}/touched`;
    const reason = new Error('not today');
    const result = await within(
      parallelizer.run(
        [
          { do: 'touch', file },
          { do: 'touch', file },
        ],
        null,
        { signal: AbortSignal.abort(reason) },
      ),
      'the run',
    );
    assert.deepEqual(result.responses, []);
    assert.equal(result.errors.length, 2);
    for (const error of result.errors) assertAborted(error, reason);
    assert.deepEqual(result.errors.map(({ batchIndex }) => batchIndex), [0, 1]);
    assert.deepEqual(result.failures, result.errors.map(String));
    assert.deepEqual((await parallelizer.run([echo(1), echo(2)])).responses, [1, 2]);
    assert.deepEqual(lines(file), []);
  });

  test('aborted while it runs: settles at once with the reason as cause; what has finished stays', async (t) => {
    const parallelizer = on(t, { gracePeriod: PATIENCE, batchSize: 1, parallelization: 1 });
    const dir = temporary(t);
    const controller = new AbortController();
    const running = parallelizer.run([echo('finished'), { do: 'gate', file: `${dir}/held` }, echo('never')], null, {
      signal: controller.signal,
    });
    await appeared(`${dir}/held.started`);
    const reason = { any: 'value' };
    controller.abort(reason);
    const { responses, errors } = await within(running, 'the run');
    assert.deepEqual(responses, ['finished']);
    assert.deepEqual(errors.map(({ batchIndex }) => batchIndex), [1, 2]);
    for (const error of errors) assertAborted(error, reason);
    fs.writeFileSync(`${dir}/held.go`, '');
  });

  for (const reason of ['text', null, 0]) {
    test(`the reason may be anything: ${JSON.stringify(reason)}`, async (t) => {
      const controller = new AbortController();
      controller.abort(reason);
      const { errors } = await on(t).run([echo(1)], null, { signal: controller.signal });
      assertAborted(errors[0], reason);
    });
  }

  test('abort() without a reason: its DOMException is the cause', async (t) => {
    const controller = new AbortController();
    const running = on(t, { gracePeriod: 50 }).run([{ do: 'forever' }], null, { signal: controller.signal });
    setTimeout(() => controller.abort(), 30);
    const { errors } = await within(running, 'the run');
    assertAborted(errors[0], controller.signal.reason);
  });

  test('AbortSignal.timeout limits the whole run', async (t) => {
    const parallelizer = await makeCutting(t, mode, { gracePeriod: 100 });
    const { errors } = await within(
      parallelizer.run([{ do: 'forever' }, { do: 'forever' }], null, { signal: AbortSignal.timeout(200) }),
      'the run',
    );
    assert.deepEqual(
      errors.map(({ code }) => code),
      ['ERR_PARALLELIZER_ABORTED', 'ERR_PARALLELIZER_ABORTED'],
    );
    assert.equal(errors[0].cause.name, 'TimeoutError');
  });

  test('an abort after the end has no effect', async (t) => {
    const parallelizer = on(t);
    const controller = new AbortController();
    const result = await parallelizer.run([echo(1), echo(2)], null, { signal: controller.signal });
    controller.abort();
    assert.deepEqual(result.responses, [1, 2]);
    assert.deepEqual((await parallelizer.run([echo(3), echo(4)])).responses, [3, 4]);
  });

  test('a signal used for many runs keeps no listeners, and causes no warning', async (t) => {
    const warnings = [];
    const note = (warning) => warnings.push(String(warning));
    process.on('warning', note);
    t.after(() => process.off('warning', note));
    const parallelizer = on(t);
    const { signal } = new AbortController();
    await Promise.all(Array.from({ length: 30 }, (_, i) => parallelizer.run([echo(i), echo(i)], null, { signal })));
    for (let i = 0; i < 30; i++) await parallelizer.run([echo(i)], null, { signal });
    await parallelizer.run([], null, { signal });
    assert.equal(getEventListeners(signal, 'abort').length, 0);
    assert.deepEqual(warnings.filter((text) => /MaxListeners/.test(text)), []);
  });

  test('another listener cannot keep the abort from it', async (t) => {
    const controller = new AbortController();
    controller.signal.addEventListener('abort', (event) => event.stopImmediatePropagation());
    const parallelizer = on(t, { parallelization: 1, gracePeriod: PATIENCE });
    const file = `${temporary(t)}/seen`;
    const running = parallelizer.run([{ do: 'untilAborted', file }], null, { signal: controller.signal });
    await appeared(`${file}.started`);
    controller.abort('enough');
    assertAborted((await within(running, 'the run')).errors[0], 'enough');
    assert.equal(getEventListeners(controller.signal, 'abort').length, 1);
  });

  test('signals of other libraries do', async (t) => {
    const parallelizer = on(t, { parallelization: 1, gracePeriod: PATIENCE });
    const target = new EventTarget();
    const signal = Object.assign(target, { aborted: false, reason: undefined, throwIfAborted() {}, onabort: null });
    const file = `${temporary(t)}/seen`;
    const running = parallelizer.run([{ do: 'untilAborted', file }], null, { signal });
    await appeared(`${file}.started`);
    Object.assign(signal, { aborted: true, reason: 'enough' }).dispatchEvent(new Event('abort'));
    assertAborted((await within(running, 'the run')).errors[0], 'enough');
  });

  test('one signal aborts all the runs that were given it, and no other', async (t) => {
    const parallelizer = on(t, { parallelization: 1, gracePeriod: PATIENCE });
    const dir = temporary(t);
    const controller = new AbortController();
    const held = parallelizer.run([{ do: 'gate', file: `${dir}/held`, value: 'held' }]);
    await appeared(`${dir}/held.started`);
    const runs = Array.from({ length: 6 }, (_, i) =>
      parallelizer.run([echo(i)], null, i % 2 ? { signal: controller.signal } : {}),
    );
    controller.abort('enough');
    for (const i of [1, 3, 5]) assertAborted((await within(runs[i], 'an aborted run')).errors[0], 'enough');
    fs.writeFileSync(`${dir}/held.go`, '');
    for (const i of [0, 2, 4]) assert.deepEqual((await within(runs[i], 'another run')).responses, [i]);
    assert.deepEqual((await held).responses, ['held']);
  });

  test('a function always has a signal that is not aborted, even in a run without one', async (t) => {
    const parallelizer = on(t, { parallelization: 1 });
    const file = `${temporary(t)}/seen`;
    fs.writeFileSync(`${file}.go`, '');
    await parallelizer.run([{ do: 'untilAborted', file }]);
    assert.equal(read(file), 'not aborted');
  });

  test('the signal of an aborted call does not reach the next call', async (t) => {
    const parallelizer = on(t, { parallelization: 1, gracePeriod: PATIENCE });
    const dir = temporary(t);
    const controller = new AbortController();
    const running = parallelizer.run([{ do: 'untilAborted', file: `${dir}/one` }], null, { signal: controller.signal });
    await appeared(`${dir}/one.started`);
    controller.abort();
    assertAborted((await running).errors[0], controller.signal.reason);
    await waitFor(() => read(`${dir}/one`) === 'aborted', 'the function to see it');
    fs.writeFileSync(`${dir}/two.go`, '');
    await parallelizer.run([{ do: 'untilAborted', file: `${dir}/two` }]);
    assert.equal(read(`${dir}/two`), 'not aborted');
  });
});

forEachMode(
  (mode) => {
    const on = (t, options) => make(t, { type: mode.type, ...options });

    for (const action of ['untilAborted', 'untilAbortEvent', 'pollAborted']) {
      test(`the worker sees it (${action}) and stays`, async (t) => {
        const parallelizer = on(t, { parallelization: 1, gracePeriod: PATIENCE });
        const before = (await parallelizer.run([{ do: 'who' }])).responses[0];
        const file = `${temporary(t)}/seen`;
        const controller = new AbortController();
        const running = parallelizer.run([{ do: action, file }], null, { signal: controller.signal });
        await appeared(`${file}.started`);
        controller.abort('stop');
        assertAborted((await within(running, 'the run')).errors[0], 'stop');
        await waitFor(() => read(file), 'the function to see it');
        assert.notEqual(read(file), 'not aborted');
        assert.deepEqual((await within(parallelizer.run([{ do: 'who' }]), 'the next run')).responses, [before]);
      });
    }

    test('the worker of a loop that ignores it is replaced after the grace period', async (t) => {
      const parallelizer = on(t, { parallelization: 1, gracePeriod: 200, retries: 2 });
      const file = `${temporary(t)}/looping`;
      const controller = new AbortController();
      const running = parallelizer.run([{ do: 'loop', file }], null, { signal: controller.signal });
      await appeared(file);
      controller.abort();
      assertAborted((await within(running, 'the run')).errors[0], controller.signal.reason);
      const next = await within(parallelizer.run([{ do: 'pid' }]), 'the next run');
      if (mode.hasProcess) {
        await gone(Number(lines(file)[0]));
        assert.notEqual(next.responses[0], Number(lines(file)[0]));
      }
      assert.equal(lines(file).length, 1, 'an abort uses no retry');
    });

    test('aborted while it waits: it never begins', async (t) => {
      const parallelizer = on(t, { parallelization: 1 });
      const dir = temporary(t);
      const held = parallelizer.run([{ do: 'gate', file: `${dir}/held`, value: 'held' }]);
      await appeared(`${dir}/held.started`);
      const controller = new AbortController();
      const waiting = parallelizer.run([{ do: 'touch', file: `${dir}/touched` }], null, { signal: controller.signal });
      controller.abort('changed my mind');
      assertAborted((await within(waiting, 'the waiting run')).errors[0], 'changed my mind');
      fs.writeFileSync(`${dir}/held.go`, '');
      assert.deepEqual((await held).responses, ['held'], 'what ran is not touched');
      await parallelizer.run([echo(1)]);
      assert.equal(read(`${dir}/touched`), '');
    });

    test('neighbours keep their results and their workers', async (t) => {
      const parallelizer = on(t, { gracePeriod: 100 });
      const dir = temporary(t);
      const held = parallelizer.run([{ do: 'gate', file: `${dir}/held`, value: 'held' }]);
      await appeared(`${dir}/held.started`);
      for (let i = 0; i < 3; i++) {
        const controller = new AbortController();
        const file = `${dir}/loop${i}`;
        const running = parallelizer.run([{ do: 'loop', file }], null, { signal: controller.signal });
        await appeared(file);
        controller.abort(i);
        assertAborted((await within(running, 'the aborted run')).errors[0], i);
      }
      assert.deepEqual((await within(parallelizer.run([echo('next')]), 'the next run')).responses, ['next']);
      fs.writeFileSync(`${dir}/held.go`, '');
      assert.deepEqual((await within(held, 'the neighbour')).responses, ['held']);
    });

    test('aborted while the workers still start', async (t) => {
      const parallelizer = on(t);
      const controller = new AbortController();
      const running = parallelizer.run([echo(1), echo(2)], null, { signal: controller.signal });
      controller.abort('early');
      const { responses, errors } = await within(running, 'the run');
      assert.deepEqual(responses, []);
      for (const error of errors) assertAborted(error, 'early');
      assert.deepEqual((await parallelizer.run([echo(1), echo(2)])).responses, [1, 2]);
    });

    test('aborts at random moments: each run settles every sub-batch once, with its own outcome', async (t) => {
      const parallelizer = await makeCutting(t, mode, { gracePeriod: PATIENCE });
      const one = async (i) => {
        const controller = new AbortController();
        const timer = setTimeout(() => controller.abort(i), (i * 7) % 25);
        const { responses, errors } = await parallelizer.run(
          [{ do: 'sleep', ms: (i * 3) % 20, value: `a${i}` }, { do: 'sleep', ms: (i * 5) % 20, value: `b${i}` }],
          null,
          { signal: controller.signal },
        );
        clearTimeout(timer);
        assert.equal(responses.length + errors.length, 2);
        for (const value of responses) assert.ok([`a${i}`, `b${i}`].includes(value), `${value} in run ${i}`);
        for (const error of errors) assertAborted(error, i);
      };
      for (let i = 0; i < 60; i += 4) await within(Promise.all([0, 1, 2, 3].map((k) => one(i + k))), 'the runs');
      assert.deepEqual((await parallelizer.run([echo(1), echo(2)])).responses, [1, 2]);
    });
  },
  { needs: ['hasWorkers'] },
);
