'use strict';

/** One invocation of the function in a box, and what is to be known of it. */

const os = require('node:os');
const path = require('node:path');
const { Box } = require('./box.js');
const { WORKS } = require('./plan.js');

/** Milliseconds: at 128 MB a second of CPU takes fourteen. What takes longer than this hangs. */
const LIMIT = 600_000;

/**
 * @typedef {object} Sample
 * @property {string} work
 * @property {string} way
 * @property {number} size MB
 * @property {number | null} duration milliseconds; `null` when the memory did not suffice
 * @property {number} cpuTime milliseconds
 * @property {number | null} peakMemory MB
 * @property {number} others how many cores other processes of this machine kept busy meanwhile
 */

/** Milliseconds that this machine's cores have been busy, together. */
const busyTime = () => os.cpus().reduce((sum, { times }) => sum + times.user + times.nice + times.sys + times.irq, 0);

/**
 * @param {object} what
 * @param {string} what.work
 * @param {string} what.way
 * @param {number} what.size
 * @param {object} context
 * @param {import('./plan.js').Settings} context.settings
 * @param {Awaited<ReturnType<typeof import('./database.js').startDatabase>>} context.database
 * @param {NodeJS.ProcessEnv} context.env
 * @param {AbortSignal} context.signal
 * @returns {Promise<Sample>}
 */
async function measure({ work, way, size }, { settings, database, env, signal }) {
  const invocation = `${size}-${way}-${process.hrtime.bigint()}`;
  const { items, params, warmUp, check } = WORKS[work].plan(settings, { database, invocation });

  const box = new Box(size);
  try {
    // Nothing of this process's own settings: the function has what Lambda gives it.
    const child = box.spawn(
      [process.execPath, `--max-old-space-size=${Math.floor(size * 0.9)}`, path.join(__dirname, 'function.js'), work, way],
      {
        env: {
          ...env,
          PATH: process.env.PATH,
          AWS_LAMBDA_FUNCTION_MEMORY_SIZE: String(size),
          AWS_ENDPOINT_URL_DYNAMODB: database.endpoint,
        },
      },
    );
    const stop = () => child.kill('SIGKILL');
    signal.addEventListener('abort', stop);
    const limit = setTimeout(stop, LIMIT);

    let begin = 0;
    let busy = 0;
    let cpuTime = 0;
    /** @type {{ duration?: number, results?: string[], error?: string }} */
    const answer = await new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('exit', (code, by) => resolve({ error: `ended with ${by ?? `exit code ${code}`}` }));
      child.on('message', (message) => {
        if (message !== 'ready') {
          resolve(message);
          return;
        }
        box.throttle();
        [begin, busy, cpuTime] = [performance.now(), busyTime(), box.cpuTime];
        child.send({ items, params });
      });
      child.send(warmUp, (error) => error && reject(error));
    }).finally(() => {
      clearTimeout(limit);
      signal.removeEventListener('abort', stop);
    });
    signal.throwIfAborted();

    const elapsed = performance.now() - begin;
    cpuTime = box.cpuTime - cpuTime;
    const sample = {
      work,
      way,
      size,
      duration: answer.duration ?? null,
      cpuTime,
      peakMemory: box.peakMemory,
      others: Math.max(0, (busyTime() - busy - cpuTime) / elapsed),
    };
    if (answer.error !== undefined) {
      if (box.outOfMemory > 0) return sample;
      throw new Error(`${size} MB, ${work}, ${way}: ${answer.error}`);
    }
    await check(answer.results);
    return sample;
  } finally {
    await box.remove();
  }
}

module.exports = { measure };
