'use strict';
// Nobody else can reach the channel, nothing that comes over it reaches a prototype or becomes code, and nothing of the
// environment is ever shown.

const assert = require('node:assert/strict');
const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const { inspect } = require('node:util');
const { test } = require('node:test');

const { Parallelizer, Pool } = require('@parallelizer/node');
const { fixture, make, within } = require('./support/helpers');
const { forEachMode } = require('./support/modes');
const { makePool } = require('./support/pool');
const { asynchronous, run } = require('./support/scripts');

const task = (name) => ({ filePath: fixture('security.js'), name });
const targets = (pid) => fs.readdirSync(`/proc/${pid}/fd`).map((name) => {
  try {
    return fs.readlinkSync(`/proc/${pid}/fd/${name}`);
  } catch {
    return '';
  }
});
const socketsOf = (pid) => targets(pid).flatMap((target) => /^socket:\[(\d+)\]$/.exec(target)?.[1] ?? []);

forEachMode(
  (mode) => {
    test('the channel has no path and no port', async (t) => {
      const pool = makePool(t, mode);
      await pool.ready();
      const [pid] = pool.stats().workers.map((worker) => worker.pid);
      const sockets = socketsOf(pid);
      assert.ok(sockets.length >= 1, 'the channel is a socket');
      const unix = fs.readFileSync('/proc/net/unix', 'utf8').split('\n').map((line) => line.trim().split(/\s+/));
      const net = ['tcp', 'tcp6', 'udp', 'udp6'].map((name) => {
        try {
          return fs.readFileSync(`/proc/net/${name}`, 'utf8');
        } catch {
          return '';
        }
      }).join('');
      for (const inode of sockets) {
        const line = unix.find((fields) => fields[6] === inode);
        // Not every kernel lists pairs that were never bound.
        assert.equal(line?.[7], undefined, `a path: ${line}`);
        assert.ok(!net.split(/\s+/).includes(inode), 'a port');
      }
    });

    test('child processes of workers and parent get neither the channel nor the shared memory', async (t) => {
      const pool = makePool(t, mode);
      await pool.ready();
      const links = [
        await pool.apply(task('grandchild')),
        JSON.parse(execFileSync(process.execPath, ['-e', `
          const fs = require('node:fs');
          console.log(JSON.stringify(fs.readdirSync('/proc/self/fd').flatMap((name) => { try { return [fs.readlinkSync('/proc/self/fd/' + name)]; } catch { return []; } })));`,
            ],
            { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] },
          ),
        ),
      ];
      const [{ pid }] = pool.stats().workers;
      const private_ = [...targets(pid), ...targets(process.pid)].filter((target) => /^socket:|memfd:/.test(target));
      assert.ok(private_.length >= 2);
      for (const list of links) {
        assert.ok(list.length >= 3);
        assert.deepEqual(list.filter((target) => private_.includes(target)), []);
      }
    });

    test('the size of shared memory cannot be changed by whoever holds it', async (t) => {
      const pool = makePool(t, mode);
      const codes = await pool.apply(task('tamper'));
      if (codes === null) return t.skip('its descriptor is closed, and its mapping is not for this user to open');
      assert.deepEqual(codes, ['EPERM', 'EPERM']);
    });

    test('the script that workers start with is the same whatever the paths, names and data', async (t) => {
      const commands = [];
      for (const options of [
        { id: 'a' },
        { id: "b'; process.exit(1); '", env: { ...process.env, A_SECRET: 'hunter2' } },
      ]) {
        const parallelizer = make(t, { type: mode.type, parallelization: 1, ...options });
        const pool = makePool(t, mode, { processes: 1, env: options.env });
        await Promise.all([
          parallelizer.run([{ do: 'echo' }], { note: 'a value' }),
          pool.apply((x) => x, ['an argument']),
        ]);
        for (const { pid } of [...parallelizer.stats().workers, ...pool.stats().workers]) {
          commands.push(fs.readFileSync(`/proc/${pid}/cmdline`, 'utf8'));
          // Node 24 and later name their main thread.
          assert.match(fs.readFileSync(`/proc/${pid}/comm`, 'utf8'), /^(?:node|(?:node-)?MainThread)\n$/);
        }
      }
      assert.equal(commands.length, 4);
      assert.equal(new Set(commands).size, 1);
      assert.doesNotMatch(commands[0], /act\.js|a value|an argument|hunter2/);
    });
  },
  { needs: 'hasProcess' },
);

