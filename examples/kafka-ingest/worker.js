'use strict';

/**
 * What runs in the workers: records in, rows in the database. Only that it is done goes back.
 *
 * A worker serves many invocations, so it opens the store once. One that has failed is opened anew: the server may
 * have been restarted.
 */

const { openStore } = require('./store/index.js');
const { toReading } = require('./telemetry.js');

/** @typedef {import('./store/index.js').Store} Store */

/** By URL. @type {Map<string, Promise<Store>>} */
const stores = new Map();

/**
 * @param {object} call
 * @param {import('@parallelizer/node/lambda').KafkaRecord[]} call.batch
 * @param {{ store: string }} call.params
 */
async function storeReadings({ batch, params: { store: url } }) {
  const readings = batch.map(toReading);
  const opening = stores.get(url) ?? openStore(url);
  stores.set(url, opening);
  try {
    await (await opening).upsert(readings);
  } catch (error) {
    stores.delete(url);
    await opening.then((store) => store.close()).catch(() => {});
    throw error;
  }
}

/** For a process that goes on without it. */
async function closeStores() {
  const all = await Promise.all(stores.values());
  stores.clear();
  await Promise.all(all.map((store) => store.close()));
}

module.exports = { storeReadings, closeStores };
