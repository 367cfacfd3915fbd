'use strict';

/**
 * The cost of carrying values: 'auto' against 'json' and 'advanced', there and back through a pool of one child; the
 * cost of finding out that JSON loses nothing; and how many bytes per second each path carries.
 *
 *   node benchmark/serialization.js [--rounds 15] [--quick]
 */

const assert = require('node:assert/strict');
const { PARALLELIZER_CHILD, PARALLELIZER_THREADS, Pool } = require('@parallelizer/node');
const { makeEvent, recordsOf } = require('../examples/kafka-lambda/event.js');
const { decodeValues, encodeValues } = require('../lib/codec/codec.js');
const { PART_FIELDS, CALLS_FIELD } = require('../lib/codec/parts.js');
const { optionsFromArgv } = require('./support/options.js');
const { alternate } = require('./support/rounds.js');
const { Suite } = require('./support/suite.js');

/** @typedef {import('./support/suite.js').Row} Row */

const KB = 1024;
const MB = 1024 * KB;
/** From this size on the addon sends bytes in shared memory. */
const SHARED_FROM = 256 * KB;
/** The least duration of a sample, in milliseconds. */
const MIN_SAMPLE = 20;

/** @template T @param {number} count @param {(i: number) => T} make */
const range = (count, make) => Array.from({ length: count }, (_, i) => make(i));
/** @param {number} i */
const nested = (i) => ({
  id: i,
  user: { name: `user ${i}`, tags: ['a', 'b'], address: { city: 'Porto', zip: i % 9999 } },
  ok: i % 2 === 0,
});

/** @type {Record<string, () => unknown>} */
const PLAIN = {
  '1,000 Kafka records': () => recordsOf(makeEvent({ records: 1000 })),
  '200 nested objects': () => range(200, nested),
  '2,000 nested objects': () => range(2000, nested),
  '20,000 numbers': () => range(20_000, (i) => i * 1.25),
  '10,000 short strings': () => range(10_000, (i) => `text ${i}`),
  '2,000 of all kinds': () => range(2000, (i) => [i, `text ${i}`, null, [i, 'x'], { i }, i % 2 === 0][i % 6]),
  'a string of 4 MB': () => 'plain text. '.repeat(MB / 3),
};
/** @type {Record<string, () => unknown>} */
const BINARY = {
  'a Buffer of 1 MiB': () => Buffer.alloc(MB, 'bytes'),
  'a Buffer of 16 MiB': () => Buffer.alloc(16 * MB, 'bytes'),
};

/** @param {any} value */
const echo = (value) => value;

/**
 * How many times a function has to run for a sample.
 * @param {() => unknown} run
 */
async function repeatsOf(run) {
  for (let i = 0; i < 3; i += 1) await run();
  const begin = performance.now();
  await run();
  return Math.max(1, Math.ceil(MIN_SAMPLE / (performance.now() - begin)));
}

/**
 * Milliseconds per run of each, in alternating rounds.
 * @param {Record<string, () => unknown>} runs @param {number} rounds
 */
async function measure(runs, rounds) {
  const competitors = [];
  for (const [name, act] of Object.entries(runs)) {
    const repeats = await repeatsOf(act);
    const run = async () => {
      for (let i = 0; i < repeats; i += 1) await act();
    };
    competitors.push({ name, run, sample: (/** @type {number} */ milliseconds) => milliseconds / repeats });
  }
  return alternate(competitors, { rounds });
}

/** @param {string} head @param {string} name @returns {import('./support/suite.js').Against} */
const against = (head, name) => ({
  head,
  other: (row, rows) => rows.find((other) => other.mode === row.mode && other.name === name),
});

/** @param {Suite} suite @param {number} rounds */
async function thereAndBack(suite, rounds) {
  const serializations = /** @type {const} */ (['auto', 'json', 'advanced']);
  const pools = serializations.map((serialization) => new Pool(1, { type: PARALLELIZER_CHILD, serialization }));
  /** @type {Row[]} */
  const rows = [];
  try {
    for (const [mode, make] of Object.entries({ ...PLAIN, ...BINARY })) {
      const value = make();
      // JSON would make a list of 16 million numbers of it.
      const count = mode === 'a Buffer of 16 MiB' ? pools.filter((_, i) => serializations[i] !== 'json') : pools;
      assert.deepEqual(await pools[0].apply(echo, [value]), value);
      const runs = Object.fromEntries(
        count.map((pool) => [serializations[pools.indexOf(pool)], () => pool.apply(echo, [value])]),
      );
      for (const [name, samples] of await measure(runs, rounds)) {
        rows.push({ name: `'${name}'`, mode, kind: name === 'auto' ? 'own' : 'base', samples });
      }
    }
  } finally {
    await Promise.all(pools.map((pool) => pool.terminate()));
  }
  suite.section({
    id: 'there-and-back',
    title: 'There and back',
    unit: 'ms',
    rows,
    against: [against("÷ 'json'", "'json'"), against("÷ 'advanced'", "'advanced'")],
    chart: false,
  });
}

/**
 * @param {unknown} value @param {'auto' | 'json'} serialization
 * @returns {any[]}
 */
function encoded(value, serialization) {
  /** @type {any[]} */
  const parts = [];
  encodeValues([value], serialization, null, parts, 0, (_index, error) => assert.fail(error));
  return parts;
}

