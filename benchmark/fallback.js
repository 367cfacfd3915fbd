'use strict';

/**
 * The scheduler as WebAssembly, with carriers in JavaScript, beside the addon and the peers: the round trip of a call
 * that does nothing, one at a time; calls per second with 20,000 in flight; and a list of 100,000 items through `map`.
 *
 *   npm run build:wasm
 *   node benchmark/fallback.js [--rounds 15] [--quick]
 */

const assert = require('node:assert/strict');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { contest, runSuite, withStarted } = require('./support/contest.js');
const { optionsFromArgv } = require('./support/options.js');
const { contenders, typeOf, OWN_NAME } = require('./support/peers/index.js');
const { OwnPool } = require('./support/peers/parallelizer.js');
const { bestPeers, Suite } = require('./support/suite.js');

const IN_FLIGHT = 20_000;
const LIST = 100_000;
const TRIPS = 1000;
/** Some thousand calls, until the compiler has optimized every contender's code. */
const WARMUPS = 6;

const FALLBACK = `${OWN_NAME}, fallback`;

/**
 * Another copy of the library in this process, which has been told not to use the addon. A copy of its files: what it
 * loads later must be its own as well.
 */
function loadFallback() {
  const root = path.join(__dirname, '..');
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'parallelizer-fallback-'));
  process.on('exit', () => fs.rmSync(folder, { recursive: true, force: true }));
  for (const name of ['index.js', 'package.json', 'parallelizer.wasm', 'lib']) {
    fs.cpSync(path.join(root, name), path.join(folder, name), { recursive: true });
  }
  process.env.PARALLELIZER_FALLBACK = '1';
  try {
    const library = require(folder);
    // The addon is chosen when the first pool is made.
    void new library.Pool({ processes: 1, type: 'inline' }).terminate();
    return library;
  } finally {
    delete process.env.PARALLELIZER_FALLBACK;
  }
}

class FallbackPool extends OwnPool {
  /** @override @param {number} workers */
  async start(workers) {
    const { Pool } = fallback;
    this.workers = workers;
    this.pool = new Pool({ processes: workers, ...this.options });
    await this.pool.ready();
    assert.equal(this.pool.stats().scheduler, 'wasm');
  }
}

const fallback = loadFallback();

/** @param {import('./support/peers/index.js').Mode} mode @returns {import('./support/peers/index.js').Contender} */
const byFallback = (mode) => ({
  name: FALLBACK, mode, kind: 'own', make: (task) => new FallbackPool(task, { type: typeOf(mode) }),
});

/** Which build a contender runs by. @param {typeof OwnPool} Peer @param {import('./support/peers/index.js').Task} task */
async function schedulerOf(Peer, task) {
  const peer = new Peer(task, { type: typeOf('threads') });
  await peer.start(1);
  const { scheduler } = peer.pool.stats();
  await peer.stop();
  return scheduler;
}

async function main() {
  const { rounds, workers } = optionsFromArgv({ rounds: 15 });
  const task = { filePath: require.resolve('./support/work.js'), name: 'echo' };
  const suite = new Suite('fallback', { workers, trips: TRIPS, 'in flight': IN_FLIGHT, list: LIST });
  const everyone = contenders().filter(({ mode }) => mode !== 'one thread').flatMap((contender) =>
    contender.kind === 'own' ? [contender, byFallback(contender.mode)] : [contender]);

  // Otherwise it would be compared with itself.
  assert.equal(await schedulerOf(OwnPool, task), 'native');
  await withStarted(everyone, task, workers, async (started) => {
    const trips = await contest(started, {
      rounds,
      warmups: WARMUPS,
      run: async (peer) => {
        let sum = 0;
        for (let trip = 0; trip < TRIPS; trip += 1) sum += await peer.call(trip);
        return sum;
      },
      after: (sum) => assert.equal(sum, (TRIPS * (TRIPS - 1)) / 2),
      sample: (milliseconds) => (milliseconds * 1000) / TRIPS,
    });
    suite.section({
      id: 'round-trip', title: 'Round trip of a no-op call', unit: 'µs', rows: trips, against: bestPeers('lower'),
    });

    const items = [...Array(IN_FLIGHT).keys()];
    const calls = await contest(started, {
      rounds,
      run: (peer) => Promise.all(items.map((item) => peer.call(item))),
      after: (results) => assert.deepEqual(results, items),
      sample: (milliseconds) => IN_FLIGHT / milliseconds,
    });
    suite.section({
      id: 'calls',
      title: `No-op calls, ${IN_FLIGHT.toLocaleString('en')} in flight`,
      unit: '1,000 calls/s',
      better: 'higher',
      rows: calls,
      against: bestPeers('higher'),
    });
  });

  // The peers take each item of a list as a call of its own, as above.
  const list = [...Array(LIST).keys()];
  await withStarted(everyone.filter(({ kind }) => kind === 'own'), task, workers, async (started) => {
    const rows = await contest(started, {
      rounds,
      run: (peer) => peer.run(list),
      after: (results) => assert.deepEqual(results, list),
      sample: (milliseconds) => LIST / milliseconds,
    });
    suite.section({
      id: 'map',
      title: `A list of ${LIST.toLocaleString('en')} no-op items`,
      unit: '1,000 calls/s',
      better: 'higher',
      rows,
    });
  });
  suite.save();
}

runSuite(main);
