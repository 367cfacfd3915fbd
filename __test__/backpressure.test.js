'use strict';
// Many items for a pool whose workers, or whose consumer, are slower than the source: memory use stays flat. Runs in
// its own process with a small heap, into which a queue of the items or of their results would not fit.
//
//   PARALLELIZER_TEST_ITEMS=1000000 node --test __test__/backpressure.test.js

const assert = require('node:assert/strict');
const { test } = require('node:test');

const { root } = require('./support/helpers');
const { forEachMode } = require('./support/modes');
const { asynchronous, run } = require('./support/scripts');

const ITEMS = Number(process.env.PARALLELIZER_TEST_ITEMS ?? 200_000);

const stream = (setUp, loop) => asynchronous(`
  const { Pool } = require(${JSON.stringify(root)});
  const pool = new Pool({ type: process.env.TEST_MODE_TYPE, processes: 2 });
  const task = { filePath: fixture('flood.js'), name: 'payload' };
  let offered = 0;
  const filler = 'x'.repeat(1000);
  function* source() { while (offered < ${ITEMS}) { offered++; yield { id: offered, filler: filler + offered }; } }
  ${setUp}
  let taken = 0, ahead = 0, early = 0, peak = 0;
  const note = () => {
    ahead = Math.max(ahead, offered - taken);
    if (taken % 10_000 !== 0) return;
    const rss = process.memoryUsage.rss();
    if (taken <= ${ITEMS / 10}) early = Math.max(early, rss);
    peak = Math.max(peak, rss);
  };
  for await (const item of pool.imap(task, source())) {
    if (item.id !== ++taken) throw new Error('item ' + item.id + ' after ' + (taken - 1));
    note();
    ${loop}
  }
  await pool.terminate();
  console.log(JSON.stringify({ taken, ahead, early: Math.round(early / 2 ** 20), peak: Math.round(peak / 2 ** 20) }));`);

forEachMode(
  (mode) => {
    for (const [what, setUp, loop] of [
      ['workers that are slower than the source', '', ''],
      // The event loop turns once per 500 items, so that whatever can arrive has arrived.
      [
        'a consumer that is slower than both',
        '',
        'if (taken % 500 === 0) { await new Promise(setImmediate); for (const end = performance.now() + 0.5; performance.now() < end; ); }',
      ],
    ]) {
      test(`an endless number of items through imap, with ${what}`, { timeout: 600_000 }, async (t) => {
        const { messages } = await run(t, stream(setUp, loop), {
          mode,
          // The young generation's default grows from version to version, and takes a while to be reached.
          execArgv: ['--max-old-space-size=48', '--max-semi-space-size=8'],
          deadline: 500_000,
        });
        const [{ taken, ahead, early, peak }] = messages;
        t.diagnostic(
          `${taken} items; at most ${ahead} ahead; resident ${early} MB in the first tenth, ${peak} MB at most`,
        );
        assert.equal(taken, ITEMS);
        assert.ok(ahead < 10_000, `${ahead} items read ahead`);
        assert.ok(peak - early < 60, `${early} → ${peak} MB`);
      });
    }
  },
  { needs: 'hasWorkers' },
);
