'use strict';

/**
 * The contenders, and how they are classified.
 *
 * All have the same interface: `start(workers)`, which resolves when a call would be answered at once; `call(item)`;
 * `run(list)`, with one call per item and the results in the order of the list; `stop()`.
 */

const { split } = require('../../../examples/kafka-lambda/fork-pool.js');
const { Bare } = require('./bare.js');
const { Fork } = require('./fork.js');
const { Inline } = require('./inline.js');
const { JestWorkerPeer } = require('./jest-worker.js');
const { OwnParallelizer, OwnPool } = require('./parallelizer.js');
const { PiscinaPeer } = require('./piscina.js');
const { PoolifierPeer } = require('./poolifier.js');
const { Threads } = require('./threads.js');
const { TinypoolPeer } = require('./tinypool.js');
const { WorkerpoolPeer } = require('./workerpool.js');

/**
 * @typedef {{ filePath: string, name: string, probe?: any }} Task an export that takes one item; `probe`: an item for
 *   the first calls
 */
/** @typedef {'child' | 'threads' | 'threads, moved' | 'one thread'} Mode */
/** @typedef {'own' | 'library' | 'handwritten' | 'base'} Kind `handwritten`: no library; `base`: no pool */

/**
 * @typedef {object} Peer
 * @property {(workers: number) => Promise<void>} start
 * @property {(item: any) => Promise<any>} call
 * @property {(list: any[]) => Promise<any[]>} run
 * @property {() => Promise<void>} stop
 */

/**
 * @typedef {object} Contender
 * @property {string} name
 * @property {Mode} mode
 * @property {Kind} kind
 * @property {(task: Task) => Peer} make
 */

/**
 * @param {object} [options]
 * @param {boolean} [options.oneAtATime] whether peers that can do either give a worker its next call only when it
 *   is free, instead of all calls at once
 * @returns {Contender[]}
 */
function contenders({ oneAtATime = false } = {}) {
  const depth = oneAtATime ? 1 : Infinity;
  return [
    { name: 'Promise.all', mode: 'one thread', kind: 'base', make: (task) => new Inline(task) },
    own('child'),
    { name: 'fork', mode: 'child', kind: 'handwritten', make: (task) => new Fork(task, { depth }) },
    {
      name: 'tinypool',
      mode: 'child',
      kind: 'library',
      make: (task) => new TinypoolPeer(task, { runtime: 'child_process' }),
    },
    {
      name: 'workerpool',
      mode: 'child',
      kind: 'library',
      make: (task) => new WorkerpoolPeer(task, { workerType: 'process' }),
    },
    {
      name: 'poolifier',
      mode: 'child',
      kind: 'library',
      make: (task) => new PoolifierPeer(task, { cluster: true, queue: oneAtATime }),
    },
    {
      name: 'jest-worker',
      mode: 'child',
      kind: 'library',
      make: (task) => new JestWorkerPeer(task, { threads: false }),
    },
    own('threads'),
    { name: 'worker_threads', mode: 'threads', kind: 'handwritten', make: (task) => new Threads(task, { depth }) },
    { name: 'piscina', mode: 'threads', kind: 'library', make: (task) => new PiscinaPeer(task) },
    {
      name: 'tinypool',
      mode: 'threads',
      kind: 'library',
      make: (task) => new TinypoolPeer(task, { runtime: 'worker_threads' }),
    },
    {
      name: 'workerpool',
      mode: 'threads',
      kind: 'library',
      make: (task) => new WorkerpoolPeer(task, { workerType: 'thread' }),
    },
    {
      name: 'poolifier',
      mode: 'threads',
      kind: 'library',
      make: (task) => new PoolifierPeer(task, { cluster: false, queue: oneAtATime }),
    },
    {
      name: 'jest-worker',
      mode: 'threads',
      kind: 'library',
      make: (task) => new JestWorkerPeer(task, { threads: true }),
    },
  ];
}

const OWN_NAME = '@parallelizer/node';

/** @param {Mode} mode */
const typeOf = (mode) => (mode === 'child' ? 'child-process' : 'worker-threads');

/**
 * A `Pool` of this package.
 *
 * @param {Mode} mode
 * @param {{ name?: string, spin?: false, chunksPerWorker?: number }} [options]
 * @returns {Contender}
 */
function own(mode, { name = OWN_NAME, ...options } = {}) {
  return { name, mode, kind: 'own', make: (task) => new OwnPool(task, { type: typeOf(mode), ...options }) };
}

/**
 * A `Parallelizer` of this package.
 *
 * @param {Mode} mode
 * @param {Task} task its function takes `{ batch }`
 * @returns {Contender}
 */
const ownBatches = (mode, task) => ({
  name: `${OWN_NAME}, run`, mode, kind: 'own', make: () => new OwnParallelizer(task, { type: typeOf(mode) }),
});

/** What two cores can do: bare processes that share nothing. @returns {Contender} */
const bare = () => ({ name: 'bare node processes', mode: 'child', kind: 'base', make: (task) => new Bare(task) });

/**
 * A contender whose `run` is one call per worker, with a contiguous part of the list; its function takes such a part.
 *
 * @param {Contender} contender
 * @returns {Contender}
 */
function inParts(contender) {
  return {
    ...contender,
    make: (task) => {
      const peer = contender.make(task);
      let count = 1;
      return {
        start: (workers) => {
          count = workers;
          return peer.start(workers);
        },
        call: (item) => peer.call(item),
        run: async (list) => (await Promise.all(split(list, count).map((part) => peer.call(part)))).flat(),
        stop: () => peer.stop(),
      };
    },
  };
}

module.exports = { bare, contenders, inParts, own, ownBatches, typeOf, OWN_NAME };
