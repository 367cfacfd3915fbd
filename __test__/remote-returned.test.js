'use strict';
// Chunks that come back unbegun: their calls fail where hosts refuse everything for too long, and not because one came
// back long ago.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { describe, test } = require('node:test');

const { PARALLELIZER_REMOTE, Pool } = require('@parallelizer/node');
const { MemoryHub } = require('./support/remote/memory-engine');
const { fixture, lines, root, sleep, temporary, waitFor, within } = require('./support/helpers');
const { hostOn } = require('./support/remote/memory-hosts');

const HOST_TIMEOUT = 200;
const gated = { filePath: fixture('remote.js'), name: 'gated' };
const square = { filePath: fixture('remote.js'), name: 'square' };

/** A pool whose next chunks come back: as many as `returns.left` says. */
function poolOn(t, hub, returns) {
  const engine = hub.engine();
  const connect = (side) => {
    const link = engine.connect(side);
    const send = (chunk) => {
      if (returns.left === 0) return link.send(chunk);
      returns.left--;
      setImmediate(() => side.ended(chunk.id, { kind: 'returned', why: 'was not sent' }));
    };
    return { ...link, send };
  };
  const options = { type: PARALLELIZER_REMOTE, engine: { ...engine, connect }, root, hostTimeout: HOST_TIMEOUT };
  const pool = new Pool(options);
  t.after(() => pool.terminate());
  return pool;
}

describe('chunks that come back', () => {
  test('one does no harm while another one, which came back as well, runs for long', async (t) => {
    const hub = new MemoryHub();
    await hostOn(t, hub, { processes: 2 });
    const returns = { left: 1 };
    const pool = poolOn(t, hub, returns);
    const file = path.join(temporary(t), 'file');
    const long = pool.apply(gated, [file, `${file}.gate`]);
    await waitFor(() => lines(file).length === 1, 'the long call to begin');
    await sleep(1.5 * HOST_TIMEOUT);
    returns.left = 1;
    assert.equal(await within(pool.apply(square, [3]), 'the other call'), 9);
    fs.writeFileSync(`${file}.gate`, '');
    await within(long, 'the long call');
    assert.equal(pool.stats().remote.chunks.returned, 2);
  });

  test('one does no harm after another one whose call was not wanted any more', async (t) => {
    const hub = new MemoryHub();
    await hostOn(t, hub, { processes: 1 });
    const returns = { left: 1 };
    const pool = poolOn(t, hub, returns);
    const controller = new AbortController();
    const unwanted = pool.apply(square, [2], { signal: controller.signal });
    await waitFor(() => pool.stats().remote.chunks.returned === 1, 'its chunk to come back');
    controller.abort();
    await assert.rejects(within(unwanted, 'the abort'), { code: 'ERR_PARALLELIZER_ABORTED' });
    await sleep(1.5 * HOST_TIMEOUT);
    returns.left = 1;
    assert.equal(await within(pool.apply(square, [3]), 'the other call'), 9);
  });

  test('calls whose chunks always come back fail in the end', async (t) => {
    const hub = new MemoryHub();
    await hostOn(t, hub, { processes: 1 });
    const pool = poolOn(t, hub, { left: Infinity });
    await assert.rejects(within(pool.apply(square, [3]), 'the call'), { code: 'ERR_PARALLELIZER_PROTOCOL' });
  });
});
