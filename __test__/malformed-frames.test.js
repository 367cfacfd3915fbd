'use strict';
// Whatever a worker's own code writes to the channel, the call fails with an error that says so, or nothing happens,
// and both the host and the pool go on. (The user's code cannot get at the port of a thread.)

const assert = require('node:assert/strict');
const { test } = require('node:test');

const { Random } = require('./chaos/random');
const { frame, part } = require('./fixtures/raw-frames');
const { fixture, waitFor, within } = require('./support/helpers');
const { forEachMode } = require('./support/modes');
const { makePool } = require('./support/pool');
const { asynchronous, run } = require('./support/scripts');

const task = (name) => ({ filePath: fixture('raw-frames.js'), name });
const [CALLS, READY, LOAD_FAILED, REPLY, BEGUN, OUTPUT, MEMORY] = [2, 16, 17, 18, 19, 20, 21];
const [JSON_LIST, V8_VALUE, UNDEFINED, ERROR_TREE, RECORDS, CLONE] = [1, 2, 3, 4, 5, 6];
const [LATIN1, UTF8, BYTES, SHARED, UTF16] = [0, 1, 2, 3, 4];
const MAX = 2 ** 32 - 1;
const FAILED = 1;
const SKIPPED = 2;
const ATTACHED = 2 ** 15;

/** Too long for shared memory: it goes the way of what was written before it, and arrives after it. */
const OWN = 'its own'.padEnd(20_000);

