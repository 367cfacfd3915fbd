'use strict';

/**
 * Says that a producer or a host lives, and keeps the locks of its chunks: in a thread, which no user code can block.
 *
 * Of a host it also watches whether that succeeds. If not for the best part of the lease, all of its processes are
 * killed from here, before anybody may take what they do for lost.
 *
 * It travels by its source, since a bundler would lose its file: it must not depend on anything outside of itself.
 */

/**
 * @typedef {object} LeaseData
 * @property {string} ioredis where that package is
 * @property {Readonly<Record<string, any>>} connection
 * @property {readonly any[] | null} cluster
 * @property {number} lease in milliseconds
 * @property {number} interval between two renewals, in milliseconds
 * @property {string} hosts the key of the hosts' ids, and the channel that says that they have changed
 * @property {string} jobs what the keys of jobs begin with
 * @property {{ key: string, replies: string, timeout: number } | null} producer
 * @property {{ id: string, key: string, token: string, announcement: string, pids: Int32Array } | null} host
 */

/** @param {NodeRequire} nodeRequire */
function leaseThread(nodeRequire) {
  const { parentPort, workerData } = nodeRequire('node:worker_threads');
  const { ioredis, connection, cluster, lease, interval, hosts, jobs, producer, host } =
    /** @type {LeaseData} */ (workerData);
  const port = /** @type {import('node:worker_threads').MessagePort} */ (parentPort);
  /** How much of the lease may pass without having been renewed. */
  const PATIENCE = 0.8;
  /** Renews a lock that is still ours, and tells BullMQ that the job is not stalled. */
  const RENEW = `
    if redis.call('GET', KEYS[1]) == ARGV[1] then
      redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
      redis.call('SREM', KEYS[2], ARGV[3])
      return 1
    end
    return 0`;

  const { Redis, Cluster } = nodeRequire(ioredis);
  const options = {
    ...connection,
    maxRetriesPerRequest: null,
    retryStrategy: (/** @type {number} */ times) => Math.min(50 * times, 500),
  };
  const client = cluster === null ? new Redis(options) : new Cluster([...cluster], { redisOptions: options });
  // What fails is tried again, and what does not succeed in time is noticed below.
  client.on('error', () => {});

  /** @type {Set<string>} The chunks whose locks are kept. */
  const chunks = new Set();
  let announcement = host?.announcement ?? '';
  let isClosing = false;
  let isRenewing = false;
  let isLost = false;
  let isReady = false;
  let renewed = process.hrtime.bigint();

  async function announce() {
    if (host === null) return;
    await client.pipeline().set(host.key, announcement, 'PX', lease).sadd(hosts, host.id).exec();
    await client.publish(hosts, host.id);
  }

  async function renew() {
    const pipeline = client.pipeline();
    if (producer !== null) {
      pipeline.set(producer.key, '1', 'PX', producer.timeout).pexpire(producer.replies, producer.timeout);
    }
    if (host !== null) pipeline.set(host.key, announcement, 'PX', lease).sadd(hosts, host.id);
    const kept = [...chunks];
    kept.forEach((id) =>
      pipeline.eval(RENEW, 2, `${jobs}${id}:lock`, `${jobs}stalled`, host?.token ?? '', lease, id));
    const results = (await pipeline.exec()) ?? [];
    // A server that answers and writes nothing (it has no memory left, or is a replica by now) renews no lease.
    const refused = results.find((/** @type {[Error | null, any]} */ [error]) => error !== null);
    if (refused !== undefined) throw refused[0];
    if (isClosing) return;
    renewed = process.hrtime.bigint();
    isLost = false;
    const first = results.length - kept.length;
    kept.forEach((id, i) => {
      const [, isOurs] = results[first + i];
      // Somebody has the chunk for lost: what runs of it is ended.
      if (isOurs === 0 && chunks.delete(id)) port.postMessage({ lost: id });
    });
    if (isReady) return;
    await announce();
    isReady = true;
    port.postMessage({ ready: true });
  }

  function watch() {
    const silent = Number(process.hrtime.bigint() - renewed) / 1e6;
    if (host === null || isLost || silent < lease * PATIENCE) return;
    isLost = true;
    for (let i = 0; i < host.pids.length; i++) {
      const pid = Atomics.load(host.pids, i);
      if (pid === 0) break;
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // It has ended by itself.
      }
    }
    chunks.clear();
    port.postMessage({ leaseLost: `the lease was not renewed for ${Math.round(silent)} ms` });
  }

  async function close() {
    isClosing = true;
    clearInterval(renewing);
    clearInterval(watching);
    try {
      if (host !== null) {
        await client.pipeline().del(host.key).srem(hosts, host.id).exec();
        await client.publish(hosts, host.id);
      }
      if (producer !== null) await client.del(producer.key, producer.replies);
    } catch {
      // It expires.
    }
    client.disconnect();
    port.close();
  }

  port.on('message', (message) => {
    if (message.taken !== undefined) chunks.add(message.taken);
    if (message.ended !== undefined) chunks.delete(message.ended);
    if (message.close === true) void close();
    if (message.announcement !== undefined) {
      announcement = message.announcement;
      announce().catch(() => {});
    }
  });
  function renewNow() {
    // One at a time: what is late makes the next one no sooner.
    if (isRenewing) return;
    isRenewing = true;
    renew().catch(() => {}).finally(() => (isRenewing = false));
  }
  const renewing = setInterval(renewNow, interval);
  const watching = setInterval(watch, Math.max(10, interval / 3));
  renewNow();
}

/** The program of the thread. */
const LEASE_SCRIPT = `(${leaseThread})(require)`;

module.exports = { LEASE_SCRIPT };
