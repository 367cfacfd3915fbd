'use strict';

/**
 * A Buffer of 64 KB to 64 MB there and back, one at a time: copied, and between threads also moved. Compared with
 * Node's own means and with piscina.
 *
 *   node benchmark/binary.js [--rounds 15] [--quick]
 */

const assert = require('node:assert/strict');
const { randomFillSync } = require('node:crypto');
const { contest, runSuite, withStarted } = require('./support/contest.js');
const { optionsFromArgv } = require('./support/options.js');
const { contenders, own } = require('./support/peers/index.js');
const { Fork } = require('./support/peers/fork.js');
const { Threads } = require('./support/peers/threads.js');
const { TinypoolPeer } = require('./support/peers/tinypool.js');
const { bestPeers, Suite } = require('./support/suite.js');

/** @typedef {import('./support/peers/index.js').Contender} Contender */

const KB = 1024;
const MB = 1024 * KB;
const SIZES = [64 * KB, MB, 16 * MB, 64 * MB];
/** Small buffers are timed over many trips. */
const BYTES_PER_SAMPLE = 16 * MB;

/** @param {number} size */
const sizeName = (size) => (size < MB ? `${size / KB} KB` : `${size / MB} MB`);

/** Moved buffers are compared only with each other. */
const MOVED = 'threads, moved';

/** @returns {Contender[]} */
function players() {
  const library = contenders().filter(
    ({ name, mode }) => mode === 'threads' && (name === 'piscina' || name === 'tinypool'),
  );
  const runtime = /** @type {const} */ ({ runtime: 'child_process', serialization: 'advanced' });
  const moving = { filePath: require.resolve('./support/work-transfer.js'), name: 'echo' };
  return [
    own('child'),
    {
      name: "fork, 'advanced'",
      mode: 'child',
      kind: 'handwritten',
      make: (task) => new Fork(task, { serialization: 'advanced' }),
    },
    { name: "tinypool, 'advanced'", mode: 'child', kind: 'library', make: (task) => new TinypoolPeer(task, runtime) },
    own('threads'),
    { name: 'worker_threads', mode: 'threads', kind: 'handwritten', make: (task) => new Threads(task) },
    ...library,
    { ...own('threads'), mode: MOVED, make: () => moved(own('threads').make(moving)) },
    { name: 'worker_threads', mode: MOVED, kind: 'handwritten', make: (task) => new Threads(task, { transfer: true }) },
  ];
}

/** @param {any} peer */
function moved(peer) {
  const call = peer.call.bind(peer);
  peer.call = (/** @type {Uint8Array} */ bytes) => call(bytes, [bytes.buffer]);
  return peer;
}

async function main() {
  const { rounds, quick, workers } = optionsFromArgv({ rounds: 15 });
  const suite = new Suite('binary', { workers });
  const task = { filePath: require.resolve('./support/work.js'), name: 'echo' };
  /** @type {Map<number, any[]>} */
  const sections = new Map();

  await withStarted(players(), task, workers, async (started) => {
    for (const size of SIZES) {
      const original = randomFillSync(Buffer.alloc(size));
      // A moved buffer is gone, so each contender sends again what came back.
      /** @type {Map<object, any>} */
      const held = new Map(started.map((contender) => [contender, Buffer.from(new Uint8Array(original).buffer)]));
      const trips = Math.max(1, Math.round(BYTES_PER_SAMPLE / size / (quick ? 4 : 1)));
      const rows = await contest(started, {
        rounds,
        run: async (peer, contender) => {
          let bytes = held.get(contender);
          for (let trip = 0; trip < trips; trip += 1) bytes = await peer.call(bytes);
          return bytes;
        },
        after: (/** @type {Uint8Array} */ bytes, contender) => {
          assert.ok(original.equals(bytes), `${contender.name} changed the bytes`);
          held.set(contender, Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
        },
        sample: (milliseconds) => milliseconds / trips,
      });
      sections.set(size / KB, suite.section({
        id: sizeName(size).replace(' ', '-'),
        title: `A Buffer of ${sizeName(size)} there and back`,
        unit: 'ms',
        rows,
        against: bestPeers('lower'),
        chart: false,
      }));
    }
  });
  suite.overview({ id: 'sizes', title: 'A Buffer there and back', unit: 'ms', x: 'KB', sections });
  suite.save();
}

runSuite(main);
