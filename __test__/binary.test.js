'use strict';
// Byte arrays of every kind and size arrive as they were, wherever in a value they are, whether they travel as bytes or
// in memory that the processes share.

const assert = require('node:assert/strict');
const { spawn, spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { after, before, describe, test } = require('node:test');

const { Parallelizer, Pool } = require('@parallelizer/node');
const { KINDS, largeMappings, make, viewOf, wrongWith } = require('./fixtures/binary');
const { DEADLINE, fixture, isWindows, root, temporary, within } = require('./support/helpers');
const { forEachMode, modes } = require('./support/modes');
const { asynchronous, run } = require('./support/scripts');

const filePath = fixture('binary.js');
const task = (name) => ({ filePath, name });

const MAJOR = Number.parseInt(process.versions.node, 10);
const KB = 1024;
const MB = 1024 * KB;
const SIZES = [0, 1, 8, 4095, 4096, 4097, 8191, 8192, 256 * KB - 1, 256 * KB, 256 * KB + 1, MB];

/** Set when this file runs a second time, without memfd_create. */
const isDenied = process.env.PARALLELIZER_TEST_DENIED === '1';

/** What a worker is asked for, and what it is sent. */
function parcel(items) {
  return { items, values: items.map(({ kind, seed, length, offset }) => make(kind, seed, length, offset)) };
}

/** Sends byte arrays to a worker that overwrites them: both sides must have memory of their own. */
async function exchange(pool, items, place = (values) => values) {
  const sent = parcel(items);
  const { wrong, values, mappings } = await within(
    pool.apply(task('overwrite'), [{ items, values: place(sent.values) }]),
    'byte arrays',
  );
  assert.deepEqual(wrong, []);
  for (const [i, item] of items.entries()) {
    assert.equal(wrongWith(sent.values[i], item), null, `the sender's ${item.kind} of ${item.length} is as it was`);
    const back = viewOf(values[i]);
    assert.equal(back.length, viewOf(sent.values[i]).length);
    assert.ok(
      back.equals(Buffer.alloc(back.length, 0xee)),
      `what the worker wrote into a ${item.kind} of ${item.length}`,
    );
    back.fill(0x11);
    assert.ok(back.equals(Buffer.alloc(back.length, 0x11)), `a ${item.kind} of ${item.length} is writable`);
  }
  assert.equal(await pool.apply(task('isAsWritten'), []), true, 'what the worker kept is its own');
  return mappings;
}

forEachMode((mode) => {
  // For byte arrays these two differ only in what notices them.
  for (const serialization of isDenied ? ['auto'] : ['auto', 'advanced']) {
    describe(serialization, () => {
      let pool;
      before(() => {
        pool = new Pool(1, { type: mode.type, serialization });
      });
      after(() => pool.terminate());

      for (const kind of KINDS) {
        test(`${kind} of every size`, async () => {
          for (const length of SIZES) await exchange(pool, [{ kind, seed: length % 250, length }]);
        });
      }

      for (const kind of serialization === 'auto' ? ['Buffer', 'Float64Array', 'ArrayBuffer'] : []) {
        test(`${kind} of 16 MiB`, () => exchange(pool, [{ kind, seed: 3, length: 16 * MB }]));
      }

      test('views that begin and end within their buffer', async () => {
        const items = KINDS.filter((kind) => kind !== 'ArrayBuffer').flatMap((kind, i) =>
          [8, 4096, 300 * KB].map((length) => ({ kind, seed: i, length, offset: 40 })));
        await exchange(pool, items);
      });

      test('many in one value, more than can be shared at once', async () => {
        const items = Array.from({ length: 40 }, (_, i) => ({
          kind: KINDS[i % KINDS.length],
          seed: i,
          length: 256 * KB + i * 8,
        }));
        await exchange(pool, items);
        await exchange(
          pool,
          Array.from({ length: 500 }, (_, i) => ({ kind: KINDS[i % KINDS.length], seed: i % 250, length: i * 16 })),
        );
      });

      test('many calls side by side', async () => {
        const items = Array.from({ length: 60 }, (_, i) => ({
          kind: KINDS[i % KINDS.length],
          seed: i,
          length: (i % 3) * 256 * KB + i,
        }));
        const results = await within(
          pool.map(
            task('echo'),
            items.map(({ kind, seed, length }) => make(kind, seed, length)),
          ),
          'the calls',
        );
        assert.deepEqual(
          results.map((value, i) => wrongWith(value, items[i])).filter((what) => what !== null),
          [],
        );
        const made = await within(pool.map(task('create'), items), 'the results');
        assert.deepEqual(made.map((value, i) => wrongWith(value, items[i])).filter((what) => what !== null), []);
      });

      test('anywhere in a value', async () => {
        for (const length of [10, 300 * KB]) {
          const items = ['Buffer', 'Uint16Array', 'DataView', 'ArrayBuffer'].map((kind, seed) => ({
            kind,
            seed,
            length,
          }));
          const [a, b, c, d] = parcel(items).values;
          const deep = { list: [[[[[[{ d }]]]]]] };
          const value = { map: new Map([[a, { b }]]), set: new Set([[c]]), deep, none: undefined };
          const back = await pool.apply(task('echo'), [value]);
          const [[first, second]] = back.map;
          const found = [first, second.b, [...back.set][0][0], back.deep.list[0][0][0][0][0][0].d];
          assert.deepEqual(found.map((one, i) => wrongWith(one, items[i])), [null, null, null, null]);
        }
      });

      test('an ArrayBuffer after many other things, and one in a class instance', async () => {
        const item = { kind: 'ArrayBuffer', seed: 1, length: 300 * KB };
        class Holder {
          bytes = make(item.kind, item.seed, item.length);
        }
        const many = [...Array.from({ length: 500 }, (_, i) => ({ i })), make(item.kind, item.seed, item.length)];
        const [list, holder] = await pool.map(task('echo'), [many, new Holder()]);
        assert.deepEqual([wrongWith(list.at(-1), item), wrongWith(holder.bytes, item)], [null, null]);
      });

      test('a Buffer that is twice in a value arrives as one', async () => {
        for (const length of [10, 300 * KB]) {
          for (const kind of KINDS) {
            const value = make(kind, 1, length);
            const [one, two] = await pool.apply(task('echo'), [[value, value]]);
            assert.equal(one, two, `${kind} of ${length}`);
          }
        }
      });

      test('a result can be sent again, and again', async () => {
        for (const kind of KINDS) {
          const item = { kind, seed: 9, length: 300 * KB };
          let value = make(kind, item.seed, item.length);
          for (let i = 0; i < 3; i++) value = await pool.apply(task('echo'), [value]);
          assert.equal(wrongWith(value, item), null);
          const [first, second] = await Promise.all([
            pool.apply(task('echo'), [value]),
            pool.apply(task('echo'), [{ value }]),
          ]);
          assert.deepEqual(
            [wrongWith(first, item), wrongWith(second.value, item), wrongWith(value, item)],
            [null, null, null],
          );
        }
      });

      test('an ArrayBuffer that arrived can be transferred on, as far as Node does it', async () => {
        for (const length of [100, 10 * KB, 300 * KB]) {
          const value = await pool.apply(task('echo'), [make('ArrayBuffer', 1, length)]);
          const move = () => structuredClone(value, { transfer: [value] });
          const isShared = mode.hasProcess && length >= 256 * KB && !isDenied;
          // Node does not move memory that an addon has allocated, such as large shared memory: 20 copies it, and later
          // ones refuse.
          if (isShared && MAJOR > 20) {
            assert.throws(move, { name: 'DataCloneError' });
            assert.equal(wrongWith(structuredClone(value), { kind: 'ArrayBuffer', seed: 1, length }), null);
            continue;
          }
          assert.equal(wrongWith(move(), { kind: 'ArrayBuffer', seed: 1, length }), null);
          if (!isShared) assert.equal(value.byteLength, 0, `of ${length}`);
        }
      });

      test('the buffer of a view contains nothing of other values', async () => {
        for (const length of [3, 10 * KB, 300 * KB]) {
          const { bytes } = await pool.apply(task('echo'), [
            { secret: 'secret'.repeat(1000), bytes: new Uint8Array(length), more: undefined },
          ]);
          assert.equal(
            Buffer.from(bytes.buffer).includes('secret'),
            false,
            `${bytes.buffer.byteLength} bytes behind ${length}`,
          );
        }
      });

      test('in batch, params and context, and in a response', async (t) => {
        const parallelizer = new Parallelizer({
          type: mode.type,
          serialization,
          filePath: fixture('values.js'),
          processBatchFunctionName: 'both',
          parallelization: 1,
        });
        t.after(() => parallelizer.terminate());
        for (const length of [10, 300 * KB]) {
          const items = ['Buffer', 'Float32Array', 'ArrayBuffer'].map((kind, seed) => ({ kind, seed, length }));
          const [a, b, c] = parcel(items).values;
          const { responses, failures } = await parallelizer.run([a, a], b, { context: c });
          assert.deepEqual(failures, []);
          const { batch, params, context } = responses[0];
          assert.deepEqual(
            [batch[0], params, context].map((value, i) => wrongWith(value, items[i])),
            [null, null, null],
          );
          assert.equal(batch[0], batch[1]);
        }
      });
    });
  }

  test('json represents them in its own way', async (t) => {
    const pool = new Pool(1, { type: mode.type, serialization: 'json' });
    t.after(() => pool.terminate());
    const value = {
      a: Buffer.from('ab'),
      b: new Uint8Array([1, 2]),
      c: new ArrayBuffer(2),
      d: new DataView(new ArrayBuffer(1)),
    };
    assert.deepEqual(await pool.apply(task('echo'), [value]), JSON.parse(JSON.stringify(value)));
  });
});

forEachMode(
  (mode) => {
    test('large ones travel in shared memory if there is any', async (t) => {
      const pool = new Pool(1, { type: mode.type });
      t.after(() => pool.terminate());
      const mappings = await exchange(pool, [
        { kind: 'Buffer', seed: 1, length: MB },
        { kind: 'ArrayBuffer', seed: 2, length: MB },
      ]);
      if (!isDenied && mappings === 0 && !hasMemfd()) return t.skip('the system has no memfd_create');
      assert.equal(mappings > 0, !isDenied, `${mappings} mappings in the worker`);
    });

    test(
      'large results leave no descriptors, and their memory is freed',
      { skip: (isDenied && 'there is none') || (isWindows && 'on Windows there is no /proc to count them in') },
      async (t) => {
        const { messages } = await run(
          t,
          asynchronous(`
          const { Pool } = require(${JSON.stringify(root)});
          const { resources, make } = require(fixture('binary.js'));
          const pool = new Pool(1, { execArgv: ['--expose-gc'] });
          const task = (name) => ({ filePath: fixture('binary.js'), name });
          const round = async (i) => {
            const made = await pool.map(task('create'), Array.from({ length: 6 }, (_, j) => ({ kind: j % 2 ? 'Buffer' : 'ArrayBuffer', seed: j, length: 2 ** 20 })));
            await pool.apply(task('echo'), [{ made, more: make('Float64Array', 1, 300_000) }]);
          };
          // Memory is freed a moment after it is collected.
          const settled = async (limit) => {
            for (const end = Date.now() + 15_000; ; await sleep(50)) {
              gc();
              const now = { parent: resources({}), worker: await pool.apply(task('resources'), [{ collect: true }]) };
              const isDown = Object.keys(limit).every((side) => Object.keys(limit[side]).every((key) => now[side][key] <= limit[side][key]));
              if (isDown || Date.now() > end) return now;
            }
          };
          await round();
          const none = { descriptors: Infinity, mappings: 0 };
          const before = await settled({ parent: none, worker: none });
          for (let i = 0; i < 20; i++) await round();
          const after = await settled(before);
          console.log(JSON.stringify({ before, after, rss: process.memoryUsage.rss() }));
          await pool.terminate();`),
        { mode, execArgv: ['--expose-gc'] },
      );
      const { before, after } = messages[0];
      assert.deepEqual(before.parent.mappings, 0);
      assert.deepEqual(before.worker.mappings, 0);
      assert.deepEqual(after, before);
    });

    test('all of this without memfd_create', { skip: isDenied && 'this is it' }, async (t) => {
      const deny = path.join(temporary(t), 'deny');
      const compiled = spawnSync('cc', ['-o', deny, fixture('deny.c')], { encoding: 'utf8' });
      if (compiled.status !== 0) return t.skip(`cc: ${compiled.error?.message ?? compiled.stderr}`);
      const probe = spawnSync(deny, ['true'], { encoding: 'utf8' });
      if (probe.status === 77) return t.skip(`seccomp is refused: ${probe.stderr}`);
      const { NODE_TEST_CONTEXT, ...env } = process.env;
      const child = spawn(deny, [process.execPath, '--test-reporter=tap', __filename], {
        env: { ...env, PARALLELIZER_TEST_DENIED: '1', PARALLELIZER_TEST_MODES: mode.name },
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      t.after(() => child.kill('SIGKILL'));
      let output = '';
      child.stdout.setEncoding('utf8').on('data', (text) => (output += text));
      const code = await within(new Promise((resolve) => child.once('close', resolve)), 'the tests', 3 * DEADLINE);
      const failed = output.split('\n').filter((line) => /^ *not ok/.test(line)).map((line) => line.trim());
      assert.deepEqual([failed, code], [[], 0]);
      assert.ok(Number(/^# pass (\d+)/m.exec(output)?.[1]) > 25, output.slice(-500));
    });
  },
  { needs: ['hasProcess'] },
);

// Between processes it is refused, see transfer.test.js.
describe('shared memory', () => {
  for (const mode of modes.filter(({ hasProcess }) => !hasProcess)) {
    for (const serialization of ['auto', 'advanced']) {
      test(`${mode.name}, ${serialization}: a SharedArrayBuffer is shared, wherever it is`, async (t) => {
        const pool = new Pool(1, { type: mode.type, serialization });
        t.after(() => pool.terminate());
        for (const length of [0, 1, 4096, 256 * KB]) {
          const shared = make('SharedArrayBuffer', 4, length);
          const value = { shared, deep: [new Map([[shared, new Uint8Array(shared)]])] };
          const back = await pool.apply(task('echo'), [value]);
          assert.equal(wrongWith(back.shared, { kind: 'SharedArrayBuffer', seed: 4, length }), null);
          const [[key, view]] = back.deep[0];
          assert.equal(key, back.shared);
          viewOf(shared).fill(0x77);
          assert.ok(viewOf(view).every((byte) => byte === 0x77) && viewOf(back.shared).every((byte) => byte === 0x77));
        }
      });

      test(`${mode.name}, ${serialization}: what is next to a SharedArrayBuffer arrives as always`, async (t) => {
        const pool = new Pool(1, { type: mode.type, serialization });
        t.after(() => pool.terminate());
        const items = KINDS.map((kind, seed) => ({ kind, seed, length: 64 }));
        const { values } = parcel(items);
        // A small Buffer is a view of memory that it shares with other Buffers.
        values[0] = Buffer.from(values[0]);
        const back = await pool.apply(task('echo'), [{ shared: new SharedArrayBuffer(8), values }]);
        assert.deepEqual(back.values.map((value, i) => wrongWith(value, items[i])), items.map(() => null));
      });

      test(`${mode.name}, ${serialization}: what is next to something transferred arrives as always`, async (t) => {
        const pool = new Pool(1, { type: mode.type, serialization });
        t.after(() => pool.terminate());
        const moved = make('ArrayBuffer', 5, 1000);
        const back = await pool.apply(task('echo'), [{ moved, bytes: Buffer.from('bytes') }], {
          transferList: [moved],
        });
        assert.equal(moved.byteLength, 0);
        assert.equal(wrongWith(back.moved, { kind: 'ArrayBuffer', seed: 5, length: 1000 }), null);
        assert.ok(Buffer.isBuffer(back.bytes), 'the Buffer is a Buffer');
        assert.equal(back.bytes.toString(), 'bytes');
      });
    }
  }
});

/** Whether this process has the page with a worker's progress, which is shared memory as well. */
function hasMemfd() {
  return largeMappings() > 0 || fs.readFileSync('/proc/self/maps', 'latin1').includes('memfd:parallelizer');
}
