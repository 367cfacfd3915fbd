'use strict';
// Worker functions that store a record by appending it to a file of their process and invocation. An order may make
// something go wrong: { fate: 'throw' | 'die' | 'dieAfter' | 'hang' | 'gate' }.

const fs = require('node:fs');
const { createHash } = require('node:crypto');
const { setTimeout: sleep } = require('node:timers/promises');

const tmp = process.env.TEST_TMP;

function store(record, { awsRequestId }) {
  const line = {
    at: String(process.hrtime.bigint()),
    group: record.groupKey,
    id: record.identifier,
    trace: process.env._X_AMZN_TRACE_ID,
  };
  fs.appendFileSync(`${tmp}/stored-${awsRequestId}-${process.pid}`, `${JSON.stringify(line)}\n`);
}

const die = () => process.kill(process.pid, 'SIGKILL');

const fates = {
  throw() {
    throw new Error('an order that cannot be stored');
  },
  die,
  hang() {
    for (;;);
  },
  /** Notes that it has arrived, and waits to be let through. */
  async gate() {
    fs.appendFileSync(`${tmp}/gate`, `${process.pid}\n`);
    while (!fs.existsSync(`${tmp}/go`)) await sleep(5);
  },
};

async function storeOne({ record, context }) {
  const { customer, fate, rounds = 0 } = record.json;
  // Work for the processor.
  for (let i = 0; i < rounds; i++) createHash('sha256').update(customer + i).digest();
  await fates[fate]?.();
  store(record, context);
  if (fate === 'dieAfter') die();
}

exports.storeOne = storeOne;

exports.storeBatch = async ({ batch, context }) => {
  for (const record of batch) await storeOne({ record, context });
};
