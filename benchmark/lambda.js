'use strict';

/**
 * What a record costs with a record handler, in each mode, by what its function costs: against the `BatchProcessor` of
 * Powertools for AWS Lambda, which is a loop in the handler's own thread with the same answer at its end, and against
 * a bare loop.
 *
 *   node benchmark/lambda.js [--rounds 25] [--quick]
 */

const assert = require('node:assert/strict');
const { BatchProcessor, EventType, processPartialResponse } = require('@aws-lambda-powertools/batch');
const { PARALLELIZER_CHILD, PARALLELIZER_INLINE, PARALLELIZER_THREADS } = require('@parallelizer/node');
const { createHandler } = require('@parallelizer/node/lambda');
const { runSuite } = require('./support/contest.js');
const { optionsFromArgv } = require('./support/options.js');
const { alternate } = require('./support/rounds.js');
const { rowWhere, Suite } = require('./support/suite.js');
const functions = require('./support/record-functions.js');
const { burn } = require('./support/work.js');

/** @typedef {import('./support/suite.js').Row} Row */
/** @typedef {(event: object, context: object) => Promise<any>} Handler */
/** @typedef {keyof typeof functions} Name */

const MODES = /** @type {const} */ ([
  ['processes', PARALLELIZER_CHILD],
  ['threads', PARALLELIZER_THREADS],
  ['inline', PARALLELIZER_INLINE],
]);

const POWERTOOLS = 'Powertools BatchProcessor';

/** Rounds until V8 has optimized what a record goes through, in the caller and in each worker. */
const WARMUPS = 30;
/** The same where the function takes so long that little of the time is anybody else's. */
const FEW_WARMUPS = 5;

/** @type {{ id: string, title: string, name: Name, records: number, microseconds: number }[]} */
const CASES = [
  { id: 'parse', title: 'records that are only parsed', name: 'parse', records: 2000, microseconds: 0 },
  { id: 'async', title: 'the same, by an async function', name: 'parseAsync', records: 2000, microseconds: 0 },
  { id: '10-us', title: 'records of 10 µs', name: 'compute', records: 2000, microseconds: 10 },
  { id: '100-us', title: 'records of 100 µs', name: 'compute', records: 1000, microseconds: 100 },
  { id: '1-ms', title: 'records of 1 ms', name: 'compute', records: 200, microseconds: 1000 },
];

/** @returns {number} how many steps `burn` does in a microsecond */
function stepsPerMicrosecond() {
  const steps = 1_000_000;
  const times = Array.from({ length: 9 }, () => {
    const begin = performance.now();
    burn(steps);
    return performance.now() - begin;
  });
  return steps / times.toSorted((left, right) => left - right)[4] / 1000;
}

/**
 * The text of an event of SQS, as Lambda has it before the handler is called.
 * @param {number} records @param {number} steps
 */
function eventText(records, steps) {
  return JSON.stringify({
    Records: Array.from({ length: records }, (_, id) => ({
      messageId: `059f36b4-87a3-44ab-83d2-${String(id).padStart(12, '0')}`,
      receiptHandle: 'AQEBwJnKyrHigUMZj6rYigCgxlaS3SLy0aNvNkTUVbwOPqXlqAHSTrKpMwT'.repeat(3),
      body: JSON.stringify({ id, steps, customer: `customer-${id % 50}`, items: [1, 2, 3], note: 'x'.repeat(100) }),
      attributes: {
        ApproximateReceiveCount: '1',
        SentTimestamp: '1700000000000',
        SenderId: 'AIDAIENQZJOLO23YVJ4VO',
        ApproximateFirstReceiveTimestamp: '1700000000010',
      },
      messageAttributes: {},
      md5OfBody: 'e4e68fb7bd0e697a0ae8f1bb342846b3',
      eventSource: 'aws:sqs',
      eventSourceARN: 'arn:aws:sqs:eu-central-1:123456789012:orders',
      awsRegion: 'eu-central-1',
    })),
  });
}

const context = {
  awsRequestId: 'c6af9ac6-7b61-11e6-9a41-93e8deadbeef',
  functionName: 'orders',
  functionVersion: '$LATEST',
  invokedFunctionArn: 'arn:aws:lambda:eu-central-1:123456789012:function:orders',
  memoryLimitInMB: '3008',
  logGroupName: '/aws/lambda/orders',
  logStreamName: '2024/01/01/[$LATEST]abcdef',
  getRemainingTimeInMillis: () => 60_000,
};

/** @param {Name} name @returns {Handler} */
function powertools(name) {
  const processor = new BatchProcessor(EventType.SQS);
  const work = async (/** @type {any} */ record) => functions[name]({ record });
  return (/** @type {any} */ event, /** @type {any} */ own) =>
    processPartialResponse(event, work, processor, { context: own });
}

/** @param {Name} name @returns {Handler} */
function loop(name) {
  return async (/** @type {any} */ { Records }) => {
    for (const record of Records) await functions[name]({ record });
    return { batchItemFailures: [] };
  };
}

async function main() {
  const { rounds, workers } = optionsFromArgv({ rounds: 25 });
  const suite = new Suite('lambda', { workers, source: 'SQS' });
  const steps = stepsPerMicrosecond();
  for (const { id, title, name, records, microseconds } of CASES) {
    const text = eventText(records, Math.round(steps * microseconds));
    const own = MODES.map(([mode, type]) => ({
      mode,
      handler: createHandler({
        type,
        filePath: require.resolve('./support/record-functions.js'),
        recordFunctionName: name,
        parallelization: workers,
      }),
    }));
    /** @type {(Omit<Row, 'samples'> & { handler: Handler })[]} */
    const contenders = [
      ...own.map((each) => ({ name: '@parallelizer/node', kind: /** @type {const} */ ('own'), ...each })),
      { name: POWERTOOLS, mode: 'inline', kind: 'library', handler: powertools(name) },
      { name: 'a loop', mode: 'inline', kind: 'base', handler: loop(name) },
    ];
    try {
      // Lambda makes each event of text as well.
      let event = {};
      const warmups = microseconds > 10 ? FEW_WARMUPS : WARMUPS;
      const samples = await alternate(contenders.map(({ handler }, index) => ({
        name: String(index),
        run: () => handler(event, context),
        after: (answer) => {
          assert.deepEqual(answer, { batchItemFailures: [] });
          event = JSON.parse(text);
        },
        sample: (milliseconds) => (milliseconds * 1000) / records,
      })), { rounds, warmups, beforeRound: () => (event = JSON.parse(text)) });
      suite.section({
        id,
        title: `${records.toLocaleString('en')} ${title}: µs per record`,
        unit: 'µs',
        rows: contenders.map((each, index) => ({ ...each, samples: samples.get(String(index)) ?? [] })),
        against: [
          { head: '÷ Powertools', other: rowWhere((row) => row.name === POWERTOOLS) },
          { head: '÷ a loop', other: rowWhere((row) => row.kind === 'base') },
        ],
      });
    } finally {
      await Promise.all(own.map(({ handler }) => handler.parallelizer.terminate()));
    }
  }
  suite.save();
}

runSuite(main);
