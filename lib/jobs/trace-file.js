'use strict';

/**
 * Timelines, and the file that `PARALLELIZER_TRACE` names, to which those of this process are written when it exits. A
 * thread of the user's has its own instances, ends by itself, and so writes a file of its own.
 *
 * Must not depend on pools.
 */

const fs = require('node:fs');
const path = require('node:path');
const { isMainThread, threadId } = require('node:worker_threads');
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
    // Now: the program may go elsewhere.
    file ??= path.resolve(ofThisThread(named.replaceAll('%p', String(process.pid))));
    if (kept.push(timeline) > MAX_KEPT) kept.shift();
  }
  return timeline;
}

/** @param {string} name */
function ofThisThread(name) {
  if (isMainThread) return name;
  const { dir, name: base, ext } = path.parse(name);
  return path.join(dir, `${base}.thread-${threadId}${ext}`);
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
