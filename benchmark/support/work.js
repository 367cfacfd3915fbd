'use strict';

/** The functions that all contenders run, one item per call. */

const { pbkdf2Sync } = require('node:crypto');

/** No work, so that only the round trip remains. */
exports.echo = (/** @type {unknown} */ value) => value;

/** Takes objects and returns numbers: nearly all bytes travel in one direction. */
exports.idOf = (/** @type {{ id: number }} */ item) => item.id;

/** Computes `steps` steps, the same on every carrier; the result shows that nothing was skipped. */
exports.burn = (/** @type {number} */ steps) => {
  let state = steps | 1;
  for (let step = 0; step < steps; step += 1) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
  }
  return state;
};

/** @returns {number} how many steps `burn` does in a millisecond, here and now */
exports.stepsPerMillisecond = () => {
  const steps = 2_000_000;
  const times = Array.from({ length: 9 }, () => {
    const begin = performance.now();
    exports.burn(steps);
    return performance.now() - begin;
  });
  return steps / times.toSorted((left, right) => left - right)[4];
};

/** Derives a key with PBKDF2. */
exports.derive = (/** @type {{ secret: string, iterations: number }} */ { secret, iterations }) => (
  pbkdf2Sync(secret, 'salt', iterations, 32, 'sha512').toString('hex')
);
