'use strict';

/** The child's side of fork-pool.js. */

const [filePath, functionName] = process.argv.slice(2);
const processBatch = require(filePath)[functionName];

const mainLogger = ({ message, params = {}, logType = 'log' }) => console[logType](message, params);

process.on('message', async ({ batch, params }) => {
  try {
    process.send?.({ result: await processBatch({ batch, params, mainLogger }) });
  } catch (error) {
    const { message, stack } = /** @type {Error} */ (error);
    process.send?.({ error: { message, stack } });
  }
});

// The parent is gone.
process.on('disconnect', () => process.exit());

// Ctrl-C reaches the whole group: the parent decides what becomes of its children.
process.on('SIGINT', () => {});
