'use strict';

/**
 * Timelines, and the file that `PARALLELIZER_TRACE` names, to which those of this process are written when it exits.
 *
 * Must not depend on pools.
 */

const fs = require('node:fs');
const { toJson } = require('../intrinsics/json');
const { Timeline } = require('./timeline');

/** How many timelines are kept for the file: those of the latest pools. */
const MAX_KEPT = 16;

/** @type {InstanceType<typeof Timeline>[]} */
const kept = [];
/** @type {string | null} */
let file = null;

/** @param {{ id: string | number, functionName: string | null, concurrency: number }} options those of the pool */
function newTimeline(options) {
  const timeline = new Timeline(options);
  const named = process.env.PARALLELIZER_TRACE;
  if (named) {
    if (file === null) process.on('exit', write);
    file = named.replaceAll('%p', String(process.pid));
    if (kept.push(timeline) > MAX_KEPT) kept.shift();
  }
  return timeline;
}

function write() {
  try {
    const { traceOf } = require('./trace-events');
    fs.writeFileSync(/** @type {string} */ (file), toJson(traceOf(kept)));
  } catch (error) {
    process.stderr.write(`parallelizer: the trace was not written: ${String(error)}\n`);
  }
}

module.exports = { newTimeline };
