'use strict';

/**
 * The contract between this library and an engine that connects machines: a queue, a broker, a cloud's way of invoking
 * functions. An adapter makes an `Engine` of its engine's client; nothing else here knows which one it is.
 * `__test__/support/remote/contract.js` is the table of tests that each has to pass, and the engine in memory beside it
 * shows how one is written.
 *
 * # Terms
 *
 * - A *producer* is a pool of type `remote`. A *host* is a machine, or a part of one, where `serve()` runs.
 * - A *chunk* is what a producer sends: many calls, as bytes that mean nothing to an engine. It has an id that is
 *   never used again: calls that are run a second time travel in another chunk.
 * - A *frame* is what a host sends back while it runs a chunk, any number of them to a chunk: bytes, too.
 * - A *lane* is a chunk in flight. The producer keeps count of its lanes, about two for each slot of the hosts that it
 *   sees, and more where its chunks have few calls; to an engine, opening one is nothing but being given one more
 *   chunk.
 * - A *slot* is what a host can run at the same instant: a process, most often.
 *
 * # What an adapter promises
 *
 * 1. **At most one host has a chunk, once.** An engine's own retries are off. What is to be run again is decided by the
 *    producer's scheduler alone, which knows what had begun.
 * 2. **A chunk ends exactly once** (`ProducerSide.ended`), whatever dies: its host, the connection, the engine, the
 *    engine's data. A chunk whose end cannot be learned from its host ends as `lost`, within about twice the lease and
 *    at most 4 seconds where the lease has its default. That includes a chunk that the engine no longer knows, so the
 *    state of each chunk in flight is asked for regularly.
 * 3. **Frames arrive in order, whole, and before the end** of their chunk. After the end nothing of it arrives: late
 *    frames are dropped and counted (`ProducerSide.late`).
 * 4. **`Delivery.reply` resolves once the frame is accepted**: it reaches the producer even if this host dies at once.
 *    Calls begin only after the frame that says so was accepted; that is what makes the count of begun calls true.
 * 5. **A lost host runs nothing.** Where a host cannot renew its lease in time, `HostSide.leaseLost` is called, or the
 *    processes in `HostSide.pids` are killed, before the producer may be told that its chunks are lost. The lease is
 *    renewed, and watched, by a thread that neither the user's code nor this library's can block.
 * 6. **Whoever is silent is not dead.** A producer's event loop may be held for many seconds. It is alive for as long
 *    as its process is: its heartbeat comes from a thread as well, and answers stay readable until it has been silent
 *    for `producerTimeout`.
 * 7. **No method throws or holds the event loop alive** (timers and sockets are unreferenced; the scheduler holds the
 *    loop while anything is in flight, and `serve()` while it serves). A method that returns a promise may reject, and
 *    a chunk whose sending fails ends as `returned` if it cannot have reached a host, and else as `lost`.
 * 8. **An upcall never comes from within a call** of a link's method: the scheduler may be in the middle of something.
 *
 * An adapter need not know deadlines, retries, order or keys, and must not depend on what the bytes mean.
 */

const { optionError } = require('../errors');

/** The version of this contract. An adapter names the one that it was written for. */
const CONTRACT = 1;

/**
 * What an adapter makes, and what the option `engine` is given. The same object serves any number of producers and
 * hosts of one process, and connects to nothing by itself.
 * @typedef {object} Engine
 * @property {number} contract `CONTRACT`
 * @property {string} name for messages and `stats()`, such as `bullmq:orders`. Never has a secret in it
 * @property {number} [maxChunkBytes] chunks are cut to this size; a call that is larger fails. Default: no limit
 * @property {number} [maxFrameBytes] the same for the frames of a host
 * @property {boolean} [canTell] whether what a producer says about a chunk (`ProducerLink.cancel`) reaches the host
 *   that has it within moments, unless a connection breaks. `stream()` is refused where it does not. Default: `false`
 * @property {boolean} [canAddress] whether a chunk can be for one host (`ProducerLink.send`). `broadcast()` is refused
 *   where it cannot. Default: `false`
 * @property {boolean} [sharesLanes] whether it asks each host how many chunks that takes by now (`HostSide.lanes`).
 *   Where it does not, calls that are sent one by one do not reach `concurrency`. Default: `false`
 * @property {(side: ProducerSide) => ProducerLink} connect begins to connect a producer, and returns at once
 * @property {(side: HostSide) => HostLink} [listen] begins to connect a host. Not there where the engine starts hosts
 *   itself: they are then announced by `ProducerSide.hosts` like others
 */

/**
 * A host as producers see it.
 * @typedef {object} HostSeen
 * @property {string} id of this run of the host: another one after a restart
 * @property {string} name what errors call it: its hostname, most often
 * @property {number} slots how many calls it runs at the same instant; 0 while it takes nothing more
 * @property {number} [lanes] how many chunks it takes at once. Default: twice its slots
 * @property {boolean} [sharesLanes] whether it takes more of them while they have few calls (`HostSide.lanes`), so that
 *   a producer may send more. Default: `false`
 * @property {number} [format] the major version of the bytes that it understands. Default: ours
 */

/**
 * How a chunk ended.
 *
 * `done`: its host has said that it is. `returned`: no host has begun any of it, and the engine is not to blame for its
 * calls: they wait again, at no cost. `lost`: the host is gone, or the chunk is. `why` completes "the chunk …", `host`
 * is the name of the host that had it, if that is known. `mayHaveRun`: its calls may have begun even where no frame
 * says so, as when the connection is cut on which the frames come: all that are not answered count as begun.
 * `isBusy`: its host would have taken it, but for a place that may be free soon. However often that happens, the calls
 * wait.
 * @typedef {{ kind: 'done' } | { kind: 'returned', why: string, host?: string, isBusy?: boolean }
 *   | { kind: 'lost', why: string, host?: string, mayHaveRun?: boolean }} ChunkEnd
 */