/** @param {any[]} parts */
function decoded(parts) {
  const extras = [];
  for (let at = PART_FIELDS; at < parts.length && parts[at + CALLS_FIELD] === 0; at += PART_FIELDS) {
    extras.push(parts[at + PART_FIELDS - 1]);
  }
  return decodeValues(parts[1], parts[PART_FIELDS - 1], 1, extras, null)[0];
}

/** @param {Suite} suite @param {number} rounds */
async function checks(suite, rounds) {
  /** @type {Row[]} */
  const writing = [];
  /** @type {Row[]} */
  const reading = [];
  for (const [mode, make] of Object.entries(PLAIN)) {
    const value = make();
    // At this depth no record lists are looked for, so that only the check remains.
    const hidden = { a: { b: { c: value } } };
    const writers = {
      'JSON.stringify': () => JSON.stringify(hidden),
      'the check, and JSON': () => encoded(hidden, 'auto'),
      "'auto'": () => encoded(value, 'auto'),
    };
    for (const [name, samples] of await measure(writers, rounds)) {
      writing.push({ name, mode, kind: name === 'JSON.stringify' ? 'base' : 'own', samples });
    }
    const text = JSON.stringify(value);
    const parts = encoded(value, 'auto');
    assert.deepEqual(decoded(parts), value);
    const readers = { 'JSON.parse': () => JSON.parse(text), "'auto'": () => decoded(parts) };
    for (const [name, samples] of await measure(readers, rounds)) {
      reading.push({ name, mode, kind: name === 'JSON.parse' ? 'base' : 'own', samples });
    }
  }
  const shared = { unit: 'ms', chart: false };
  suite.section({
    ...shared,
    id: 'writing',
    title: 'Writing, in one process',
    rows: writing,
    against: [against('÷ JSON.stringify', 'JSON.stringify')],
  });
  suite.section({
    ...shared,
    id: 'reading',
    title: 'Reading, in one process',
    rows: reading,
    against: [against('÷ JSON.parse', 'JSON.parse')],
  });
}

/** @param {Suite} suite @param {number} rounds */
async function paths(suite, rounds) {
  const child = new Pool(1, { type: PARALLELIZER_CHILD });
  const json = new Pool(1, { type: PARALLELIZER_CHILD, serialization: 'json' });
  const thread = new Pool(1, { type: PARALLELIZER_THREADS });
  const records = recordsOf(makeEvent({ records: 1000 }));
  const text = JSON.stringify(records);
  const latin1 = Buffer.from(text, 'latin1');
  const target = Buffer.alloc(16 * MB);
  const source = Buffer.alloc(16 * MB, 1);
  const below = range(8, () => Buffer.alloc(SHARED_FROM - 8, 1));
  const above = range(8, () => Buffer.alloc(SHARED_FROM, 1));
  const narrow = 'x'.repeat(MB);
  const wide = `漢${'x'.repeat(MB - 1)}`;

  /** @type {[mode: string, name: string, bytes: number, run: () => unknown][]} */
  const found = [
    // Each kind of copy by itself.
    ['in one process', 'memory to memory', text.length, () => source.copy(target, 0, 0, text.length)],
    ['in one process', 'records to JSON', text.length, () => JSON.stringify(records)],
    ['in one process', "records to parts ('auto')", text.length, () => encoded(records, 'auto')],
    ['in one process', 'string to bytes', text.length, () => target.latin1Write(text)],
    ['in one process', 'bytes to string', text.length, () => latin1.latin1Slice()],
    // Whole round trips, which carry the bytes twice.
    ['there and back', "records, 'json', by the socket", 2 * text.length, () => json.apply(echo, [records])],
    ['there and back', 'records, by the socket', 2 * text.length, () => child.apply(echo, [records])],
    ['there and back', 'records, between threads', 2 * text.length, () => thread.apply(echo, [records])],
    ['there and back', 'a string of 1 M one-byte characters', 2 * MB, () => child.apply(echo, [narrow])],
    ['there and back', 'a string of 1 M two-byte characters', 4 * MB, () => child.apply(echo, [wide])],
    [
      'there and back',
      '8 Buffers of 256 KiB less 8, by the socket',
      16 * SHARED_FROM,
      () => child.apply(echo, [below]),
    ],
    ['there and back', '8 Buffers of 256 KiB, in shared memory', 16 * SHARED_FROM, () => child.apply(echo, [above])],
    ['there and back', 'a Buffer of 16 MiB, in shared memory', 32 * MB, () => child.apply(echo, [source])],
    ['there and back', 'a Buffer of 16 MiB, between threads', 32 * MB, () => thread.apply(echo, [source])],
  ];
  try {
    const samples = await measure(Object.fromEntries(found.map(([, name, , run]) => [name, run])), rounds);
    /** @type {Row[]} */
    const rows = found.map(([mode, name, bytes]) => ({
      name,
      mode,
      kind: 'own',
      samples: (samples.get(name) ?? []).map((milliseconds) => bytes / MB / (milliseconds / 1000)),
    }));
    const memory = { head: '÷ memory to memory', other: (/** @type {Row} */ _row, /** @type {Row[]} */ all) => all[0] };
    suite.section({
      id: 'paths',
      title: 'Bytes by each path',
      unit: 'MiB/s',
      better: 'higher',
      rows,
      against: [memory],
      chart: false,
    });
  } finally {
    await Promise.all([child, json, thread].map((pool) => pool.terminate()));
  }
}

async function main() {
  const { rounds } = optionsFromArgv({ rounds: 15 });
  const suite = new Suite('serialization', { workers: 1 });
  await thereAndBack(suite, rounds);
  await checks(suite, rounds);
  await paths(suite, rounds);
  suite.save();
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
