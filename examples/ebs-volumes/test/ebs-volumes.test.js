'use strict';
// The example's own claim: every way finds the same total, which is that of the volumes that were made.

const assert = require('node:assert/strict');
const { execFile } = require('node:child_process');
const path = require('node:path');
const { after, before, describe, test } = require('node:test');
const { promisify } = require('node:util');

const { obstacle, startCloud } = require('../cloud.js');

const LATENCY = 100;
const INSTANCES = 10;
const FAKE_ACCOUNT = {
  AWS_REGION: 'eu-west-1',
  AWS_ACCESS_KEY_ID: 'example',
  AWS_SECRET_ACCESS_KEY: 'example',
  AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: 'true',
};

describe('the total of the volumes', { skip: obstacle() ?? false }, () => {
  /** @type {Awaited<ReturnType<typeof startCloud>>} */
  let cloud;
  /** @type {number} */
  let expected;
  /** @type {string[]} */
  let instances;

  before(async () => {
    Object.assign(process.env, FAKE_ACCOUNT);
    cloud = await startCloud({ latency: LATENCY });
    expected = await require('../seed.js').seed(cloud.moto, INSTANCES);
    const { listInstances, makeClient } = require('../volumes.js');
    instances = await listInstances(makeClient(cloud.moto));
  });
  after(() => cloud?.close());

  test('the account holds what was asked for', () => {
    assert.equal(new Set(instances).size, INSTANCES);
    // 3 instances with 8 GiB, 3 with 108 and 4 with 316: the volume of 1,000 GiB belongs to nobody.
    assert.equal(expected, 3 * 8 + 3 * 108 + 4 * 316);
  });

  for (const place of /** @type {const} */ (['moto', 'distant'])) {
    test(`is the same in every way, with EC2 being ${place}`, async () => {
      const { makeWays, SEQUENTIAL } = require('../ways.js');
      const { ways, ready, close } = makeWays({ endpoint: cloud[place], workers: 2 });
      try {
        await ready;
        assert.equal(ways.length, 7);
        for (const { name, total } of ways) {
          assert.equal(await total(instances), expected, name);
          if (place !== 'distant') continue;
          const begin = performance.now();
          assert.equal(await total(instances), expected, `${name}, again`);
          const expectedWait = name === SEQUENTIAL ? INSTANCES * LATENCY : LATENCY;
          // Timers of Node may fire a millisecond early.
          assert.ok(performance.now() - begin > expectedWait - INSTANCES, `${name} answered before EC2 had`);
        }
      } finally {
        await close();
      }
    });
  }

  test('is what the handler returns', async () => {
    process.env.AWS_ENDPOINT_URL_EC2 = cloud.moto;
    const lambda = require('../handler.js');
    try {
      assert.deepEqual(await lambda.handler(), { instances: INSTANCES, gibibytes: expected });
    } finally {
      await lambda.close();
    }
  });

  test('is an error where EC2 gives one', async () => {
    const { makeWays } = require('../ways.js');
    const { ways, close } = makeWays({ endpoint: `${cloud.moto}/nowhere`, workers: 2 });
    try {
      for (const { name, total } of ways) await assert.rejects(total(instances), Error, name);
    } finally {
      await close();
    }
  });

  test('npm start says so in its last line', async () => {
    const { stdout } = await promisify(execFile)(process.execPath, [path.join(__dirname, '..', 'main.js')], {
      env: { ...process.env, INSTANCES: '6', LATENCY: '5', ROUNDS: '1', WORKERS: '2' },
    });
    const lines = stdout.trimEnd().split('\n');
    assert.equal(lines.at(-1), `All ways found ${(2 * 8 + 2 * 108 + 2 * 316).toLocaleString('en')} GiB, in every round.`);
    for (const way of ['one after another', 'Pool', 'Promise.all', 'Parallelizer, processes', 'Parallelizer, threads', 'one query for all']) {
      assert.equal(lines.filter((line) => line.startsWith(`│ ${way} `)).length, 2, way);
    }
  });
});

test('a bad setting is refused by name', async () => {
  const main = path.join(__dirname, '..', 'main.js');
  const run = promisify(execFile)(process.execPath, [main], { env: { ...process.env, ROUNDS: 'many' } });
  await assert.rejects(run, ({ code, stderr }) => code === 1 && /ROUNDS must be a whole number of at least 1, not many/.test(stderr));
});
