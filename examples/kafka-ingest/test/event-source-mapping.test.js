'use strict';

/** What the event source mapping does with the answers of a function, against the broker. */

const assert = require('node:assert/strict');
const { randomUUID } = require('node:crypto');
const { after, before, describe, test } = require('node:test');
const { missing, startBroker } = require('../broker.js');
const { EventSourceMapping } = require('../event-source-mapping.js');
const { produce, TOPIC } = require('../topic.js');

const RECORDS = 1000;
const PARTITION = `${TOPIC}-2`;

describe('an event source mapping', { skip: missing() ?? false }, () => {
  /** @type {Awaited<ReturnType<typeof startBroker>>} */
  let broker;
  /** @type {Map<number, number>} */
  let end;

  before(async () => {
    broker = await startBroker({ topic: TOPIC });
    end = await produce(broker.kafka, RECORDS);
  });
  after(() => broker?.stop());

  function start(t, invoke, options = {}) {
    const mapping = new EventSourceMapping({
      kafka: broker.kafka,
      bootstrapServers: broker.address,
      topic: TOPIC,
      groupId: randomUUID(),
      batchSize: 400,
      invoke,
      ...options,
    });
    t.after(() => mapping.stop());
    return mapping.start();
  }

  /** All of the topic, as a function got it that answers what `answer` says to the event with that number. */
  async function deliver(t, answer) {
    const events = [];
    const mapping = await start(t, async (event) => {
      events.push(event);
      return answer(event, events.length - 1);
    });
    let completed = 0;
    while (completed < RECORDS) completed += (await mapping.poll()).completed;
    assert.equal(completed, RECORDS);
    return events;
  }

  const offsets = (event, name) => (event.records[name] ?? []).map(({ offset }) => offset);
  const first = (event, name) => event.records[name][0].offset;

  /** By partition, in the order of delivery. */
  function delivered(events) {
    return new Map([...end.keys()].map((partition) => (
      [partition, events.flatMap((event) => offsets(event, `${TOPIC}-${partition}`))]
    )));
  }

  /** @param {number} count */
  const range = (count) => Array.from({ length: count }, (_, offset) => offset);

  test('delivers each record once and in order where nothing fails', async (t) => {
    const events = await deliver(t, () => ({ batchItemFailures: [] }));
    for (const [partition, list] of delivered(events)) assert.deepEqual(list, range(end.get(partition)));
  });

  test('makes records of the shape that Lambda gives them', async (t) => {
    const [event] = await deliver(t, () => null);
    assert.equal(event.eventSource, 'SelfManagedKafka');
    assert.equal(event.bootstrapServers, broker.address);
    const [record] = event.records[PARTITION];
    assert.deepEqual([record.topic, record.partition, record.offset, record.timestampType], [TOPIC, 2, 0, 'CREATE_TIME']);
    assert.match(Buffer.from(record.key, 'base64').toString(), /^pump-\d\d$/);
    assert.equal(Object.keys(record.headers[0])[0], 'signature');
    assert.ok(record.headers[0].signature.every((byte) => Number.isInteger(byte) && byte >= -128 && byte < 128));
    assert.ok(Object.values(event.records).flat().length <= 400);
  });

  test('resumes a partition from the offset that is reported, and the others behind what they had', async (t) => {
    const events = await deliver(t, (event, number) => ({
      batchItemFailures: number === 0 ? [{ itemIdentifier: { partition: PARTITION, offset: 30 } }] : [],
    }));

    const [one, two] = events;
    const had = offsets(one, PARTITION).length;
    assert.ok(had > 30);
    assert.equal(first(two, PARTITION), 30);
    for (const [partition, list] of delivered(events)) {
      const all = range(end.get(partition));
      assert.deepEqual(list, partition === 2 ? [...all.slice(0, had), ...all.slice(30)] : all);
    }
  });

  for (const [what, answer] of Object.entries({
    'an error': () => { throw new Error('for this test'); },
    'an identifier that is null': () => ({ batchItemFailures: [{ itemIdentifier: null }] }),
    'a record that was not in the event': () => ({ batchItemFailures: [{ itemIdentifier: { partition: PARTITION, offset: 1e6 } }] }),
  })) {
    test(`takes ${what} for the failure of the whole event`, async (t) => {
      const events = await deliver(t, (event, number) => (number === 0 ? answer() : { batchItemFailures: [] }));
      for (const name of Object.keys(events[0].records)) assert.equal(first(events[1], name), 0);
      for (const [partition, list] of delivered(events.slice(1))) assert.deepEqual(list, range(end.get(partition)));
    });
  }

  test('goes on from what was done when it is started anew', async (t) => {
    const groupId = randomUUID();
    // The broker cannot be told that a consumer has left: it has to wait for it.
    const options = { groupId, sessionTimeout: 6000 };
    let resumeAt = new Map();

    const before = await start(t, async (event) => {
      resumeAt = new Map(Object.entries(event.records).map(([name, records]) => [name, records.at(-1).offset + 1]));
      resumeAt.set(PARTITION, 12);
      return { batchItemFailures: [{ itemIdentifier: { partition: PARTITION, offset: 12 } }] };
    }, options);
    await before.poll();
    await before.stop();

    const seen = new Map();
    const again = await start(t, async (event) => {
      for (const [name, [{ offset }]] of Object.entries(event.records)) if (!seen.has(name)) seen.set(name, offset);
    }, options);
    while (seen.size < resumeAt.size) await again.poll();
    assert.deepEqual([...seen].sort(), [...resumeAt].sort());
  });
});
