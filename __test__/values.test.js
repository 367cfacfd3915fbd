'use strict';
// Values arrive as they were sent: as records, as params, as context and as results.

const assert = require('node:assert/strict');
const { test } = require('node:test');

const { fixture, make, within } = require('./support/helpers');
const { forEachMode } = require('./support/modes');
const { asynchronous, run } = require('./support/scripts');
const { jsonSafe } = require('./fixtures/values');

// Of large values only the first difference is shown: a diff of megabytes helps nobody.
function assertSame(actual, expected, what) {
  if (typeof expected === 'string' && expected.length > 10_000) {
    if (actual === expected) return;
    assert.equal(actual?.length, expected.length, `${what}: length`);
    const at = [...expected].findIndex((character, i) => actual[i] !== character);
    assert.fail(`${what}: differs at ${at}`);
  }
  assert.deepEqual(actual, expected, what);
  assert.equal(JSON.stringify(actual), JSON.stringify(expected), `${what}: the same text, in the same order`);
}

forEachMode((mode) => {
  const on = (t, options) =>
    make(t, { type: mode.type, filePath: fixture('values.js'), processBatchFunctionName: 'both', ...options });

  for (const serialization of ['auto', 'json']) {
    for (const [name, value] of Object.entries(jsonSafe)) {
      test(`${serialization}: ${name}`, async (t) => {
        const parallelizer = on(t, { parallelization: 1, serialization });
        const { responses, failures } = await parallelizer.run([value(), [value()]], value(), { context: value() });
        assert.deepEqual(failures, []);
        assertSame(responses[0].batch[0], value(), 'a record');
        assertSame(responses[0].batch[1], [value()], 'a record that is an array');
        assertSame(responses[0].params, value(), 'params');
        assertSame(responses[0].context, value(), 'context');
        const made = on(t, { parallelization: 1, serialization, processBatchFunctionName: 'make' });
        assertSame((await made.run([name])).responses[0], value(), 'a result');
      });
    }
  }

  test('the prototype of objects is not polluted', () => {
    assert.equal({}.polluted, undefined);
  });

  test('what is sent is the value at the call', async (t) => {
    const parallelizer = on(t, { parallelization: 1, processBatchFunctionName: 'echo' });
    const batch = [1, 2, 3];
    const running = parallelizer.run(batch);
    batch.push(4);
    batch[0] = 'changed';
    assert.deepEqual((await running).responses, [[1, 2, 3]], 'the list is copied at the call');
  });

  test('results belong to the caller: changing them changes nothing else', async (t) => {
    const parallelizer = on(t, { parallelization: 1, processBatchFunctionName: 'make' });
    const [one, two] = [await parallelizer.run(['object']), await parallelizer.run(['object'])];
    one.responses[0].c.push('more');
    assert.deepEqual(two.responses[0], jsonSafe.object());
  });

  test('every length around 64 KiB', async (t) => {
    const parallelizer = on(t, { processBatchFunctionName: 'echo' });
    await lengths(parallelizer, 64 * 1024, 260, 'x');
  });

  test('every length around 208 KiB', async (t) => {
    const parallelizer = on(t, { processBatchFunctionName: 'echo' });
    await lengths(parallelizer, 208 * 1024, 150, 'y');
  });

  test('lengths around powers of two, in characters of one, two, three and four bytes', async (t) => {
    const parallelizer = on(t, { processBatchFunctionName: 'echo' });
    for (const fill of ['x', 'é', '漢', '🎈', '"', '\u0001']) {
      for (const power of [8, 12, 13, 15, 16, 17, 18]) {
        const around = [-3, -2, -1, 0, 1, 2, 3].map((d) => 2 ** power + d);
        const batch = around.map((length) => fill.repeat(Math.ceil(length / fill.length)).slice(0, length));
        const { responses, failures } = await within(parallelizer.run(batch), `2^${power} of ${fill}`);
        assert.deepEqual(failures, []);
        assert.ok(responses.flat().every((text, i) => text === batch[i]), `2^${power} of ${JSON.stringify(fill)}`);
      }
    }
  });

  for (const [name, fill] of [['ascii', 'x'], ['latin1', 'é'], ['two-byte', '漢'], ['astral', '🎈'], ['escaped', '"']]) {
    test(`strings of 1 to 5 MB: ${name}`, async (t) => {
      const parallelizer = on(t, { processBatchFunctionName: 'echo', parallelization: 2 });
      for (const megabytes of [1, 5]) {
        const text = fill.repeat((megabytes * 2 ** 20) / fill.length);
        const { responses } = await within(parallelizer.run([text, text]), `${megabytes} MB`, 60_000);
        assertSame(responses[0][0], text, 'first');
        assertSame(responses[1][0], text, 'second');
      }
    });
  }

  test('20 MB each way, on two workers at once, several runs deep: no deadlock', async (t) => {
    const parallelizer = on(t, { processBatchFunctionName: 'echo' });
    const text = 'x'.repeat(20 * 2 ** 20);
    const runs = [1, 2, 3].map(() => parallelizer.run([text, text]));
    for (const { responses, failures } of await within(Promise.all(runs), 'the runs', 120_000)) {
      assert.deepEqual(failures, []);
      for (const [answer] of responses) assert.ok(answer === text);
    }
  });

  test('large results of small records, small results of large records', async (t) => {
    const big = on(t, { processBatchFunctionName: 'big' });
    const { responses } = await within(big.run([8_000_000, 8_000_000]), 'the answers', 60_000);
    assert.deepEqual(responses.map(({ length }) => length), [8_000_000, 8_000_000]);
    const length = on(t, { processBatchFunctionName: 'length' });
    assert.deepEqual(
      (await within(length.run(['x'.repeat(8_000_000), 'y'.repeat(8_000_000)]), 'the questions', 60_000)).responses,
      [[8_000_000], [8_000_000]],
    );
  });

  test('many records at once', async (t) => {
    const parallelizer = on(t, { processBatchFunctionName: 'echo' });
    const batch = Array.from({ length: 100_000 }, (_, i) => ({ id: i, text: `record ${i}` }));
    const { responses } = await within(parallelizer.run(batch), 'the run', 60_000);
    const all = responses.flat();
    assert.equal(all.length, batch.length);
    assert.ok(all.every(({ id, text }, i) => id === i && text === `record ${i}`));
  });

  // With 'json' these cannot travel; what other serializations preserve of them has its own tests.
  const unfit = {
    cycle() {
      const value = { list: [] };
      value.list.push(value);
      return value;
    },
    bigint: () => ({ amount: 10n }),
    badGetter: () => ({
      get trap() {
        throw new Error('do not look');
      },
    }),
    badToJSON: () => ({
      toJSON() {
        throw new Error('no JSON');
      },
    }),
  };

  for (const [name, value] of Object.entries(unfit)) {
    test(`json cannot carry a ${name}: as a record it fails its own sub-batch`, async (t) => {
      const parallelizer = on(t, { serialization: 'json', processBatchFunctionName: 'echo', parallelization: 3 });
      const { responses, failures, errors } = await within(parallelizer.run(['a', value(), 'c']), 'the run');
      assert.deepEqual(responses, [['a'], ['c']]);
      assert.equal(failures.length, 1);
      assert.equal(errors[0].code, 'ERR_PARALLELIZER_SERIALIZATION');
      assert.equal(errors[0].batchIndex, 1);
      assert.deepEqual([...errors[0].records], [1]);
      assert.deepEqual((await parallelizer.run([1, 2, 3])).responses, [[1], [2], [3]], 'nothing else is harmed');
    });

    test(`json cannot carry a ${name}: as params it fails every sub-batch`, async (t) => {
      const parallelizer = on(t, { serialization: 'json', processBatchFunctionName: 'echo' });
      const { responses, errors } = await within(parallelizer.run([1, 2], value()), 'the run');
      assert.deepEqual(responses, []);
      assert.deepEqual(
        errors.map(({ code }) => code),
        ['ERR_PARALLELIZER_SERIALIZATION', 'ERR_PARALLELIZER_SERIALIZATION'],
      );
      assert.deepEqual((await parallelizer.run([1, 2], 'fit')).responses, [[1], [2]]);
    });

    test(`json cannot carry a ${name}: as a result it fails its own sub-batch, and the worker stays`, async (t) => {
      const parallelizer = on(t, {
        serialization: 'json',
        processBatchFunctionName: 'returns',
        parallelization: 1,
        batchSize: 1,
      });
      const before = (await parallelizer.run(['pid'])).responses[0];
      const { responses, errors } = await within(parallelizer.run(['fine', name, 'fine', 'pid']), 'the run');
      assert.deepEqual(responses, ['fine', 'fine', before]);
      assert.deepEqual(
        errors.map(({ code, batchIndex }) => [code, batchIndex]),
        [['ERR_PARALLELIZER_SERIALIZATION', 1]],
      );
    });
  }

  test('an ERR_PARALLELIZER_SERIALIZATION says where', async (t) => {
    const parallelizer = on(t, { serialization: 'json', processBatchFunctionName: 'echo', parallelization: 1 });
    const { errors } = await parallelizer.run([{}, { order: { amount: 10n } }]);
    assert.match(errors[0].message, /amount/);
  });

  test('log params that cannot travel cost neither the worker nor its result', async (t) => {
    const { stdout } = await run(
      t,
      asynchronous(`
        const parallelizer = make({ filePath: fixture('odd-logs.js'), parallelization: 1 });
        const { responses, failures } = await parallelizer.run([1]);
        await parallelizer.close();
        console.log('answer ' + JSON.stringify([responses, failures]));`),
      { mode },
    );
    assert.match(stdout, /answer \[\["done"\],\[\]\]/);
    assert.match(stdout, /after them/);
  });

  async function lengths(parallelizer, middle, spread, fill) {
    const all = Array.from({ length: 2 * spread }, (_, i) => middle - spread + i);
    for (let i = 0; i < all.length; i += 20) {
      const part = all.slice(i, i + 20);
      const answers = await within(
        Promise.all(part.map((length) => parallelizer.run([fill.repeat(length), length]))),
        `lengths from ${part[0]}`,
      );
      for (const [j, { responses, failures }] of answers.entries()) {
        assert.deepEqual(failures, []);
        assert.ok(responses[0][0] === fill.repeat(part[j]) && responses[1][0] === part[j], `length ${part[j]}`);
      }
    }
  }
});
