'use strict';

const { Pool } = require('@parallelizer/node');

const square = (x) => x * x;

const sleep = (seconds) => new Promise((resolve) => {
  setTimeout(resolve, seconds * 1000);
});

const wallTime = () => performance.now();

function processTime() {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

async function measure(name, clock, work) {
  const begin = clock();
  await work();
  console.log(`${name}\t${clock() - begin}`);
}

async function main() {
  const begin = wallTime();
  const pool = new Pool(2);
  await pool.apply(square, [1]);
  console.log(`from making the pool to its first result\t${wallTime() - begin}`);
  await measure('1,000 times apply, one after another', wallTime, async () => {
    for (let x = 0; x < 1000; x += 1) await pool.apply(square, [x]);
  });
  await measure('map of 10,000 items', wallTime, () => pool.map(square, Array.from({ length: 10_000 }, (_, x) => x)));
  await measure('CPU time of the caller while a worker sleeps for 0.5 s', processTime, () => pool.apply(sleep, [0.5]));
  pool.close();
  await pool.join();
}

main();
