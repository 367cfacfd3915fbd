'use strict';

/**
 * One run of the whole system: a topic is filled, two functions get all of it through event source mappings of their
 * own, event by event in turn, and their stores are compared with the topic and with each other.
 *
 * Workers may be killed on the way, each in the middle of an invocation.
 */

const { createHash, randomUUID } = require('node:crypto');
const { setTimeout: sleep } = require('node:timers/promises');
const { startBroker } = require('./broker.js');
const { EventSourceMapping } = require('./event-source-mapping.js');
const oneThread = require('./handler-one-thread.js');
const { openStore } = require('./store/index.js');
const { produce, TOPIC } = require('./topic.js');

/** @typedef {import('./event-source-mapping.js').Delivery} Delivery */

/** What the functions' time limit is set to. */
const TIMEOUT = 60_000;

/**
 * @typedef {object} Contender
 * @property {string} name
 * @property {string} store its URL
 * @property {EventSourceMapping} mapping
 * @property {(Delivery & { killed: boolean })[]} deliveries
 */

/**
 * @typedef {object} Settings
 * @property {number} records
 * @property {number} batchSize most records of an event
 * @property {number} workers 0: one for each vCPU
 * @property {number} kill so many workers, one per invocation
 * @property {(name: string) => string} storeUrl where a contender is to store its readings
 * @property {AbortSignal} [signal]
 * @property {(message: string) => void} [log] is told how far it is
 */

/** @param {Settings} settings */
async function ingest({ records, batchSize, workers, kill, storeUrl, signal, log = () => {} }) {
  const broker = await startBroker({ topic: TOPIC });
  /** @type {Contender[]} */
  const contenders = [];
  /** @type {ReturnType<typeof loadHandler> | undefined} */
  let handler;
  try {
    const end = await produce(broker.kafka, records);
    log(`${records} records in the topic`);

    const stores = { oneThread: storeUrl('one-thread'), workers: storeUrl('workers') };
    const ownHandler = loadHandler(stores.workers, workers);
    handler = ownHandler;
    const size = handler.parallelizer.stats().workers.length;
    const pidsOf = () => ownHandler.parallelizer.stats().workers.map(({ pid }) => pid);
    await handler.parallelizer.ready();
    const pidsBefore = pidsOf();

    const start = async (/** @type {string} */ name, /** @type {string} */ store, /** @type {Function} */ invoke) => {
      const mapping = new EventSourceMapping({
        kafka: broker.kafka,
        bootstrapServers: broker.address,
        topic: TOPIC,
        groupId: name.replaceAll(' ', '-'),
        batchSize,
        invoke: (event) => invoke(event, makeContext()),
      });
      contenders.push({ name, store, mapping, deliveries: [] });
      await mapping.start();
    };
    await Promise.all([
      start('one thread', stores.oneThread, oneThread.makeHandler(stores.oneThread)),
      start(`${size} ${size === 1 ? 'worker' : 'workers'}`, stores.workers, handler),
    ]);

    let killsLeft = kill;
    const left = ({ deliveries }) => records - deliveries.reduce((sum, { completed }) => sum + completed, 0);
    for (let round = 0; contenders.some((one) => left(one) > 0); round += 1) {
      // Nobody always goes first.
      for (const contender of round % 2 === 0 ? contenders : contenders.toReversed()) {
        if (left(contender) === 0) continue;
        signal?.throwIfAborted();
        const delivering = contender.mapping.poll();
        // Half way through, as far as the event before tells; the first one tells nothing.
        const before = contender.deliveries.at(-1)?.milliseconds;
        const victim = contender.store === stores.workers && before !== undefined && killsLeft > 0
          ? await killBusyWorker(handler.parallelizer, delivering, before / 2)
          : undefined;
        const delivery = /** @type {Delivery} */ (await delivering);
        if (victim !== undefined) {
          killsLeft -= 1;
          log(`killed process ${victim}: ${delivery.records - delivery.completed} of ${delivery.records} records come again`);
        }
        contender.deliveries.push({ ...delivery, killed: victim !== undefined });
        const rate = Math.round((delivery.completed / delivery.milliseconds) * 1000);
        log(`event ${contender.deliveries.length}, ${contender.name}: ${delivery.completed} records done, ${rate}/s`);
      }
    }

    const { restarts } = handler.parallelizer.stats();
    const pidsAfter = pidsOf();
    await stopAll(contenders, handler);
    return {
      contenders: await Promise.all(contenders.map(async ({ name, store, deliveries }) => ({
        name,
        deliveries,
        stored: await inspect(store, end),
      }))),
      workers: { size, restarts, pidsBefore, pidsAfter },
    };
  } finally {
    await stopAll(contenders, handler);
    await broker.stop();
  }
}

/**
 * As Lambda loads it: settings come from the environment, and the workers start with the module.
 *
 * @param {string} store
 * @param {number} workers
 */
function loadHandler(store, workers) {
  Object.assign(process.env, { READINGS_STORE: store, WORKERS: workers > 0 ? String(workers) : '' });
  const file = require.resolve('./handler.js');
  delete require.cache[file];
  return require(file).handler;
}

function makeContext() {
  const end = Date.now() + TIMEOUT;
  return {
    awsRequestId: randomUUID(),
    functionName: 'kafka-ingest',
    getRemainingTimeInMillis: () => Math.max(0, end - Date.now()),
  };
}

/**
 * @param {import('@parallelizer/node').Parallelizer} parallelizer
 * @param {Promise<unknown>} invocation
 * @param {number} delay milliseconds from when a worker is busy
 * @returns {Promise<number | undefined>} the pid of the worker that was killed; `undefined` if none was busy in time
 */
async function killBusyWorker(parallelizer, invocation, delay) {
  let running = true;
  const ended = invocation.catch(() => {}).then(() => {
    running = false;
  });
  const busy = () => parallelizer.stats().workers.find(({ state }) => state === 'busy')?.pid;
  while (running && !busy()) await sleep(1);
  await Promise.race([sleep(delay), ended]);
  const pid = running ? busy() : undefined;
  if (pid) process.kill(pid, 'SIGKILL');
  return pid ?? undefined;
}

/**
 * What a store holds, and whether that is each record of the topic once.
 *
 * @param {string} url
 * @param {Map<number, number>} end the number of records of each partition
 */
async function inspect(url, end) {
  const store = await openStore(url);
  try {
    const digest = createHash('sha256');
    const next = new Map([...end.keys()].map((partition) => [partition, 0]));
    let rows = 0;
    let rejected = 0;
    let inPlace = true;
    for await (const reading of store.readings()) {
      const { topic, partition, offset, device, measuredAt, status, reason, rms, peak, frequency } = reading;
      inPlace &&= next.get(partition) === offset;
      next.set(partition, offset + 1);
      rows += 1;
      if (status === 'rejected') rejected += 1;
      digest.update(JSON.stringify([topic, partition, offset, device, measuredAt, status, reason, rms, peak, frequency]));
    }
    const complete = inPlace && [...end].every(([partition, count]) => next.get(partition) === count);
    return { rows, rejected, complete, checksum: digest.digest('hex') };
  } finally {
    await store.close();
  }
}

/**
 * @param {Contender[]} contenders
 * @param {ReturnType<typeof loadHandler> | undefined} handler
 */
async function stopAll(contenders, handler) {
  await Promise.all(contenders.map(({ mapping }) => mapping.stop()));
  await handler?.parallelizer.close();
  await oneThread.close();
}

module.exports = { ingest };
