'use strict';
// What becomes of values of every kind, in each mode: as an argument, as a result, within a thrown error. It is what
// docs/values.md says. Nothing arrives as something that the document does not say, least of all as an empty object.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { after, before, describe, test } = require('node:test');
const { spawnSync } = require('node:child_process');

const { Pool } = require('@parallelizer/node');
const { groups, isRight, kinds, make, places } = require('./fixtures/clonable');
const { fixture, root, within } = require('./support/helpers');
const { forEachMode } = require('./support/modes');
const { node } = require('./support/nodes');

const task = (name) => ({ filePath: fixture('clonable.js'), name });
const code = 'ERR_PARALLELIZER_SERIALIZATION';

/** How docs/values.md says what happens. */
const OUTCOMES = {
  same: ['the same', 'the same'],
  threadsOnly: ['the same', 'refused'],
  moved: ['moved', 'refused'],
  refused: ['refused', 'refused'],
  refusedButByJson: ['refused', 'refused'],
};

test('docs/values.md says so', () => {
  const text = fs.readFileSync(path.join(root, 'docs', 'values.md'), 'utf8');
  const rows = text.split('\n').filter((line) => line.startsWith('| ')).map((line) => line.slice(2, -2).split(' | '));
  const said = new Map(rows.map(([names, ...rest]) => [names, rest]));
  for (const [group, members] of Object.entries(groups)) {
    for (const name of Object.keys(members)) {
      const row = [...said].find(([names]) => names.replaceAll('`', '').split(', ').includes(name));
      assert.ok(row, `no row for ${name}`);
      const [threads, processes] = row[1];
      if (group === 'changed') assert.equal(threads, processes, name);
      else assert.deepEqual([threads, processes], OUTCOMES[group], name);
    }
  }
});

/** Whether a kind travels in a mode. */
const travels = (name, isThread) =>
  name in groups.same || name in groups.changed || (isThread && name in groups.threadsOnly);

/** What the message of a refusal begins with. */
const placeOf = (name, place) => {
  const where = places[place][2];
  const rest = kinds[name][2];
  return rest === undefined ? where : `${where === 'the value' ? '' : where}.${rest}`;
};

async function assertRefused(promise, where) {
  const error = await within(promise, where).then(() => assert.fail(`${where}: it has travelled`), (thrown) => thrown);
  assert.equal(error.code, code, `${where}: ${error.stack}`);
  assert.ok(error.message.startsWith(`${where} cannot travel`), `${where}: ${error.message.slice(0, 200)}`);
}

