'use strict';
// Pools whose calls run on hosts.

const { PARALLELIZER_REMOTE, Pool } = require('@parallelizer/node');
const { root } = require('../helpers');

/** A pool that ends with the test, over the engine of a server or of a hub in memory. */
function poolOn(t, server, options = {}) {
  const pool = new Pool({ type: PARALLELIZER_REMOTE, engine: server?.engine(), root, ...options });
  t.after(() => pool.terminate());
  return pool;
}

module.exports = { poolOn };
