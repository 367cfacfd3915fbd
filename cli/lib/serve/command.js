'use strict';

/** `parallelizer serve`: this machine runs what pools of other machines send over a queue. All of it is `serve()`. */

const path = require('node:path');
const { integer, oneOf } = require('../command-line');
const { DONE, SIGNALED } = require('../exit-codes');
const { UsageError } = require('../usage-error');

/** @typedef {import('../../..').Host} Host */

/** How often it is looked whether something is wrong with the connection, in milliseconds. */
const LOOK_INTERVAL = 2000;

const ON_THE_COMMAND_LINE = 'is for the environment, since everybody who lists processes sees a command line: set ';

/** @type {import('../command-line').Command} */
const command = {
  name: 'serve',
  summary: 'Runs what pools on other machines send over a queue',
  usage: '--queue NAME [--root DIRECTORY] [flags]',
  about: `
Runs the calls of pools of type "remote" that share this queue, until it is told to end. Needs the packages bullmq and
ioredis beside it, and Redis from 6.2 on, or Valkey.

  PARALLELIZER_CONNECTION=rediss://user:password@redis:6379 \\
    npx -p @parallelizer/cli -p bullmq -p ioredis parallelizer serve --queue orders --root dist
`,
  groups: [
    {
      title: 'What is served',
      flags: {
        queue: { value: 'NAME', example: 'orders', help: 'The name of the queue, which producers give as well.' },
        prefix: { value: 'TEXT', example: 'bull', help: 'What the keys of the queue begin with. Default: bull.' },
        root: {
          value: 'DIRECTORY',
          example: 'dist',
          help: 'Where modules are looked for. Nothing outside of it is run. Default: the current directory.',
        },
        'allow-functions': {
          help: 'Takes functions by their source, too: whoever can write to the queue can then run anything here.',
        },
      },
    },
    {
      title: 'Workers',
      flags: {
        workers: {
          short: 'w',
          value: 'N',
          example: '4',
          help: 'How many. Default: one for each CPU that this process may use.',
          parse: integer({ min: 1, max: 1024 }),
        },
        type: {
          value: 'TYPE',
          example: 'processes',
          help: 'What they are: processes (the default) or threads.',
          parse: oneOf({
            processes: 'child-process', threads: 'worker-threads',
            'child-process': 'child-process', 'worker-threads': 'worker-threads',
          }),
        },
        name: {
          value: 'TEXT',
          example: 'host-7',
          help: "What errors call this host. Default: the system's name for it.",
        },
      },
    },
    { title: 'Output', flags: { quiet: { short: 'q', help: 'Says nothing but errors.' } } },
  ],
  refused: {
    secret: `${ON_THE_COMMAND_LINE}PARALLELIZER_SECRET`,
    password: `${ON_THE_COMMAND_LINE}PARALLELIZER_CONNECTION=redis://:PASSWORD@HOST:6379`,
    connection: `${ON_THE_COMMAND_LINE}PARALLELIZER_CONNECTION=redis://HOST:6379`,
  },
  more: `
In the environment:

  PARALLELIZER_CONNECTION  redis://USER:PASSWORD@HOST:PORT/DATABASE, rediss:
                           with TLS, or options of ioredis as JSON.
                           Default: Redis on this machine.
  PARALLELIZER_CLUSTER     The nodes of a cluster: host:port,host:port.
  PARALLELIZER_SECRET      What producers have as "secret". With it nothing
                           is run that is not signed by it.

SIGTERM, or Ctrl-C, lets what has begun finish, and takes nothing more; a second one ends the workers at once.

Exit codes: 0 it was told to end, and has finished what it had; 1 it cannot go on; 2 the command line is wrong; 130 and
143 after a second signal.
`,
  run: async ({ values, positionals }) => {
    const { fromEnvironment } = require('./connection');
    const { queue, root = '.', workers, type, name, prefix, quiet } = values;
    if (positionals.length > 0) throw new UsageError(`"${positionals[0]}": serve takes no arguments, only flags`);
    if (queue === undefined) throw new UsageError('say which queue: parallelizer serve --queue orders --root dist');
    const { secret, ...connection } = fromEnvironment(process.env);
    const { serve, ParallelizerError } = require('../library');
    const { bullmq } = require('../library-bullmq');
    const say = (/** @type {string} */ text) => void (quiet || process.stderr.write(`${text}\n`));
    /** @type {Host | null} */
    let host;
    try {
      host = await orSignal(serve({
        engine: bullmq({ queue, ...connection, ...(prefix !== undefined && { prefix }) }),
        root: path.resolve(root),
        allowFunctions: Boolean(values['allow-functions']),
        processes: workers,
        ...{ type, name, secret },
      }), queue);
    } catch (error) {
      if (!(error instanceof ParallelizerError) || error.code !== 'ERR_PARALLELIZER_OPTION') throw error;
      throw new UsageError(error.message, { cause: error });
    }
    if (host === null) {
      say('it was told to end before there was a connection');
      return DONE;
    }
    const { slots, name: known } = host.stats();
    say(`serving ${queue} as ${known}: ${slots} call${slots === 1 ? '' : 's'} at a time, from ${path.resolve(root)}`);
    return untilTheEnd(host, say);
  },
};

/**
 * Resolves to null if it is told to end first: what the queue is in may not be there yet, and is waited for.
 * @param {Promise<Host>} starting @param {string} queue
 * @returns {Promise<Host | null>}
 */
async function orSignal(starting, queue) {
  const { Interrupts } = require('../map/interrupts');
  const timer = setTimeout(() => {
    process.stderr.write(`there is no connection yet: ${queue} is served as soon as there is one\n`);
  }, LOOK_INTERVAL);
  /** @type {(value: null) => void} */
  let give = () => {};
  const told = new Promise((/** @type {(value: null) => void} */ resolve) => (give = resolve));
  const interrupts = new Interrupts({ first: () => give(null), second: () => {} });
  try {
    return await Promise.race([starting, told]);
  } finally {
    clearTimeout(timer);
    interrupts.stop();
  }
}

/** @param {Host} host @param {(text: string) => void} say */
async function untilTheEnd(host, say) {
  const { Interrupts } = require('../map/interrupts');
  // What went wrong before there was a connection is over.
  let { problem } = host.stats();
  const timer = setInterval(() => {
    const now = host.stats().problem;
    if (now !== problem) process.stderr.write(`the connection had a problem: ${now}\n`);
    problem = now;
  }, LOOK_INTERVAL);
  let isStopped = false;
  const interrupts = await new Promise((resolve, reject) => {
    const own = new Interrupts({
      first: (signal) => {
        say(`${signal}: what has begun is finished; another one stops at once`);
        host.close().then(() => resolve(own), reject);
      },
      second: () => {
        isStopped = true;
        host.terminate().then(() => resolve(own), reject);
      },
    });
  });
  clearInterval(timer);
  interrupts.stop();
  const { done, failed } = host.stats();
  say(`${done} calls done, ${failed} failed`);
  return isStopped ? SIGNALED + interrupts.number : DONE;
}

module.exports = { command };
