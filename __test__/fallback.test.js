'use strict';
// Which build of the scheduler runs, what is loaded of the other one, and that the fallback does what the addon does
// where the two differ inside.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { before, describe, test } = require('node:test');

const { fixture, root, waitFor } = require('./support/helpers');
const { withAddon } = require('./support/modes');
const { asynchronous, run } = require('./support/scripts');

const MODULE = path.join(root, 'parallelizer.wasm');
const isBuilt = fs.existsSync(MODULE);
const built = isBuilt ? {} : { skip: 'parallelizer.wasm is not there: `npm run build:wasm` makes it' };
const FALLBACK = { PARALLELIZER_FALLBACK: '1' };

/** A pool of each type does something, and says what runs it; then which files of the library were loaded. */
const USE = asynchronous(`
  const { Pool } = require(${JSON.stringify(root)});
  for (const type of ['child-process', 'worker-threads', 'inline']) {
    const pool = new Pool({ type, processes: 1 });
    console.log(JSON.stringify([type, await pool.apply((n) => n + 1, [1]), pool.stats().scheduler]));
    await pool.close();
  }
  await new Promise(setImmediate);
  console.log(JSON.stringify(Object.keys(require.cache).map((file) => require('node:path').relative(${JSON.stringify(root)}, file))));
`);

const OF_THE_FALLBACK = /^lib\/fallback\/|pipe|frame-codec|process-carrier/;

const answered = (scheduler) => ['child-process', 'worker-threads', 'inline'].map((type) => [type, 2, scheduler]);

test('with the addon nothing of the fallback is loaded', withAddon('it is not there'), async (t) => {
  const { messages } = await run(t, USE);
  const files = messages.pop();
  assert.deepEqual(messages, answered('native'));
  assert.ok(files.some((file) => file.startsWith('lib/jobs/')), String(files));
  assert.deepEqual(files.filter((file) => OF_THE_FALLBACK.test(file)), []);
});

test('PARALLELIZER_FALLBACK=1: no addon is loaded, and the same calls are answered', built, async (t) => {
  const { messages } = await run(t, USE, { env: FALLBACK });
  const files = messages.pop();
  assert.deepEqual(messages, answered('wasm'));
  assert.ok(files.some((file) => OF_THE_FALLBACK.test(file)), String(files));
  assert.deepEqual(files.filter((file) => file.endsWith('.node')), []);
});

/** Has the library believe that it is on another system. */
const elsewhere = (platform, arch) => `
  Object.defineProperty(process, 'platform', { value: '${platform}' });
  Object.defineProperty(process, 'arch', { value: '${arch}' });`;

const CHOICE = `console.log(JSON.stringify(require(${JSON.stringify(path.join(root, 'lib/native/choice'))}).schedulerChoice()))`;

test('a platform without an addon runs by the fallback, and says why', built, async (t) => {
  for (const [platform, arch] of [['freebsd', 'x64'], ['linux', 'riscv64'], ['win32', 'x64']]) {
    const { messages: [choice] } = await run(t, `${elsewhere(platform, arch)} ${CHOICE}`,
      { env: { PARALLELIZER_FALLBACK: '' } });
    assert.deepEqual(choice, { scheduler: 'wasm', reason: `there is no addon for ${platform} (${arch})`, file: MODULE });
  }
});

test('on Linux an addon that is not there stays an error: nothing becomes slow in silence', async (t) => {
  const other = process.arch === 'x64' ? 'arm64' : 'x64';
  const { messages: [{ scheduler, reason }] } = await run(t, `${elsewhere('linux', other)} ${CHOICE}`,
    { env: { PARALLELIZER_FALLBACK: '' } });
  assert.equal(scheduler, null);
  assert.match(reason, /native part of @parallelizer\/node/);
});

test('the module is not there: an error that says how to get it', async (t) => {
  const hidden = `
    const { existsSync } = require('node:fs');
    require('node:fs').existsSync = (file) => !String(file).endsWith('.wasm') && existsSync(file);`;
  const { messages: [{ scheduler, reason }] } = await run(t, `${hidden} ${CHOICE}`, { env: FALLBACK });
  assert.equal(scheduler, null);
  assert.match(reason, /PARALLELIZER_FALLBACK=1 is in the environment.*parallelizer\.wasm is not there.*npm run build:wasm/);
});

