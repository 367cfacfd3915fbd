'use strict';
// A topic goes through a function whose workers are killed and whose environment is frozen at random. Of each
// invocation, every record is stored exactly once or reported, in order; and in the end, since what is reported is
// delivered again as an event source mapping does it, the whole topic is stored. TEST_SEED repeats a failing run.

const assert = require('node:assert/strict');

const { lambdaTest, startEnvironment } = require('./support/environment');
const { TOPIC, checkpoints, kafkaEvent, stored } = require('./support/events');
const { sleep } = require('../support/helpers');

const INVOCATIONS = 30;
const RECORDS = 1200;
const PARTITIONS = 12;
/** Some work per record, in rounds of hashing, so that kills hit work under way. */
const ROUNDS = 150;

/** A small seeded random number generator (mulberry32), so that a run can be repeated. */
function random(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** The topic and its consumer's position: an event has the next records of each partition. */
class Mapping {
  #next = new Array(PARTITIONS).fill(0);
  #length;

  constructor(length) {
    this.#length = length / PARTITIONS;
  }

  get isDone() {
    return this.#next.every((offset) => offset === this.#length);
  }

  poll() {
    const records = [];
    const open = this.#next.filter((offset) => offset < this.#length).length;
    for (const [partition, first] of this.#next.entries()) {
      const end = Math.min(this.#length, first + Math.ceil(RECORDS / open));
      for (let offset = first; offset < end; offset++) records.push({ partition, offset, order: { rounds: ROUNDS } });
    }
    return records;
  }

  /** Moves on to where the response says, otherwise past the event. */
  commit(records, resumeAt) {
    for (const { partition, offset } of records) this.#next[partition] = Math.max(this.#next[partition], offset + 1);
    for (const [group, offset] of Object.entries(resumeAt)) this.#next[Number(group.split('-').at(-1))] = offset;
  }
}

/** Checks what an invocation stored and responded; returns how many records it reported. */
function check(records, resumeAt, done) {
  let reported = 0;
  for (const partition of new Set(records.map((record) => record.partition))) {
    const group = `${TOPIC}-${partition}`;
    const offsets = records.filter((record) => record.partition === partition).map(({ offset }) => offset);
    const written = done.filter((one) => one.group === group).map(({ id }) => id.offset);
    const end = resumeAt[group] ?? offsets.at(-1) + 1;
    assert.ok(end >= offsets[0] && end <= offsets.at(-1) + 1, `${group}: resumes at ${end}`);
    reported += offsets.at(-1) + 1 - end;
    // All before the checkpoint, once, in order. The record at the checkpoint may be stored if its worker was then
    // killed.
    const kept = offsets.filter((offset) => offset < end);
    assert.deepEqual(written.slice(0, kept.length), kept, group);
    assert.ok(
      written.length === kept.length || (written.length === kept.length + 1 && written.at(-1) === end),
      `${group}: ${written.slice(kept.length)} behind ${end}`,
    );
  }
  return reported;
}

for (const boxed of [true, false]) {
  lambdaTest(
    `${INVOCATIONS} invocations of ${RECORDS} records with kills and freezes${boxed ? '' : ', no box'}`,
    { boxed },
    async (t) => {
      const seed = Number(process.env.TEST_SEED ?? Math.floor(Math.random() * 2 ** 31));
      t.diagnostic(`seed ${seed}`);
      const chance = random(seed);
      const lambda = await startEnvironment(t, { handler: 'ingest.handler', boxed, megabytes: 3538 });
      await lambda.initialised();
      const mapping = new Mapping(INVOCATIONS * RECORDS);
      const count = { invocations: 0, kills: 0, freezes: 0, reported: 0 };

    const freeze = async () => {
      count.freezes++;
      await lambda.freeze();
      await sleep(chance() * 100);
      await lambda.thaw();
    };
    const kill = () => {
      const workers = lambda.workers();
      if (workers.length === 0) return;
      count.kills++;
      try {
        process.kill(workers[Math.floor(chance() * workers.length)], 'SIGKILL');
      } catch (error) {
        if (error.code !== 'ESRCH') throw error;
      }
    };
    // A few per invocation, not per second: on a busy machine workers take long to come back.
    const attack = async (isOver) => {
      for (let left = Math.floor(chance() * 4); left > 0; left--) {
        await sleep(chance() * 100);
        if (isOver()) return;
        if (chance() < 0.25) await freeze();
        else kill();
      }
    };

    try {
      while (!mapping.isDone) {
        assert.ok(count.invocations < 5 * INVOCATIONS, 'it gets nowhere');
        const isAttacked = count.invocations < INVOCATIONS;
        if (isAttacked && chance() < 0.3) await freeze();
        const records = mapping.poll();
        let isOver = false;
        const pending = lambda.invoke(kafkaEvent(records)).finally(() => (isOver = true));
        const [{ status, body, requestId }] = await Promise.all([pending, isAttacked ? attack(() => isOver) : null]);
        assert.equal(status, 'response', JSON.stringify(body));
        const resumeAt = checkpoints(body);
        count.reported += check(records, resumeAt, stored(lambda, requestId));
        mapping.commit(records, resumeAt);
        count.invocations++;
      }
    } catch (error) {
      error.message += `\nTEST_SEED=${seed}`;
      throw error;
    }
    t.diagnostic(JSON.stringify(count));
    assert.ok(count.kills > 0 && count.freezes > 0);
  });
}
