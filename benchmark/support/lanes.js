'use strict';

/**
 * A process with a remote pool that sees as many slots as its argument says, on hosts that take everything and answer
 * nothing. Prints what the lanes take of its memory before and after each has a call, in bytes.
 */

const { PARALLELIZER_REMOTE, Pool } = require('@parallelizer/node');

const SLOTS_PER_HOST = 16;

const slots = Number(process.argv[2]);

/** @type {import('@parallelizer/node').RemoteEngine} */
const engine = /** @type {any} */ ({
  contract: 1,
  name: 'nowhere',
  connect(/** @type {any} */ side) {
    const hosts = [];
    for (let left = slots; left > 0; left -= SLOTS_PER_HOST) {
      const name = `host-${hosts.length}`;
      hosts.push({ id: name, name, slots: Math.min(left, SLOTS_PER_HOST) });
    }
    setTimeout(() => side.hosts(hosts), 50);
    return { send() {}, cancel() {}, release() {}, close: async () => {} };
  },
});

function memory() {
  globalThis.gc?.();
  return process.memoryUsage().rss;
}

async function main() {
  const pool = new Pool({ type: PARALLELIZER_REMOTE, engine, root: __dirname });
  const before = memory();
  await pool.ready();
  while (pool.stats().workers.length < 2 * slots) await new Promise((resolve) => setTimeout(resolve, 50));
  const idle = memory() - before;
  const task = { filePath: require.resolve('./work.js'), name: 'echo' };
  pool.map(task, Array.from({ length: 2 * slots }, (_, index) => index)).catch(() => {});
  while ((pool.stats().remote?.chunks.sent ?? 0) < 2 * slots) await new Promise((resolve) => setTimeout(resolve, 50));
  process.stdout.write(JSON.stringify({ idle, busy: memory() - before }));
  process.exit();
}

void main();
