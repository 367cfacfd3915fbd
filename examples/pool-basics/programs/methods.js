'use strict';

const { Pool, ParallelizerError } = require('@parallelizer/node');

const square = (x) => x * x;
const add = (a, b) => a + b;
const processId = () => process.pid;

function parse(text) {
  if (!/^\d+$/.test(text)) throw new RangeError(`no number: ${text}`);
  return Number(text);
}

const wait = (milliseconds) => new Promise((resolve) => {
  setTimeout(resolve, milliseconds, milliseconds);
});

/** Python prints its booleans with a capital letter. */
const print = (...values) => console.log(...values.map((value) => ({ true: 'True', false: 'False' })[String(value)] ?? value));

async function main() {
  let pool = new Pool(2);
  print('apply', await pool.apply(square, [3]), await pool.apply(add, [3, 4]));

  const first = pool.applyAsync(square, [4]);
  const second = pool.applyAsync(square, [5]);
  print('apply_async', await second, await first, first.successful());

  const slow = pool.applyAsync(wait, [300]);
  try {
    await slow.get(10);
  } catch (error) {
    if (error.code !== 'ERR_PARALLELIZER_TIMEOUT') throw error;
    print('get', 'not yet');
  }
  print('get', await slow.get(), slow.ready());

  print('map', ...(await pool.map(square, [0, 1, 2, 3, 4])));
  print('map_async', ...(await pool.mapAsync(square, [0, 1, 2, 3, 4])));
  print('starmap', ...(await pool.starmap(add, [[1, 2], [3, 4]])));
  print('starmap_async', ...(await pool.starmapAsync(add, [[1, 2], [3, 4]])));

  try {
    await pool.apply(parse, ['twelve']);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    print('error', error.message);
  }

  pool.close();
  try {
    pool.applyAsync(square, [1]);
  } catch (error) {
    if (!(error instanceof ParallelizerError)) throw error;
    print('close', 'no more work');
  }
  await pool.join();

  pool = new Pool(1);
  print('one process: in another one', (await pool.apply(processId)) !== process.pid);
  pool.close();
  await pool.join();

  pool = new Pool(0);
  print('no processes: in this one', (await pool.apply(processId)) === process.pid);
  pool.close();
  await pool.join();
}

main();
