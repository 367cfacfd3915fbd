'use strict';
// The ledger of chaos: what was accepted, what became of it, and what may become of it.

const assert = require('node:assert/strict');
const fs = require('node:fs');

const { LARGE, HUGE, MESSAGES } = require('./acts');

/** Acts that never end by themselves. */
const ENDLESS = ['loop', 'hang'];
const THROWING = ['throw', 'reject'];
/** Acts that end their worker before they return. */
const DEADLY = ['exit', 'kill', 'abort', 'heap'];
/** A worker that ends takes down the item that it runs. */
const FATE = ['ERR_PARALLELIZER_WORKER_EXITED', 'ERR_PARALLELIZER_PROTOCOL'];

/** The payload of an item: rarely so large that a worker that does not read holds it up. */
function payloadOf(id) {
  if (id % 50 === 7) return 'z'.repeat(300_000);
  return id % 3 === 0 ? { text: `é${id}`, at: new Date(id) } : id;
}

class Ledger {
  /** @param {string} file in which workers note what they run */
  constructor(file) {
    this.file = file;
    fs.writeFileSync(file, '');
    /** @type {Map<number, { act: string, retries: number, timed: boolean, aborted: boolean, outcome: any,
     *   attempt: number, heard: number }>} */
    this.items = new Map();
    this.isEnded = false;
  }

  /** @returns {object} the item as the worker gets it */
  accept(act, { retries, timed }) {
    const id = this.items.size;
    this.items.set(id, { act, retries, timed, aborted: false, outcome: null, attempt: 0, heard: 0 });
    return { id, act, file: this.file, once: retries > 0, payload: payloadOf(id) };
  }

  /** Notes that the signal of these items has fired: from now on they may be aborted. @param {Iterable<number>} ids */
  abort(ids) {
    for (const id of ids) this.items.get(id).aborted = true;
  }

  /** A message of an item: those of an attempt come in order, each once. */
  hear({ id, n }, { attempt }) {
    const item = this.items.get(id);
    assert.equal(item.outcome, null, `a message of item ${id} after its end`);
    assert.ok(attempt >= item.attempt, `a message of attempt ${attempt} of item ${id} after ${item.attempt}`);
    if (attempt > item.attempt) Object.assign(item, { attempt, heard: 0 });
    assert.equal(n, item.heard++, `messages of item ${id}`);
  }

  succeed(id, value) {
    const { act: done, attempt, heard } = this.items.get(id);
    if (done === 'talk' && attempt > 0) assert.equal(heard, MESSAGES, `messages of item ${id}`);
    this.#settle(id, { value });
    assert.equal(value.id, id, 'each gets its own result');
    const { act } = this.items.get(id);
    assert.equal(value.text?.length, act === 'large' ? LARGE : undefined);
    assert.equal(value.bytes?.length, act === 'huge' ? HUGE : undefined);
    assert.ok(value.bytes === undefined || (value.bytes[0] === 7 && value.bytes[HUGE - 1] === 7));
  }

  fail(id, error) {
    this.#settle(id, { error });
  }

  #settle(id, outcome) {
    const item = this.items.get(id);
    assert.ok(item !== undefined, `item ${id} was never accepted`);
    assert.equal(item.outcome, null, `item ${id} settled twice`);
    item.outcome = outcome;
  }

  /** Asserts that all have settled with an outcome that is allowed, and that none has run more often than it may. */
  check() {
    const runs = new Map();
    for (const line of fs.readFileSync(this.file, 'utf8').trim().split('\n').filter(Boolean)) {
      runs.set(Number(line), (runs.get(Number(line)) ?? 0) + 1);
    }
    const counts = { fulfilled: 0, thrown: 0, exited: 0, timeout: 0, aborted: 0, closed: 0 };
    for (const [id, item] of this.items) {
      const what = `item ${id} (${item.act})`;
      assert.notEqual(item.outcome, null, `${what} never settled`);
      const ran = runs.get(id) ?? 0;
      assert.ok(ran <= 1 + item.retries, `${what} ran ${ran} times`);
      if ('value' in item.outcome) {
        assert.ok(ran >= 1, `${what} has a result and never ran`);
        if (item.retries === 0)
          assert.ok(!DEADLY.includes(item.act) && !ENDLESS.includes(item.act), `${what} has a result`);
        counts.fulfilled++;
      } else {
        counts[this.#kindOf(item, what)]++;
      }
    }
    return counts;
  }

  /** The kind of a failure; throws if the item may not have it. */
  #kindOf({ act, retries, timed, aborted, outcome: { error } }, what) {
    const told = `${what} failed with ${error?.stack ?? error}`;
    if (error instanceof RangeError) {
      assert.ok(THROWING.includes(act), told);
      return 'thrown';
    }
    if (FATE.includes(error?.code)) {
      assert.equal(retries, 0, told);
      return 'exited';
    }
    if (error?.code === 'ERR_PARALLELIZER_TIMEOUT') {
      assert.ok(timed, told);
      return 'timeout';
    }
    if (error?.code === 'ERR_PARALLELIZER_ABORTED') {
      assert.ok(aborted, told);
      return 'aborted';
    }
    assert.equal(error?.code, 'ERR_PARALLELIZER_CLOSED', told);
    assert.ok(this.isEnded, told);
    return 'closed';
  }
}

module.exports = { Ledger };
