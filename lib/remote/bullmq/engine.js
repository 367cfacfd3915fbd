'use strict';

/**
 * The engine over BullMQ. Must not depend on what a chunk is.
 */

const { optionError } = require('../../errors');
const { CONTRACT } = require('../engine');
const { settingsOf } = require('./options');

/**
 * @param {unknown} options see `BullmqOptions` in bullmq.d.ts
 * @returns {import('../engine').Engine}
 */
function bullmq(options) {
  const settings = settingsOf(options);
  return Object.freeze({
    contract: CONTRACT,
    name: `bullmq:${settings.queue}`,
    canTell: true,
    canAddress: true,
    sharesLanes: true,
    connect: (/** @type {import('../engine').ProducerSide} */ side) => {
      assertInstalled();
      return new (require('./producer-link').ProducerLink)(settings, side);
    },
    listen: (/** @type {import('../engine').HostSide} */ side) => {
      assertInstalled();
      return new (require('./host-link').HostLink)(settings, side);
    },
  });
}

/** Says which packages are to be installed, where they are not. */
function assertInstalled() {
  try {
    require('bullmq');
    require('ioredis');
  } catch (cause) {
    throw optionError('engine', undefined, 'needs the packages "bullmq" and "ioredis": npm install bullmq ioredis', {
      cause,
    });
  }
}

module.exports = { bullmq };
