'use strict';

/**
 * `@parallelizer/node/bullmq`: machines that are connected by a BullMQ queue, in Redis or Valkey. `bullmq` and
 * `ioredis` are optional peers, loaded when an engine is connected.
 */

const { bullmq } = require('./lib/remote/bullmq/engine');

module.exports = { bullmq };
