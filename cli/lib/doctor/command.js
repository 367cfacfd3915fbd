'use strict';

/** `parallelizer doctor`: what was found on this machine, and why it is so. */

const { DONE, FAILED } = require('../exit-codes');
const { UsageError } = require('../usage-error');

/** @type {import('../command-line').Command} */
const command = {
  name: 'doctor',
  summary: 'What was found on this machine, and why: CPUs, memory, the addon, a round trip',
  usage: '[--json]',
  about: `
Says how many CPUs this process may use and what decides that (affinity, the quota of a container, the memory of a
Lambda function), whether the addon or the fallback schedules, what the system offers (memfd, pidfd, descriptors), and
what workers of this machine cost: their start, their memory and a round trip, measured. It takes some seconds.

Lines that begin with "!" are worth a look.
`,
  groups: [
    {
      title: 'Output',
      flags: {
        json: {
          help: 'As JSON, for bug reports. It has no names of hosts, users or files, and no values of variables.',
        },
      },
    },
  ],
  more: 'Exit codes: 0 worker processes work here; 1 they do not; 2 the command line is wrong.',
  run: async ({ values, positionals }) => {
    if (positionals.length > 0) throw new UsageError(`"${positionals[0]}": doctor takes no arguments, only flags`);
    const { readFacts } = require('./facts');
    const { measure } = require('./measure');
    const { reportText } = require('./report');
    const facts = readFacts();
    // One after another: they would take the CPUs from each other.
    const processes = await measure('child-process');
    const threads = await measure('worker-threads');
    const findings = { ...facts, processes, threads };
    process.stdout.write(values.json ? `${JSON.stringify(findings, null, 2)}\n` : reportText(findings));
    return processes.works ? DONE : FAILED;
  },
};

module.exports = { command };
