'use strict';
// The adapter to BullMQ keeps the contract of engines, on a real Redis.

const { test } = require('node:test');

const { testContract } = require('../support/remote/contract');
const { ensureRedis, redisOn } = require('./support/redis');

const obstacle = ensureRedis();

if (obstacle === null) {
  testContract('bullmq', async (t) => {
    const server = await redisOn(t);
    return {
      engine: () => server.engine(),
      kill: (link) => link.terminate(),
      loseData: () => server.restart(),
    };
  });
} else {
  test('the contract of engines', { skip: obstacle }, () => {});
}