test('no worker outlives a parent that is killed, whatever the worker does', built, async (t) => {
  const { messages: [pids] } = await run(t, asynchronous(`
    const { Pool } = require(${JSON.stringify(root)});
    const pool = new Pool({ type: 'child-process', processes: 2 });
    const pids = await Promise.all([1, 2].map(() => pool.apply(() => process.pid)));
    void pool.apply(() => { for (;;); });
    void pool.apply(() => new Promise(() => setInterval(() => {}, 1000)));
    while (pool.stats().running < 2) await new Promise(setImmediate);
    const all = pool.stats().workers.map(({ pid }) => pid);
    process.stdout.write(JSON.stringify(all) + '\\n', () => process.kill(process.pid, 'SIGKILL'));
  `), { env: FALLBACK, code: null });
  assert.equal(pids.length, 2);
  const isThere = (pid) => {
    try {
      return process.kill(pid, 0);
    } catch {
      return false;
    }
  };
  await waitFor(() => !pids.some(isThere), 'the workers to end');
});

test('instances that ask for shared workers have their own, and are answered', built, async (t) => {
  const { messages } = await run(t, asynchronous(`
    const { Parallelizer } = require(${JSON.stringify(root)});
    const filePath = ${JSON.stringify(fixture('act.js'))};
    for (const type of ['child-process', 'worker-threads', 'inline']) {
      const options = { type, filePath, processBatchFunctionName: 'act', shared: true, parallelization: 1 };
      const instances = [new Parallelizer(options), new Parallelizer(options)];
      const answers = [];
      for (const instance of instances) answers.push(await instance.run([{ do: 'pid' }]));
      const pids = answers.map(({ responses }) => responses[0]);
      console.log(JSON.stringify({ type, answered: pids.every(Number.isInteger), distinct: new Set(pids).size }));
      for (const instance of instances) await instance.close();
    }
  `), { env: FALLBACK });
  assert.deepEqual(messages, [
    { type: 'child-process', answered: true, distinct: 2 },
    { type: 'worker-threads', answered: true, distinct: 1 },
    { type: 'inline', answered: true, distinct: 1 },
  ]);
});

test('a synchronous function sees that it was aborted', built, async (t) => {
  const { messages: [seen] } = await run(t, asynchronous(`
    const { Pool } = require(${JSON.stringify(root)});
    const pool = new Pool({ type: 'child-process', processes: 1, gracePeriod: 60_000 });
    const pid = await pool.apply(() => process.pid);
    const controller = new AbortController();
    const call = pool.apply(function () {
      while (!this.signal.aborted);
    }, [], { signal: controller.signal });
    while (pool.stats().running === 0) await new Promise(setImmediate);
    controller.abort();
    const outcome = await call.catch(({ name }) => name);
    console.log(JSON.stringify({ outcome, isSame: await pool.apply(() => process.pid) === pid }));
    await pool.close();
  `), { env: FALLBACK });
  assert.deepEqual(seen, { outcome: 'AbortError', isSame: true });
});

