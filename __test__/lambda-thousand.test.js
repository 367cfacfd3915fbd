'use strict';
// A thousand records of each source, with failures, deaths and time-outs in the middle, delivered again as the source
// does it until all are done: each record is done, none is told done that is not, the order of the source is kept.

const assert = require('node:assert/strict');
const { test } = require('node:test');

const { handlerFor } = require('./support/lambda');
const {
  SOURCES: SIMPLE, aggregateOf, bridgedOf, changeOf, eventOf, kinesisOf, logsOf, make, notificationOf, random, recordsFor,
} = require('./support/lambda-events');
const { MORE, assertOrder, deliver, doneIn, toEventOf } = require('./support/lambda-redelivery');
const { forEachMode } = require('./support/modes');

const COUNT = 1000;

/** Some records fail, kill their worker or never end; each goes well when it comes again. */
function payloadsFor(r, mode) {
  const faults = mode.hasProcess ? ['throw', 'throw', 'die', 'exit'] : ['throw'];
  const hanging = mode.hasProcess ? r.below(COUNT) : -1;
  return Array.from({ length: COUNT }, (_, id) => {
    if (id === hanging) return { id, what: 'hang', times: 1 };
    return { id, ...(r.below(80) === 0 ? { what: r.of(faults), times: 1 } : {}) };
  });
}

const OPTIONS = { timeout: 1_000, gracePeriod: 50 };

