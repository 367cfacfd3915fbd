'use strict';
// Any number of runs at once; each gets exactly its own results.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const { test } = require('node:test');

const { appeared, echo, lines, make, temporary, within } = require('./support/helpers');
const { forEachMode } = require('./support/modes');

// A small seeded random number generator.
function random(seed) {
  return () => ((seed = (seed * 1103515245 + 12345) % 2147483648) / 2147483648);
}

forEachMode((mode) => {
  const on = (t, options) => make(t, { type: mode.type, ...options });

  test('40 runs at once each get their own results', async (t) => {
    const parallelizer = on(t);
    const runs = Array.from({ length: 40 }, (_, i) =>
      parallelizer.run(Array.from({ length: 4 }, (_, j) => ({ do: 'sleep', ms: (i * 7 + j) % 5, value: `${i}/${j}` }))),
    );
    const answers = await within(Promise.all(runs), 'the runs');
    for (const [i, { responses, failures }] of answers.entries()) {
      assert.deepEqual(failures, []);
      assert.deepEqual(responses, [`${i}/1`, `${i}/3`], 'the last record of each half');
    }
  });

  test('40 runs of different sizes, each with its own params', async (t) => {
    const parallelizer = on(t, { processBatchFunctionName: 'both', parallelization: 3 });
    const runs = Array.from({ length: 40 }, (_, i) =>
      parallelizer.run(
        Array.from({ length: i }, (_, j) => i * 100 + j),
        { i },
      ),
    );
    for (const [i, { responses }] of (await within(Promise.all(runs), 'the runs')).entries()) {
      assert.deepEqual(responses.flatMap(({ batch }) => batch), Array.from({ length: i }, (_, j) => i * 100 + j));
      for (const { params } of responses) assert.deepEqual(params, { i });
    }
  });

  test('failures stay with their runs', async (t) => {
    const parallelizer = on(t);
    const runs = Array.from({ length: 40 }, (_, i) =>
      parallelizer.run([
        i % 3 === 0 ? { do: 'throws', message: `bad ${i}` } : echo(`a${i}`),
        i % 4 === 0 ? { do: 'rejects', message: `worse ${i}` } : echo(`b${i}`),
      ]),
    );
    for (const [i, { responses, failures, errors }] of (await within(Promise.all(runs), 'the runs')).entries()) {
      assert.deepEqual(responses, [...(i % 3 ? [`a${i}`] : []), ...(i % 4 ? [`b${i}`] : [])]);
      assert.deepEqual(failures, [...(i % 3 ? [] : [`Error: bad ${i}`]), ...(i % 4 ? [] : [`TypeError: worse ${i}`])]);
      assert.deepEqual(errors.map(({ batchIndex }) => batchIndex), [...(i % 3 ? [] : [0]), ...(i % 4 ? [] : [1])]);
    }
  });

  test('runs that start while others finish', async (t) => {
    const parallelizer = on(t);
    const chance = random(7);
    const chain = async (name) => {
      for (let i = 0; i < 15; i++) {
        const size = Math.floor(chance() * 5);
        const batch = Array.from({ length: size }, (_, j) => echo(`${name} ${i} ${j}`));
        const { responses } = await parallelizer.run(batch);
        const expected = size <= 2 ? batch.map(({ value }) => value) : null;
        if (expected) assert.deepEqual(responses, expected);
        for (const value of responses) assert.ok(value.startsWith(`${name} ${i} `));
      }
    };
    await within(Promise.all('abcdefghij'.split('').map(chain)), 'the chains', 60_000);
  });

  test('runs on several instances do not mix', async (t) => {
    const instances = [on(t, { parallelization: 1 }), on(t, { parallelization: 1 }), on(t, { parallelization: 2 })];
    const runs = Array.from({ length: 30 }, (_, i) => instances[i % 3].run([echo(i), echo(-i)]));
    for (const [i, { responses }] of (await Promise.all(runs)).entries()) {
      assert.deepEqual(responses, i % 3 === 2 ? [i, -i] : [-i]);
    }
  });

  test('100 concurrent runs cause no warning', async (t) => {
    const warnings = [];
    const note = (warning) => warnings.push(warning);
    process.on('warning', note);
    t.after(() => process.off('warning', note));
    const parallelizer = on(t);
    await Promise.all(Array.from({ length: 100 }, (_, i) => parallelizer.run([echo(i), echo(i)])));
    await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual(warnings.map(String).filter((text) => /MaxListeners/.test(text)), []);
  });
});

