'use strict';
// When it is tried to stay awake, where that is decided in JavaScript. (`src/pace.rs` has the same cases.)

const assert = require('node:assert/strict');
const { test } = require('node:test');

const { WAITED_PREEMPTED, WAITING_ASLEEP, WAITING_GIVING_WAY, WAITING_POLLING } = require('../lib/transport/constants');
const { Pace } = require('../lib/transport/pace');

/** In milliseconds, as `Pace` has them. */
const AT_ONCE = 0.015;
const SOON = 0.08;
const LATE = 2;

/**
 * In how many turns there is a poll, if what is waited for arrives this long after the beginning of the turn or, if it
 * needs this core, of the sleep.
 */
function polls(pace, turns, comesAfter, { needsCore = false, waiting = WAITING_POLLING } = {}) {
  let now = 1;
  let count = 0;
  for (let turn = 0; turn < turns; turn++) {
    let sleep = comesAfter;
    if (pace.allows(waiting, () => now)) {
      count++;
      const { budget } = pace;
      if (comesAfter < budget && !needsCore) {
        now += comesAfter;
        pace.hit();
        continue;
      }
      now += budget;
      pace.missed(now);
      if (!needsCore) sleep -= budget;
    }
    now += sleep;
    pace.woken(() => now);
  }
  return count;
}

test('it polls if a core has to be woken', () => {
  assert.equal(polls(new Pace(), 1000, SOON), 999);
});

test('it gives way also if a sleep costs nothing, but not if sleeps are long', () => {
  assert.equal(polls(new Pace(), 1000, AT_ONCE, { waiting: WAITING_GIVING_WAY }), 999);
  assert.equal(polls(new Pace(), 1000, LATE, { waiting: WAITING_GIVING_WAY }), 0);
  assert.equal(polls(new Pace(), 1000, AT_ONCE, { waiting: WAITING_ASLEEP }), 0);
});

test('it does not poll if a sleep costs nothing, nor if sleeps are long', () => {
  assert.equal(polls(new Pace(), 1000, AT_ONCE, { needsCore: true }), 0);
  assert.equal(polls(new Pace(), 1000, LATE), 0);
});

test('it stops if the core is needed, and tries again less and less often', () => {
  const count = polls(new Pace(), 10_000, SOON, { needsCore: true });
  assert.ok(count >= 5 && count < 100, `${count} polls in 10,000 turns`);
});

test('a partner that moves to this core ends it, and one that leaves brings it back', () => {
  const pace = new Pace();
  polls(pace, 1000, SOON);
  const together = polls(pace, 1000, AT_ONCE, { needsCore: true });
  assert.ok(together <= 4, `${together} polls that kept it from running`);
  const apart = polls(pace, 1000, SOON);
  assert.ok(apart > 700, `${apart} polls of 1000`);
});

test('who was kept from the core while giving way sleeps sooner', () => {
  const pace = new Pace();
  polls(pace, 10, AT_ONCE, { waiting: WAITING_GIVING_WAY });
  for (const expected of [true, true, false]) {
    assert.equal(pace.allows(WAITING_GIVING_WAY, () => 1), expected);
    pace.waited(WAITED_PREEMPTED, () => 1);
  }
});

test('a core that was taken away twice in a row leads to a pause', () => {
  const pace = new Pace();
  polls(pace, 10, SOON);
  for (const expected of [true, true, false]) {
    assert.equal(pace.allows(WAITING_POLLING, () => 1), expected);
    assert.ok(!pace.wasPreempted(1, 1.001), 'a short turn is none');
    assert.ok(pace.wasPreempted(1, 2));
  }
});