/**
 * What an adapter is given for a producer: what it has to know, and whom to tell. Upcalls never throw.
 * @typedef {object} ProducerSide
 * @property {string} producerId unique, and short enough to be part of a key
 * @property {number} lease in milliseconds: how long a host may be silent
 * @property {number} producerTimeout in milliseconds: how long this producer may be silent
 * @property {(hosts: readonly HostSeen[]) => void} hosts all hosts that there are now, whenever that changes
 * @property {(chunkId: string, frame: Uint8Array) => void} received a frame, which the adapter does not change any more
 * @property {(chunkId: string, end: ChunkEnd) => void} ended
 * @property {(frames: number) => void} late so many frames were dropped because their chunk had ended
 * @property {(error: Error) => void} failed something is wrong with the connection, and is being tried again: shown in
 *   `stats()`, and the cause of `ERR_PARALLELIZER_NO_HOST`
 */

/**
 * A producer's connection.
 * @typedef {object} ProducerLink
 * @property {(chunk: { id: string, parts: readonly Uint8Array[], host?: string }) => void} send sends a chunk, whose
 *   bytes are those of its parts together. It waits in the engine until a host takes it. `host` (where `canAddress`):
 *   the id of the only host that it is for, which is given it at once, whatever else it has. It ends as lost where that
 *   host is gone, or takes nothing more
 * @property {(chunkId: string, message: Uint8Array) => void} cancel tells the host of a chunk something about it, as
 *   soon and as surely as the engine can. May be lost: the chunk's end is not
 * @property {(chunkId: string) => void} release nobody wants the rest of a chunk: it ends without being told to the
 *   producer, whether it has ended or not. No host is to take it any more, and what is kept of it can go
 * @property {() => Promise<void>} close ends the connection; no upcall follows. What is in flight is released first
 */

/**
 * What an adapter is given for a host.
 * @typedef {object} HostSide
 * @property {HostSeen} host as it is to be announced
 * @property {number} lease
 * @property {Int32Array} pids in shared memory: the processes that run the user's code, 0 where there is none. They may
 *   be killed from any thread once the lease is lost
 * @property {() => number} [lanes] how many chunks it takes at once by now, besides those that are for this host alone.
 *   It is more than `host.lanes` while its chunks have fewer calls than a process runs at once (`concurrency`): to be
 *   asked before each delivery
 * @property {(delivery: Delivery) => void} deliver a chunk has come. No more are delivered at once than `lanes()` says,
 *   or `host.lanes`, besides those that are for this host alone
 * @property {(chunkId: string, message: Uint8Array) => void} cancelled what the producer of a delivered chunk says
 * @property {(chunkId: string) => void} dropped nobody wants a delivered chunk any more: its producer has released it
 * @property {(chunkId: string) => void} [orphaned] the producer of a delivered chunk has been silent for longer than
 *   its `producerTimeout`: what waits for its reader is ended, and what has begun otherwise is finished
 * @property {(why: string) => void} leaseLost all delivered chunks are lost: whatever still runs of them is killed
 * @property {(error: Error) => void} failed as for producers
 */

/**
 * A chunk that a host has been given.
 * @typedef {object} Delivery
 * @property {string} id
 * @property {Uint8Array} bytes
 * @property {(frame: Uint8Array) => Promise<void>} reply sends a frame; resolves once it is accepted, and rejects where
 *   the chunk is lost or dropped
 * @property {(end: { kind: 'done' } | { kind: 'returned', why: string, isBusy?: boolean }) => Promise<void>} end the
 *   last that is said of it. A chunk that is returned, unbegun, may go to another host
 */

/**
 * A host's connection.
 * @typedef {object} HostLink
 * @property {() => Promise<void>} ready resolves once it has been announced
 * @property {() => void} [hasRoom] `HostSide.lanes` may be more than it was, although no chunk has ended
 * @property {() => void} pause takes no more chunks, and is announced with no slots
 * @property {() => Promise<void>} close ends the connection, once nothing is delivered any more. The host is gone from
 *   what producers see
 * @property {() => void} terminate the same at once: what is delivered ends as lost
 */

/** The members that an engine must have, with their types. */
const MEMBERS = /** @type {const} */ ([['name', 'string'], ['connect', 'function']]);

/**
 * Checks what the option `engine` was given.
 * @param {{ readonly name: string, readonly value: unknown }} option
 * @returns {Engine}
 */
function engineOption({ name, value }) {
  const expected = 'an engine, such as bullmq({ queue, connection }) of "@parallelizer/node/bullmq"';
  if (value === undefined) throw optionError(name, undefined, `is required: ${expected}`);
  if (typeof value !== 'object' || value === null) throw optionError(name, value, expected);
  const engine = /** @type {Record<string, unknown>} */ (value);
  const wrong = MEMBERS.find(([member, type]) => typeof engine[member] !== type);
  if (wrong !== undefined) throw optionError(`${name}.${wrong[0]}`, engine[wrong[0]], `a ${wrong[1]}: ${expected}`);
  if (engine.contract !== CONTRACT) {
    throw optionError(`${name}.contract`, engine.contract, `${CONTRACT}, the engine contract of this version`);
  }
  return /** @type {Engine} */ (/** @type {unknown} */ (engine));
}

module.exports = { CONTRACT, engineOption };
