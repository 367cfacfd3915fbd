'use strict';
// A frame that a producer cannot use: its calls settle, with an error or by another try, and so do those behind them.

const assert = require('node:assert/strict');
const path = require('node:path');
const { describe, test } = require('node:test');

const { PARALLELIZER_REMOTE, Pool } = require('@parallelizer/node');
const { MemoryHub } = require('./support/remote/memory-engine');
const { fixture, lines, root, temporary, within } = require('./support/helpers');
const { range } = require('./support/pool');
const { hostOn } = require('./support/remote/memory-hosts');

const noted = { filePath: fixture('remote.js'), name: 'noted' };

/** A pool whose frames pass through what `tamper()` gives. */
function poolOn(t, hub, tamper, options) {
  const engine = hub.engine();
  const connect = (side) => engine.connect({
    ...side,
    received: (id, frame) => tamper.now(Buffer.from(frame)).forEach((bytes) => side.received(id, bytes)),
  });
  const pool = new Pool({ type: PARALLELIZER_REMOTE, engine: { ...engine, connect }, root, ...options });
  t.after(() => pool.terminate());
  return pool;
}

const asItIs = (frame) => [frame];
/** Changes one byte of the next frame. */
const changed = (at) => (tamper) => (frame) => {
  tamper.now = asItIs;
  frame[at < 0 ? frame.length + at : at] ^= 1;
  return [frame];
};
/** Repeats the next frame. */
const repeated = (tamper) => (frame) => {
  tamper.now = asItIs;
  return [frame, Buffer.from(frame)];
};

const CASES = {
  'one byte is another one': [undefined, changed(0)],
  'one byte is another one, with a secret': ['of both sides', changed(-1)],
  'it comes twice, with a secret': ['of both sides', repeated],
};

describe('a frame that cannot be used', () => {
  for (const [name, [secret, fault]] of Object.entries(CASES)) {
    test(name, async (t) => {
      const hub = new MemoryHub();
      await hostOn(t, hub, { processes: 1, name: 'alpha', secret });
      const tamper = { now: asItIs };
      const pool = poolOn(t, hub, tamper, { secret });
      const file = path.join(temporary(t), 'file');
      assert.equal(await within(pool.apply(noted, [{ id: 'first', file }]), 'a call before it'), 'first');
      tamper.now = fault(tamper);
      // It says that the call may have begun: without retries it is not run again.
      await assert.rejects(within(pool.apply(noted, [{ id: 'second', file }]), 'its call'), ({ code, cause, message }) => {
        assert.equal(code, 'ERR_PARALLELIZER_WORKER_EXITED', message);
        assert.match(message, /the chunk is answered with what is not to be used/);
        assert.equal(cause.code, 'ERR_PARALLELIZER_PROTOCOL');
        assert.equal(cause.message.match(/not to be used/g).length, 1, cause.message);
        return true;
      });
      tamper.now = fault(tamper);
      const again = pool.map(noted, range(4).map((id) => ({ id, file })), { retries: 1 });
      assert.deepEqual(await within(again, 'calls with retries'), range(4));
      assert.ok(lines(file).filter((line) => line === 'second').length <= 1);
      assert.equal(pool.stats().remote.chunks.lost, 2);
      await within(pool.close(), 'the pool to close');
    });
  }
});