forEachMode(
  (mode) => {
    test('waiting runs begin in the order in which they were called', async (t) => {
      const parallelizer = make(t, { type: mode.type, parallelization: 1 });
      const dir = temporary(t);
      const held = parallelizer.run([{ do: 'gate', file: `${dir}/held` }]);
      await appeared(`${dir}/held.started`);
      const order = [];
      const runs = Array.from({ length: 20 }, (_, i) =>
        parallelizer.run([echo(i)]).then(({ responses }) => order.push(responses[0])),
      );
      fs.writeFileSync(`${dir}/held.go`, '');
      await Promise.all([held, ...runs]);
      assert.deepEqual(order, Array.from({ length: 20 }, (_, i) => i));
    });

    test('a slow run does not hold up a quick one if there is a free worker', async (t) => {
      const parallelizer = make(t, { type: mode.type, parallelization: 2 });
      const dir = temporary(t);
      const slow = parallelizer.run([{ do: 'gate', file: `${dir}/slow`, value: 'slow' }]);
      await appeared(`${dir}/slow.started`);
      for (let i = 0; i < 5; i++) {
        assert.deepEqual((await within(parallelizer.run([echo(i)]), 'a quick run')).responses, [i]);
      }
      fs.writeFileSync(`${dir}/slow.go`, '');
      assert.deepEqual((await slow).responses, ['slow']);
    });

    test('a run with two sub-batches really uses two workers at once', async (t) => {
      const parallelizer = make(t, { type: mode.type, parallelization: 2 });
      const dir = temporary(t);
      const running = parallelizer.run([
        { do: 'gate', file: `${dir}/a`, value: 'a' },
        { do: 'gate', file: `${dir}/b`, value: 'b' },
      ]);
      await appeared(`${dir}/a.started`);
      await appeared(`${dir}/b.started`);
      // The second one answers first, but the responses are in the order of the batch.
      fs.writeFileSync(`${dir}/b.go`, '');
      fs.writeFileSync(`${dir}/a.go`, '');
      assert.deepEqual((await running).responses, ['a', 'b']);
    });
  },
  { needs: ['isParallel'] },
);

forEachMode(
  (mode) => {
    test('among deaths, exactly the calls that died fail', async (t) => {
      const parallelizer = make(t, { type: mode.type });
      const kinds = [
        (i) => echo(i),
        (i) => ({ do: 'throws', message: `bad ${i}` }),
        (i) => ({ do: 'exit', code: 1 + (i % 200) }),
        (i) => ({ do: 'sleep', ms: 3, value: i }),
        (i) => ({ do: 'exitAfterReply', ms: 1, code: 0, value: i }),
      ];
      const file = `${temporary(t)}/touched`;
      const runs = Array.from({ length: 50 }, (_, i) =>
        parallelizer.run([kinds[i % 5](i), { do: 'touch', file, value: `sibling ${i}` }]),
      );
      const answers = await within(Promise.all(runs), 'the runs', 60_000);
      for (const [i, { responses, errors }] of answers.entries()) {
        // A worker that exits after its answer may have begun another call by then. That call fails for this
        // reason, and no other does.
        const outcome = (index) => {
          const error = errors.find(({ batchIndex }) => batchIndex === index);
          if (!error) return responses[index - (errors.some(({ batchIndex }) => batchIndex < index) ? 1 : 0)];
          if (error.code !== 'ERR_PARALLELIZER_WORKER_EXITED') return String(error);
          return error.exitCode === 0 ? 'lost' : error.exitCode;
        };
        assert.equal(responses.length + errors.length, 2);
        const own = [i, `Error: bad ${i}`, 1 + (i % 200), i, i][i % 5];
        assert.ok([own, 'lost'].includes(outcome(0)), `run ${i}, first: ${outcome(0)}`);
        assert.ok([`sibling ${i}`, 'lost'].includes(outcome(1)), `run ${i}, second: ${outcome(1)}`);
      }
      assert.ok(lines(file).length >= 50 - 10, 'nearly all siblings ran');
      assert.deepEqual((await parallelizer.run([echo(1), echo(2)])).responses, [1, 2]);
    });
  },
  { needs: ['hasProcess'] },
);