describe('frames as bytes', () => {
  const { FrameDecoder, encodeFrame } = require('../lib/transport/frame-codec');
  const [LATIN1, UTF8, BYTES, UTF16] = [0, 1, 2, 4];
  const frames = [
    [18, 1, 2, 3, [LATIN1, 1, 0, 1, 7, '[1]']],
    [19, 0, 4_294_967_295, 0, []],
    [2, 9, 1, 0, [UTF8, 1, 0, 2, 0, '["é漢","😀"]', BYTES, 0, 0, 0, 0, Buffer.from([0, 255, 7])]],
    [20, 0, 0, 0, [UTF16, 1, 2, 3, 4, '"\ud800"', LATIN1, 3, 0, 1, 0, '']],
  ];
  let stream;
  before(() => {
    stream = Buffer.concat(frames.map((frame) => encodeFrame(...frame)));
  });

  const decoded = (pieces) => {
    const decoder = new FrameDecoder();
    const found = [];
    for (const piece of pieces) {
      decoder.add(piece);
      for (let frame = decoder.next(); frame !== null; frame = decoder.next()) found.push(frame);
    }
    return found;
  };

  test('are read as they were written, wherever the reads end', () => {
    for (const size of [1, 2, 7, 28, 29, 64, stream.length]) {
      const pieces = [];
      for (let at = 0; at < stream.length; at += size) pieces.push(stream.subarray(at, at + size));
      assert.deepEqual(decoded(pieces), frames, `in pieces of ${size}`);
    }
  });

  test('are read out of memory that is written to again, too', () => {
    for (const size of [1, 7, 29, 100, stream.length]) {
      const memory = Buffer.alloc(size);
      const decoder = new FrameDecoder();
      const found = [];
      for (let at = 0; at < stream.length; at += size) {
        const piece = stream.subarray(at, at + size);
        memory.fill(0xff);
        piece.copy(memory);
        decoder.add(memory.subarray(0, piece.length), true);
        for (let frame = decoder.next(); frame !== null; frame = decoder.next()) found.push(frame);
        decoder.keep();
      }
      assert.deepEqual(found, frames, `in pieces of ${size}`);
    }
  });

  test('bytes that come while those before them are lent do not get ahead of them', () => {
    const memory = Buffer.from(stream.subarray(0, 40));
    const decoder = new FrameDecoder();
    decoder.add(memory, true);
    decoder.add(stream.subarray(40));
    memory.fill(0xff);
    decoder.keep();
    const found = [];
    for (let frame = decoder.next(); frame !== null; frame = decoder.next()) found.push(frame);
    assert.deepEqual(found, frames);
  });

  test('are refused where they are none, with the reason', () => {
    const broken = (change) => {
      const bytes = Buffer.from(encodeFrame(...frames[0]));
      change(bytes);
      return () => decoded([bytes]);
    };
    assert.throws(broken((bytes) => (bytes[8] = 99)), /a frame of unknown kind 99/);
    assert.throws(broken((bytes) => bytes.writeUInt32LE(512, 4)), /a frame of \d+ bytes, more than/);
    assert.throws(broken((bytes) => (bytes[28] = 77)), /a part of unknown encoding 77/);
    assert.throws(broken((bytes) => (bytes[40] += 1)), /parts do not fill it/);
    assert.throws(broken((bytes) => (bytes[12] = 0)), /parts do not fill it/);
    assert.throws(broken((bytes) => (bytes[12] = 2)), /parts do not fill it/);
  });

  test('a frame that never ends holds no more than was received', () => {
    const endless = Buffer.alloc(28);
    endless.writeUInt32LE(2 ** 30, 0);
    endless[8] = 18;
    const before = process.memoryUsage().arrayBuffers;
    assert.deepEqual(decoded([endless, Buffer.alloc(1000)]), []);
    assert.ok(process.memoryUsage().arrayBuffers - before < 2 ** 20);
  });
});

