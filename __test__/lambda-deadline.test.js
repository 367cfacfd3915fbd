'use strict';
// The end of an invocation: what is not done by then is reported, no worker is still at it when the response is given,
// and what comes later is not affected by it.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');

const { processPartialResponse } = require('@parallelizer/node/lambda');
const {
  appeared,
  fixture,
  gone,
  lines,
  make: parallelizerOf,
  sleep,
  temporary,
  waitFor,
  within,
} = require('./support/helpers');
const { handlerFor, history, identifiers, idsOf } = require('./support/lambda');
const { contextOf, eventOf, make, random } = require('./support/lambda-events');
const { forEachMode } = require('./support/modes');

const r = random(99);
const rawsOf = (source, payloads, groups = []) =>
  payloads.map((payload, position) =>
    make[source](r, { payload: { id: position, ...payload }, position, group: groups[position] }),
  );
const slow = { what: 'slow', ms: 5 };

/** A context whose remaining time the test decides. */
function contextWith(left) {
  const context = contextOf();
  context.getRemainingTimeInMillis = () => left.ms;
  return context;
}

forEachMode((mode) => {
  const on = (t, options) => handlerFor(t, { type: mode.type, ...options });

  test('no time at all: everything is reported, nothing begins', async (t) => {
    const { handler, log, errors } = on(t);
    const raws = rawsOf('sqs', [{}, {}, {}]);
    for (const left of [0, -5, 400]) {
      const answer = await within(
        handler(eventOf('sqs', raws), contextOf(left, left === 400 ? { getRemainingTimeInMillis: () => 0 } : {})),
        'the answer',
      );
      assert.equal(answer.batchItemFailures.length, 3);
    }
    assert.deepEqual(lines(log), []);
    assert.equal(errors.length, 3, 'one for each event, not for each record');
    assert.deepEqual(errors[0].records.map(({ raw }) => raw), raws);
    assert.equal(errors[0].error.code, 'ERR_PARALLELIZER_ABORTED');
    assert.match(errors[0].error.message, /deadlineMargin/);
  });

  test('what is done by the deadline stays done, the rest is reported, and the next invocation works', async (t) => {
    const { handler, log } = on(t);
    await handler(eventOf('sqs', rawsOf('sqs', [{}])), contextOf());
    const raws = rawsOf(
      'kafka',
      Array.from({ length: 2000 }, () => slow),
      Array.from({ length: 2000 }, (_, i) => i % 4),
    );
    const answer = await within(handler(eventOf('kafka', raws), contextOf(1_500, {})), 'the answer', 60_000);
    assert.equal(answer.batchItemFailures.length, 4, 'there was not enough time for any partition');
    const before = lines(log).length;
    const begun = idsOf(log, 'begin').length;
    const done = new Set(idsOf(log, 'done'));
    for (const { partition, offset } of identifiers(answer)) {
      const group = Number(partition.slice('orders-'.length));
      const ids = [...raws.keys()].filter((id) => id % 4 === group && 1000 + id < offset);
      for (const id of ids) assert.ok(done.has(id), `${id} lies before what ${partition} is resumed from`);
    }
    assert.deepEqual(await handler(eventOf('sqs', rawsOf('sqs', [{}, {}])), contextOf()), { batchItemFailures: [] });
    assert.equal(idsOf(log, 'begin').length, begun + 2, 'nothing but the two began after the answer');
    // What runs in this very process cannot be ended.
    if (mode.hasWorkers) assert.equal(lines(log).length, before + 4, 'nor did anything go on');
  });

  test('a margin set by the user', async (t) => {
    const { handler } = on(t, { deadlineMargin: 4_000 });
    const context = contextOf(4_300);
    const raws = rawsOf('sqs', Array.from({ length: 4000 }, () => slow));
    const answer = await within(handler(eventOf('sqs', raws), context), 'the answer', 60_000);
    assert.ok(answer.batchItemFailures.length > 0);
    assert.ok(context.getRemainingTimeInMillis() > 0, 'there is time left for the answer');
  });

  test('code of the user’s that does not come to an end has that time, too', async (t) => {
    const never = () => new Promise(() => {});
    const raws = rawsOf('sqs', [{}, {}]);
    const { handler } = on(t, { params: never });
    await assert.rejects(within(handler(eventOf('sqs', raws), contextOf(500)), 'the answer'), {
      name: 'DeadlineError', message: /^"params" was not done in time: .*deadlineMargin/,
    });
    const discarding = on(t, {
      filePath: fixture('lambda-policy.js'), recordFunctionName: 'one', discardInvalid: true, onDiscard: never,
    });
    const bad = rawsOf('sqs', [{ what: 'never' }, {}, { what: 'never' }]);
    const answer = await within(discarding.handler(eventOf('sqs', bad), contextOf(2_000)), 'the answer');
    assert.deepEqual(identifiers(answer), [bad[0].messageId, bad[2].messageId]);
    for (const { error } of discarding.errors) assert.match(error.cause.message, /^"onDiscard" was not done in time/);
    const event = {
      ...eventOf('kinesis', rawsOf('kinesis', [{}])), window: {}, state: {}, isFinalInvokeForWindow: true,
    };
    for (const [name, window] of [['reduce', { reduce: never }], ['end', { reduce: (state) => state, end: never }]]) {
      const windowed = on(t, { window });
      await assert.rejects(within(windowed.handler(event, contextOf(2_000)), 'the answer'), {
        message: new RegExp(`^"window\\.${name}" was not done in time`),
      });
    }
  });

  test('a signal of the user’s ends the wait for such code', async (t) => {
    const never = () => new Promise(() => {});
    const answering = (filePath, event, options, context = contextOf(3_600_000)) => {
      const parallelizer = parallelizerOf(t, {
        type: mode.type, filePath: fixture(filePath), processBatchFunctionName: options.window ? 'results' : 'whole',
        parallelization: mode.hasWorkers ? 1 : 0,
      });
      return within(processPartialResponse(event, context, parallelizer, { onError() {}, ...options }), 'the answer');
    };
    const raws = rawsOf('sqs', [{}, {}]);
    for (const context of [contextOf(3_600_000), undefined]) {
      const controller = new AbortController();
      const params = () => {
        setImmediate(() => controller.abort(new Error('enough')));
        return never();
      };
      await assert.rejects(answering('lambda-policy.js', eventOf('sqs', raws), { params, signal: controller.signal }, context), {
        code: 'ERR_PARALLELIZER_ABORTED', message: '"params" was aborted by its signal: Error: enough',
      });
    }
    const reasons = [];
    const discarding = new AbortController();
    const answer = await answering('lambda-policy.js', eventOf('sqs', raws), {
      signal: discarding.signal,
      onError: (error) => reasons.push(error.cause.message),
      onDiscard: () => {
        setImmediate(() => discarding.abort(new Error('enough')));
        return never();
      },
    });
    assert.deepEqual(identifiers(answer), raws.map(({ messageId }) => messageId));
    assert.deepEqual([...new Set(reasons)], ['"onDiscard" was aborted by its signal: Error: enough']);
    const reducing = new AbortController();
    const reduce = () => {
      setImmediate(() => reducing.abort(new Error('enough')));
      return never();
    };
    const event = { ...eventOf('kinesis', rawsOf('kinesis', [{}])), window: {}, state: {} };
    const options = { params: { log: `${temporary(t)}/log` }, window: { reduce }, signal: reducing.signal };
    await assert.rejects(answering('lambda-policy.js', event, options), {
      message: '"window.reduce" was aborted by its signal: Error: enough',
    });
    // What is there already is not waited for.
    const fired = { signal: AbortSignal.abort(), params: async () => ({}) };
    assert.equal(identifiers(await answering('lambda-policy.js', eventOf('sqs', raws), fired)).length, 2);
  });

  test('contexts without a known remaining time have no deadline', async (t) => {
    const { handler } = on(t);
    for (const context of [
      undefined,
      null,
      {},
      { getRemainingTimeInMillis: () => Number.NaN },
      { getRemainingTimeInMillis: () => Infinity },
    ]) {
      assert.deepEqual(await handler(eventOf('sqs', rawsOf('sqs', [{}])), context), { batchItemFailures: [] });
    }
  });

  test('no timer is left behind', async (t) => {
    const { handler } = on(t);
    await handler(eventOf('sqs', rawsOf('sqs', [{}])), contextOf(3_600_000));
    const timers = () => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
    const before = timers();
    for (let i = 0; i < 20; i++) await handler(eventOf('sqs', rawsOf('sqs', [{}])), contextOf(3_600_000));
    assert.ok(timers() <= before + 2, `${timers()} timers, ${before} before`);
  });
});

