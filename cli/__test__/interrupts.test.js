'use strict';
// Signals, Ctrl-C in a terminal, and the bar there.

const assert = require('node:assert/strict');
const { spawn, spawnSync } = require('node:child_process');
const { once } = require('node:events');
const { test } = require('node:test');
const { setTimeout: sleep } = require('node:timers/promises');

const { environment, fixtures, folder, linesOf, ndjson, program, read, records, run, start, waitFor, within } = require('./support/command');

/** `script` of util-linux gives a program a terminal. */
const noTerminal = () => (spawnSync('script', ['--version']).status === 0 ? false : 'there is no script(1) here to make a terminal');

const waitingArgs = (at, ...more) => ['map', './work.js#waiting', '--in', at('in'), '--out', at('out'), ...more];
/** More than are read ahead of records that are quick. */
const COUNT = 10_000;

/** Records that wait for a file, from one on. */
const waitingFrom = (at, from, count = COUNT) => at('in', ndjson(count, (id) => ({ id, log: at('log'), ...(id >= from && { until: at('until') }) })));
const outputOf = (at) => records(read(at('out'))).map(({ id }) => id);

/** Runs a command line in a terminal, in which keys can be pressed. @param {string[]} args */
function inTerminal(args) {
  const line = [process.execPath, program, ...args].map((arg) => `'${arg}'`).join(' ');
  const env = { ...environment(), TERM: 'xterm', COLUMNS: '100', LINES: '30' };
  const child = spawn('script', ['--quiet', '--return', '--flush', '--command', `stty cols 100; exec ${line}`, '/dev/null'], { cwd: fixtures, env });
  const said = { text: '' };
  child.stdout.setEncoding('utf8').on('data', (text) => (said.text += text));
  return { child, said, ended: once(child, 'close').then(([code]) => ({ code, text: said.text })) };
}

for (const [signal, code] of [['SIGINT', 130], ['SIGTERM', 143]]) {
  test(`${signal}: what has begun is finished, the rest is left for --resume`, async (t) => {
    const at = folder(t);
    waitingFrom(at, 5);
    const { child, said, ended } = start(waitingArgs(at, '--workers', '2'));
    await waitFor(() => linesOf(at('log')).length >= 7, 'two records that wait');
    child.kill(signal);
    await waitFor(() => said.stderr.includes('in progress will be finished'), 'it has noticed');
    at('until', '');
    const result = await within(ended, 'the end');
    assert.equal(result.code, code, result.stderr);
    assert.match(result.stderr, /interrupted: --resume goes on from here\n$/);
    const done = outputOf(at);
    assert.ok(done.length >= 7 && done.length < COUNT, `${done.length} were finished`);
    const calls = linesOf(at('log')).length;
    assert.equal(calls, done.length, 'what was called has its result');
    const resumed = await run(waitingArgs(at, '--resume'));
    assert.equal(resumed.code, 0);
    assert.deepEqual(outputOf(at), Array.from({ length: COUNT }, (_, i) => i));
    assert.equal(linesOf(at('log')).length, COUNT, 'nothing was done twice');
  });
}

test('a second signal ends it at once, with what was finished before', async (t) => {
  const at = folder(t);
  waitingFrom(at, 5);
  const { child, said, ended } = start(waitingArgs(at, '--workers', '2'));
  await waitFor(() => linesOf(at('out')).length === 5 && linesOf(at('log')).length >= 7, 'five results');
  child.kill('SIGINT');
  await waitFor(() => said.stderr.includes('in progress will be finished'), 'it has noticed');
  child.kill('SIGINT');
  const { code, stderr } = await within(ended, 'the end');
  assert.equal(code, 130, stderr);
  assert.match(stderr, /broken off; interrupted/);
  assert.deepEqual(outputOf(at), [0, 1, 2, 3, 4]);
});

test('a second signal ends it although nobody reads its results any more', async (t) => {
  const at = folder(t);
  waitingFrom(at, Infinity, 200_000);
  const { child, said, ended } = start(['map', './work.js#waiting', '--in', at('in'), '--workers', '1']);
  t.after(() => child.kill('SIGKILL'));
  child.stdout.pause();
  await waitFor(async () => {
    const before = read(at('log')).length;
    await sleep(300);
    return before > 0 && read(at('log')).length === before;
  }, 'it waits for its reader');
  child.kill('SIGINT');
  await waitFor(() => said.stderr.includes('in progress will be finished'), 'it has noticed');
  const exited = once(child, 'exit');
  child.kill('SIGINT');
  const [code] = await within(exited, 'the end');
  assert.equal(code, 130, said.stderr);
  child.stdout.resume();
  const { stdout } = await within(ended, 'the rest of its output');
  const whole = records(stdout.slice(0, stdout.lastIndexOf('\n') + 1));
  assert.ok(whole.length > 0 && whole.every(({ id }, i) => id === i), 'in order');
});

