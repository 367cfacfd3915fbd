'use strict';
// The event loop is kept alive while work is under way, and only then. If it were while idle, a callback handler would
// never respond; if it were not during an `await`, Lambda's runtime would respond `null` or end in mid-handler.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');

const { lambdaTest, startEnvironment } = require('./support/environment');

const TYPES = ['child-process', 'worker-threads'];
const env = (type) => ({ TEST_OPTIONS: JSON.stringify({ type, parallelization: 2 }) });
/** Slow enough for the loop to have nothing else to do. */
const slow = [{ do: 'sleep', ms: 400, value: 'a' }, { do: 'sleep', ms: 200, value: 'b' }];
const answers = { responses: ['a', 'b'], failures: [], errors: [] };

for (const type of TYPES) {
  lambdaTest(`${type}: a callback handler answers, warm too`, {}, async (t) => {
    const lambda = await startEnvironment(t, { handler: 'run.callback', env: env(type) });
    for (let i = 0; i < 3; i++) assert.deepEqual(await lambda.respond({ batch: slow }, { timeout: 20_000 }), answers);
  });

  lambdaTest(`${type}: a callback handler that called back early is answered once the work is done`, {}, async (t) => {
    const lambda = await startEnvironment(t, { handler: 'run.early', env: env(type) });
    for (let i = 0; i < 2; i++) {
      assert.equal(await lambda.respond({ batch: slow }, { timeout: 20_000 }), 'early');
      fs.unlinkSync(path.join(lambda.tmp, 'done'));
    }
  });

  for (const handler of ['run.unused', 'run.unusedAsync']) {
    lambdaTest(`${type}: a pool that is never used changes nothing for ${handler}`, {}, async (t) => {
      const lambda = await startEnvironment(t, { handler, env: env(type) });
      for (let i = 0; i < 2; i++) assert.equal(await lambda.respond({}, { timeout: 20_000 }), 'unused');
    });
  }

  for (const client of [3, 4]) {
    lambdaTest(
      `${type}, client ${client}: an awaited run finishes though nothing else holds the loop`,
      { client },
      async (t) => {
        const lambda = await startEnvironment(t, { handler: 'run.awaited', client, env: env(type) });
        for (let i = 0; i < 3; i++)
          assert.deepEqual(await lambda.respond({ batch: slow }, { timeout: 20_000 }), answers);
      },
    );
  }
}

for (const client of [3, 4]) {
  lambdaTest(`client ${client}: a module that awaits ready() as it loads`, { client }, async (t) => {
    const lambda = await startEnvironment(t, { handler: 'top-level.handler', client });
    const { responses, pids } = await lambda.respond({ batch: slow });
    assert.deepEqual(responses, ['a', 'b']);
    assert.deepEqual(pids.sort(), lambda.workers().sort());
  });
}
