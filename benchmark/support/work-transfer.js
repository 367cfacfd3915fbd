'use strict';

/** Gives a buffer back by moving it. Apart from work.js: only this package's workers have the package loaded. */

const { transfer } = require('@parallelizer/node');

exports.echo = (/** @type {Uint8Array} */ bytes) => transfer(bytes, [bytes.buffer]);
