'use strict';
// What a producer says about its chunks, where the engine loses some of it: it is said again, whatever was said since,
// and heard once.

const assert = require('node:assert/strict');
const path = require('node:path');
const { describe, test } = require('node:test');

const { PARALLELIZER_REMOTE, Pool } = require('@parallelizer/node');
const { HeardMessages } = require('../lib/serve/heard-messages');
const { MemoryHub } = require('./support/remote/memory-engine');
const { fixture, lines, root, temporary, waitFor, within } = require('./support/helpers');
const { range } = require('./support/pool');
const { hostOn } = require('./support/remote/memory-hosts');

const own = (name) => ({ filePath: fixture('remote.js'), name });

/** A pool of whose messages the engine loses the first; `said`: the chunks that they are about. */
function poolOn(t, hub, options) {
  const engine = hub.engine();
  const said = [];
  const connect = (side) => {
    const link = engine.connect(side);
    const cancel = (id, message) => {
      said.push(id);
      if (said.length > 1) link.cancel(id, message);
    };
    return { ...link, cancel };
  };
  const pool = new Pool({ type: PARALLELIZER_REMOTE, engine: { ...engine, connect }, root, ...options });
  t.after(() => pool.terminate());
  return Object.assign(pool, { said });
}

for (const secret of [undefined, 'of both sides']) {
  describe(`messages that are lost, ${secret === undefined ? 'without' : 'with'} a secret`, () => {
    test('an abort, before others in the same chunk', async (t) => {
      const hub = new MemoryHub();
      await hostOn(t, hub, { processes: 1, secret });
      const pool = poolOn(t, hub, { secret, concurrency: 8 });
      const folder = temporary(t);
      const calls = range(6).map((i) => {
        const [controller, file] = [new AbortController(), path.join(folder, `${i}`)];
        return { controller, file, call: pool.apply(own('heard'), [{ file }], { signal: controller.signal }) };
      });
      const settled = Promise.allSettled(calls.map(({ call }) => call));
      await waitFor(() => calls.every(({ file }) => lines(file).length === 1), 'all calls to begin');
      calls.forEach(({ controller }) => controller.abort());
      const codes = (await within(settled, 'the calls')).map(({ reason }) => reason?.code);
      assert.deepEqual(codes, range(6).map(() => 'ERR_PARALLELIZER_ABORTED'));
      assert.ok(pool.said.slice(1, 6).includes(pool.said[0]), 'the lost one is the only one of its chunk');
      await waitFor(() => calls.every(({ file }) => lines(file).at(-1) === 'aborted'), 'each function to hear of it');
    });
  });
}

describe('messages that are heard', () => {
  /** Takes messages that say their number, if it is the one that they were signed with. */
  const heard = () => {
    const messages = new HeardMessages();
    const taken = [];
    const take = (number, { signed, says } = { signed: number, says: number }) => messages.take(says, (tried) => {
      if (tried !== signed) throw new Error('another one');
      taken.push(number);
    });
    return { take, taken };
  };

  test('each is taken once, in whatever order they come', () => {
    const { take, taken } = heard();
    [2, 2, 0, 1, 0, 1, 2, 3, 9000, 8999, 3, 8999].forEach((number) => take(number));
    assert.deepEqual(taken, [2, 0, 1, 3, 9000, 8999]);
  });

  test('one that was not signed with its number does not stand for the one that was', () => {
    const { take, taken } = heard();
    take(5, { signed: 0, says: 5 });
    take(0);
    [-1, 0.5, Number.NaN, '1', null].forEach((says) => take(7, { signed: -2, says }));
    take(1);
    assert.deepEqual(taken, [0, 1]);
  });

  test('those of a producer that does not number them are taken in order', () => {
    const { take, taken } = heard();
    [1, 0, 2, 2, 4].forEach((number) => take(number, { signed: number }));
    assert.deepEqual(taken, [1, 2, 4]);
  });
});
