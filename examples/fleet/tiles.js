'use strict';

/**
 * What hosts run: they render tiles of a picture of the Mandelbrot set. Tiles in the set cost many times as much as
 * those beside it, so no host can be given a share in advance.
 */

/** The part of the plane that is shown. */
const CENTER = { x: -0.7435, y: 0.1314 };
const WIDTH = 0.0064;
const CHANNELS = 3;
const TILE = 32;
/** A pixel is the mean of so many points in each direction. */
const SAMPLES = 4;

/** @typedef {{ width: number, height: number, iterations: number }} Picture */
/** @typedef {{ index: number, left: number, top: number, picture: Picture }} Tile */
/**
 * @typedef {object} Rendered
 * @property {number} index
 * @property {Uint8Array} pixels
 * @property {string} host
 * @property {number} begun milliseconds, by the clock of the host
 * @property {number} ended
 */

/** The tiles of a picture, whose sides are multiples of `TILE`. @param {Picture} picture @returns {Tile[]} */
function tilesOf(picture) {
  const columns = picture.width / TILE;
  return Array.from({ length: (columns * picture.height) / TILE }, (_, index) => (
    { index, left: (index % columns) * TILE, top: Math.floor(index / columns) * TILE, picture }
  ));
}

/** The task of the pool. @param {Tile} tile @returns {Rendered} */
function render({ index, left, top, picture }) {
  const begun = performance.timeOrigin + performance.now();
  const pixels = new Uint8Array(TILE * TILE * CHANNELS);
  for (let at = 0; at < TILE * TILE; at += 1) {
    pixels.set(pixelAt(left + (at % TILE), top + Math.floor(at / TILE), picture), at * CHANNELS);
  }
  const ended = performance.timeOrigin + performance.now();
  return { index, pixels, host: process.env.FLEET_HOST ?? 'this process', begun, ended };
}

/** @param {number} column @param {number} row @param {Picture} picture */
function pixelAt(column, row, { width, height, iterations }) {
  const sum = [0, 0, 0];
  for (let sample = 0; sample < SAMPLES * SAMPLES; sample += 1) {
    const x = CENTER.x + WIDTH * ((column + (sample % SAMPLES) / SAMPLES) / width - 0.5);
    const y = CENTER.y + WIDTH * ((row + Math.floor(sample / SAMPLES) / SAMPLES - height / 2) / width);
    colorOf(escapeOf(x, y, iterations)).forEach((value, channel) => (sum[channel] += value));
  }
  return sum.map((value) => Math.round(value / (SAMPLES * SAMPLES)));
}

/** How soon a point leaves the set, from 0 on; `null` if not within so many iterations. */
function escapeOf(/** @type {number} */ x, /** @type {number} */ y, /** @type {number} */ iterations) {
  let [real, imaginary] = [0, 0];
  for (let step = 0; step < iterations; step += 1) {
    const [r2, i2] = [real * real, imaginary * imaginary];
    if (r2 + i2 > 16) return step + 1 - Math.log2(Math.log2(r2 + i2) / 2);
    imaginary = 2 * real * imaginary + y;
    real = r2 - i2 + x;
  }
  return null;
}

/** @param {number | null} escape @returns {[number, number, number]} */
function colorOf(escape) {
  if (escape === null) return [8, 12, 28];
  const turn = Math.sqrt(escape) / 4;
  const channel = (/** @type {number} */ shift) => 140 + 110 * Math.sin(turn + shift);
  return [channel(-2.1), channel(-1.2), channel(0.2)];
}

module.exports = { CHANNELS, TILE, render, tilesOf };
