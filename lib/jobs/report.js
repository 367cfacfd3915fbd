'use strict';

const { queueMicrotask } = require('../intrinsics/clock');

/**
 * Calls a callback of the user's. What it throws becomes an uncaught exception and does no harm here.
 * @template {unknown[]} A
 * @param {(...args: A) => void} callback
 * @param {A} args
 */
function report(callback, ...args) {
  try {
    Reflect.apply(callback, undefined, args);
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}

module.exports = { report };
