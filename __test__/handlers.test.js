'use strict';
// What handlers do while answers and messages are received, such as to abort other calls or to submit more, loses
// nothing of what comes next, and changes none of its order.

const assert = require('node:assert/strict');
const { test } = require('node:test');

const { Random } = require('./chaos/random');
const { fixture, within } = require('./support/helpers');
const { forEachMode } = require('./support/modes');
const { makePool } = require('./support/pool');

const task = { filePath: fixture('emitting.js'), name: 'some' };
const JOBS = 150;
/** Too long for shared memory: it goes another way than what is short. */
const LONG = 20_000;

class Jobs {
  #pool;
  #random;
  #submitted = 0;
  #running = new Map();
  /** How deep handlers are in one another: one may be called by what another one does. */
  #depth = 0;

  constructor(pool, seed) {
    this.#pool = pool;
    this.#random = new Random(seed);
  }

  /** Submits them a few at a time, and has each checked. */
  async run() {
    while (this.#submitted < JOBS) {
      for (let more = this.#random.between(1, 6); more > 0; more--) this.#submit();
      await within(Promise.race([...this.#running.values()]), 'one of the jobs');
    }
    while (this.#running.size > 0) await within(Promise.all([...this.#running.values()]), 'the jobs');
  }

  #submit() {
    const random = this.#random;
    if (this.#submitted === JOBS || this.#running.size > 12) return;
    this.#submitted++;
    const controller = new AbortController();
    const length = random.chance(0.2) ? LONG : 10;
    const items = Array.from({ length: random.between(1, 30) }, (_, index) => {
      const messages = Array.from({ length: index % 4 }, (_, k) => [k, 'x'.repeat(k % 2 ? LONG : 1)]);
      return { index, messages, pad: 'é'.repeat(random.chance(0.2) ? length : 1), pause: random.chance(0.1) ? 2 : 0 };
    });
    const heard = items.map(() => []);
    let isOver = false;
    const running = this.#pool.map(task, items, {
      signal: controller.signal,
      chunkSize: random.pick([undefined, undefined, 1, 4]),
      onError: 'collect',
      onMessage: ([k], { index }) => {
        assert.equal(isOver, false, 'a message after the outcome');
        heard[index].push(k);
        if (random.chance(0.3)) this.#act();
      },
      onProgress: () => random.chance(0.3) && this.#act(),
    });
    const checked = running.then(
      (outcomes) => {
        for (const [index, { status, value, reason }] of outcomes.entries()) {
          if (status === 'rejected') assert.equal(reason.code, 'ERR_PARALLELIZER_ABORTED');
          else assert.deepEqual([value, heard[index]], [items[index], items[index].messages.map(([k]) => k)]);
        }
      },
      (error) => assert.equal(error.code, 'ERR_PARALLELIZER_ABORTED', String(error)),
    ).finally(() => {
      isOver = true;
      this.#running.delete(controller);
      // Messages of what was aborted end somewhere, and none is missing before that.
      for (const numbers of heard) assert.deepEqual(numbers, Array.from(numbers.keys()));
    });
    this.#running.set(controller, checked);
  }

  #act() {
    if (this.#depth === 3) return;
    this.#depth++;
    const random = this.#random;
    const act = random.between(0, 9);
    if (act < 2) this.#submit();
    else if (act < 4) random.pick([...this.#running.keys()])?.abort();
    else if (act < 6) this.#pool.stats();
    // So long that what arrives meanwhile has to wait for a turn of its own.
    else for (const end = performance.now() + random.between(0, 3); performance.now() < end; );
    this.#depth--;
  }
}

forEachMode((mode) => {
  for (const seed of [1, 2]) {
    test(`seed ${seed}: every call settles once, and its messages come before that, in order`, async (t) => {
      const pool = makePool(t, mode, { processes: mode.hasWorkers ? 2 : 0, maxTasksPerChild: seed === 2 ? 40 : undefined });
      await new Jobs(pool, seed).run();
    });
  }
});