forEachMode((mode) => {
  if (!mode.hasProcess && mode.hasWorkers) return;

  const on = (t, options) => handlerFor(t, { type: mode.type, ...(mode.hasWorkers ? OPTIONS : {}), ...options });

  /** Whatever is told done is done, and in the end all are. */
  async function assertAllDone(queue, toEvent, handler, log, r, idsOf) {
    await deliver(queue, toEvent, handler, r, {
      seen({ done }) {
        const really = doneIn(log);
        for (const id of done.flatMap(idsOf)) assert.ok(really.has(id), `${id} was told done`);
      },
    });
    assert.equal(doneIn(log).size, COUNT);
  }

  for (const name of Object.keys(SIMPLE)) {
    test(`${name}: a thousand records`, async (t) => {
      const r = random(name.length * 7919);
      const { raws, groupOf } = recordsFor(name, r, payloadsFor(r, mode));
      const ids = new Map(raws.map((raw, id) => [raw, id]));
      const { handler, log } = on(t);
      await assertAllDone(SIMPLE[name].deliver(raws), toEventOf(SIMPLE[name]), handler, log, r, (raw) => [ids.get(raw)]);
      assertOrder(log, COUNT, groupOf);
    });
  }

  for (const [name, kind] of Object.entries(MORE)) {
    test(`${name}: a thousand records`, async (t) => {
      const r = random(name.length * 104729);
      const raws = payloadsFor(r, mode).map((payload, position) => make[kind.source](r, { payload, position, group: 0 }));
      const ids = new Map(raws.map((raw, id) => [raw, id]));
      const { handler, log } = on(t);
      await assertAllDone(kind.deliver(raws), toEventOf(kind), handler, log, r, (raw) => [ids.get(raw)]);
      if (kind.isOrdered) assertOrder(log, COUNT, () => 'all');
    });
  }

  /** Payloads, some to a record: `[[payload, …], …]`. */
  function packed(r, payloads, most) {
    const lists = [];
    for (let at = 0; at < payloads.length; at += lists.at(-1).length) lists.push(payloads.slice(at, at + 1 + r.below(most)));
    return lists;
  }

  const uploads = (r, payloads) => ({ Records: payloads.map((payload) => make.s3(r, { payload })) });
  const queued = (r, body, group) => ({ ...make.sqs(r, { payload: null, group }), body: JSON.stringify(body) });

  /** Records that hold others: by envelope, how a list of payloads becomes one, and what delivers them. */
  const HOLDING = {
    'S3 within SQS': { name: 'sqs', most: 4, hold: (r, list) => queued(r, uploads(r, list)) },
    'S3 within SNS within SQS': { name: 'sqs', most: 4, hold: (r, list) => queued(r, notificationOf(r, uploads(r, list))) },
    'SNS within SQS FIFO': { name: 'sqs-fifo', most: 1, isOrdered: true, hold: (r, [payload]) => queued(r, notificationOf(r, payload), 1) },
    'EventBridge within SQS': { name: 'sqs', most: 1, hold: (r, [payload]) => queued(r, bridgedOf(r, payload)) },
    'aggregates within Kinesis': {
      name: 'kinesis', most: 12, isOrdered: true,
      hold: (r, list, position) => kinesisOf(r, aggregateOf(list.map((payload) => ({ partitionKey: 'a', data: JSON.stringify(payload) }))), { position }),
    },
    'logs within Kinesis': { name: 'kinesis', most: 12, isOrdered: true, hold: (r, list, position) => kinesisOf(r, logsOf(list), { position }) },
    'changes of DynamoDB within Kinesis': {
      name: 'kinesis', most: 1, isOrdered: true, hold: (r, [payload], position) => kinesisOf(r, JSON.stringify(changeOf(r, payload, position)), { position }),
    },
  };

  for (const [title, { name, most, hold, isOrdered = false }] of Object.entries(HOLDING)) {
    for (const how of most > 1 ? ['record', 'batch'] : ['record']) {
      test(`${title}, by ${how}: a thousand records`, async (t) => {
        const r = random(title.length * 31337 + how.length);
        const lists = packed(r, payloadsFor(r, mode), most);
        const raws = lists.map((list, position) => hold(r, list, position));
        const idsOf = new Map(raws.map((raw, i) => [raw, lists[i].map(({ id }) => id)]));
        const { handler, log } = on(t, { envelope: 'auto', ...(how === 'batch' ? { processBatchFunctionName: 'batch', batchSize: 9 } : {}) });
        await assertAllDone(SIMPLE[name].deliver(raws), toEventOf(SIMPLE[name]), handler, log, r, (raw) => idsOf.get(raw));
        if (isOrdered) assertOrder(log, COUNT, () => 'all');
      });
    }
  }

  test('aggregates with many keys, grouped by key: a thousand records', async (t) => {
    const r = random(65537);
    const payloads = payloadsFor(r, mode);
    const lists = packed(r, payloads, 3);
    const keyOf = new Map(lists.flatMap((list) => list.map(({ id }) => [id, `key-${r.below(40)}`])));
    const raws = lists.map((list, position) =>
      kinesisOf(r, aggregateOf(list.map((payload) => ({ partitionKey: keyOf.get(payload.id), data: JSON.stringify(payload) }))), { position }));
    const idsOf = new Map(raws.map((raw, i) => [raw, lists[i].map(({ id }) => id)]));
    const { handler, log } = on(t, { envelope: 'kpl', groupBy: (record) => record.partitionKey });
    await assertAllDone(SIMPLE.kinesis.deliver(raws), toEventOf(SIMPLE.kinesis), handler, log, r, (raw) => idsOf.get(raw));
    assertOrder(log, COUNT, (id) => keyOf.get(id));
  });

  test('a tumbling window over a thousand records: each counts once, whatever happens', async (t) => {
    const r = random(1299709);
    const { raws } = recordsFor('kinesis', r, payloadsFor(r, mode));
    const ends = [];
    const reduce = (state, _, record) => ({ ids: [...(state.ids ?? []), record.json.id] });
    const { handler, log } = on(t, { window: { reduce, end: (state) => { ends.push(state.ids); } } });
    const queue = SIMPLE.kinesis.deliver(raws);
    let state = {};
    const toEvent = (batch) => ({
      ...eventOf('kinesis', batch), state, window: { start: 'a', end: 'b' }, shardId: 's',
      isFinalInvokeForWindow: batch.at(-1) === raws.at(-1), isWindowTerminatedEarly: false,
    });
    await deliver(queue, toEvent, handler, r, { seen: ({ answer }) => { state = answer.state; } });
    assert.deepEqual(state.ids, raws.map((_, id) => id));
    assert.deepEqual(ends, [state.ids]);
    assertOrder(log, COUNT, () => 'all');
  });

  test('a thousand records, of which some are discarded in the worker: in order, each once', async (t) => {
    const r = random(15485863);
    const payloads = payloadsFor(r, mode).map((payload) => (payload.what === undefined && r.below(25) === 0 ? { ...payload, what: 'never' } : payload));
    for (const onDiscard of ['discarded', undefined]) {
      const { raws, groupOf } = recordsFor('sqs-fifo', r, payloads);
      const { handler, log, errors } = on(t, { onDiscard });
      await deliver(SIMPLE['sqs-fifo'].deliver(raws), toEventOf(SIMPLE['sqs-fifo']), handler, r);
      const never = payloads.filter(({ what }) => what === 'never').map(({ id }) => id);
      assert.ok(never.length > 10);
      const done = doneIn(log);
      if (onDiscard === undefined) {
        assert.equal(done.size, COUNT - never.length);
        const told = errors.filter(({ error }) => error.name === 'NonRetryableError').flatMap(({ records }) => records.map(({ json }) => json.id));
        assert.deepEqual(told.sort((a, b) => a - b), never);
      } else {
        assert.equal(done.size, COUNT);
        assertOrder(log, COUNT, groupOf);
      }
      await handler.parallelizer.terminate();
    }
  });
});