forEachMode(
  (mode) => {
    /** The outcome of a call, the first of its worker, that writes these bytes and then returns. */
    async function outcome(t, bytes, options) {
      const pool = makePool(t, mode, { processes: 1, gracePeriod: 50, ...options });
      const call = pool.apply(task('write'), [{ bytes: bytes.toString('base64'), value: OWN }]);
      const [settled] = await within(Promise.allSettled([call]), 'the call');
      // The worker is killed when its real answer arrives, which may be a moment later.
      assert.equal(await within(pool.apply(task('echo'), ['next'], { retries: 1 }), 'the next call'), 'next');
      return settled;
    }

    const answer = (fields, more = []) => frame({ kind: REPLY, parts: [part(fields), ...more] });
    const table = (changes) =>
      JSON.stringify([
        0,
        [
          {
            at: null,
            records: 1,
            keys: null,
            kinds: [2],
            shapes: [],
            numbers: 0,
            words: 0,
            octets: 0,
            segments: 0,
            ...changes,
          },
        ],
      ]);

    for (const [what, bytes] of [
      ['invalid JSON', answer({ bytes: '[1' })],
      ['JSON other than a list', answer({ bytes: '1' })],
      ['a list without values', answer({ bytes: '[]' })],
      ['an unknown codec', answer({ codec: 99, bytes: '[1]' })],
      ['a codec for threads only', answer({ codec: CLONE, encoding: BYTES, bytes: 'x' })],
      [
        'a value that is not in the format of V8',
        answer({ codec: V8_VALUE, encoding: BYTES, bytes: Buffer.alloc(100, 0xa5) }),
      ],
      [
        'the format of V8 with missing parts',
        answer({ codec: V8_VALUE, encoding: BYTES, bytes: Buffer.from('ff0fffffffff0f', 'hex') }),
      ],
      [
        'an endless number of records',
        answer({ codec: RECORDS, bytes: table({ records: MAX, keys: ['a'] }) }, [part({ encoding: BYTES, calls: 0 })]),
      ],
      [
        'records with the key __proto__',
        answer({ codec: RECORDS, bytes: table({ keys: ['__proto__'], words: 1 }) }, [
          part({ encoding: BYTES, calls: 0, bytes: Buffer.alloc(4) }),
        ]),
      ],
      ['records without their bytes', answer({ codec: RECORDS, bytes: table() })],
      ['an error that is not a tree', answer({ codec: ERROR_TREE, flags: FAILED, bytes: 'no' })],
      ['an error without its nodes', answer({ codec: ERROR_TREE, flags: FAILED, bytes: '{"root":["node",0]}' })],
      ['shared memory that never arrived', answer({ codec: V8_VALUE, encoding: SHARED, bytes: Buffer.alloc(8, 1) })],
      ['shared memory without a length', answer({ codec: V8_VALUE, encoding: SHARED, bytes: 'x' })],
      ['attached memory that never arrived', answer({ flags: ATTACHED, bytes: Buffer.alloc(16, 1) })],
      ['an attached part without a place', answer({ flags: ATTACHED, bytes: 'x' })],
      [
        'shared memory in an extra that never arrived',
        answer({ bytes: '[1]' }, [part({ encoding: SHARED, calls: 0, bytes: Buffer.alloc(8, 1) })]),
      ],
      ['a failure with a value', answer({ codec: JSON_LIST, flags: FAILED, bytes: '[1]' })],
    ]) {
      test(`an answer that cannot be decoded, ${what}: ERR_PARALLELIZER_PROTOCOL`, async (t) => {
        const { reason } = await outcome(t, bytes);
        assert.equal(reason?.code, 'ERR_PARALLELIZER_PROTOCOL', String(reason));
        assert.equal({}.a, undefined);
      });
    }

    for (const [what, bytes] of [
      ['an unknown kind', frame({ kind: 99 })],
      ['a frame that is too long', frame({ kind: REPLY, length: 2 ** 40 + 1 })],
      ['a part that is longer than its frame', answer({ bytes: '[1]', length: MAX })],
      ['a count of more parts than there are', frame({ kind: REPLY, count: MAX, parts: [part({ bytes: '[1]' })] })],
      ['an unknown encoding', answer({ encoding: 77, bytes: '[1]' })],
      ['a frame that only a parent sends', frame({ kind: CALLS, parts: [part({ bytes: '[1]' })] })],
      [
        'an answer to a frame that the worker was not sent',
        frame({ kind: REPLY, id: 77, parts: [part({ bytes: '[1]' })] }),
      ],
      [
        'an answer to calls that the worker was not sent',
        frame({ kind: REPLY, seq: 5, parts: [part({ bytes: '[1]' })] }),
      ],
      ['an answer to as many calls as can be counted', answer({ codec: UNDEFINED, calls: MAX })],
      ['an answer to no call', answer({ calls: 0, bytes: '[1]' }, [part({ calls: MAX, codec: UNDEFINED })])],
      ['skipping a call that was not cancelled', answer({ flags: SKIPPED })],
      ['text', Buffer.from('a line that was meant for somebody else\n')],
    ]) {
      test(`${what}: its worker is killed, and the error says why`, async (t) => {
        const { reason } = await outcome(t, bytes);
        assert.equal(reason?.code, 'ERR_PARALLELIZER_WORKER_EXITED', String(reason));
        assert.equal(reason.cause?.code, 'ERR_PARALLELIZER_PROTOCOL', String(reason.cause));
        assert.match(reason.cause.message, /understand \([ -~]{10,}\) and was stopped/);
      });
    }

    for (const [what, bytes] of [
      ['a second Ready', frame({ kind: READY, id: 9, seq: MAX, aux: MAX })],
      ['the begin of a call that does not exist', frame({ kind: BEGUN, seq: MAX })],
      ['no memory in use, and all of it', Buffer.concat([frame({ kind: MEMORY }), frame({ kind: MEMORY, aux: MAX })])],
      ['a late failure to load', frame({ kind: LOAD_FAILED, parts: [part({ bytes: 'no' })] })],
      ['output that is not a message', frame({ kind: OUTPUT, parts: [part({ bytes: '{' })] })],
      ['output that is not text', frame({ kind: OUTPUT, parts: [part({ encoding: BYTES, bytes: 'x' })] })],
      ['empty output', frame({ kind: OUTPUT })],
      [
        'output for an unknown console method',
        frame({ kind: OUTPUT, parts: [part({ bytes: '["__proto__","x"]' }), part({ bytes: '[{},{}]' })] }),
      ],
    ]) {
      test(`${what}: is ignored`, async (t) => {
        assert.deepEqual(await outcome(t, bytes), { status: 'fulfilled', value: OWN });
      });
    }

    test('text in every encoding is decoded, even with incomplete characters', async (t) => {
      for (const [encoding, bytes, text] of [
        [LATIN1, Buffer.from([0x22, 0xe9, 0x22]), 'é'],
        [UTF8, Buffer.from('"é漢"'), 'é漢'],
        [UTF8, Buffer.from([0x22, 0xff, 0x22]), '\ufffd'],
        [UTF16, Buffer.from('"\ud800"', 'utf16le'), '\ud800'],
        [UTF16, Buffer.concat([Buffer.from('"a"', 'utf16le'), Buffer.from([0x22])]), 'a'],
      ]) {
        const list =
          encoding === UTF16
            ? ['[', ']'].map((text) => Buffer.from(text, 'utf16le'))
            : ['[', ']'].map((text) => Buffer.from(text));
        const odd = bytes.length % 2 === 1 && encoding === UTF16 ? bytes.subarray(-1) : Buffer.alloc(0);
        const whole = Buffer.concat([list[0], bytes.subarray(0, bytes.length - odd.length), list[1], odd]);
        const pool = makePool(t, mode, { processes: 1, gracePeriod: 50 });
        const written = answer({ encoding, bytes: whole }).toString('base64');
        assert.equal(await within(pool.apply(task('write'), [{ bytes: written, value: OWN }]), 'the call'), text);
      }
    });

    test('one failure for several calls fails each of them', async (t) => {
      const pool = makePool(t, mode, { processes: 1, gracePeriod: 50 });
      const bytes = answer({
        codec: ERROR_TREE,
        flags: FAILED,
        calls: 3,
        bytes: '{"root":"forged","nodes":[]}',
      }).toString('base64');
      const items = [{ bytes, forever: true }, { bytes: '' }, { bytes: '' }];
      const settled = await within(pool.map(task('write'), items, { chunkSize: 3, onError: 'collect' }), 'the items');
      assert.deepEqual(settled.map(({ reason }) => reason), ['forged', 'forged', 'forged']);
    });

    test('a frame that never ends costs one call at most, and no more memory than was received', async (t) => {
      const pool = makePool(t, mode, { processes: 1, gracePeriod: 50, timeout: 300 });
      const bytes = frame({ kind: REPLY, length: 2 ** 30 }).toString('base64');
      const before = process.memoryUsage.rss();
      const results = [];
      for (const [name, item] of [['write', { bytes, value: 'own' }], ['echo', 'next'], ['echo', 'one more']]) {
        const result = within(pool.apply(task(name), [item]), 'a call');
        results.push(await result.catch(({ code }) => code));
      }
      // Whatever the worker sends through its socket from then on is swallowed; shared memory still brings answers.
      assert.ok(results.filter((result) => result === 'ERR_PARALLELIZER_TIMEOUT').length <= 1, String(results));
      assert.equal(results[2], 'one more');
      assert.ok(process.memoryUsage.rss() - before < 200 * 2 ** 20);
    });

    for (const [what, bytes] of [
      ['that is not a frame', Buffer.alloc(64, 0xa5)],
      ['that reports a failure to load, without a reason', frame({ kind: LOAD_FAILED })],
      [
        'that reports one with an invalid reason',
        frame({ kind: LOAD_FAILED, parts: [part({ bytes: '{"root":["node",0],"nodes":' })] }),
      ],
    ]) {
      test(`data written while loading, ${what}: ready() and run() say so, and the host goes on`, async (t) => {
        const { messages } = await run(
          t,
          asynchronous(`
            process.env.FRAME_AT_LOAD = ${JSON.stringify(bytes.toString('base64'))};
            const parallelizer = make({ filePath: fixture('raw-frames.js'), processBatchFunctionName: 'echo', stdio: 'ignore' });
            const told = (error) => [error.code, error.cause?.code ?? null];
            console.log(JSON.stringify(await parallelizer.ready().then(() => 'ready', told)));
            console.log(JSON.stringify((await parallelizer.run([1])).errors.map(told)[0]));
            await parallelizer.close();`),
          { mode },
        );
        const [ready, ran] = messages;
        const codes = ['ERR_PARALLELIZER_WORKER_EXITED', 'ERR_PARALLELIZER_PROTOCOL'];
        assert.ok(codes.includes(ready[0]), JSON.stringify(messages));
        // A worker that is about to be killed may answer before: a logger cannot be returned.
        assert.ok([...codes, 'ERR_PARALLELIZER_SERIALIZATION'].includes(ran[0]), JSON.stringify(messages));
      });
    }

    for (const seed of [1, 2, 3]) {
      test(`random frames of all kinds (seed ${seed}): calls settle once, with a value or our error`, async (t) => {
        const random = new Random(seed);
        const pool = makePool(t, mode, { processes: 2, gracePeriod: 0, timeout: 2_000, stdio: 'ignore' });
        const outcomes = [];
        const calls = Array.from({ length: 60 }, (_, i) => {
          const bytes = someFrame(random).toString('base64');
          return pool.apply(task('write'), [{ bytes, value: i }]).then(
            (value) => outcomes.push(value === i ? 'its own' : 'forged'),
            (error) => outcomes.push(error?.code ?? String(error)),
          );
        });
        await within(Promise.all(calls), 'all of them', 120_000);
        const counts = {};
        for (const outcome of outcomes) counts[outcome] = (counts[outcome] ?? 0) + 1;
        t.diagnostic(JSON.stringify(counts));
        assert.equal(outcomes.length, 60);
        const known = /^(its own|forged|ERR_PARALLELIZER_(WORKER_EXITED|PROTOCOL|SERIALIZATION|TIMEOUT))$/;
        for (const outcome of Object.keys(counts)) assert.match(outcome, known);
        // What a worker has written wrongly may be read after its answers: it takes the next call along.
        const next = pool.apply(task('echo'), ['next'], { retries: 60 });
        assert.equal(await within(next, 'the next call'), 'next');
        await waitFor(() => pool.stats().running === 0 && pool.stats().waiting === 0, 'nothing is left');
      });
    }
  },
  { needs: ['hasProcess'] },
);

