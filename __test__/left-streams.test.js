'use strict';
// `stream`, left early: what becomes of its generator, and of a call that has not begun.

const assert = require('node:assert/strict');
const { getEventListeners } = require('node:events');
const fs = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');

const { Pool } = require('@parallelizer/node');
const { lines, temporary, waitFor, within } = require('./support/helpers');
const { forEachMode, isFallback } = require('./support/modes');
const { gather } = require('./support/streams');

const open = (t, mode, options) => {
  const pool = new Pool({ type: mode.type, processes: mode.hasWorkers ? 1 : 0, stdio: 'ignore', ...options });
  t.after(() => pool.terminate());
  return pool;
};

/** Yields, waits for its signal or for ever, and says what it has seen. */
async function* busy(file, atLast) {
  const { appendFileSync } = require('node:fs');
  appendFileSync(file, 'begun\n');
  try {
    yield 0;
    await new Promise((resolve, reject) => {
      this.signal.addEventListener('abort', () => {
        appendFileSync(file, 'aborted\n');
        if (atLast === 'throws') reject(new Error('stopped'));
        else if (atLast !== 'goes on') resolve();
      });
    });
    yield 1;
  } finally {
    appendFileSync(file, 'closed\n');
    if (atLast === 'fails') await Promise.reject(new RangeError('cannot close'));
  }
}

forEachMode((mode) => {
  const noteIn = (t) => path.join(temporary(t), 'note');

  for (const atLast of ['returns', 'throws']) {
    test(`a generator that is busy sees its signal, and ${atLast}`, async (t) => {
      const pool = open(t, mode, { gracePeriod: 60_000 });
      const file = noteIn(t);
      const stream = pool.stream(busy, [file, atLast]);
      assert.deepEqual(await stream.next(), { value: 0, done: false });
      assert.deepEqual(await within(stream.return(), 'the end'), { value: undefined, done: true });
      assert.deepEqual(lines(file), ['begun', 'aborted', 'closed']);
    });
  }

  test('what its finally throws reaches whoever leaves', async (t) => {
    const pool = open(t, mode, { gracePeriod: 60_000 });
    const stream = pool.stream(busy, [noteIn(t), 'fails']);
    await stream.next();
    await assert.rejects(within(stream.return(), 'the end'), { name: 'RangeError', message: 'cannot close' });
  });

  test('whoever leaves it again waits for its finally as well, and is not told of its error', async (t) => {
    const pool = open(t, mode, { gracePeriod: 60_000 });
    const file = noteIn(t);
    const stream = pool.stream(async function* (note) {
      const { appendFileSync, existsSync } = require('node:fs');
      try {
        yield 0;
        yield 1;
      } finally {
        appendFileSync(note, 'closing\n');
        while (!existsSync(`${note}.go`)) await new Promise((resolve) => void setTimeout(resolve, 10));
        await Promise.reject(new RangeError('cannot close'));
      }
    }, [file], { highWaterMark: 1 });
    await stream.next();
    const left = [];
    const first = stream.return('a').finally(() => left.push('first'));
    const second = stream.return('b').finally(() => left.push('second'));
    const third = stream.throw(new Error('own')).finally(() => left.push('third'));
    const all = Promise.allSettled([first, second, third]);
    await waitFor(() => lines(file).includes('closing'), 'its finally');
    await new Promise(setImmediate);
    assert.deepEqual(left, []);
    fs.writeFileSync(`${file}.go`, '');
    const [one, two, three] = await within(all, 'the end');
    assert.equal(one.reason.message, 'cannot close');
    assert.deepEqual(two.value, { value: 'b', done: true });
    assert.equal(three.reason.message, 'own');
  });

  test('a loop that asks its signal sees it', {
    skip: !mode.hasWorkers ? 'the loop would hold up whoever is to leave'
      : isFallback && 'without the addon it is told as soon as its event loop turns',
  }, async (t) => {
    const pool = open(t, mode, { gracePeriod: 60_000 });
    const stream = pool.stream(function* () {
      yield 0;
      while (!this.signal.aborted);
    });
    await stream.next();
    await within(stream.return(), 'the end');
    assert.equal(await within(pool.apply(() => 7), 'the next call'), 7);
    assert.equal(pool.stats().restarts, 0);
  });

  test('one that is left while it waits does not run', async (t) => {
    const pool = open(t, mode);
    const file = noteIn(t);
    const before = pool.apply(() => new Promise((resolve) => void setTimeout(resolve, 200)));
    const stream = pool.stream(busy, [file, 'returns']);
    const next = stream.next();
    await within(stream.return(), 'the end');
    assert.deepEqual(await next, { value: undefined, done: true });
    await before;
    assert.equal(await pool.apply(() => 7), 7);
    assert.equal(fs.existsSync(file), false);
  });

  test('so it is where it is on its way', async (t) => {
    const pool = open(t, mode, { concurrency: 3 });
    await pool.ready();
    const files = [];
    for (let steps = 0; steps < 12; steps++) {
      const others = [0, 1].map(() => pool.apply(() => new Promise((resolve) => void setTimeout(resolve, 3))));
      const stream = pool.stream(busy, [files[files.push(noteIn(t)) - 1], 'returns']);
      const next = stream.next();
      for (let i = 0; i < steps; i++) await new Promise((resolve) => (i < 8 ? process.nextTick(resolve) : setImmediate(resolve)));
      await within(stream.return(), 'the end');
      await Promise.all([next, ...others]);
    }
    await pool.apply(() => 7);
    // What has begun is closed.
    const isClosed = (file) => !fs.existsSync(file) || lines(file).at(-1) === 'closed';
    await waitFor(() => files.every(isClosed), 'those that have begun to be closed');
  });

  test('so it is behind another call in its worker', { skip: !mode.hasWorkers && 'there it begins at once' }, async (t) => {
    const pool = open(t, mode);
    await pool.ready();
    const [file, marker] = [noteIn(t), noteIn(t)];
    const before = pool.apply((name) => {
      require('node:fs').writeFileSync(name, '');
      for (const end = Date.now() + 300; Date.now() < end;);
    }, [marker]);
    const stream = pool.stream(busy, [file, 'returns']);
    const next = stream.next();
    await waitFor(() => fs.existsSync(marker), 'the call before it to begin');
    await within(stream.return(), 'the end');
    await Promise.all([before, next]);
    assert.equal(await pool.apply(() => 7), 7);
    assert.equal(fs.existsSync(file), false);
  });

  test('one that runs on can still be aborted', { skip: !mode.hasWorkers && 'nothing can end it there' }, async (t) => {
    const pool = open(t, mode, { gracePeriod: 50 });
    const { signal, abort } = withAbort();
    const stream = pool.stream(busy, [noteIn(t), 'goes on'], { signal });
    await stream.next();
    await stream.return();
    assert.equal(getEventListeners(signal, 'abort').length, 1);
    abort();
    assert.equal(getEventListeners(signal, 'abort').length, 0);
    pool.close();
    await within(pool.join(), 'the end of the pool');
  });

  test('no listener is left', async (t) => {
    const { signal } = withAbort();
    const pool = open(t, mode);
    const count = (n) => pool.stream(function* (to) {
      for (let i = 0; i < to; i++) yield i;
    }, [n], { signal });
    await gather(count(3));
    for await (const value of count(1000)) if (value === 2) break;
    await count(3).return();
    assert.equal(getEventListeners(signal, 'abort').length, 0);
    await count(1000).next();
    assert.equal(getEventListeners(signal, 'abort').length, 1);
    await pool.terminate();
    assert.equal(getEventListeners(signal, 'abort').length, 0);
  });
});

