'use strict';

/**
 * Connections to Redis, and the keys that are used beside BullMQ's own.
 *
 * | key | what |
 * |---|---|
 * | `…:hosts` | the ids of hosts, a set |
 * | `…:host:ID` | a host as it is announced, JSON; expires with its lease |
 * | `…:for:ID` | the chunks that are for one host alone, a list |
 * | `…:producer:ID` | there while a producer lives |
 * | `…:chunk:ID` | the bytes of a chunk that was not taken |
 * | `…:taken:ID` | the host that has taken it, which may be done once |
 * | `…:replies:ID` | the frames for a producer, a stream that is its own |
 *
 * What is said at once goes through the channels `…:hosts` and `…:say`.
 *
 * Must not depend on chunks, nor on BullMQ.
 */

const { setImmediate } = require('../../intrinsics/clock');

/** @typedef {import('ioredis').Redis} Redis */
/** @typedef {import('./options').Settings} Settings */

/**
 * A connection that is tried again forever, and does not hold the event loop.
 * @param {Readonly<Settings>} settings @param {(error: Error) => void} failed
 * @returns {Redis}
 */
function connect({ connection, cluster }, failed) {
  const { Redis, Cluster } = require('ioredis');
  const own = {
    ...connection,
    maxRetriesPerRequest: null,
    enableReadyCheck: true,
    retryStrategy: (/** @type {number} */ times) => Math.min(50 * times, 500),
  };
  if (cluster === null) {
    const client = new Redis(own);
    client.on('error', failed);
    return letGo(client);
  }
  const client = new Cluster([...cluster], { redisOptions: own });
  client.on('error', failed);
  // It makes a connection to each node, and one more to listen with, of which no event tells.
  client.on('+node', letGo);
  /** @type {Redis | undefined} */
  let listener;
  const letGoOfListener = () => setImmediate(() => {
    const found = Reflect.get(client, 'subscriber')?.getInstance?.();
    if (found !== listener) listener = letGo(found);
  });
  client.on('ready', letGoOfListener);
  client.on('-node', letGoOfListener);
  return /** @type {Redis} */ (/** @type {unknown} */ (client));
}

/**
 * Has a connection not hold the event loop: what is in flight does, and a host that serves.
 * @template {Redis | undefined} T
 * @param {T} client
 * @returns {T}
 */
function letGo(client) {
  const unref = () => Reflect.get(client ?? {}, 'stream')?.unref?.();
  unref();
  client?.on('connect', unref);
  return client;
}

/**
 * Sends what a pipeline has gathered. Rejects with the first error of its commands: ioredis puts such an error in the
 * place of the command's answer, as when there is no memory left.
 * @param {ReturnType<Redis['pipeline']>} pipeline
 * @returns {Promise<any[]>} the answers
 */
async function execute(pipeline) {
  const results = (await pipeline.exec()) ?? [];
  return results.map(([error, answer]) => {
    if (error !== null) throw error;
    return answer;
  });
}

/** @param {Readonly<Settings>} settings @param {number} format */
function keysOf({ prefix, queue }, format) {
  const name = `${queue}-v${format}`;
  // Hosts of all versions are seen.
  const common = `${prefix}:${queue}:pz`;
  const own = `${prefix}:${name}:pz`;
  return {
    /** The queue's name for BullMQ. Each format has its own, so that hosts take what they understand. */
    name,
    hosts: `${common}:hosts`,
    host: (/** @type {string} */ id) => `${common}:host:${id}`,
    only: (/** @type {string} */ id) => `${own}:for:${id}`,
    producer: (/** @type {string} */ id) => `${own}:producer:${id}`,
    chunk: (/** @type {string} */ id) => `${own}:chunk:${id}`,
    taken: (/** @type {string} */ id) => `${own}:taken:${id}`,
    replies: (/** @type {string} */ id) => `${own}:replies:${id}`,
    say: `${own}:say`,
    /** What the keys of BullMQ begin with. */
    jobs: `${prefix}:${name}:`,
    job: (/** @type {string} */ id) => `${prefix}:${name}:${id}`,
    lock: (/** @type {string} */ id) => `${prefix}:${name}:${id}:lock`,
  };
}

/** @typedef {ReturnType<typeof keysOf>} Keys */

/**
 * Bytes about a chunk: what kind they are, its id, and the rest.
 * @param {number} kind @param {string} chunkId @param {Uint8Array} [bytes]
 */
function note(kind, chunkId, bytes = new Uint8Array(0)) {
  const id = Buffer.from(chunkId);
  return Buffer.concat([Buffer.from([kind, id.length]), id, bytes]);
}

/**
 * @param {Buffer} bytes
 * @returns {{ kind: number, chunkId: string, rest: Buffer }}
 */
function readNote(bytes) {
  const end = 2 + bytes[1];
  return { kind: bytes[0], chunkId: bytes.toString('utf8', 2, end), rest: bytes.subarray(end) };
}

/** How long a chunk is remembered as taken, in milliseconds; its producer renews it for as long as it is in flight. */
const TAKEN_FOR = 10 * 60_000;

/**
 * A frame with its number in its chunk: a command that a broken connection has sent again may have been carried out
 * before as well.
 * @param {number} number @param {Uint8Array} frame
 */
function numbered(number, frame) {
  const bytes = Buffer.alloc(4 + frame.length);
  bytes.writeUInt32LE(number, 0);
  bytes.set(frame, 4);
  return bytes;
}

/** Kinds of notes. */
const FRAME = 1;
const DONE = 2;
const RETURNED = 3;
const LOST = 4;
const MESSAGE = 5;
const DROPPED = 6;
const ADDRESSED = 7;

module.exports = {
  ADDRESSED, DONE, DROPPED, FRAME, LOST, MESSAGE, RETURNED, TAKEN_FOR, connect, execute, keysOf, note, numbered,
  readNote,
};