/** A frame that is partly correct. */
function someFrame(random) {
  const number = () => random.pick([0, 0, 0, 1, 1, 2, 5, 77, 65_535, 2 ** 31, MAX]);
  const texts = [
    '[1]',
    '[]',
    '{}',
    'null',
    '[[0],[]]',
    '["log","x"]',
    '{"root":1,"nodes":[]}',
    Buffer.alloc(random.between(0, 40), 0xff),
    '',
  ];
  const parts = Array.from({ length: random.between(0, 3) }, () =>
    part({
      encoding: random.between(0, 5),
      codec: random.between(0, 10),
      flags: random.between(0, 3),
      calls: number(),
      tag: number(),
      bytes: random.pick(texts),
      ...(random.chance(0.1) ? { length: number() } : {}),
    }),
  );
  const kind = random.pick([
    READY,
    LOAD_FAILED,
    REPLY,
    REPLY,
    REPLY,
    REPLY,
    BEGUN,
    OUTPUT,
    OUTPUT,
    MEMORY,
    CALLS,
    random.between(0, 255),
  ]);
  const bytes = frame({
    kind,
    id: number(),
    seq: number(),
    aux: number(),
    parts,
    ...(random.chance(0.1) ? { count: number() } : {}),
  });
  if (random.chance(0.1)) bytes[random.between(0, bytes.length - 1)] ^= 1 << random.between(0, 7);
  return random.chance(0.1) ? bytes.subarray(0, random.between(0, bytes.length)) : bytes;
}
