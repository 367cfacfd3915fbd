'use strict';
// What a worker prints is in Lambda's log as if the handler had printed it: with the time, the request id of its
// invocation and the level; one entry per message; as text and as JSON.

const assert = require('node:assert/strict');

const { lambdaTest, startEnvironment } = require('./support/environment');
const { waitFor } = require('../support/helpers');

const TYPES = ['child-process', 'worker-threads'];
const env = (type, format) => ({
  AWS_LAMBDA_LOG_FORMAT: format,
  TEST_OPTIONS: JSON.stringify({ type, parallelization: 2 }),
});

/** Two workers print in every way there is. */
const batch = [
  { do: 'prints', stream: 'log', text: 'printed by log', value: 1 },
  { do: 'prints', stream: 'warn', text: 'printed by warn', value: 2 },
  { do: 'prints', stream: 'error', text: 'printed by error', value: 3 },
  { do: 'prints', stream: 'debug', text: 'printed by debug', value: 4 },
  { do: 'prints', stream: 'info', text: '{"a":"line of JSON"}', value: 5 },
  { do: 'prints', stream: 'log', text: 'first line\n  second line', value: 6 },
  { do: 'prints', stream: 'log', text: 'per cent: %s %d %%', value: 7 },
  { do: 'logs', value: 8, logs: [{ message: 'by mainLogger', params: { table: 'orders' }, logType: 'warn' }] },
];
// The runtime writes \r for \n, so that an entry stays one entry.
const expected = [
  ['INFO', 'printed by log'],
  ['WARN', 'printed by warn'],
  ['ERROR', 'printed by error'],
  ['DEBUG', 'printed by debug'],
  ['INFO', '{"a":"line of JSON"}'],
  ['INFO', 'first line\n  second line'],
  ['INFO', 'per cent: %s %d %%'],
];

const parse = {
  Text(line) {
    const [, time, requestId, level, message] =
      /^(\S+)\t(\S+)\t(\S+)\t(.*)$/s.exec(line) ?? assert.fail(`no entry: ${line}`);
    return { time, requestId, level, message };
  },
  JSON(line) {
    const { timestamp, requestId, level, message } = JSON.parse(line);
    return { time: timestamp, requestId, level, message };
  },
};

for (const type of TYPES) {
  for (const client of [3, 4]) {
    for (const format of ['Text', 'JSON']) {
      lambdaTest(`${type}, client ${client}: ${format} entries with level and request id`, { client }, async (t) => {
        const lambda = await startEnvironment(t, { handler: 'run.awaited', client, env: env(type, format) });
        for (let i = 0; i < 3; i++) {
          await lambda.initialised();
          const before = lambda.output.length;
          const { status, body, requestId } = await lambda.invoke({ batch, options: {} });
          assert.equal(status, 'response', JSON.stringify(body));
          assert.deepEqual(body.failures, []);
          const entries = await waitFor(() => {
            const lines = lambda.output.slice(before).split('\n').slice(0, -1);
            return lines.length >= expected.length + 1 && lines.map(parse[format]);
          }, 'all entries');
          for (const { time, requestId: id } of entries) {
            assert.equal(id, requestId);
            assert.ok(Math.abs(Date.parse(time) - Date.now()) < 60_000, time);
          }
          const byLogger = entries.splice(
            entries.findIndex(({ message }) => JSON.stringify(message).includes('by mainLogger')),
            1,
          );
          assert.equal(byLogger[0].level, 'WARN');
          // In a JSON log the object is an object, not text within text.
          const { child_id: _, ...rest } = format === 'JSON' ? byLogger[0].message : JSON.parse(byLogger[0].message);
          assert.deepEqual(rest, { table: 'orders', message: 'by mainLogger' });
          const found = entries.map(({ level, message }) => [level, message.replaceAll('\r', '\n')]);
          // The messages of each worker are in order; those of the two interleave.
          assert.deepEqual(found.sort(), [...expected].sort());
        }
      });
    }
  }
}

lambdaTest("a dying worker's last words are in the log, with the request id", {}, async (t) => {
  const lambda = await startEnvironment(t, { handler: 'run.awaited', env: env('child-process', 'Text') });
  const said = async (record, words) => {
    const { status, body, requestId } = await lambda.invoke({ batch: [record] });
    assert.equal(status, 'response');
    assert.equal(body.errors[0].code, 'ERR_PARALLELIZER_WORKER_EXITED');
    const entry = await waitFor(() => lambda.lines().find((line) => line.includes(words)), words);
    assert.ok(entry.includes(`\t${requestId}\tERROR\t`), entry);
    return body;
  };
  await said({ do: 'sayAndExit', text: 'written to stderr\n', code: 3 }, 'written to stderr');
  // What Node itself prints about an uncaught exception takes another path, and is in the error as well.
  const { failures } = await said({ do: 'throwInTimer', message: 'thrown in a timer' }, 'Error: thrown in a timer');
  assert.match(failures[0], /thrown in a timer/);
});