forEachMode((mode) => {
  const hostile = () =>
    JSON.parse(
      '{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}},"toString":1,"a":[{"__proto__":{"polluted":1}}]}',
    );
  const isOwn = (value) => {
    assert.equal(Object.getPrototypeOf(value), Object.prototype);
    assert.deepEqual(Object.keys(value), ['__proto__', 'constructor', 'toString', 'a']);
    assert.ok(Object.hasOwn(value.a[0], '__proto__'));
    assert.equal(value.polluted, undefined);
  };

  test('no key of a value reaches a prototype, there or back', async (t) => {
    const pool = makePool(t, mode);
    for (const serialization of ['auto', 'json', 'advanced']) {
      const other = makePool(t, mode, { serialization });
      const one = await other.apply(task('echo'), [hostile()]);
      assert.equal(one.polluted, false);
      isOwn(one.value);
    }
    // Long enough for the record codec.
    const many = Array.from({ length: 500 }, hostile);
    const back = await pool.apply(task('echo'), [many]);
    assert.equal(back.polluted, false);
    for (const value of back.value) isOwn(value);
    const error = await pool.apply(task('fail'), [hostile()]).catch((thrown) => thrown);
    isOwn(error.value);
    assert.equal({}.polluted, undefined);
    assert.equal([].polluted, undefined);
  });

  test('nor does one of params, context, or a record', async (t) => {
    const parallelizer = make(t, { type: mode.type, processBatchFunctionName: 'both' });
    const { responses } = await parallelizer.run([hostile(), hostile()], hostile(), { context: hostile() });
    for (const { batch, params } of responses) {
      isOwn(params);
      for (const record of batch) isOwn(record);
    }
    assert.equal({}.polluted, undefined);
  });

  for (const name of ['__proto__', 'constructor', 'toString', 'hasOwnProperty', 'valueOf']) {
    test(`${name} is not a function of a module`, async (t) => {
      const parallelizer = make(t, { type: mode.type, processBatchFunctionName: name });
      const { errors } = await within(parallelizer.run([1]), 'the run');
      assert.deepEqual(errors.map(({ code }) => code), ['ERR_PARALLELIZER_MODULE']);
      const pool = makePool(t, mode);
      await assert.rejects(within(pool.apply(task(name)), 'the call'), { code: 'ERR_PARALLELIZER_MODULE' });
    });
  }
});

forEachMode(
  (mode) => {
    test('nothing of the environment is in an error, a debug line, a process title or a command line', async (t) => {
      const { messages, stdout, stderr } = await run(
        t,
        asynchronous(`
          const fs = require('node:fs');
          const { inspect } = require('node:util');
          const { Pool } = require(${JSON.stringify(require('./support/helpers').root)});
          const env = { ...process.env, A_SECRET: 'hunter2' };
          const seen = [];
          const show = (error) => seen.push(inspect(error, { depth: 10, showHidden: true }), JSON.stringify(error), String(error?.stack));
          const ways = [
            { env },
            { env: { ...env, NUL: 'hunter2\\0' } },
            { env: { ...env, NUMBER: 5, LIST: ['hunter2'] } },
            { env, filePath: '/no/such/hunter.js' },
            { env, filePath: fixture('modules/exits-at-load.js') },
            { env, timeout: 1, gracePeriod: 0 },
            { env, serialization: 'hunter' },
          ];
          let saw = 0;
          for (const way of ways) {
            try {
              const parallelizer = make({ debug: true, ...way });
              const results = [
                await parallelizer.run([{ do: 'exit', code: 3 }, { do: 'throws' }]), await parallelizer.run([{ do: 'exitLater', code: 4 }, { do: 'sleep', ms: 30 }]),
              ];
              for (const { errors } of results) errors.forEach(show);
              await parallelizer.ready().catch(show);
              for (const { pid } of parallelizer.stats().workers) {
                if (pid !== process.pid && fs.existsSync('/proc/' + pid)) { seen.push(fs.readFileSync('/proc/' + pid + '/cmdline', 'utf8'), fs.readFileSync('/proc/' + pid + '/comm', 'utf8')); saw++; }
              }
              seen.push(inspect(parallelizer, { depth: 10, showHidden: true }), inspect(parallelizer.stats(), { depth: 10 }));
              await parallelizer.close();
            } catch (error) { show(error); }
          }
          const pool = new Pool(1, { type: process.env.TEST_MODE_TYPE, env });
          const got = await pool.apply({ filePath: fixture('security.js'), name: 'secret' });
          await pool.apply({ filePath: fixture('security.js'), name: 'exit' }).catch(show);
          seen.push(inspect(pool, { depth: 10, showHidden: true }));
          await pool.terminate();
          console.log(JSON.stringify([got === 'hunter' + 2, seen.length, saw, seen.filter((text) => text?.includes('hunter' + 2))]));`),
        { mode },
      );
      const [got, seen, saw, showing] = messages[0];
      assert.ok(got, 'the worker has it');
      assert.ok(seen > 30, `${seen} texts`);
      if (mode.hasProcess) assert.ok(saw > 0);
      assert.deepEqual(showing, []);
      assert.ok(stderr.includes('"event":"spawn"'));
      assert.ok(!stderr.includes('hunter2') && !stdout.includes('hunter2'));
    });
  },
  { needs: 'hasWorkers' },
);

test('inspecting an instance shows nothing of its options', () => {
  const options = { env: { A_SECRET: 'hunter2' }, filePath: fixture('act.js'), processBatchFunctionName: 'act' };
  for (const one of [new Parallelizer(options), new Pool(1, { env: options.env })]) {
    assert.ok(!inspect(one, { depth: 10, showHidden: true }).includes('hunter2'));
    assert.ok(!JSON.stringify(one).includes('hunter2'));
    void one.terminate();
  }
});
