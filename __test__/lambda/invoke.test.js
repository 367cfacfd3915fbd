'use strict';
// Pools whose calls run in a Lambda function: the real SDK, a front that speaks Lambda's API, and behind it
// environments with AWS's runtime client. What dies, what takes too long and what is refused is told as on one machine.

const assert = require('node:assert/strict');
const path = require('node:path');

const { Pool, Parallelizer, PARALLELIZER_REMOTE, task } = require('../..');
const { lambdaInvoke } = require('../../lambda-invoke');
const { lambdaTest } = require('./support/environment');
const { LambdaFunction } = require('./support/function');
const { InvokeFront, ServiceError } = require('./support/invoke-front');
const { waitFor } = require('../support/helpers');

const root = path.join(__dirname, 'functions');
const on = (name) => task(path.join(root, 'remote-tasks.js'), name);
const count = (length) => Array.from({ length }, (_, i) => i);

/** A function, and a pool whose calls it runs. */
async function deploy(t, { client, engine, pool: poolOptions, env, ...functionOptions } = {}) {
  const front = await InvokeFront.start();
  t.after(() => front.close());
  const lambda = new LambdaFunction(t, { handler: 'remote.handler', megabytes: 3538, client, env, ...functionOptions });
  front.deploy('worker', lambda.invoke);
  const options = {
    type: PARALLELIZER_REMOTE,
    engine: lambdaInvoke({ functionName: 'worker', concurrency: 3, client: front.client(), ...engine }),
    root,
    ...poolOptions,
  };
  const pool = new Pool(options);
  t.after(() => pool.terminate());
  return { front, lambda, pool, options };
}

const failures = async (results) => (await Promise.allSettled(results)).filter(({ status }) => status === 'rejected');

for (const client of [3, 4]) {
  lambdaTest(`client ${client}: a list in order, over several environments`, { client }, async (t) => {
    const { pool, lambda, front } = await deploy(t, { client });
    const results = await pool.map(on('twice'), count(5000));
    assert.deepEqual(results, count(5000).map((n) => 2 * n));
    assert.equal(await pool.apply(on('where'), []), 'tested');
    assert.ok(lambda.environments.length <= 3, 'no more than may run at once');
    assert.ok(front.maxRunning <= 3);
    const { remote } = pool.stats();
    assert.equal(remote.engine, 'lambda:worker');
    assert.equal(remote.chunks.lost, 0);
    await pool.close();
  });

  lambdaTest(`client ${client}: an environment that dies costs what it had begun, and says how`, { client }, async (t) => {
    const { pool, lambda } = await deploy(t, { client });
    const items = count(200).map((n) => (n === 120 ? 'end' : n));
    const settled = await Promise.allSettled(items.map((item) => pool.apply(on('endFunction'), [item])));
    const rejected = settled.flatMap(({ reason }, i) => (reason === undefined ? [] : [[i, reason]]));
    const [, error] = rejected.find(([i]) => i === 120);
    assert.equal(error.code, 'ERR_PARALLELIZER_WORKER_EXITED');
    assert.match(error.message, /Runtime\.ExitError/);
    assert.match(error.host, /^tested /);
    assert.equal(error.pid, undefined);
    for (const [, { code }] of rejected) assert.equal(code, 'ERR_PARALLELIZER_WORKER_EXITED');
    assert.ok(rejected.length < 40, `${rejected.length} calls failed: more than had begun`);
    assert.equal(await pool.apply(on('twice'), [4]), 8);
    assert.ok(lambda.environments.length >= 2, 'another one has taken its place');
  });
}

lambdaTest('a process that dies in the function is that call\'s error, and the environment goes on', {}, async (t) => {
  const { pool, lambda } = await deploy(t, { engine: { concurrency: 1 } });
  await assert.rejects(pool.apply(on('exit'), ['exit']), ({ code, host, exitCode }) => {
    assert.equal(code, 'ERR_PARALLELIZER_WORKER_EXITED');
    assert.match(host, /^tested /);
    assert.equal(exitCode, 3);
    return true;
  });
  assert.deepEqual(await pool.map(on('exit'), count(100)), count(100));
  assert.equal(lambda.environments.length, 1);
});

lambdaTest('the timeout of a call is kept in the function', {}, async (t) => {
  const { pool, lambda } = await deploy(t, { engine: { concurrency: 1 }, pool: { timeout: 400, gracePeriod: 50 } });
  await assert.rejects(pool.apply(on('hang'), ['hang']), { code: 'ERR_PARALLELIZER_TIMEOUT' });
  assert.equal(await pool.apply(on('twice'), [1]), 2);
  assert.equal(lambda.environments.length, 1, 'the environment has outlived it');
});