forEachMode(
  (mode) => {
    const on = (t, options) => handlerFor(t, { type: mode.type, ...options });

    test('what is in native code, where nothing ends a thread, does not keep the answer until then', async (t) => {
      const file = path.join(temporary(t), 'worker.js');
      fs.writeFileSync(file, `exports.record = ({ record }) => {
        if (record.json.id === 1) require('node:child_process').execSync(${JSON.stringify(`"${process.execPath}" -e "setTimeout(() => {}, 8000)"`)});
      };`);
      const { handler } = on(t, { filePath: file });
      await handler.parallelizer.ready();
      const raws = rawsOf('sqs', [{}, {}]);
      const answering = handler(eventOf('sqs', raws), contextOf(1_500)).then(identifiers);
      // As long as it would take if the workers' death were waited for as long as anywhere.
      assert.deepEqual(await Promise.race([answering, sleep(2_300).then(() => 'late')]), [raws[1].messageId]);
      void handler.parallelizer.terminate();
    });

    /** An event that is answered when the test decides that its time is up. */
    const stoppable = (t, raws, options) => {
      const log = `${temporary(t)}/log`;
      const parallelizer = parallelizerOf(t, {
        type: mode.type,
        filePath: fixture('lambda-worker.js'),
        processBatchFunctionName: 'whole',
        batchSize: 1,
        ...options,
      });
      const left = { ms: 3_600_000 };
      const controller = new AbortController();
      const respond = (signal) =>
        processPartialResponse(eventOf('kafka', raws), contextWith(left), parallelizer, {
          params: { log },
          onError() {},
          signal,
        });
      const stop = (ms) => {
        left.ms = ms;
        controller.abort();
      };
      return { log, parallelizer, stop, answering: respond(controller.signal), again: () => respond(undefined) };
    };

    for (const what of ['hang', 'loop', 'heed']) {
      test(`what runs at the end has ended when the response is given: ${what}`, async (t) => {
        const raws = rawsOf('kafka', [{ what, times: 1 }, {}, {}, {}], [0, 1, 1, 2]);
        // Waits longer than Lambda would.
        const { log, parallelizer, stop, answering, again } = stoppable(t, raws, { gracePeriod: 60_000 });
        await waitFor(
          () => idsOf(log, 'begin').length === 4 && idsOf(log, 'done').length === 3,
          'the others to be done',
        );
        stop(500);
        assert.deepEqual(identifiers(await within(answering, 'the answer')), [{ partition: 'orders-0', offset: 1000 }]);
        const { workers } = parallelizer.stats();
        assert.ok(workers.every(({ state }) => state !== 'busy'), JSON.stringify(workers));
        assert.deepEqual(await within(again(), 'the answer'), { batchItemFailures: [] });
      });
    }

    test('a function that returns in its grace period: its result is late, and has no effect', async (t) => {
      const dir = temporary(t);
      const raws = rawsOf('kafka', [{ what: 'gate', gate: `${dir}/gate` }, {}], [0, 0]);
      const { log, stop, answering, again } = stoppable(t, raws, { gracePeriod: 60_000, parallelization: 1 });
      await waitFor(() => idsOf(log, 'begin').length === 1, 'it to begin');
      stop(60_000);
      let isAnswered = false;
      void answering.then(() => (isAnswered = true));
      await sleep(50);
      assert.equal(isAnswered, false, 'it waits for what still runs');
      fs.writeFileSync(`${dir}/gate`, '');
      assert.deepEqual(identifiers(await within(answering, 'the answer')), [{ partition: 'orders-0', offset: 1000 }]);
      assert.deepEqual(await within(again(), 'the answer'), { batchItemFailures: [] });
      assert.deepEqual(
        history(log).map(({ did, id }) => `${did} ${id}`),
        ['begin 0', 'done 0', 'begin 0', 'done 0', 'begin 1', 'done 1'],
      );
    });

    test('what waits for a slow module to load never begins', async (t) => {
      const dir = temporary(t);
      const { handler, errors } = on(t, {
        filePath: fixture('lambda-slow-load.js'),
        recordFunctionName: 'record',
        params: { log: `${dir}/log` },
        env: { ...process.env, SLOW_LOAD_GATE: `${dir}/gate` },
      });
      await appeared(`${dir}/gate.waiting`);
      const answer = await within(handler(eventOf('sqs', rawsOf('sqs', [{}, {}, {}])), contextOf(700)), 'the answer');
      assert.equal(answer.batchItemFailures.length, 3);
      assert.equal(errors.length, 1);
      fs.writeFileSync(`${dir}/gate`, '');
      await within(handler.parallelizer.ready(), 'the workers');
      await sleep(50);
      assert.deepEqual(lines(`${dir}/log`), []);
      await handler(eventOf('sqs', rawsOf('sqs', [{}])), contextOf());
      assert.deepEqual(lines(`${dir}/log`), ['began']);
    });

    test('a call that ran out of time has ended when the response is given', async (t) => {
      const { handler, log } = on(t, { timeout: 200, gracePeriod: 100 });
      const raws = rawsOf('sqs', [{ what: 'hang' }, {}, {}]);
      const answer = await within(handler(eventOf('sqs', raws), contextOf()), 'the answer');
      assert.ok(identifiers(answer).includes(raws[0].messageId));
      const { workers } = handler.parallelizer.stats();
      assert.ok(workers.every(({ state }) => state !== 'busy'), JSON.stringify(workers));
      assert.deepEqual(await handler(eventOf('sqs', raws), contextOf()), { batchItemFailures: [] });
      assert.ok(idsOf(log, 'done').length >= 3);
    });
  },
  { needs: ['hasWorkers'] },
);

forEachMode(
  (mode) => {
    test('the process of a straggler is gone', async (t) => {
      const { handler } = handlerFor(t, { type: mode.type, gracePeriod: 60_000 });
      await handler.parallelizer.ready();
      const pids = handler.parallelizer.stats().workers.map(({ pid }) => pid);
      const answer = await within(
        handler(eventOf('sqs', rawsOf('sqs', [{ what: 'loop' }])), contextOf(1_500)),
        'the answer',
      );
      assert.equal(answer.batchItemFailures.length, 1);
      const now = handler.parallelizer.stats().workers.map(({ pid }) => pid);
      const [dead] = pids.filter((pid) => !now.includes(pid));
      assert.ok(dead);
      await gone(dead);
    });
  },
  { needs: ['hasProcess'] },
);
