'use strict';

/**
 * A picture, rendered tile by tile on several hosts, of which one is lost in the middle:
 * `npm start -- --hosts 3 --processes 1 --lose 1 --out results`.
 *
 * The exit code is 1 if a tile was not settled exactly once, or does not look as if it had been rendered here.
 */

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { parseArgs } = require('node:util');
const { SingleBar } = require('cli-progress');
const Table = require('cli-table3');
const { PARALLELIZER_REMOTE, Pool } = require('@parallelizer/node');
const { workChart } = require('./chart.js');
const { Fleet } = require('./fleet.js');
const { Canvas } = require('./picture.js');
const { missing } = require('./redis-server.js');
const { render, tilesOf } = require('./tiles.js');

/** A host is lost when so much is done. */
const LOST_AT = 1 / 3;
/** A host that dies takes the tiles along that it was at: they are run again elsewhere. */
const RETRIES = 3;
/** The picture is 5/8 as high as it is wide, and both are to be multiples of the side of a tile. */
const WIDTH_STEP = 256;
/** Of so many tiles one is rendered here as well, and compared. */
const COMPARED = 40;

const task = { filePath: require.resolve('./tiles.js'), name: 'render' };

/** @typedef {import('./tiles.js').Rendered} Rendered */
/**
 * @typedef {object} Loss
 * @property {string} host
 * @property {number} at in milliseconds since the beginning
 * @property {number | null} noticed when the pool did not see the host any more; `null` if it never came to that
 */

/**
 * Renders a picture. `onTile` is called with each tile as soon as it is there.
 *
 * @param {object} options
 * @param {Fleet} options.fleet
 * @param {import('./tiles.js').Picture} options.picture
 * @param {number} options.lose how many hosts are lost
 * @param {(tile: Rendered, done: number) => void} [options.onTile]
 * @param {AbortSignal} [options.signal]
 */
async function renderOn({ fleet, picture, lose, onTile, signal }) {
  const { engine, secret } = fleet;
  const pool = new Pool({ type: PARALLELIZER_REMOTE, engine, root: __dirname, secret });
  try {
    await pool.ready();
    const tiles = tilesOf(picture);
    const canvas = new Canvas(picture);
    /** @type {Rendered[]} */
    const rendered = [];
    /** @type {Loss[]} */
    const losses = [];
    const began = performance.timeOrigin + performance.now();
    const now = () => performance.timeOrigin + performance.now() - began;
    const remote = () => /** @type {import('@parallelizer/node').RemoteStats} */ (pool.stats().remote);
    for await (const tile of pool.imapUnordered(task, tiles, { retries: RETRIES, signal })) {
      rendered.push(tile);
      canvas.put(tiles[tile.index], tile.pixels);
      for (const loss of losses.filter(({ noticed }) => noticed === null)) {
        if (remote().hosts.every(({ name }) => name !== loss.host)) loss.noticed = now();
      }
      const { host } = tile;
      const isDue = losses.length < lose && rendered.length >= tiles.length * LOST_AT * (1 + losses.length / lose);
      // One that is at work.
      if (isDue && losses.every((loss) => loss.host !== host)) {
        fleet.lose(host);
        losses.push({ host, at: now(), noticed: null });
      }
      onTile?.(tile, rendered.length);
    }
    return { tiles, rendered, canvas, losses, began, took: now(), chunks: remote().chunks };
  } finally {
    pool.close();
    await pool.join();
  }
}

/** Each tile was settled once, and looks as if it had been rendered here. @param {Run} run */
function check({ tiles, rendered }) {
  const indexes = rendered.map(({ index }) => index).sort((left, right) => left - right);
  assert.deepEqual(indexes, tiles.map(({ index }) => index));
  for (const { index, pixels } of rendered.filter((tile) => tile.index % COMPARED === 0)) {
    assert.ok(Buffer.from(pixels).equals(render(tiles[index]).pixels), `tile ${index} is another one`);
  }
}

/** @typedef {Awaited<ReturnType<typeof renderOn>>} Run */

/** @param {string[]} names @param {Run} run */
function showHosts(names, { rendered, losses, began }) {
  const seconds = (/** @type {number | null} */ milliseconds) => (
    milliseconds === null ? '' : `${(milliseconds / 1000).toFixed(2)} s`
  );
  const table = new Table({
    head: ['host', 'tiles', 'computing', 'last tile after', 'lost after', 'noticed after'],
    colAligns: ['left', 'right', 'right', 'right', 'right', 'right'],
    style: { head: [], border: [] },
  });
  for (const name of names) {
    const own = rendered.filter(({ host }) => host === name);
    const { at = null, noticed = null } = losses.find(({ host }) => host === name) ?? {};
    const last = own.length === 0 ? null : Math.max(...own.map(({ ended }) => ended)) - began;
    const computing = own.reduce((sum, { begun, ended }) => sum + ended - begun, 0);
    table.push([name, own.length, ...[computing, last, at, noticed].map(seconds)]);
  }
  console.log(table.toString());
}

async function main() {
  const { values } = parseArgs({
    options: {
      hosts: { type: 'string', default: '3' },
      processes: { type: 'string', default: '1' },
      lose: { type: 'string', default: '1' },
      width: { type: 'string', default: '1280' },
      iterations: { type: 'string', default: '6000' },
      out: { type: 'string', default: path.join(__dirname, 'results') },
    },
  });
  const [hosts, processes, lose, width, iterations] = [
    values.hosts, values.processes, values.lose, values.width, values.iterations,
  ].map(Number);
  assert.ok(lose < hosts, '--lose must be less than --hosts: somebody has to go on');
  assert.ok(width > 0 && width % WIDTH_STEP === 0, `--width must be a multiple of ${WIDTH_STEP}`);
  const reason = missing();
  if (reason !== null) throw new Error(reason);
  const picture = { width, height: (width * 5) / 8, iterations };
  const stopped = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => stopped.abort());

  const fleet = await Fleet.start({ hosts, processes });
  const bar = new SingleBar({ format: '{bar} {value}/{total} tiles  {hosts}', barsize: 30, hideCursor: true });
  try {
    console.log(fleet.reason ?? `${hosts} hosts, each in a network namespace of its own`);
    /** @type {Map<string, number>} */
    const counts = new Map(fleet.hostNames.map((name) => [name, 0]));
    const state = () => ({ hosts: [...counts].map(([name, count]) => `${name}: ${count}`).join('  ') });
    bar.start(tilesOf(picture).length, 0, state());
    const run = await renderOn({
      fleet,
      picture,
      lose,
      signal: stopped.signal,
      onTile({ host }, done) {
        counts.set(host, (counts.get(host) ?? 0) + 1);
        bar.update(done, state());
      },
    });
    bar.stop();
    showHosts(fleet.hostNames, run);
    check(run);
    const { tiles, took, chunks, losses } = run;
    const lost = losses.map(({ host }) => host).join(' and ') || 'none';
    console.log(`All ${tiles.length} tiles were settled once, in ${(took / 1000).toFixed(1)} s. Hosts lost: ${lost}; `
      + `chunks sent: ${chunks.sent}, lost: ${chunks.lost}.`);
    fs.mkdirSync(values.out, { recursive: true });
    fs.writeFileSync(path.join(values.out, 'picture.png'), run.canvas.toPng());
    fs.writeFileSync(path.join(values.out, 'work.svg'), workChart({ ...run, hosts: fleet.hostNames, processes }));
    console.log(`picture.png and work.svg are in ${values.out}`);
  } finally {
    bar.stop();
    await fleet.stop();
  }
}

if (require.main === module) main();

module.exports = { check, renderOn };