forEachMode((mode) => {
  const isThread = !mode.hasProcess;
  for (const serialization of ['auto', 'advanced']) {
    describe(serialization, () => {
      let pool;
      before(() => (pool = new Pool(1, { type: mode.type, serialization })));
      after(() => pool.terminate());

      for (const name of Object.keys(kinds)) {
        test(name, async (t) => {
          if ((await make(name, 'by itself')) === undefined) return t.skip(`Node ${process.version} has none`);
          const pid = await pool.apply(task('pid'), []);
          for (const place of Object.keys(places)) {
            const value = await make(name, place);
            if (name in groups.moved && isThread) {
              const object = await kinds[name][0]();
              const call = [name, place, places[place][0](object)];
              const [right] = await pool.map(task('receive'), [call], { transferList: [object] });
              assert.equal(right, true, `${place}: as an argument`);
              const result = await pool.apply(task('sendMoved'), [[name, place]]);
              assert.ok(isRight(name, place, result), `${place}: as a result`);
              await (places[place][1](result).close?.() ?? places[place][1](result).cancel?.());
            }
            if (travels(name, isThread)) {
              assert.equal(await pool.apply(task('receive'), [[name, place, value]]), true, `${place}: as an argument`);
              const result = await pool.apply(task('send'), [[name, place]]);
              assert.ok(isRight(name, place, result), `${place}: as a result`);
            } else {
              const where = placeOf(name, place);
              await assertRefused(pool.map(task('receive'), [value]), where);
              await assertRefused(pool.apply(task('send'), [[name, place]]), where);
            }
            await value?.close?.();
          }
          // In a thrown error there is what data is there; the rest is left out.
          const { message, held, beside } = await pool.apply(task('throwWith'), [[name, 'by itself']]).catch((e) => e);
          assert.deepEqual([message, beside], ['thrown', 1]);
          const isEmpty = typeof held === 'object' && held !== null && Object.keys(held).length === 0 &&
            Object.getPrototypeOf(held) === Object.prototype && name !== 'a Proxy';
          assert.ok(!isEmpty, 'no empty object stands for it in a thrown error');
          assert.equal(await pool.apply(task('pid'), []), pid, 'the worker stays');
          assert.equal(pool.stats().restarts, 0);
        });
      }
    });
  }

  test('json refuses what only JSON would make an empty object of', async (t) => {
    const pool = new Pool(1, { type: mode.type, serialization: 'json' });
    t.after(() => pool.terminate());
    const names = [...Object.keys(groups.threadsOnly), ...Object.keys(groups.moved), ...Object.keys(groups.refused)];
    for (const name of names.filter((each) => !/^a view of/.test(each))) {
      for (const place of ['by itself', 'deep in an object, beside bytes', 'in a list of records']) {
        const value = await make(name, place);
        const alone = await make(name, 'by itself');
        if (alone === undefined || alone.toJSON !== undefined) continue;
        await assertRefused(pool.map(task('receive'), [value]), placeOf(name, place));
        await assertRefused(pool.apply(task('send'), [[name, place]]), placeOf(name, place));
      }
    }
    assert.deepEqual(await pool.map((value) => value, [new URL('http://localhost/')]), ['http://localhost/']);
  });

  test('a value that is refused fails its own call only', async (t) => {
    const pool = new Pool(1, { type: mode.type });
    t.after(() => pool.terminate());
    const bad = new URL('http://localhost/');
    const outcomes = await pool.map((value) => typeof value, [1, { bad }, 'text'], { onError: 'collect' });
    assert.deepEqual([outcomes[0].value, outcomes[2].value], ['number', 'string']);
    assert.equal(outcomes[1].reason.code, code);
  });

  test('of several objects of the platform, the one that cannot be cloned is blamed', async (t) => {
    if (!isThread) return t.skip('processes are given none of them');
    const pool = new Pool(1, { type: mode.type });
    t.after(() => pool.terminate());
    const value = { key: kinds.KeyObject[0](), blob: new Blob(), nested: { port: await kinds.MessagePort[0]() } };
    await assertRefused(pool.map((given) => given, [value]), '.nested.port');
    value.nested.port.close();
  });

  test('shared memory of WebAssembly is the same memory in a thread', async (t) => {
    if (!isThread) return t.skip('processes share no memory of JavaScript');
    const pool = new Pool(1, { type: mode.type });
    t.after(() => pool.terminate());
    const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
    await pool.apply((given) => void (new Uint8Array(given.buffer)[0] = 7), [memory]);
    assert.equal(new Uint8Array(memory.buffer)[0], 7);
  });
});

describe('other versions of Node', () => {
  for (const major of [20, 22, 24]) {
    test(`Node ${major}`, (t) => {
      if (process.env.PARALLELIZER_TEST_NESTED || Number(process.versions.node.split('.')[0]) === major) {
        return t.skip('is what runs this');
      }
      const { binary, reason } = node(major);
      if (binary === null) return t.skip(reason);
      const { NODE_TEST_CONTEXT, ...env } = process.env;
      const { status, stdout } = spawnSync(binary, ['--test', __filename], {
        env: { ...env, PARALLELIZER_TEST_NESTED: '1' },
        encoding: 'utf8',
        timeout: 600_000,
      });
      assert.equal(status, 0, stdout.split('\n').filter((line) => /not ok|error:|cannot travel/.test(line)).join('\n'));
    });
  }
});
