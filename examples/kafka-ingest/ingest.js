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
/** Lambda's setting of this name, which it does not have unless one sets it. */
const MAXIMUM_RETRY_ATTEMPTS = 10;

/**
 * @typedef {object} Contender
 * @property {string} name
 * @property {string} store its URL
 * @property {InstanceType<typeof EventSourceMapping>} mapping
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

    const [base, own] = [storeUrl('one-thread'), storeUrl('workers')];
    const { parallelizer } = (handler = loadHandler(own, workers));
    await parallelizer.ready();
    const pidsBefore = pidsOf(parallelizer);
    const size = pidsBefore.length;

    const contend = (/** @type {string} */ name, /** @type {string} */ store, /** @type {Function} */ invoke) => {
      const mapping = new EventSourceMapping({
        kafka: broker.kafka,
        bootstrapServers: broker.address,
        topic: TOPIC,
        groupId: name.replaceAll(' ', '-'),
        batchSize,
        invoke: (event) => invoke(event, makeContext()),
      });
      contenders.push({ name, store, mapping, deliveries: [] });
    };
    contend('one thread', base, oneThread.makeHandler(base));
    contend(`${size} ${size === 1 ? 'worker' : 'workers'}`, own, handler);
    await Promise.all(contenders.map(({ mapping }) => mapping.start()));

    await deliverAll(contenders, { records, kill, parallelizer, signal, log });

    const { restarts } = parallelizer.stats();
    const pidsAfter = pidsOf(parallelizer);
    await stopAll(contenders, handler);
    return {
      contenders: await Promise.all(contenders.map(async ({ name, store, deliveries }) => ({
        name,
        deliveries,
        stored: await inspect(store, end),
      }))),
      workers: { restarts, pidsBefore, pidsAfter },
    };
  } finally {
    await stopAll(contenders, handler);
    await broker.stop();
  }
}

/** @param {import('@parallelizer/node').Parallelizer} parallelizer */
const pidsOf = (parallelizer) => parallelizer.stats().workers.map(({ pid }) => pid);

/**
 * Event by event in turn, until both functions have done with all records.
 *
 * @param {Contender[]} contenders the one with workers last
 * @param {object} options
 * @param {number} options.records
 * @param {number} options.kill
 * @param {import('@parallelizer/node').Parallelizer} options.parallelizer
 * @param {AbortSignal} [options.signal]
 * @param {(message: string) => void} options.log
 */
async function deliverAll(contenders, { records, kill, parallelizer, signal, log }) {
  const withWorkers = contenders[contenders.length - 1];
  const left = new Map(contenders.map((contender) => [contender, records]));
  const attempts = new Map(contenders.map((contender) => [contender, 0]));
  let kills = 0;

  for (let round = 0; left.size > 0; round += 1) {
    // Nobody always goes first.
    for (const contender of round % 2 === 0 ? [...left.keys()] : [...left.keys()].reverse()) {
      signal?.throwIfAborted();
      const { name, mapping, deliveries } = contender;
      const delivering = mapping.poll();
      // Half way through, as far as the event before tells; the first one tells nothing.
      const before = deliveries.at(-1)?.milliseconds;
      const victim = contender === withWorkers && before !== undefined && kills < kill
        ? await killBusyWorker(parallelizer, delivering, before / 2)
        : undefined;
      const delivery = /** @type {Delivery} */ (await delivering);
      deliveries.push({ ...delivery, killed: victim !== undefined });

      const again = delivery.records - delivery.completed;
      const rate = Math.round((delivery.completed / delivery.milliseconds) * 1000);
      log(`event ${deliveries.length}, ${name}: ${delivery.completed} records done, ${rate}/s`);
      if (victim !== undefined) {
        kills += 1;
        log(`killed process ${victim} at it: ${again} of ${delivery.records} records come again`);
      }

      attempts.set(contender, delivery.completed > 0 ? 0 : (attempts.get(contender) ?? 0) + 1);
      if (Number(attempts.get(contender)) > MAXIMUM_RETRY_ATTEMPTS) {
        throw new Error(`${name}: has done nothing of an event, ${attempts.get(contender)} times`, { cause: delivery.error });
      }
      const rest = Number(left.get(contender)) - delivery.completed;
      if (rest > 0) left.set(contender, rest);
      else left.delete(contender);
    }
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
