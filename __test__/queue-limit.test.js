'use strict';
// maxQueue: how many sub-batches may wait. A call is accepted as a whole, or not at all.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const { test } = require('node:test');

const { appeared, echo, lines, make, temporary, within } = require('./support/helpers');
const { forEachMode } = require('./support/modes');

const full = { code: 'ERR_PARALLELIZER_QUEUE_FULL' };

forEachMode(
  (mode) => {
    // An instance whose only worker is blocked until `open()`.
    async function held(t, options) {
      const parallelizer = make(t, { type: mode.type, parallelization: 1, ...options });
      const dir = temporary(t);
      const running = parallelizer.run([{ do: 'gate', file: `${dir}/held`, value: 'held' }]);
      await appeared(`${dir}/held.started`);
      const open = async () => {
        fs.writeFileSync(`${dir}/held.go`, '');
        assert.deepEqual((await within(running, 'the held run')).responses, ['held']);
      };
      return { parallelizer, dir, open };
    }

    test('runs beyond it reject; those within it are carried out', async (t) => {
      const { parallelizer, open } = await held(t, { maxQueue: 2 });
      const waiting = [parallelizer.run([echo(1)]), parallelizer.run([echo(2)])];
      await assert.rejects(parallelizer.run([echo(3)]), full);
      await assert.rejects(parallelizer.run([echo(4)]), full);
      await open();
      assert.deepEqual((await Promise.all(waiting)).map(({ responses }) => responses[0]), [1, 2]);
      assert.deepEqual((await parallelizer.run([echo(5)])).responses, [5], 'there is room again');
    });

    test('a call is queued wholly or not at all', async (t) => {
      const { parallelizer, dir, open } = await held(t, { maxQueue: 3, batchSize: 1 });
      const touch = (name) => ({ do: 'touch', file: `${dir}/${name}`, value: name });
      const first = parallelizer.run([touch('a'), touch('b')]);
      await assert.rejects(parallelizer.run([touch('c'), touch('d')]), full);
      const second = parallelizer.run([touch('e')]);
      await open();
      assert.deepEqual((await first).responses, ['a', 'b']);
      assert.deepEqual((await second).responses, ['e']);
      await parallelizer.run([echo(1)]);
      for (const name of ['a', 'b', 'e']) assert.equal(lines(`${dir}/${name}`).length, 1);
      for (const name of ['c', 'd'])
        assert.equal(lines(`${dir}/${name}`).length, 0, 'a rejected call leaves nothing behind');
    });

    test('running work does not count, even with maxQueue 0', async (t) => {
      const { parallelizer, open } = await held(t, { maxQueue: 0, parallelization: 2 });
      assert.deepEqual((await within(parallelizer.run([echo(1)]), 'a run on the free worker')).responses, [1]);
      await assert.rejects(parallelizer.run([echo(1), echo(2)]), full);
      await open();
    });

    test('an aborted run makes room', async (t) => {
      const { parallelizer, open } = await held(t, { maxQueue: 1 });
      const controller = new AbortController();
      const waiting = parallelizer.run([echo(1)], null, { signal: controller.signal });
      await assert.rejects(parallelizer.run([echo(2)]), full);
      controller.abort();
      assert.equal((await waiting).errors[0].code, 'ERR_PARALLELIZER_ABORTED');
      const third = parallelizer.run([echo(3)]);
      await open();
      assert.deepEqual((await third).responses, [3]);
    });

    test('stats() says how many wait', async (t) => {
      const { parallelizer, open } = await held(t, { maxQueue: 5 });
      const waiting = [parallelizer.run([echo(1)]), parallelizer.run([echo(2)])];
      assert.equal(parallelizer.stats().waiting, 2);
      assert.equal(parallelizer.stats().running, 1);
      await open();
      await Promise.all(waiting);
      assert.equal(parallelizer.stats().waiting, 0);
      assert.equal(parallelizer.stats().running, 0);
    });

    test('an empty batch is always accepted', async (t) => {
      const { parallelizer, open } = await held(t, { maxQueue: 0 });
      assert.deepEqual((await parallelizer.run([])).responses, []);
      await open();
    });
  },
  { needs: ['hasWorkers'] },
);