lambdaTest('a function\'s own timeout costs what still ran, not the environment', {}, async (t) => {
  const { pool, lambda } = await deploy(t, { engine: { concurrency: 1 }, timeout: 4000 });
  await assert.rejects(pool.apply(on('hang'), ['hang']), ({ code, message }) => {
    assert.equal(code, 'ERR_PARALLELIZER_WORKER_EXITED');
    assert.match(message, /function's timeout/);
    return true;
  });
  assert.equal(await pool.apply(on('twice'), [1]), 2);
  assert.equal(lambda.environments.length, 1);
});

lambdaTest('bytes of any size that fits travel, in as many invocations as they need', {}, async (t) => {
  const { pool, front } = await deploy(t);
  const buffers = count(12).map((i) => Buffer.alloc(1_000_000, i));
  const lengths = await pool.map(on('length'), buffers);
  assert.deepEqual(lengths, buffers.map(({ length }) => length));
  assert.ok(front.requests >= 3, `${front.requests} invocations for 12 MB`);
  await assert.rejects(pool.apply(on('length'), [Buffer.alloc(5_000_000)]), /lambda:worker takes \d+ at most/);
  const [large] = await pool.map(on('large'), [8_000_000]);
  assert.equal(large.length, 8_000_000, 'a response is streamed: its limit is another one');
});

lambdaTest('throttling slows a list down, and loses nothing', {}, async (t) => {
  const { pool, front } = await deploy(t, { engine: { concurrency: 6 } });
  let refused = 0;
  front.refuse = () => {
    if (front.running < 1) return undefined;
    refused++;
    return new ServiceError(429, 'TooManyRequestsException', 'Rate Exceeded.');
  };
  assert.deepEqual(await pool.map(on('slow'), count(60)), count(60));
  assert.ok(refused > 0, 'nothing was refused');
  assert.equal(pool.stats().failed, 0);
});

lambdaTest('a connection that is cut may have run what it carried', {}, async (t) => {
  const { pool, front } = await deploy(t, { engine: { concurrency: 1 } });
  await pool.apply(on('twice'), [1]);
  const held = pool.apply(on('hang'), ['hang']);
  await waitFor(() => front.requests === 2 && front.running === 1, 'it to run');
  front.cut();
  await assert.rejects(held, ({ code, message }) => {
    assert.equal(code, 'ERR_PARALLELIZER_WORKER_EXITED');
    assert.match(message, /may have run|cut off/);
    return true;
  });
});

lambdaTest('a function that is not there is told after hostTimeout, with what Lambda says', {}, async (t) => {
  const { pool } = await deploy(t, { engine: { functionName: 'elsewhere' }, pool: { hostTimeout: 1000 } });
  await assert.rejects(pool.apply(on('twice'), [1]), ({ code, message }) => {
    assert.equal(code, 'ERR_PARALLELIZER_NO_HOST');
    assert.match(message, /Function not found/);
    return true;
  });
});

lambdaTest('a function with another secret takes nothing', {}, async (t) => {
  const { pool, front } = await deploy(t, { env: { SECRET: 'one' }, pool: { secret: 'two', hostTimeout: 2000 } });
  await assert.rejects(pool.apply(on('twice'), [1]), ({ code, message }) => {
    assert.equal(code, 'ERR_PARALLELIZER_NO_HOST');
    assert.match(message, /another "secret"/);
    return true;
  });
  assert.ok(front.requests < 30, `${front.requests} invocations, each of which costs money`);
});

lambdaTest('with the same secret both sides sign', {}, async (t) => {
  const { pool } = await deploy(t, { env: { SECRET: 'same' }, pool: { secret: 'same' } });
  assert.deepEqual(await pool.map(on('twice'), count(100)), count(100).map((n) => 2 * n));
});

lambdaTest('a batch goes to the function in sub-batches', {}, async (t) => {
  const { options } = await deploy(t);
  const parallelizer = new Parallelizer({
    ...options,
    filePath: path.join(root, 'remote-tasks.js'),
    processBatchFunctionName: 'sum',
    batchSize: 100,
  });
  t.after(() => parallelizer.terminate());
  const { responses } = await parallelizer.run(count(1000));
  assert.equal(responses.reduce((one, other) => one + other, 0), 499_500);
});

lambdaTest('a call that is aborted is rejected at once, whatever the function does', {}, async (t) => {
  const { pool, front } = await deploy(t, { engine: { concurrency: 2 } });
  const controller = new AbortController();
  const call = pool.apply(on('hang'), ['hang'], { signal: controller.signal });
  await waitFor(() => front.running === 1, 'it to run');
  controller.abort();
  await assert.rejects(call, ({ name, code }) => name === 'AbortError' || code === 'ERR_PARALLELIZER_ABORTED');
  assert.deepEqual(await failures([pool.apply(on('twice'), [2])]), []);
});
