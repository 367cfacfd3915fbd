'use strict';
// What workers print on Lambda goes through the console as if the handler had printed it: with the invocation that it
// belongs to, and as JSON if the function logs JSON.

const assert = require('node:assert/strict');
const path = require('node:path');
const { test } = require('node:test');

const { root } = require('./support/helpers');
const { forEachMode } = require('./support/modes');
const { asynchronous, run } = require('./support/scripts');

// The runtime client replaces the console, and tells from the async context which invocation prints.
const head = `
  const { AsyncLocalStorage } = require('node:async_hooks');
  const { processPartialResponse } = require(${JSON.stringify(path.join(root, 'lambda.js'))});
  const invocation = new AsyncLocalStorage();
  const seen = [];
  const shape = (value) => value instanceof Error
    ? { error: value.constructor.name, name: value.name, message: value.message, code: value.code, stack: /lambda-prints/.test(value.stack) } : value;
  for (const level of ['log', 'info', 'warn', 'error', 'debug']) {
    console[level] = (...args) => seen.push({ id: invocation.getStore() ?? null, level, args: args.map(shape) });
  }
  const event = (...say) => ({ Records: say.map((what, i) => ({
    messageId: String(i), body: JSON.stringify({ say: what }), eventSource: 'aws:sqs', eventSourceARN: 'arn:aws:sqs:x:1:q',
  })) });
  const parallelizer = make({ filePath: fixture('lambda-prints.js'), processBatchFunctionName: 'print', ...globalThis.options });
  const invoke = (id, say, options) =>
    invocation.run(id, () => processPartialResponse(event(...say), { awsRequestId: id }, parallelizer, { onError() {}, ...options }));
`;
const tail = `
  await parallelizer.close();
  process.stderr.write(JSON.stringify(seen));
`;

async function printed(t, mode, body, env = {}, options = { parallelization: 1 }) {
  const script = asynchronous(`globalThis.options = ${JSON.stringify(options)};${head}${body}${tail}`);
  const { stdout, stderr } = await run(t, script, { mode, env: { AWS_LAMBDA_FUNCTION_NAME: 'orders', ...env } });
  return { stdout, seen: JSON.parse(stderr) };
}

const JSON_LOGS = { AWS_LAMBDA_LOG_FORMAT: 'JSON' };

forEachMode(
  (mode) => {
    test('each message has the invocation that it belongs to, however many are under way', async (t) => {
      const { seen } = await printed(
        t, mode,
        `await Promise.all(Array.from({ length: 20 }, (_, i) => invoke('r' + i, ['line a of r' + i, 'line b of r' + i])));`,
        {}, { parallelization: 2, batchSize: 1 },
      );
      assert.equal(seen.length, 40);
      for (const { id, args } of seen) assert.ok(args[0].endsWith(`of ${id}`), `${args[0]} was printed as ${id}`);
    });

    test('so does what a function prints while it is being stopped', async (t) => {
      const { seen } = await printed(t, mode, `
        const controller = new AbortController();
        const answer = invoke('r1', ['straggles'], { signal: controller.signal });
        while (seen.length === 0) await sleep(5);
        controller.abort();
        await answer;
        await invoke('r2', ['next']);`,
      );
      assert.deepEqual(
        seen.map(({ id, args }) => [id, args[0]]),
        [
          ['r1', 'begun'],
          ['r1', 'stopping'],
          ['r2', 'next'],
        ],
      );
    });

    test('text logs: text', async (t) => {
      const { seen, stdout } = await printed(
        t,
        mode,
        `await invoke('r1', ['text', 'object', 'beside', 'json', 'logger']);`,
      );
      // A logger that writes JSON itself must not have its lines prefixed.
      assert.equal(stdout, '{"level":"INFO","message":"from a logger"}\n');
      assert.deepEqual(seen.map(({ level }) => level), ['log', 'warn', 'error', 'warn']);
      for (const { args } of seen) assert.deepEqual([args.length, typeof args[0]], [1, 'string']);
      assert.equal(seen[0].args[0], 'plain text');
      assert.match(seen[1].args[0], /order: 7/);
      assert.match(seen[2].args[0], /it failed: (?:\w+ )*\[?Error|it failed: OrderError/);
    });

    test('JSON logs: objects and errors stay objects and errors', async (t) => {
      const { seen } = await printed(
        t,
        mode,
        `await invoke('r1', ['text', 'object', 'error', 'beside', 'inside', 'logger', 'table', 'cycle']);`,
        JSON_LOGS,
      );
      const [text, object, error, beside, inside, logger, table, cycle] = seen;
      assert.deepEqual([text.level, text.args], ['log', ['plain text']]);
      assert.deepEqual(
        [object.level, object.args],
        ['warn', [{ order: 7, nested: { list: [1, null] }, at: '1970-01-01T00:00:00.000Z' }]],
      );
      assert.deepEqual(
        [error.level, error.args[0].message, error.args[0].code, error.args[0].stack],
        ['error', 'alone', 'E1', true],
      );
      assert.equal(beside.args[0], 'it failed:');
      assert.deepEqual([beside.args[1].message, beside.args[3]], ['beside', 5]);
      assert.deepEqual(
        [inside.args[0].problem.errorType, inside.args[0].problem.errorMessage],
        ['OrderError', 'inside'],
      );
      assert.deepEqual([logger.level, logger.args], ['warn', [{ child_id: 0, n: 1, message: 'hello' }]]);
      assert.match(table.args[0], /\(index\)/);
      assert.equal(cycle.args.length, 1);
      assert.ok(seen.every(({ id }) => id === 'r1'));
    });

    for (const env of [{}, JSON_LOGS]) {
      test(`${env.AWS_LAMBDA_LOG_FORMAT ?? 'text'} logs: what is written to stdout comes out as it was written`, async (t) => {
        const { seen, stdout } = await printed(t, mode, `await invoke('r1', ['json', 'mixed']);`, env);
        assert.equal(stdout, '{"level":"INFO","message":"from a logger"}\nbefore\n{"a":1}\nafter\n-{no json}\n');
        assert.deepEqual(seen, []);
      });
    }
  },
  { needs: ['hasWorkers'] },
);
