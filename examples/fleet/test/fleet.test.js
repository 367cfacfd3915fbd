'use strict';

/** The whole example, a picture on three hosts of which one is lost; and its parts by themselves. */

const assert = require('node:assert/strict');
const { execFileSync } = require('node:child_process');
const { test } = require('node:test');
const { inflateSync } = require('node:zlib');
const { busyIn, workChart } = require('../chart.js');
const { Fleet } = require('../fleet.js');
const { check, renderOn } = require('../main.js');
const { makeNetwork } = require('../network.js');
const { Canvas } = require('../picture.js');
const { missing } = require('../redis-server.js');
const { render, tilesOf } = require('../tiles.js');

const PICTURE = { width: 512, height: 320, iterations: 6000 };

test('a host is lost in the middle, and each tile is settled once all the same', { timeout: 240_000 }, async (t) => {
  const reason = missing();
  if (reason !== null) {
    t.skip(reason);
    return;
  }
  const fleet = await Fleet.start({ hosts: 3, processes: 1 });
  t.after(() => fleet.stop());
  t.diagnostic(fleet.reason ?? 'each host has a network namespace of its own');
  assert.deepEqual(fleet.hostNames, ['host-1', 'host-2', 'host-3']);

  const run = await renderOn({ fleet, picture: PICTURE, lose: 1 });
  check(run);
  for (const { index, pixels } of run.rendered) {
    assert.ok(Buffer.from(pixels).equals(render(run.tiles[index]).pixels), `tile ${index}`);
  }
  const [{ host, at }] = run.losses;
  const own = run.rendered.filter((tile) => tile.host === host);
  assert.ok(own.length > 0, `${host} was at work`);
  assert.ok(own.every(({ begun }) => begun <= run.began + at), `${host} has begun nothing since`);
  const others = run.rendered.filter((tile) => tile.host !== host && tile.ended > run.began + at);
  assert.ok(others.length > 0, 'the others go on');
  assert.ok(others.every((tile) => fleet.hostNames.includes(tile.host)));
});

test('a network is there while it is needed, and leaves nothing behind', (t) => {
  const network = makeNetwork(2);
  assert.equal(network.places.length, 2);
  if (network.reason !== null) {
    network.remove();
    t.skip(network.reason);
    return;
  }
  const names = network.places.map(({ command }) => command[3]);
  const list = (/** @type {string[]} */ ...args) => execFileSync('ip', args, { encoding: 'utf8' });
  for (const name of names) assert.match(list('netns', 'list'), new RegExp(`\\b${name}\\b`));
  network.places[0].powerOff?.();
  network.remove();
  for (const name of names) {
    assert.doesNotMatch(list('netns', 'list'), new RegExp(`\\b${name}\\b`));
    assert.doesNotMatch(list('link'), new RegExp(`\\b${name}\\b`));
  }
});

test('tiles make a picture, and the picture a PNG file', () => {
  const picture = { width: 256, height: 160, iterations: 50 };
  const canvas = new Canvas(picture);
  const tiles = tilesOf(picture);
  assert.equal(tiles.length, 40);
  for (const tile of tiles) canvas.put(tile, render(tile).pixels);
  const png = canvas.toPng();
  assert.equal(png.toString('latin1', 1, 4), 'PNG');
  const at = png.indexOf('IDAT', 0, 'latin1');
  const lines = inflateSync(png.subarray(at + 4, at + 4 + png.readUInt32BE(at - 4)));
  assert.equal(lines.length, picture.height * (1 + 3 * picture.width));
  // The first pixel of the second row of tiles.
  const { pixels } = render(tiles[8]);
  assert.deepEqual([...lines.subarray(32 * (1 + 3 * 256) + 1).subarray(0, 3)], [...pixels.subarray(0, 3)]);
});

test('the chart has the work of each host, and when one was lost', () => {
  const tile = (/** @type {string} */ host, /** @type {number} */ begun, /** @type {number} */ ended) => (
    { index: 0, pixels: new Uint8Array(), host, begun, ended }
  );
  const rendered = [tile('host-1', 1000, 1600), tile('host-2', 1200, 1300), tile('host-1', 1600, 1900)];
  const busy = busyIn(rendered, 1000, 1200);
  assert.ok(Math.abs(busy.reduce((sum, part) => sum + part, 0) * (1200 / busy.length) - 1000) < 1e-6);
  const svg = workChart({
    hosts: ['host-1', 'host-2'],
    rendered,
    losses: [{ host: 'host-2', at: 350, noticed: 900 }],
    began: 1000,
    took: 1200,
    processes: 1,
  });
  for (const text of ['host-1', 'host-2 is lost', 'noticed', '3 tiles on 2 hosts']) assert.ok(svg.includes(text), text);
});
