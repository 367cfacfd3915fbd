'use strict';
// The journal after a crash of the machine: what was written and not synced may be gone, or be there in part.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const { test } = require('node:test');

const { Finished } = require('../lib/map/finished');
const { Journal, NOTHING, readJournal } = require('../lib/map/journal');
const { readBetween } = require('../lib/map/output');
const { bootId, isRunning, thisProcess } = require('../lib/map/this-process');
const { folder } = require('./support/command');

const about = { input: { path: 'in', size: 1000, changed: '1' }, hash: null, settings: { format: 'ndjson', to: 'ndjson', delimiter: ',' }, failedFile: null, task: 'a#b' };
const place = (records) => ({ offset: records * 10, line: records });

/** A run that writes a line of 10 bytes per record. */
class Run {
  constructor(at, state = NOTHING) {
    this.out = at('out');
    this.journal = new Journal(at('journal'), about, state);
    fs.writeFileSync(this.out, fs.existsSync(this.out) ? fs.readFileSync(this.out).subarray(0, state.out) : '');
    this.finished = new Finished(state.records, state.place, state.beyond);
    this.state = { results: state.results, failures: 0, out: state.out, failed: 0 };
  }

  /** @param {number[]} numbers of records @param {number} [written] how many bytes get into the file */
  write(numbers, written = Infinity) {
    const bytes = Buffer.from(numbers.map((number) => `${String(number).padStart(9)}\n`).join(''));
    for (const number of numbers) this.finished.add(number, place(number + 1));
    this.state = { ...this.state, results: this.state.results + numbers.length, out: this.state.out + bytes.length };
    const beyond = numbers.filter((number) => number >= this.finished.records).map((number) => [number, number + 1]);
    this.journal.step(this.#now(), beyond, bytes, Buffer.alloc(0));
    fs.appendFileSync(this.out, bytes.subarray(0, written));
  }

  sync() {
    this.journal.synced(this.journal.snapshot(this.#now(), this.finished));
  }

  #now() {
    const { records, place: end } = this.finished;
    return { ...this.state, records, place: end };
  }
}

const reached = (at, boot = bootId()) => {
  const read = readJournal(at('journal'), () => ({ out: (from, to) => readBetween(at('out'), from, to), failed: () => Buffer.alloc(0) }), boot);
  assert.equal(typeof read, 'object', String(read));
  return read.state;
};

test('after a crash of the process everything counts that was written', (t) => {
  const at = folder(t);
  const run = new Run(at);
  run.write([0, 1]);
  run.sync();
  run.write([2]);
  run.write([3, 4]);
  const { records, out, results, place: end } = reached(at);
  assert.deepEqual([records, out, results, end], [5, 50, 5, place(5)]);
});

test('what was announced and is not in the output, or only in part, does not count', (t) => {
  for (const written of [0, 1, 10, 19]) {
    const at = folder(t);
    const run = new Run(at);
    run.write([0, 1]);
    run.write([2, 3], written);
    assert.deepEqual([reached(at).records, reached(at).out], [2, 20], `${written} bytes`);
  }
});

test('something else in the place of what was announced does not count', (t) => {
  const at = folder(t);
  const run = new Run(at);
  run.write([0, 1]);
  run.write([2, 3], 0);
  fs.appendFileSync(at('out'), 'x'.repeat(50));
  assert.equal(reached(at).records, 2);
});

test('after a crash of the machine only what was synced counts', (t) => {
  const at = folder(t);
  const run = new Run(at);
  run.write([0, 1]);
  assert.equal(reached(at, 'another boot').records, 0);
  run.sync();
  run.write([2]);
  // The length of a file may be certain before its content is.
  fs.writeFileSync(at('out'), Buffer.concat([fs.readFileSync(at('out')).subarray(0, 20), Buffer.alloc(10)]));
  for (const boot of ['another boot', null]) assert.deepEqual([reached(at, boot).records, reached(at, boot).out], [2, 20]);
});

test('a line that was partly written ends the journal, and what comes after it', (t) => {
  const at = folder(t);
  const run = new Run(at);
  run.write([0, 1]);
  const whole = fs.readFileSync(at('journal'));
  run.write([2]);
  const longer = fs.readFileSync(at('journal'));
  for (let length = whole.length; length < longer.length; length++) {
    fs.writeFileSync(at('journal'), longer.subarray(0, length));
    assert.equal(reached(at).records, 2, `${length} bytes`);
  }
  fs.writeFileSync(at('journal'), Buffer.concat([longer.subarray(0, whole.length), Buffer.alloc(40), longer.subarray(whole.length)]));
  assert.equal(reached(at).records, 2);
});

test('records that are finished behind unfinished ones are known, over several crashes', (t) => {
  const at = folder(t);
  const run = new Run(at);
  run.write([0, 3, 5]);
  run.write([4, 9]);
  let state = reached(at);
  assert.deepEqual([state.records, state.beyond], [1, [[3, 6], [9, 10]]]);
  // The next run ends before it has read that far.
  const second = new Run(at, state);
  second.write([1]);
  state = reached(at);
  assert.deepEqual([state.records, state.place, state.beyond], [2, place(2), [[3, 6], [9, 10]]]);
  const third = new Run(at, state);
  third.write([2]);
  // What is finished is not skipped before it is known where it ends.
  assert.deepEqual([reached(at).records, reached(at).beyond], [2, [[2, 6], [9, 10]]]);
  for (const number of [3, 4, 5]) {
    assert.ok(third.finished.has(number));
    third.finished.add(number, place(number + 1));
  }
  third.write([7]);
  state = reached(at);
  assert.deepEqual([state.records, state.place, state.beyond], [6, place(6), [[7, 8], [9, 10]]]);
  assert.equal(state.results, 8);
});

test('finished records in any order take no more room than there are gaps', () => {
  const finished = new Finished(0, place(0));
  const order = Array.from({ length: 10_000 }, (_, i) => i).sort((a, b) => ((a * 7919) % 10_007) - ((b * 7919) % 10_007));
  const done = new Set();
  for (const number of order) {
    finished.add(number, place(number + 1));
    done.add(number);
    let prefix = finished.records;
    while (prefix > 0 && !done.has(prefix - 1)) prefix--;
    assert.equal(prefix, finished.records);
    assert.ok(!done.has(finished.records));
  }
  assert.deepEqual([finished.records, finished.place, finished.beyond], [10_000, place(10_000), []]);
});

test('a long journal is begun anew with what counts', (t) => {
  const at = folder(t);
  const run = new Run(at);
  run.write([0, 2]);
  run.sync();
  const before = fs.statSync(at('journal')).size;
  run.journal.shorten(run.journal.snapshot({ ...run.state, records: 1, place: place(1) }, run.finished));
  assert.ok(fs.statSync(at('journal')).size < before);
  for (const boot of [bootId(), 'another boot']) {
    const { records, out, beyond } = reached(at, boot);
    assert.deepEqual([records, out, beyond], [1, 20, [[2, 3]]]);
  }
  run.write([1]);
  assert.equal(reached(at).records, 3);
});

test('no journal, an empty one, and one of another program are told apart', (t) => {
  const at = folder(t);
  const read = () => readJournal(at('journal'), () => ({ out: () => null, failed: () => null }));
  assert.equal(read(), 'none');
  for (const text of ['', '\n', '0123456789ab {}\n']) {
    at('journal', text);
    assert.equal(read(), 'broken', JSON.stringify(text));
  }
});

test('a process is known by more than its number', () => {
  const own = thisProcess();
  assert.equal(isRunning({ ...own, pid: process.ppid }), false, 'another process of that number');
  assert.equal(isRunning({ ...own, boot: 'another boot' }), false);
  assert.equal(isRunning({ ...own, pid: 2 ** 22 + 1 }), false);
});
