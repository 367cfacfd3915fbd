'use strict';
// Sources that deliver until everything is done, as AWS documents it for each: what they make of an answer or an error.

const assert = require('node:assert/strict');

const { within } = require('./helpers');
const { history } = require('./lambda');
const { SOURCES, contextOf, eventOf, pipedOf } = require('./lambda-events');

/** Sends a batch again as a whole after an error: queues of brokers, DocumentDB, asynchronous invocations. */
class Whole {
  constructor(raws) {
    this.raws = [...raws];
  }

  poll(size) {
    return this.raws.slice(0, size);
  }

  answered(batch, answer) {
    assert.deepEqual(answer.batchItemFailures, [], 'this source hears of an error only');
    return this.raws.splice(0, batch.length);
  }

  failed(error) {
    assert.equal(error.code, 'ERR_PARALLELIZER_RECORDS_FAILED');
    return [];
  }
}

/** Firehose: what failed lies in a bucket, from where its owner puts it into the stream again. */
class Stream extends Whole {
  answered(batch, { records }) {
    assert.deepEqual(records.map(({ recordId }) => recordId), batch.map(({ recordId }) => recordId));
    const failed = new Set(records.filter(({ result }) => result === 'ProcessingFailed').map(({ recordId }) => recordId));
    return this.#settle(batch, ({ recordId }) => failed.has(recordId));
  }

  #settle(batch, hasFailed) {
    this.raws.splice(0, batch.length);
    this.raws.push(...batch.filter(hasFailed));
    return batch.filter((raw) => !hasFailed(raw));
  }
}

/** S3 Batch Operations: tasks that failed for the time being are tried again. */
class Job extends Whole {
  answered(batch, { results }) {
    const codes = new Map(results.map(({ taskId, resultCode }) => [taskId, resultCode]));
    assert.deepEqual([...codes.keys()], batch.map(({ taskId }) => taskId));
    assert.ok([...codes.values()].every((code) => code === 'Succeeded' || code === 'TemporaryFailure'));
    this.raws.splice(0, batch.length);
    this.raws.push(...batch.filter(({ taskId }) => codes.get(taskId) !== 'Succeeded'));
    return batch.filter(({ taskId }) => codes.get(taskId) === 'Succeeded');
  }
}

/** A stream behind EventBridge Pipes, which goes on from the first event that is reported. */
class PipedShard extends Whole {
  answered(batch, { batchItemFailures }) {
    const ids = batchItemFailures.map(({ itemIdentifier }) => itemIdentifier);
    const first = Math.min(...ids.map((id) => batch.findIndex(({ eventID }) => eventID === id)));
    assert.ok(first >= 0, 'the whole batch fails: an id is not in it');
    return this.raws.splice(0, Math.min(first, batch.length));
  }
}

/** How sources deliver that lambda-events.js does not know: the event of a batch, and what follows an answer. */
const MORE = {
  s3: { source: 's3', deliver: (raws) => new Whole(raws) },
  sns: { source: 'sns', deliver: (raws) => new Whole(raws) },
  activemq: { source: 'activemq', deliver: (raws) => new Whole(raws) },
  rabbitmq: { source: 'rabbitmq', deliver: (raws) => new Whole(raws) },
  documentdb: { source: 'documentdb', isOrdered: true, deliver: (raws) => new Whole(raws) },
  'cloudwatch-logs': { source: 'cloudwatch-logs', deliver: (raws) => new Whole(raws) },
  firehose: { source: 'firehose', deliver: (raws) => new Stream(raws) },
  's3-batch': { source: 's3-batch', deliver: (raws) => new Job(raws) },
  'kinesis, from Pipes': { source: 'kinesis', isOrdered: true, isPiped: true, deliver: (raws) => new PipedShard(raws) },
  'dynamodb, from Pipes': { source: 'dynamodb', isOrdered: true, isPiped: true, deliver: (raws) => new PipedShard(raws) },
  'kafka, from Pipes': { source: 'kafka', isOrdered: true, isPiped: true, deliver: (raws) => new Whole(raws) },
};

const MAX_INVOCATIONS = 1000;

/**
 * Delivers until nothing is left.
 * @param {{ raws: any[], poll: Function, answered: Function, failed?: Function }} queue a source
 * @param {(batch: any[]) => object} toEvent
 * @param {(seen: { batch: any[], done: any[], answer: any }) => void} [seen]
 */
async function deliver(queue, toEvent, handler, r, { most = 100, seen = () => {} } = {}) {
  for (let invocation = 0; queue.raws.length > 0; invocation++) {
    assert.ok(invocation < MAX_INVOCATIONS, 'the records that are left never succeed');
    const batch = queue.poll(1 + r.below(most));
    const pending = handler(toEvent(batch), contextOf());
    const answer = await within(pending.catch((error) => ({ error })), 'an invocation', 60_000);
    if (answer.error !== undefined && queue.failed === undefined) throw answer.error;
    const done = answer.error === undefined ? queue.answered(batch, answer) : queue.failed(answer.error);
    seen({ batch, done, answer });
  }
}

/** In each group a record begins only when all before it are done, whatever happened to them on the way. */
function assertOrder(log, count, groupOf) {
  const members = new Map();
  for (let id = 0; id < count; id++) members.set(groupOf(id), [...(members.get(groupOf(id)) ?? []), id]);
  const done = new Set();
  for (const { did, id } of history(log)) {
    if (did === 'done') done.add(id);
    else for (const before of members.get(groupOf(id))) {
      if (before >= id) break;
      assert.ok(done.has(before), `${groupOf(id)}: ${id} began before ${before} was done`);
    }
  }
}

const doneIn = (log) => new Set(history(log).filter(({ did }) => did === 'done').map(({ id }) => id));

/** The event of a batch of a source. */
const toEventOf = ({ source, isPiped }) => (batch) => (isPiped ? batch.map((raw) => pipedOf(source, raw)) : eventOf(source, batch));

module.exports = { MORE, SOURCES, assertOrder, deliver, doneIn, toEventOf };
