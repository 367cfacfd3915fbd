'use strict';

const assert = require('node:assert/strict');
const { Pool } = require('@parallelizer/node');

const range = [0, 1, 2, 3, 4];

const square = (x) => x * x;

async function main() {
  const pool = new Pool();
  const squares = await pool.map(square, range);
  pool.close();
  await pool.join();
  assert.deepEqual(squares, range.map(square));
  console.log('squares', ...squares);
}

main();
