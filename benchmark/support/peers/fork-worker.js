'use strict';

/** The worker's side of fork.js. */

const [filePath, name] = process.argv.slice(2);
const run = require(filePath)[name];

process.on('message', async (/** @type {{ id: number, item: any }} */ { id, item }) => {
  process.send?.({ id, result: await run(item) });
});
process.on('disconnect', () => process.exit());
process.send?.('ready');
