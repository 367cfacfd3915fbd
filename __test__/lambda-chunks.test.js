'use strict';
// Records of an event travel many at a time. Whatever happens to one of them happens to that one only.

const assert = require('node:assert/strict');
const { test } = require('node:test');

const { lines, within } = require('./support/helpers');
const { handlerFor, history, identifiers, idsOf } = require('./support/lambda');
const { contextOf, eventOf, make, random } = require('./support/lambda-events');
const { forEachMode } = require('./support/modes');

const r = random(15);
const COUNT = 600;

/** Records of a source; `whats` says what some of them do, by id. */
const rawsOf = (source, count, whats = {}, groupOf = () => undefined) =>
  Array.from({ length: count }, (_, id) =>
    make[source](r, { payload: { id, what: whats[id] }, position: id, group: groupOf(id) }),
  );

const range = (from, end) => Array.from({ length: end - from }, (_, i) => from + i);

forEachMode((mode) => {
  /** A handler that knows what its records cost, so that it sends hundreds of them at once. */
  async function warm(t, options = {}) {
    const made = handlerFor(t, { type: mode.type, recordFunctionName: 'quick', ...options });
    for (let i = 0; i < 3; i++) {
      await made.handler(eventOf('sqs', rawsOf('sqs', 400)), contextOf());
    }
    return { ...made, from: lines(made.log).length };
  }

  /** What happened since the handler was warm. */
  const since = ({ log, from }, did) =>
    history(log).slice(from).filter((each) => each.did === did).map(({ id }) => id);

  const run = ({ handler }, source, raws) => within(handler(eventOf(source, raws), contextOf()), 'an event', 60_000);

  if (mode.hasWorkers) {
    test('a death in the middle of a frame of records fails one record', async (t) => {
      const made = await warm(t);
      const raws = rawsOf('sqs', COUNT, { 300: 'die' });
      const answer = await run(made, 'sqs', raws);
      assert.deepEqual(identifiers(answer), [raws[300].messageId]);
      assert.deepEqual(since(made, 'done').toSorted((a, b) => a - b), range(0, COUNT).filter((id) => id !== 300));
      assert.equal(made.errors.length, 1);
      assert.equal(made.errors[0].error.code, 'ERR_PARALLELIZER_WORKER_EXITED');
    });

    test('each of several deaths costs its record, and with retries none', async (t) => {
      const whats = Object.fromEntries([0, 1, 250, 251, COUNT - 1].map((id) => [id, 'die']));
      const made = await warm(t);
      const raws = rawsOf('sqs', COUNT, whats);
      const failed = identifiers(await run(made, 'sqs', raws)).toSorted();
      assert.deepEqual(failed, Object.keys(whats).map((id) => raws[id].messageId).toSorted());
      assert.equal(since(made, 'done').length, COUNT - 5);
      assert.equal(since(made, 'begin').length, COUNT, 'each record began once');
    });

    test('a death in an ordered group: the rest of the group is not run, other groups are', async (t) => {
      const made = await warm(t);
      const groupOf = (id) => id % 3;
      const raws = rawsOf('sqs', COUNT, { 301: 'die' }, groupOf);
      const failed = range(301, COUNT).filter((id) => groupOf(id) === groupOf(301));
      assert.deepEqual(identifiers(await run(made, 'sqs', raws)), failed.map((id) => raws[id].messageId));
      const begun = since(made, 'begin');
      assert.deepEqual(begun.filter((id) => failed.includes(id)), [301]);
      assert.equal(begun.length, COUNT - failed.length + 1);
    });

    test('a call that runs out of time costs its record', async (t) => {
      const made = await warm(t, { recordFunctionName: 'record', timeout: 1_000, gracePeriod: 50 });
      const raws = rawsOf('sqs', 200, { 100: 'loop' });
      assert.deepEqual(identifiers(await run(made, 'sqs', raws)), [raws[100].messageId]);
      assert.equal(made.errors[0].error.code, 'ERR_PARALLELIZER_TIMEOUT');
      assert.deepEqual(since(made, 'done').toSorted((a, b) => a - b), range(0, 200).filter((id) => id !== 100));
    });
  }

  test('errors are of their records', async (t) => {
    const made = await warm(t);
    const bad = range(0, COUNT).filter((id) => id % 97 === 5);
    const raws = rawsOf('sqs', COUNT, Object.fromEntries(bad.map((id) => [id, 'throw'])));
    assert.deepEqual(identifiers(await run(made, 'sqs', raws)), bad.map((id) => raws[id].messageId));
    const reported = made.errors.map(({ error, records }) => [error.message, records.length, records[0].json.id]);
    assert.deepEqual(reported.toSorted(([, , one], [, , other]) => one - other), bad.map((id) =>
      [`record ${id} is bad`, 1, id]));
    assert.equal(since(made, 'done').length, COUNT - bad.length);
  });

  for (const source of ['kinesis', 'dynamodb']) {
    test(`${source}: nothing of a shard runs after a record that failed`, async (t) => {
      const made = await warm(t);
      const raws = rawsOf(source, COUNT, { 400: 'throw' });
      const numbers = raws.map((raw) => (raw.kinesis ?? raw.dynamodb)[source === 'kinesis' ? 'sequenceNumber'
        : 'SequenceNumber']);
      assert.deepEqual(identifiers(await run(made, source, raws)), numbers.slice(400));
      assert.deepEqual(since(made, 'begin'), range(0, 401));
    });
  }

  test('groups keep their order, and stop by themselves', async (t) => {
    const groupOf = (id) => (id < 100 ? 0 : (id * 7) % 11);
    const made = await warm(t);
    const raws = rawsOf('kafka', COUNT, { 250: 'throw', 50: 'throw', 571: 'throw' }, groupOf);
    const answer = await run(made, 'kafka', raws);
    const stopped = [50, 250, 571].filter((id, i, all) => !all.slice(0, i).some((one) => groupOf(one) === groupOf(id)));
    const offsets = Object.fromEntries(identifiers(answer).map(({ partition, offset }) => [partition, offset]));
    assert.deepEqual(offsets, Object.fromEntries(stopped.map((id) => [`orders-${groupOf(id)}`, 1000 + id])));
    const begun = since(made, 'begin');
    for (const group of range(0, 11)) {
      const own = begun.filter((id) => groupOf(id) === group);
      const failed = stopped.find((id) => groupOf(id) === group) ?? Infinity;
      assert.deepEqual(own, range(0, COUNT).filter((id) => groupOf(id) === group && id <= failed));
    }
  });

  test('a key of the user\'s keeps its order in any number of records', async (t) => {
    const made = await warm(t, { groupBy: ({ json }) => json.id % 5 });
    assert.deepEqual(identifiers(await run(made, 'kinesis', rawsOf('kinesis', 2000))), []);
    const begun = since(made, 'begin');
    assert.equal(begun.length, 2000);
    for (const key of range(0, 5)) {
      const own = begun.filter((id) => id % 5 === key);
      assert.deepEqual(own, own.toSorted((a, b) => a - b));
    }
  });

  test('the end of the time in the middle of a frame', async (t) => {
    const made = await warm(t, { deadlineMargin: 100 });
    const whats = Object.fromEntries(range(0, 1000).map((id) => [id, 'spin']));
    const raws = rawsOf('sqs', 1000, whats);
    const event = eventOf('sqs', raws);
    const answer = await within(made.handler(event, contextOf(400)), 'the answer', 60_000);
    const reported = new Set(identifiers(answer));
    const begun = since(made, 'begin');
    const done = new Set(since(made, 'done'));
    for (const [id, { messageId }] of raws.entries()) {
      assert.ok(reported.has(messageId) || done.has(id), `${id} is neither done nor reported`);
    }
    assert.equal(new Set(begun).size, begun.length, 'no record ran twice');
    // What cannot be stopped goes on where there is no worker to be ended.
    if (mode.hasWorkers) assert.ok(reported.size > 0, '2 s of work do not fit');
  });

  test('no record sees what another one has changed', async (t) => {
    const made = handlerFor(t, { type: mode.type, recordFunctionName: 'scribble', params: { deep: { list: [1] } } });
    // Records of an event that a program has made may have objects in common.
    const attributes = { SentTimestamp: '1700000000000' };
    const raws = rawsOf('sqs', COUNT).map((raw) => ({ ...raw, attributes }));
    for (let i = 0; i < 3; i++) assert.deepEqual(identifiers(await run(made, 'sqs', raws)), []);
    assert.deepEqual(attributes, { SentTimestamp: '1700000000000' });
    assert.ok(raws.every((raw) => !('changed' in raw)));
  });

  test('what a record function is given may be copied', async (t) => {
    const made = handlerFor(t, { type: mode.type, recordFunctionName: 'copied' });
    assert.deepEqual(identifiers(await run(made, 'sqs', rawsOf('sqs', 3))), []);
    assert.deepEqual(lines(made.log).toSorted(), range(0, 3).map((id) => `${id} true function function`));
  });

  test('a record that cannot travel fails, and with it only the rest of its group', async (t) => {
    for (const groupOf of [() => undefined, (id) => id % 2]) {
      const made = await warm(t);
      const raws = rawsOf('sqs', 100, {}, groupOf);
      raws[40].messageAttributes = { handle: () => {} };
      const failed = groupOf(0) === undefined ? [40] : range(40, 100).filter((id) => id % 2 === 0);
      assert.deepEqual(identifiers(await run(made, 'sqs', raws)), failed.map((id) => raws[id].messageId));
      assert.equal(made.errors[0].error.code, 'ERR_PARALLELIZER_SERIALIZATION');
      const begun = since(made, 'begin').toSorted((a, b) => a - b);
      assert.deepEqual(begun, range(0, 100).filter((id) => !failed.includes(id)));
    }
  });

  for (const serialization of ['json', 'advanced']) {
    test(`serialization: '${serialization}'`, async (t) => {
      const made = await warm(t, { serialization });
      const raws = rawsOf('sqs', COUNT, { 17: 'throw' });
      assert.deepEqual(identifiers(await run(made, 'sqs', raws)), [raws[17].messageId]);
      assert.equal(since(made, 'done').length, COUNT - 1);
    });
  }

  test('params that only structured clone can carry', async (t) => {
    const made = handlerFor(t, { type: mode.type, params: { table: new Map([['a', 1]]) } });
    const answer = await run(made, 'sqs', rawsOf('sqs', 50));
    assert.deepEqual(identifiers(answer), []);
    assert.equal(idsOf(made.log, 'done').length, 50);
  });
});