describe('pipes without streams', { timeout: 60_000 }, () => {
  const { spawn } = require('node:child_process');
  const { Socket } = require('node:net');
  const { FrameDecoder } = require('../lib/transport/frame-codec');
  const { readPipe } = require('../lib/transport/pipe-reader');
  const { sendFrame } = require('../lib/transport/pipe-writer');
  const [CALLS, LATIN1, BYTES] = [2, 0, 2];

  /** Sends back what comes in on one pipe through another, after it was told to. */
  const ECHO = `
    const fs = require('node:fs');
    process.stdin.once('data', () => {
      new (require('node:net').Socket)({ fd: 3 }).on('data', (bytes) => {
        for (let at = 0; at < bytes.length;) at += fs.writeSync(4, bytes, at);
      });
    });
    process.stdin.on('end', () => process.exit());`;

  /** What is read of the frames that a function sends, before anything reads them. */
  async function echoed(send, count, wrap = (pipe) => pipe) {
    const child = spawn(process.execPath, ['-e', ECHO], { stdio: ['pipe', 'inherit', 'inherit', 'pipe', 'pipe'] });
    const decoder = new FrameDecoder();
    const found = [];
    let answers;
    await new Promise((resolve, reject) => {
      child.on('error', reject);
      child.on('exit', (code) => reject(new Error(`the other end has ended with ${code}`)));
      answers = readPipe(Socket, wrap(child.stdio[4]), (bytes) => {
        decoder.add(bytes, true);
        for (let frame = decoder.next(); frame !== null; frame = decoder.next()) found.push(frame);
        decoder.keep();
        if (found.length >= count) resolve();
      });
      send(child.stdio[3]);
      child.stdin.write('now');
    });
    child.stdin.end();
    await new Promise((resolve) => answers.on('close', resolve));
    return found;
  }

  // Far more than a pipe has room for, so that short frames wait behind long ones, and long ones arrive in pieces.
  const frames = Array.from({ length: 3000 }, (_, i) => [CALLS, i, i + 1, 0,
    i % 100 === 0 ? [BYTES, 0, 0, 1, 0, Buffer.alloc(100_000, i)] : [LATIN1, 1, 0, 1, i, `[${i}]`]]);
  const send = (pipe) => frames.forEach((frame) => sendFrame(pipe, ...frame));

  test('frames arrive in order, be there room for them or not', async () => {
    assert.deepEqual(await echoed(send, frames.length), frames);
  });

  test('where Node does not lend its handle, the stream is read', async () => {
    const hide = (pipe) => {
      pipe._handle.useUserBuffer = undefined;
      return pipe;
    };
    assert.deepEqual(await echoed(send, frames.length, hide), frames);
  });
});

test('names of runs are UUIDs of version 7, in order, and count up', () => {
  const { laterRunId, runId } = require('../lib/fallback/run-ids');
  const now = Date.now();
  const names = [runId(now, 0), runId(now, 1), runId(now, 4095), runId(now + 1, 0)];
  for (const name of names) assert.match(name, /^[\da-f]{8}-[\da-f]{4}-7[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/);
  assert.deepEqual(names.toSorted(), names);
  const later = laterRunId(names[0], 5);
  assert.equal(later.slice(0, 18), names[0].slice(0, 18));
  assert.notEqual(later, names[0]);
  assert.equal(laterRunId('00000000-0000-7000-bfff-ffffffffffff', 1), '00000000-0000-7000-8000-000000000000');
});

test('answers to consecutive calls become one reply, and others stay as they are', () => {
  const { JoinedReplies } = require('../lib/carriers/joined-replies');
  const [LATIN1, BYTES, JSON_LIST] = [0, 2, 1];
  const seen = [];
  const replies = new JoinedReplies((...reply) => seen.push(reply));
  const answer = (text) => [LATIN1, JSON_LIST, 0, 1, 0, text];
  const failed = [LATIN1, 4, 1, 1, 0, '{}'];
  const bytes = [BYTES, 2, 0, 1, 0, Buffer.from('x')];
  replies.add(1, 0, 5, answer('[1]'));
  replies.add(1, 1, 6, answer('["a, b"]'));
  replies.add(1, 2, 7, failed);
  replies.add(1, 3, 1, answer('[null]'));
  replies.add(1, 5, 1, answer('[-1.5e3]'));
  replies.add(2, 6, 1, answer('[true]'));
  replies.add(2, 7, 1, answer('[1,2]'));
  replies.add(2, 8, 1, answer('[1'));
  replies.add(2, 9, 1, bytes);
  replies.add(2, 10, 1, answer('[3]'));
  replies.finish();
  replies.finish();
  assert.deepEqual(seen, [
    [1, 0, 11, [LATIN1, JSON_LIST, 0, 2, 0, '[1,"a, b"]']],
    [1, 2, 7, failed],
    [1, 3, 1, answer('[null]')],
    [1, 5, 1, answer('[-1.5e3]')],
    [2, 6, 1, answer('[true]')],
    [2, 7, 1, answer('[1,2]')],
    [2, 8, 1, answer('[1')],
    [2, 9, 1, bytes],
    [2, 10, 1, answer('[3]')],
  ]);
});
