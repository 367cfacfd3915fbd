'use strict';

/**
 * The Lambda function: what runs in the box, one warm invocation long. `node function.js WORK WAY`
 *
 * Makes ready and warms up (the init phase and the invocations before), says so, and does the work when it is told to.
 * Messages: `{ items, params }` comes for the warm-up; `'ready'` goes; `{ items, params }` comes; `{ duration, results }`
 * goes, or `{ error }`.
 */

const { makeWay } = require('./ways.js');

async function main() {
  const next = () => new Promise((resolve) => process.once('message', resolve));
  const [work, way] = process.argv.slice(2);
  const run = makeWay(work, way);
  try {
    const warmUp = await next();
    await run(warmUp.items, warmUp.params);
    process.send('ready');
    const { items, params } = await next();
    const begin = performance.now();
    const results = await run(items, params);
    process.send({ duration: performance.now() - begin, results });
  } catch (error) {
    process.send({ error: error.stack });
  }
  process.disconnect();
}

main();