forEachMode((mode) => {
  test('one that dies after it was left is not run again', async (t) => {
    const pool = open(t, mode, { gracePeriod: 20, retries: 3 });
    const file = path.join(temporary(t), 'note');
    const stream = pool.stream(async function* (name) {
      require('node:fs').appendFileSync(name, 'begun\n');
      await new Promise((resolve) => void setTimeout(resolve, 100));
      yield process.exit(3);
    }, [file]);
    const next = stream.next();
    await waitFor(() => fs.existsSync(file), 'it to begin');
    await stream.return();
    assert.deepEqual(await next, { value: undefined, done: true });
    await waitFor(() => pool.stats().restarts > 0, 'its death');
    assert.equal(await pool.apply(() => 7), 7);
    assert.deepEqual(lines(file), ['begun']);
  });
}, { needs: 'hasWorkers' });

forEachMode((mode) => {
  for (const fails of [false, true]) {
    test(`an abort while values are unread: nobody takes them for all, though it ${fails ? 'failed' : 'is done'}`,
      async (t) => {
        const pool = open(t, mode);
        const { signal, abort } = withAbort();
        const stream = pool.stream(function* (throws) {
          for (let i = 0; i < 8; i++) yield i;
          if (throws) throw new Error('its own');
        }, [fails], { signal });
        assert.equal((await stream.next()).value, 0);
        await waitFor(() => pool.stats().done === 1 && pool.stats().running === 0, 'its end');
        abort();
        await assert.rejects(stream.next(), { code: 'ERR_PARALLELIZER_ABORTED' });
        assert.deepEqual(await stream.next(), { value: undefined, done: true });
      });
  }

  test('a generator that yields a promise which rejects is closed', async (t) => {
    const pool = open(t, mode);
    const file = path.join(temporary(t), 'note');
    const { values, error } = await gather(pool.stream(function* (name) {
      try {
        yield 1;
        yield Promise.reject(new Error('as intended'));
      } finally {
        require('node:fs').appendFileSync(name, 'closed\n');
      }
    }, [file]));
    assert.deepEqual([values, error.message, lines(file)], [[1], 'as intended', ['closed']]);
  });
});

function withAbort() {
  const controller = new AbortController();
  return { signal: controller.signal, abort: () => controller.abort() };
}
