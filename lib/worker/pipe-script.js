'use strict';

/**
 * What a worker process without an addon is told to evaluate when it starts, see `boot-script.js`.
 *
 * Runs in the parent.
 */

const { CALLS_FD } = require('../transport/pipes');
const { LOADERS, REQUIRE, WORKER_VARIABLE } = require('./boot-script');

/**
 * After `node -e`. The texts of all chunks come first through the pipe that calls come through, behind their length.
 */
const PIPE_SCRIPT = `{
delete process.env.${WORKER_VARIABLE};
const { readSync } = require('node:fs');
const read = (bytes) => {
  for (let at = 0; at < bytes.length; ) {
    let count = 0;
    try {
      count = readSync(${CALLS_FD}, bytes, at, bytes.length - at, null);
    } catch (error) {
      if (error.code === 'EAGAIN' || error.code === 'EINTR') continue;
    }
    if (count === 0) process.kill(process.pid, 'SIGKILL');
    at += count;
  }
  return bytes;
};
const chunks = JSON.parse(String(read(Buffer.alloc(read(Buffer.alloc(4)).readUInt32LE(0)))));
const load = (${REQUIRE})((name) => chunks[name], () => null, require);
load('parallelizer:pipes').bootPipes(${LOADERS});
}`;

module.exports = { PIPE_SCRIPT };
