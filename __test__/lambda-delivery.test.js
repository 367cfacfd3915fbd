'use strict';
// Whole deliveries: a source offers its records until all are reported as done, while functions throw, workers die and
// calls run out of time at random. Whatever happens, nothing is lost, nothing is reported as done that was not, and the
// order within a group is kept.

const assert = require('node:assert/strict');
const { test } = require('node:test');

const { handlerFor, history } = require('./support/lambda');
const { SOURCES, random, recordsFor } = require('./support/lambda-events');
const { assertOrder, deliver: redeliver, doneIn, toEventOf } = require('./support/lambda-redelivery');
const { forEachMode } = require('./support/modes');

const COUNT = 100;

/** Delivers until nothing is left; calls `seen` with the response to each event. */
async function deliver(name, handler, raws, r, seen = () => {}) {
  const positions = new Map(raws.map((raw, i) => [raw, i]));
  await redeliver(SOURCES[name].deliver(raws), toEventOf(SOURCES[name]), handler, r, {
    seen: ({ batch, done, answer }) =>
      seen({ batch: batch.map((raw) => positions.get(raw)), done: done.map((raw) => positions.get(raw)), answer }),
  });
}

forEachMode((mode) => {
  const deaths = mode.hasWorkers ? ['throw', 'die', 'exit'] : ['throw'];

  for (const name of Object.keys(SOURCES)) {
    for (const seed of [1, 2]) {
      test(`${name}: each record is done once, or was reported; seed ${seed}`, async (t) => {
        const r = random(seed * 7919);
        const payloads = Array.from({ length: COUNT }, (_, id) => ({
          id, ...(r.below(12) === 0 ? { what: r.of(deaths), times: 1 + r.below(2) } : {}),
        }));
        const { raws, groupOf } = recordsFor(name, r, payloads);
        const { handler, log, errors } = handlerFor(t, { type: mode.type, groupBy: undefined });
        await deliver(name, handler, raws, r, ({ batch, done }) => {
          const really = doneIn(log);
          for (const id of done) assert.ok(really.has(id), `${id} was told done`);
          // Together with what follows it in its group, and no other.
          const undone = batch.filter((id) => !done.includes(id));
          const first = new Map();
          for (const id of undone) if (!first.has(groupOf(id))) first.set(groupOf(id), id);
          for (const id of first.values()) assert.ok(payloads[id].what, `${id} was reported without need`);
          for (const id of batch)
            if (first.has(groupOf(id))) assert.equal(undone.includes(id), id >= first.get(groupOf(id)), `record ${id}`);
        });
        assertOrder(log, COUNT, groupOf);
        const times = new Map();
        for (const { did, id } of history(log)) if (did === 'done') times.set(id, (times.get(id) ?? 0) + 1);
        for (let id = 0; id < COUNT; id++) assert.equal(times.get(id), 1, `record ${id}`);
        // One failure makes one report, which names the record.
        const failures = payloads.reduce((sum, { what, times = 0 }) => sum + (what === undefined ? 0 : times), 0);
        assert.equal(errors.length, failures);
        for (const { records } of errors) assert.equal(records.length, 1);
      });
    }

    for (const fn of ['batch', 'whole']) {
      test(`${name}: sub-batches that ${fn === 'batch' ? 'name failed records' : 'fail as a whole'}`, async (t) => {
        const r = random(fn.length * 104729);
        const payloads = Array.from({ length: COUNT }, (_, id) => ({
          id, ...(r.below(15) === 0 ? { what: r.of(deaths), times: 1 } : {}),
        }));
        const { raws, groupOf } = recordsFor(name, r, payloads);
        const { handler, log } = handlerFor(t, {
          type: mode.type,
          processBatchFunctionName: fn,
          ...(r.below(2) === 0 ? {} : { batchSize: 7 }),
        });
        await deliver(name, handler, raws, r, ({ done }) => {
          const really = doneIn(log);
          for (const id of done) assert.ok(really.has(id), `${id} was told done`);
        });
        assertOrder(log, COUNT, groupOf);
        assert.equal(doneIn(log).size, COUNT);
      });
    }
  }
});

forEachMode(
  (mode) => {
    for (const name of Object.keys(SOURCES)) {
      test(`${name}: calls that run out of time`, async (t) => {
        const r = random(31337);
        const stuck = new Set([r.below(COUNT)]);
        const payloads = Array.from({ length: COUNT }, (_, id) => ({
          id,
          ...(stuck.has(id) ? { what: r.of(['hang', 'loop']) } : {}),
        }));
        const { raws, groupOf } = recordsFor(name, r, payloads);
        const { handler, log } = handlerFor(t, { type: mode.type, timeout: 1_000, gracePeriod: 50 });
        await deliver(name, handler, raws, r, ({ done }) => {
          const really = doneIn(log);
          for (const id of done) assert.ok(really.has(id), `${id} was told done`);
        });
        assertOrder(log, COUNT, groupOf);
        assert.equal(doneIn(log).size, COUNT);
      });
    }
  },
  { needs: ['hasWorkers'] },
);

forEachMode(
  (mode) => {
    for (const name of Object.keys(SOURCES)) {
      test(`${name}: workers that are killed at any moment`, async (t) => {
        const r = random(271828);
        const payloads = Array.from({ length: COUNT }, (_, id) => ({
          id,
          ...(r.below(6) === 0 ? { what: 'slow', ms: 1 + r.below(4) } : {}),
        }));
        const { raws, groupOf } = recordsFor(name, r, payloads);
        const { handler, log } = handlerFor(t, { type: mode.type });
        await handler.parallelizer.ready();
        let kills = 0;
        const killer = setInterval(() => {
          const pids = handler.parallelizer
            .stats()
            .workers.filter(({ state }) => state === 'busy')
            .map(({ pid }) => pid);
          if (pids.length === 0 || kills === 12) return;
          try {
            process.kill(r.of(pids), 'SIGKILL');
            kills++;
          } catch {
            // It was faster.
          }
        }, 15);
        t.after(() => clearInterval(killer));
        await deliver(name, handler, raws, r, ({ done }) => {
          const really = doneIn(log);
          for (const id of done) assert.ok(really.has(id), `${id} was told done`);
        });
        clearInterval(killer);
        assertOrder(log, COUNT, groupOf);
        assert.equal(doneIn(log).size, COUNT);
        // A record is done again only if its answer was on its way when its worker was killed.
        const dones = history(log).filter(({ did }) => did === 'done').length;
        assert.ok(dones - COUNT <= kills, `${dones - COUNT} records were done again after ${kills} kills`);
      });
    }
  },
  { needs: ['hasProcess'] },
);
