'use strict';

/**
 * One Kafka event, fanned out over many invocations: `npm start -- --records 400 --concurrency 8 --kill 1`.
 *
 * The same event is handled with one invocation at a time, then with several, of which some are killed in the middle.
 * Both must come to the same signatures. The exit code is 1 if not.
 */

const assert = require('node:assert/strict');
const { parseArgs } = require('node:util');
const Table = require('cli-table3');
const { makeHandler } = require('./event-function.js');
const { sign } = require('./invoice.js');
const { makeEvent } = require('./kafka-event.js');
const { missing, startLambda } = require('./local-lambda.js');

/**
 * Handles an event with so many invocations at once.
 *
 * @param {{ event: import('./event-function.js').KafkaEvent, concurrency: number, kill?: number }} options
 */
async function fanOut({ event, concurrency, kill = 0 }) {
  const lambda = await startLambda();
  /** @type {import('./invoice.js').Signed[]} */
  const signed = [];
  const { functionName, client } = lambda;
  const handler = makeHandler({ functionName, concurrency, client }, (one) => signed.push(one));
  let killed = 0;
  const watch = setInterval(() => {
    if (killed < kill && handler.pool.stats().done > 0 && lambda.kill()) killed++;
  }, 20);
  try {
    const begin = performance.now();
    const response = await handler(event);
    const seconds = (performance.now() - begin) / 1000;
    return { response, signed, seconds, killed, ...lambda.counts() };
  } finally {
    clearInterval(watch);
    await handler.pool.close();
    await lambda.stop();
  }
}

/** What the event should come to, computed here. @param {import('./event-function.js').KafkaEvent} event */
function expected(event) {
  const orders = Object.values(event.records).flat().map(({ value }) => JSON.parse(Buffer.from(value, 'base64').toString()));
  return new Map(orders.filter(({ cents }) => cents !== null).map((order) => [order.invoice, sign(order).signature]));
}

async function main() {
  const { values } = parseArgs({
    options: {
      records: { type: 'string', default: '400' },
      concurrency: { type: 'string', default: '8' },
      kill: { type: 'string', default: '1' },
    },
  });
  const reason = await missing();
  if (reason !== undefined) throw new Error(reason);
  const [records, concurrency, kill] = [values.records, values.concurrency, values.kill].map(Number);
  const event = makeEvent({ records });
  const wanted = expected(event);
  const table = new Table({ head: ['at once', 'environments', 'invocations', 'killed', 'seconds', 'records/s'] });
  for (const [atOnce, deaths] of [[1, 0], [concurrency, kill]]) {
    const run = await fanOut({ event, concurrency: atOnce, kill: deaths });
    assert.deepEqual(run.response, { batchItemFailures: [] });
    assert.equal(run.signed.length, records, 'each record is signed once');
    for (const { invoice, signature } of run.signed) assert.equal(signature, wanted.get(invoice), invoice);
    table.push([run.atOnce, run.environments, run.invocations, run.killed, run.seconds.toFixed(2), Math.round(records / run.seconds)]);
  }
  console.log(table.toString());
  console.log(`All ${records} records were signed once, with the right signatures.`);
}

if (require.main === module) main();

module.exports = { expected, fanOut };
