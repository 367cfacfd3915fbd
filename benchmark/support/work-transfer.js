'use strict';

/** Returns a buffer by moving it. Not in work.js, since only this package's workers have the package loaded. */

const { transfer } = require('@parallelizer/node');

exports.echo = (/** @type {Uint8Array} */ bytes) => transfer(bytes, [bytes.buffer]);
