'use strict';

/**
 * What workers of this machine are really like: started, looked at and measured. What the system offers is not asked
 * but seen: a pool that has a memfd mapped has got one.
 */

const fs = require('node:fs');
const os = require('node:os');
const { readText } = require('./facts');

/** How many calls are measured one after another, and how many at once. */
const SINGLE = 400;
const MANY = 20_000;
const DEADLINE = 30_000;

/** @typedef {ReturnType<typeof failed> | Awaited<ReturnType<typeof measured>>} Measured */

/** @param {unknown} error */
function failed(error) {
  const { code, message } = /** @type {NodeJS.ErrnoException} */ (error);
  // Paths say who the user is.
  const text = String(message).replaceAll(process.cwd(), '.').replaceAll(os.homedir(), '~');
  return { works: /** @type {const} */ (false), code: code ?? null, message: text };
}

/** @param {readonly number[]} list @param {number} share */
function quantile(list, share) {
  const sorted = list.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
}

/** What a worker takes by itself, in bytes; what it shares with others counts in part. @param {number | null} pid */
function memoryOf(pid) {
  const text = pid === null ? null : readText(`/proc/${pid}/smaps_rollup`);
  if (text === null) return null;
  const of = (/** @type {string} */ name) => {
    return Number(new RegExp(`^${name}: +(\\d+) kB`, 'm').exec(text)?.[1] ?? 0) * 1024;
  };
  return { resident: of('Rss'), own: of('Private_Clean') + of('Private_Dirty') };
}

/** Whether this process has such a descriptor open. @param {RegExp} kind @returns {boolean | null} `null`: not known */
function hasDescriptor(kind) {
  try {
    return fs.readdirSync('/proc/self/fd').some((fd) => {
      try {
        return kind.test(fs.readlinkSync(`/proc/self/fd/${fd}`));
      } catch {
        return false;
      }
    });
  } catch {
    return null;
  }
}

/** @param {string} name */
function hasMapped(name) {
  const maps = readText('/proc/self/maps');
  return maps === null ? null : maps.includes(name);
}

/** @param {any} pool of the library @param {'child-process' | 'worker-threads'} type @param {number} began */
async function measured(pool, type, began) {
  await pool.ready();
  const start = performance.now() - began;
  const nothing = () => {};
  for (let i = 0; i < 50; i++) await pool.apply(nothing);
  /** @type {number[]} */
  const trips = [];
  for (let i = 0; i < SINGLE; i++) {
    const at = performance.now();
    await pool.apply(nothing);
    trips.push(performance.now() - at);
  }
  const list = Array.from({ length: MANY }, (_, i) => i);
  const at = performance.now();
  await pool.map((/** @type {number} */ n) => n, list);
  const rate = MANY / ((performance.now() - at) / 1000);
  const stats = pool.stats();
  const isProcess = type === 'child-process';
  // The fallback uses neither.
  const isNative = isProcess && stats.scheduler !== 'wasm';
  return {
    works: /** @type {const} */ (true),
    workers: stats.workers.length,
    start,
    roundTrip: { p50: quantile(trips, 0.5), p99: quantile(trips, 0.99) },
    callsPerSecond: rate,
    advice: stats.advice,
    memory: isProcess ? memoryOf(stats.workers[0]?.pid ?? null) : null,
    memfd: isNative ? hasMapped('/memfd:parallelizer') : null,
    pidfd: isNative ? hasDescriptor(/pidfd/) : null,
    scheduler: stats.scheduler,
    restarts: stats.restarts,
  };
}

/**
 * @param {'child-process' | 'worker-threads'} type
 * @returns {Promise<Measured>}
 */
async function measure(type) {
  const began = performance.now();
  let pool;
  /** @type {NodeJS.Timeout | undefined} */
  let timer;
  try {
    const { Pool } = require('../library');
    pool = new Pool({ type, stdio: 'ignore' });
    const late = new Promise((_, reject) => {
      const text = `it was not done after ${DEADLINE / 1000} s`;
      timer = setTimeout(() => reject(Object.assign(new Error(text), { code: 'TIMEOUT' })), DEADLINE);
    });
    return await Promise.race([measured(pool, type, began), late]);
  } catch (error) {
    return failed(error);
  } finally {
    clearTimeout(timer);
    await pool?.terminate().catch(() => {});
  }
}

module.exports = { measure };