test('a signal ends it while it waits for input', async () => {
  const { child, said, ended } = start(['map', './work.js#same', '--quiet'], { stdin: 'open' });
  child.stdin.write('{"id":1}\n');
  await waitFor(() => said.stdout !== '', 'the first result');
  child.kill('SIGTERM');
  const { code, stdout, stderr } = await within(ended, 'the end');
  assert.deepEqual([code, stdout, stderr], [143, '{"id":1}\n', '']);
});

test('an interrupted array of JSON is one all the same', async (t) => {
  const at = folder(t);
  at('in', JSON.stringify(Array.from({ length: 40 }, (_, id) => ({ id, log: at('log'), ...(id >= 5 && { until: at('until') }) }))));
  const { child, ended } = start(waitingArgs(at, '--json', '--workers', '1'));
  await waitFor(() => linesOf(at('log')).length >= 6, 'a record that waits');
  child.kill('SIGINT');
  at('until', '');
  await within(ended, 'the end');
  assert.ok(JSON.parse(read(at('out'))).length >= 6);
  assert.equal((await run(waitingArgs(at, '--json', '--resume'))).code, 0);
  assert.equal(JSON.parse(read(at('out'))).length, 40);
});

test('Ctrl-C in a terminal reaches the command, and not its workers', { skip: noTerminal() }, async (t) => {
  const at = folder(t);
  waitingFrom(at, 5);
  const { child, said, ended } = inTerminal(waitingArgs(at, '--workers', '2'));
  await waitFor(() => linesOf(at('log')).length >= 7, 'two records that wait');
  child.stdin.write('\x03');
  await waitFor(() => said.text.includes('Ctrl-C again stops at once'), 'it has noticed');
  at('until', '');
  const { code, text } = await within(ended, 'the end');
  assert.equal(code, 130, text);
  const done = outputOf(at);
  assert.equal(linesOf(at('log')).length, done.length);
  assert.match(text, /interrupted: --resume goes on from here/);
});

test('in a terminal there is a bar, and what the code prints stands above it', { skip: noTerminal() }, async (t) => {
  const at = folder(t);
  at('in', ndjson(6, (id) => ({ id, log: at('log'), until: at(`until-${id}`) })));
  const { said, ended } = inTerminal(['map', './work.js#talkingAndWaiting', '--in', at('in'), '--out', at('out'), '--workers', '2']);
  for (let id = 0; id < 6; id++) {
    await waitFor(() => linesOf(at('log')).length > id, `record ${id}`);
    at(`until-${id}`, '');
  }
  const { code, text } = await within(ended, 'the end');
  assert.equal(code, 0, text);
  // What a terminal would show: each line as it was when it was left.
  const ESCAPE = String.fromCharCode(27);
  const toBeginning = new RegExp(`\\r${ESCAPE}\\[K|${ESCAPE}\\[1G`);
  const left = text.split('\n').map((line) => {
    const last = line.replace(/\r$/, '').split(toBeginning).at(-1);
    return last.replaceAll(new RegExp(`${ESCAPE}\\[[?\\d;]*[a-zA-Z]`, 'g'), '');
  });
  for (let id = 0; id < 6; id++) assert.ok(left.includes(`working on ${id}`), JSON.stringify(text));
  assert.match(text, /[█░]{20} \d+% {2}\d+ records? {2}[\d.,]+\/s {2}ETA .* {2}0 failed {2}\d\/2 workers/);
  assert.match(said.text, /6 records in .*\/s\)\r\n$/);
  assert.equal(left.filter((line) => /[█░]/.test(line)).length, 0, 'the bar is gone');
});

test('--quiet shows nothing in a terminal either', { skip: noTerminal() }, async (t) => {
  const at = folder(t);
  const { ended } = inTerminal(['map', './work.js#same', '--in', at('in', ndjson(10)), '--out', at('out'), '--quiet']);
  const { code, text } = await within(ended, 'the end');
  assert.deepEqual([code, text], [0, '']);
});
