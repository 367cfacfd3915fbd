'use strict';

/**
 * What a subscription of CloudWatch Logs sends: lines of a log, as gzipped JSON, with what they have in common.
 *
 * Must not depend on where it comes from. Runs in workers too.
 */

const { gunzipSync } = require('node:zlib');

/**
 * The lines, each with what stands beside them; of a control message none.
 * @param {Buffer} bytes
 * @returns {any[] | null} `null`: these are no logs
 */
function logEventsIn(bytes) {
  const payload = JSON.parse(gunzipSync(bytes).toString('utf8'));
  if (typeof payload !== 'object' || payload === null || !Array.isArray(payload.logEvents)) return null;
  if (payload.messageType === 'CONTROL_MESSAGE') return [];
  const { logEvents, ...common } = payload;
  return logEvents.map((/** @type {object} */ event) => ({ ...common, ...event }));
}

module.exports = { logEventsIn };
