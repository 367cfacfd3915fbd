'use strict';
// A run that is killed at random moments, and resumed each time, until it is complete. `RECORDS=300000 KILLS=100` has it
// killed so often, and then left alone.

const assert = require('node:assert/strict');
const { test } = require('node:test');

const { folder, ndjson, read, records, run, start, within } = require('./support/command');

const KILLS = Number(process.env.KILLS ?? Infinity);
/** After how long a round is killed at the latest, in milliseconds. */
const LONGEST_ROUND = KILLS < Infinity ? 1500 : 20_000;

/** The function notes that it was called. */
const note = (at, options = {}) => (id) => ({ id, log: at('log'), ...options });
const ids = (count) => Array.from({ length: count }, (_, i) => i);
const outputOf = (at) => records(read(at('out'))).map(({ id }) => id);
const args = (at, ...more) => ['map', './work.js#noted', '--in', at('in'), '--out', at('out'), ...more];

test('killed again and again at any moment, each record has its result once, and each failure its line', async (t) => {
  const at = folder(t);
  const count = Number(process.env.RECORDS ?? 1000);
  at('in', ndjson(count, (id) => ({ ...note(at)(id), fails: id % 50 === 7 })));
  let rounds = 0;
  let result;
  do {
    assert.ok(++rounds < 400, 'it does get on');
    const { child, ended } = start(args(at, '--resume', '--failed', at('failed'), ...(rounds % 2 ? ['--unordered'] : [])));
    // The first rounds die while they start; each gets a little further.
    const time = Math.min(60 * rounds, LONGEST_ROUND) * Math.random();
    const timer = rounds > KILLS ? undefined : setTimeout(() => child.kill('SIGKILL'), time);
    result = await within(ended, 'the end of a round');
    clearTimeout(timer);
    assert.ok(result.signal === 'SIGKILL' || result.code === 1, result.stderr);
  } while (result.signal === 'SIGKILL');
  t.diagnostic(`${rounds} rounds`);
  const failing = ids(count).filter((id) => id % 50 === 7);
  assert.deepEqual(outputOf(at).toSorted((a, b) => a - b), ids(count).filter((id) => id % 50 !== 7));
  const failed = records(read(at('failed')));
  assert.deepEqual(failed.map(({ record }) => record.id).toSorted((a, b) => a - b), failing);
  for (const { line, record } of failed) assert.equal(line, record.id + 1);
  const { code, stderr } = await run(args(at, '--resume', '--failed', at('failed')));
  assert.equal(code, 1);
  assert.match(stderr, /nothing is left to do: all \d+ records/);
});
