'use strict';

/** The whole example: an event over many invocations, one that dies, and records that cannot be signed. */

const assert = require('node:assert/strict');
const { before, test } = require('node:test');
const { makeEvent } = require('../kafka-event.js');
const { missing } = require('../local-lambda.js');
const { expected, fanOut } = require('../main.js');

/** @type {string | undefined} */
let reason;
before(async () => {
  reason = await missing();
}, { timeout: 1_800_000 });

/** @param {string} name @param {() => Promise<void>} body */
const fanoutTest = (name, body) => test(name, { timeout: 180_000 }, async (t) => (reason === undefined ? body() : t.skip(reason)));

fanoutTest('an event is handled by several invocations at once, each record once', async () => {
  const event = makeEvent({ records: 200 });
  const wanted = expected(event);
  const { response, signed, atOnce, environments } = await fanOut({ event, concurrency: 4 });
  assert.deepEqual(response, { batchItemFailures: [] });
  assert.equal(signed.length, 200);
  for (const { invoice, signature } of signed) assert.equal(signature, wanted.get(invoice), invoice);
  assert.ok(atOnce > 1 && atOnce <= 4, `${atOnce} at once`);
  assert.ok(environments > 1 && environments <= 4, `${environments} environments`);
  assert.ok(new Set(signed.map(({ signedBy }) => signedBy)).size >= 1);
});

fanoutTest('an environment that is killed in the middle loses no record, and none is stored twice', async () => {
  const event = makeEvent({ records: 300 });
  const { response, signed, killed } = await fanOut({ event, concurrency: 3, kill: 1 });
  assert.equal(killed, 1, 'none was killed in time');
  assert.deepEqual(response, { batchItemFailures: [] });
  assert.deepEqual(signed.map(({ invoice }) => invoice).sort(), [...expected(event).keys()].sort());
});

fanoutTest('a partition resumes at its first record that fails; the others are done', async () => {
  // Of partition 1 the records 2 and 5, of partition 3 the first one.
  const event = makeEvent({ records: 40, partitions: 4, spoiled: [9, 21, 3] });
  const { response, signed } = await fanOut({ event, concurrency: 2 });
  assert.deepEqual(response, {
    batchItemFailures: [
      { itemIdentifier: { partition: 'invoices-1', offset: 2 } },
      { itemIdentifier: { partition: 'invoices-3', offset: 0 } },
    ],
  });
  assert.equal(signed.length, 37);
});
