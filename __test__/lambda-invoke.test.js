'use strict';
// AWS Lambda as an engine keeps the contract of engines, with the real SDK against a front that speaks Lambda's API; and
// what the service says becomes what a producer has to know: refusals, throttling, deaths, cut connections.

const assert = require('node:assert/strict');
const { PassThrough } = require('node:stream');
const { describe, test } = require('node:test');

const { PARALLELIZER_REMOTE, Pool } = require('@parallelizer/node');
const { lambdaInvoke } = require('../lib/remote/lambda/engine');
const { LambdaListener } = require('../lib/remote/lambda/listener');
const { DONE, FRAME, HELLO, LOST, MAX_CHUNK, RETURNED, RecordReader, chunkOf, record, responsePrefix } =
  require('../lib/remote/lambda/records');
const { Throttle } = require('../lib/remote/lambda/throttle');
const { InvokeFront, ServiceError } = require('./lambda/support/invoke-front');
const { testContract } = require('./support/remote/contract');
const { waitFor, within } = require('./support/helpers');

const NAME = 'worker';

/** A service with one function, whose environments are the hosts of the contract's tests. */
class LambdaHub {
  #front;
  #hosts = new Set();
  #waiting = [];

  static async open(t) {
    const hub = new LambdaHub();
    hub.#front = await InvokeFront.start();
    t.after(() => hub.#front.close());
    hub.#front.deploy(NAME, (payload, output) => {
      hub.#waiting.push({ payload, output });
      hub.#hand();
    });
    return hub;
  }

  engine() {
    return {
      ...lambdaInvoke({ functionName: NAME, concurrency: 100, client: this.#front.client() }),
      listen: (side) => this.#listen(side),
    };
  }

  kill(link) {
    const host = [...this.#hosts].find((each) => each.link === link);
    if (host === undefined) return;
    this.#hosts.delete(host);
    for (const output of host.running) output.end({ code: 'Runtime.ExitError', details: 'RequestId: 1 Error: Runtime exited' });
  }

  #listen(side) {
    const listener = new LambdaListener();
    const host = { side, listener, running: new Set(), link: listener.listen(side) };
    const terminate = host.link.terminate;
    host.link.terminate = () => {
      terminate();
      this.kill(host.link);
    };
    this.#hosts.add(host);
    setImmediate(() => this.#hand());
    return host.link;
  }

  #hand() {
    while (this.#waiting.length > 0) {
      const room = ({ side, running }) => (side.host.lanes ?? 2 * side.host.slots) - running.size;
      const [host] = [...this.#hosts].filter((each) => room(each) > 0).sort((one, other) => room(other) - room(one));
      if (host === undefined) return;
      const { payload, output } = this.#waiting.shift();
      host.running.add(output);
      const stream = new PassThrough();
      stream.on('data', (bytes) => output.write(bytes));
      stream.on('end', () => output.end());
      host.listener.handle(JSON.parse(payload), stream).finally(() => {
        host.running.delete(output);
        this.#hand();
      });
    }
  }
}

const NOT_ANNOUNCED = 'Lambda starts the hosts itself: the function is announced, and they are not';
const NOT_TOLD = 'Lambda has no way to tell an invocation anything';
testContract('lambda', (t) => LambdaHub.open(t), {
  without: {
    'announces hosts as they come and go': NOT_ANNOUNCED,
    'a producer that comes later sees the hosts that are there': NOT_ANNOUNCED,
    'a host that pauses takes no more, and finishes what it has': NOT_ANNOUNCED,
    'what the producer has to say reaches the host that has the chunk': NOT_TOLD,
    'a chunk that is released while a host has it is dropped there, and its frames go nowhere': NOT_TOLD,
  },
});

/** A producer on a front. */
async function producing(t, options = {}) {
  const front = await InvokeFront.start();
  t.after(() => front.close());
  const seen = { hosts: [], announced: [], ends: new Map(), frames: [], errors: [], late: 0 };
  const { clientOptions, ...engineOptions } = options;
  const engine = lambdaInvoke({ functionName: NAME, client: front.client(clientOptions), ...engineOptions });
  const link = engine.connect({
    producerId: 'p',
    lease: 2000,
    producerTimeout: 30_000,
    hosts: (hosts) => {
      seen.hosts = hosts;
      seen.announced.push(hosts[0]?.lanes ?? 0);
    },
    received: (id, frame) => seen.frames.push([id, frame.toString()]),
    ended(id, end) {
      assert.ok(!seen.ends.has(id), `${id} ended twice`);
      seen.ends.set(id, end);
    },
    late: (count) => (seen.late += count),
    failed: (error) => seen.errors.push(error),
  });
  t.after(() => link.close());
  const send = (id, text = id) => link.send({ id, parts: [Buffer.from(text)] });
  const endOf = async (id) => {
    await waitFor(() => seen.ends.has(id), `the end of ${id}`);
    return seen.ends.get(id);
  };
  return { front, seen, link, send, endOf };
}

/** Answers at once, as a function does. */
const answer = (payload, output) => {
  const { id } = chunkOf(JSON.parse(payload));
  output.write(Buffer.concat([responsePrefix(), record(HELLO, 'it'), record(FRAME, `of ${id}`), record(DONE, '')]));
  output.end();
};

describe('what Lambda says, for a producer', () => {
  test('a 429 is no end: the chunk runs later, and fewer are asked for at once', async (t) => {
    const { front, seen, send, endOf } = await producing(t, { concurrency: 8 });
    let refused = 0;
    const held = [];
    front.refuse = () => {
      if (front.running < 2) return undefined;
      refused++;
      return new ServiceError(429, 'TooManyRequestsException', 'Rate Exceeded.');
    };
    front.deploy(NAME, (payload, output) => held.push(() => answer(payload, output)));
    const ids = Array.from({ length: 12 }, (_, i) => `chunk-${i}`);
    ids.forEach((id) => send(id));
    await waitFor(() => refused > 0, 'a refusal');
    await waitFor(() => seen.hosts[0]?.lanes < 8, 'fewer lanes to be announced');
    const timer = setInterval(() => held.splice(0).forEach((act) => act()), 5);
    t.after(() => clearInterval(timer));
    for (const id of ids) assert.deepEqual(await endOf(id), { kind: 'done' });
    assert.equal(front.maxRunning, 2);
    assert.deepEqual(seen.errors, []);
  });

  test('more at once are tried again, one by one', () => {
    const throttle = new Throttle(10, () => 1);
    throttle.refused(4, 0);
    assert.equal(throttle.limit, 4);
    assert.ok(throttle.delay(0) > 0);
    // The others of the same burst.
    throttle.refused(3, 1);
    throttle.refused(2, 1);
    assert.equal(throttle.limit, 2);
    const delay = throttle.delay(1);
    assert.ok(delay <= 100, `${delay} ms: each of the burst counted`);
    throttle.refused(2, 1000);
    assert.ok(throttle.delay(1000) > 150, 'the next one waits longer');
    for (let i = 0; i < 100; i++) throttle.succeeded();
    assert.equal(throttle.limit, 10);
    assert.equal(throttle.delay(1000), 0);
    throttle.refused(0, 2000);
    assert.equal(throttle.limit, 1, 'one is always tried');
  });

  test('a function that is not there is no host, and is one once it is', async (t) => {
    const { front, seen, send, endOf } = await producing(t);
    send('early');
    await waitFor(() => seen.errors.length > 0, 'the error to be told');
    assert.deepEqual(seen.hosts, []);
    assert.match(seen.errors[0].message, /Function not found/);
    assert.equal(seen.ends.size, 0);
    front.deploy(NAME, answer);
    assert.deepEqual(await endOf('early'), { kind: 'done' });
    await waitFor(() => seen.hosts.length === 1, 'the function to be announced');
  });

  test('a service that cannot be reached is no host, and nothing has run', async (t) => {
    const { seen, send } = await producing(t, { clientOptions: { endpoint: 'http://127.0.0.1:1' } });
    send('waits');
    await waitFor(() => seen.errors.length > 0, 'the error to be told');
    assert.deepEqual(seen.hosts, []);
    assert.equal(seen.ends.size, 0);
  });

  test('a function that dies loses what it has not answered, and says how', async (t) => {
    const { front, seen, send, endOf } = await producing(t);
    front.deploy(NAME, (payload, output) => {
      output.write(Buffer.concat([responsePrefix(), record(HELLO, 'env 7'), record(FRAME, 'half')]));
      output.end({ code: 'Runtime.ExitError', details: '{"errorMessage":"RequestId: 5 Error: Runtime exited with error: signal: killed"}' });
    });
    send('dies');
    const end = await endOf('dies');
    assert.equal(end.kind, 'lost');
    assert.equal(end.host, 'env 7');
    assert.match(end.why, /Runtime\.ExitError: RequestId: 5 Error: Runtime exited/);
    assert.equal(end.mayHaveRun, undefined, 'what it had begun has arrived');
    assert.deepEqual(seen.frames, [['dies', 'half']]);
  });

  test('an answer that is cut off, before it or in the middle, may have run', async (t) => {
    const { front, seen, send, endOf } = await producing(t);
    let began = 0;
    front.deploy(NAME, (payload, output) => {
      if (chunkOf(JSON.parse(payload)).id === 'middle') output.write(Buffer.concat([responsePrefix(), record(FRAME, 'half')]));
      began++;
    });
    send('before');
    send('middle');
    await waitFor(() => began === 2 && seen.frames.length === 1, 'both to run');
    front.cut();
    for (const id of ['before', 'middle']) {
      const end = await endOf(id);
      assert.equal(end.kind, 'lost');
      assert.equal(end.mayHaveRun, true);
    }
    assert.equal(front.requests, 2, 'neither is sent again');
  });

  test('no more run at once than allowed, and each has a socket', async (t) => {
    const { front, send, endOf, seen } = await producing(t, {
      concurrency: 60,
      clientOptions: { requestHandler: { httpAgent: { maxSockets: 100 } } },
    });
    const held = [];
    front.deploy(NAME, (payload, output) => held.push(() => answer(payload, output)));
    const ids = Array.from({ length: 90 }, (_, i) => `chunk-${i}`);
    ids.forEach((id) => send(id));
    await waitFor(() => held.length === 60, '60 to run');
    assert.equal(seen.hosts[0].lanes, 60);
    const timer = setInterval(() => held.splice(0).forEach((act) => act()), 5);
    t.after(() => clearInterval(timer));
    await Promise.all(ids.map(endOf));
    assert.equal(front.maxRunning, 60);
  });

  test('a chunk of the largest size fits, and one that does not ends', async (t) => {
    const { front, seen, link, endOf } = await producing(t);
    let received = 0;
    front.deploy(NAME, (payload, output) => {
      received = chunkOf(JSON.parse(payload)).bytes.length;
      answer(payload, output);
    });
    link.send({ id: 'a'.repeat(100), parts: [Buffer.alloc(MAX_CHUNK)] });
    assert.deepEqual(await endOf('a'.repeat(100)), { kind: 'done' });
    assert.equal(received, MAX_CHUNK);
    link.send({ id: 'b', parts: [Buffer.alloc(MAX_CHUNK + 10_000)] });
    const end = await endOf('b');
    assert.equal(end.kind, 'lost');
    assert.match(end.why, /too large/);
    assert.equal(seen.hosts.length, 1, 'the function is still there');
  });

  test('a function of something else is told from ours', async (t) => {
    const { front, send, endOf } = await producing(t);
    front.deploy(NAME, (payload, output) => {
      output.write(Buffer.from('{"statusCode":200}'));
      output.end();
    });
    send('x');
    const end = await endOf('x');
    assert.equal(end.kind, 'lost');
    assert.match(end.why, /something else.*statusCode/);
  });

  test('a client that tries again by itself is refused', async (t) => {
    const { seen, send } = await producing(t, { clientOptions: { maxAttempts: 3 } });
    send('x');
    await waitFor(() => seen.errors.length > 0, 'the error to be told');
    assert.match(seen.errors[0].message, /maxAttempts: 1/);
    assert.deepEqual(seen.hosts, []);
  });

  test('a function that takes no chunk is no host, until it takes one', async (t) => {
    const { front, seen, send, endOf } = await producing(t, { concurrency: 1 });
    let takes = false;
    front.deploy(NAME, (payload, output) => {
      if (takes) return answer(payload, output);
      output.write(Buffer.concat([responsePrefix(), record(HELLO, 'it'), record(RETURNED, 'is of another version')]));
      output.end();
    });
    ['one', 'two', 'three'].forEach((id) => send(id));
    for (const id of ['one', 'two']) assert.equal((await endOf(id)).kind, 'returned');
    await waitFor(() => seen.hosts.length === 0, 'no host to be announced');
    assert.match(seen.errors[0].message, /another version/);
    await waitFor(() => front.requests > 4, 'it to be tried again');
    assert.deepEqual(seen.hosts, []);
    takes = true;
    assert.deepEqual(await endOf('three'), { kind: 'done' });
    await waitFor(() => seen.hosts.length === 1, 'the function to be announced');
  });

  test('a chunk that is released in the middle of its response frees its place', async (t) => {
    const { front, seen, send, link, endOf } = await producing(t, { concurrency: 1 });
    front.deploy(NAME, (payload, output) => {
      if (chunkOf(JSON.parse(payload)).id !== 'held') return answer(payload, output);
      output.write(Buffer.concat([responsePrefix(), record(FRAME, 'begun')]));
    });
    send('held');
    await waitFor(() => seen.frames.length === 1, 'the response to begin');
    send('next');
    link.release('held');
    assert.deepEqual(await endOf('next'), { kind: 'done' });
  });

  test('a released chunk frees its place', async (t) => {
    const { front, seen, send, link, endOf } = await producing(t, { concurrency: 1 });
    let calls = 0;
    front.deploy(NAME, (payload, output) => {
      if (++calls > 1) answer(payload, output);
    });
    send('held');
    await waitFor(() => calls === 1, 'the first to run');
    send('next');
    link.release('held');
    assert.deepEqual(await endOf('next'), { kind: 'done' });
    assert.ok(!seen.ends.has('held'));
  });
});

describe('records', () => {
  test('are the same however the response is cut', () => {
    const response = Buffer.concat([responsePrefix(), record(HELLO, 'h'), record(FRAME, ''), record(FRAME, Buffer.alloc(300, 7)), record(RETURNED, 'no')]);
    for (const size of [1, 2, 3, 7, 100, response.length]) {
      const found = [];
      const reader = new RecordReader((kind, bytes) => found.push([kind, bytes.length]));
      for (let at = 0; at < response.length; at += size) reader.push(response.subarray(at, at + size));
      assert.deepEqual(found, [[HELLO, 1], [FRAME, 0], [FRAME, 300], [RETURNED, 2]], `pieces of ${size}`);
    }
  });

  test('of another version, or of nobody, are refused with what they are', () => {
    const reader = () => new RecordReader(() => {});
    assert.throws(() => reader().push(Buffer.from('{"errorType":"Error"}')), /something else.*errorType/);
    assert.throws(() => chunkOf({ Records: [] }), /from elsewhere/);
    assert.throws(() => chunkOf(null), /from elsewhere/);
    assert.throws(() => chunkOf({ parallelizer: 2, chunk: 'x', bytes: '' }), /version 2/);
  });
});

describe('a function', () => {
  const side = (members) => ({
    host: { id: 'h', name: 'h', slots: 1 },
    lease: 2000,
    pids: new Int32Array(1),
    deliver() {},
    cancelled() {},
    dropped() {},
    leaseLost() {},
    failed() {},
    ...members,
  });
  const event = () => ({ parallelizer: 1, chunk: 'c', bytes: '' });
  /** All records of a response. */
  const read = (stream) => {
    const found = [];
    const reader = new RecordReader((kind, bytes) => found.push([kind, bytes.toString()]));
    stream.on('data', (bytes) => reader.push(bytes));
    return found;
  };

  test('gives a chunk up shortly before its own time is over, and says so', async () => {
    const listener = new LambdaListener();
    const lost = [];
    listener.listen(side({ leaseLost: (why) => lost.push(why), deliver: ({ reply }) => reply(Buffer.from('begun')) }));
    const output = new PassThrough();
    const found = read(output);
    await within(listener.handle(event(), output, { getRemainingTimeInMillis: () => 600 }), 'the end');
    assert.deepEqual(found.slice(0, 2), [[HELLO, 'h'], [FRAME, 'begun']]);
    assert.equal(found[2][0], LOST);
    assert.match(found[2][1], /timeout/);
    assert.equal(lost.length, 1);
  });

  test('an end that comes twice, and a frame after it, are refused', async () => {
    const listener = new LambdaListener();
    let delivery;
    listener.listen(side({ deliver: (each) => (delivery = each) }));
    const output = new PassThrough();
    const found = read(output);
    const handled = listener.handle(event(), output);
    await delivery.end({ kind: 'done' });
    await assert.rejects(delivery.end({ kind: 'done' }), /has ended/);
    await assert.rejects(delivery.reply(Buffer.from('x')), /has ended/);
    await within(handled, 'the end');
    assert.deepEqual(found.map(([kind]) => kind), [HELLO, DONE]);
  });
});

test('wrong options are refused by name', () => {
  const refused = (options, pattern) =>
    assert.throws(() => lambdaInvoke(options), ({ code, message }) => code === 'ERR_PARALLELIZER_OPTION' && pattern.test(message));
  refused(undefined, /options/);
  refused({}, /"functionName"/);
  refused({ functionName: '' }, /"functionName"/);
  refused({ functionName: 'f', concurrency: 0 }, /"concurrency"/);
  refused({ functionName: 'f', concurrency: 1.5 }, /"concurrency"/);
  refused({ functionName: 'f', timeout: 900_001 }, /"timeout"/);
  refused({ functionName: 'f', qualifier: 5 }, /"qualifier"/);
  refused({ functionName: 'f', client: {} }, /"client"/);
  refused({ functionName: 'f', client: { send() {} }, region: 'x' }, /"region"/);
  refused({ functionName: 'f', retries: 5 }, /"retries"/);
});

test('streams and broadcasts are refused, with the reason', async (t) => {
  const engine = lambdaInvoke({ functionName: 'orders', client: { send: () => new Promise(() => {}) } });
  const pool = new Pool({ type: PARALLELIZER_REMOTE, engine });
  t.after(() => pool.terminate());
  const refusal = (message) => ({ code: 'ERR_PARALLELIZER_OPTION', message });
  assert.throws(() => pool.stream(function* () { yield 1; }), refusal(/stream\(\).*lambda:orders.*nothing reaches/));
  await assert.rejects(pool.broadcast(() => 1), refusal(/broadcast\(\).*lambda:orders.*told apart/));
});
