'use strict';

/** Work that only computes: PBKDF2, one key per record. */

const { pbkdf2Sync } = require('node:crypto');

const ITERATIONS = 100_000;

/** @param {{ batch: string[] }} call */
exports.derive = ({ batch }) =>
  batch.map((secret) => pbkdf2Sync(secret, 'salt', ITERATIONS, 32, 'sha512').toString('hex'));
