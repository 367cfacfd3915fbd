'use strict';

/** Where a figure was taken: without it a figure says nothing. */

const os = require('node:os');

function machine() {
  const cpus = os.cpus();
  return {
    node: process.version,
    platform: `${os.platform()} ${os.release()} ${os.arch()}`,
    cpus: cpus.length,
    availableParallelism: os.availableParallelism(),
    model: cpus[0]?.model.trim() ?? 'unknown',
    memory: os.totalmem(),
  };
}

/** @param {ReturnType<typeof machine>} found */
function describeMachine({ node, platform, cpus, availableParallelism, model, memory }) {
  return `Node ${node}, ${platform}, ${cpus} CPUs (${availableParallelism} usable, ${model}), `
    + `${Math.round(memory / 2 ** 30)} GiB`;
}

module.exports = { machine, describeMachine };
