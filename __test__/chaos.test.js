'use strict';
// A short form of `npm run chaos`: seeded rounds of deaths, hangs, aborts and malformed frames, with a ledger of every
// item.

const { test } = require('node:test');

const { round } = require('./chaos/round');
const { forEachMode } = require('./support/modes');

const SEEDS = [1, 3, 5, 10, 12];

forEachMode(
  (mode) => {
    for (const seed of SEEDS) {
      test(`seed ${seed}: every item settles exactly once, with an outcome that is allowed`, async (t) => {
        t.diagnostic(JSON.stringify(await round(seed, mode.type, 120)));
      });
    }
  },
  { needs: 'hasWorkers' },
);
