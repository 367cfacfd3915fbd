'use strict';
// Many environments of one process load the same module, and with it a pool: they share one set of workers.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const { after, test } = require('node:test');

const { Pool } = require('@parallelizer/node');
const { environments } = require('./support/environments');
const helpers = require('./support/helpers');

const { childrenOf, fixture, gone, isRunning, lines, temporary, within } = helpers;
// Many threads and processes at once, which take a busy machine some time.
const PATIENCE = 60_000;
const waitFor = (condition, what) => helpers.waitFor(condition, what, PATIENCE);
const appeared = (file) => helpers.appeared(file, PATIENCE);

const BUDGET = 2;
const act = { filePath: fixture('act.js'), processBatchFunctionName: 'act', parallelization: BUDGET };

/** The worker processes of this process, except for those that have ended and are not reaped yet. */
const workers = () => childrenOf(process.pid).filter(isRunning);
const noneLeft = () => waitFor(() => childrenOf(process.pid).length === 0, 'the last worker process to be gone');

/** Samples the number of workers. */
function watch(t, count = () => workers().length) {
  let most = 0;
  const timer = setInterval(() => (most = Math.max(most, count())), 5);
  t.after(() => clearInterval(timer));
  return () => most;
}

const pidsOfMap = async (pool, items) => {
  const results = await pool.map((item) => {
    const end = performance.now() + 0.2;
    while (performance.now() < end);
    return [item * 2, process.pid];
  }, items);
  for (const [i, [value]] of results.entries())
    if (value !== items[i] * 2) throw new Error(`${items[i]} gave ${value}`);
  return [...new Set(results.map(([, pid]) => pid))];
};

after(noneLeft);

test('16 environments have as many workers as one would have, all of them work, and none is left behind', async (t) => {
  const most = watch(t);
  const all = environments(t, 16, 'pool', { processes: BUDGET });
  const pids = await Promise.all(
    all.map(async (one, i) => {
      const seen = new Set();
      for (let round = 0; round < 5; round++) {
        const items = Array.from({ length: 40 }, (_, k) => i * 1000 + round * 50 + k);
        for (const pid of await one.do(pidsOfMap, items)) seen.add(pid);
      }
      return [...seen];
    }),
  );
  const distinct = new Set(pids.flat());
  assert.ok(distinct.size <= BUDGET, `${distinct.size} processes did the work`);
  assert.ok(most() <= BUDGET, `${most()} workers were there at one time`);
  await Promise.all(all.map((one) => one.close()));
  assert.deepEqual(childrenOf(process.pid), [], 'the last that closes has waited for them');
});

test('workers start with the first environment, before there is work, and serve all', async (t) => {
  const [first] = environments(t, 1, 'pool', { processes: BUDGET });
  await first.do((pool) => void pool.stats());
  await waitFor(() => workers().length === BUDGET, 'the workers to be started');
  const early = workers();
  const others = environments(t, 3, 'pool', { processes: BUDGET });
  for (const one of [...others, first]) {
    for (const pid of await one.do(pidsOfMap, [1, 2, 3])) assert.ok(early.includes(pid), 'a warm one');
  }
  await Promise.all([first, ...others].map((one) => one.close()));
});

test('ready() in every environment at once', async (t) => {
  const all = environments(t, 6, 'parallelizer', act);
  const most = watch(t);
  await Promise.all(all.map((one) => one.do((parallelizer) => parallelizer.ready())));
  const answers = await Promise.all(
    all.map((one) =>
      one.do((p) =>
        p.run([
          { do: 'echo', value: 1 },
          { do: 'echo', value: 2 },
        ]),
      ),
    ),
  );
  for (const { responses } of answers) assert.deepEqual(responses, [1, 2]);
  assert.ok(most() <= BUDGET, `${most()} workers`);
  await Promise.all(all.map((one) => one.close()));
});

test('an environment with endless work leaves room for the others', async (t) => {
  const [hog, ...others] = environments(t, 5, 'pool', { processes: BUDGET });
  hog.tell(async (pool, _, { kept }) => {
    kept.done = 0;
    const endless = (function* () {
      for (let i = 0; !kept.stop; i++) yield i;
    })();
    for await (const value of pool.imapUnordered((x) => {
      const end = performance.now() + 1;
      while (performance.now() < end);
      return x;
    }, endless)) kept.done += value >= 0 ? 1 : 0;
  });
  const done = () => hog.do((_pool, _, { kept }) => kept.done);
  await waitFor(async () => (await done()) > 50, 'the first to be busy');
  for (let round = 0; round < 3; round++) {
    const before = await done();
    await Promise.all(others.map((one) => one.do(pidsOfMap, Array.from({ length: 30 }, (_, i) => i))));
    await waitFor(async () => (await done()) > before, 'the first to go on as well');
  }
  await hog.do((_pool, _, { kept }) => void (kept.stop = true));
  await Promise.all([hog, ...others].map((one) => one.close()));
});

test('an environment that waits behind long calls is served when these are done', async (t) => {
  const [holder, ...others] = environments(t, 4, 'parallelizer', act);
  const dir = temporary(t);
  const held = holder.do((p, dir) => p.run([1, 2].map((i) => ({ do: 'gate', file: `${dir}/${i}`, value: i }))), dir);
  await Promise.all([1, 2].map((i) => appeared(`${dir}/${i}.started`)));
  let served = 0;
  const waiting = others.map((one, i) => one.do((p, i) => p.run([{ do: 'echo', value: i }]), i).then((result) => {
    served++;
    return result.responses;
  }));
  // After a round trip to each of them, the request has been sent.
  await Promise.all(others.map((one) => one.do(() => {})));
  assert.equal(served, 0, 'there is nobody to do it');
  fs.writeFileSync(`${dir}/1.go`, '');
  assert.deepEqual(await Promise.all(waiting), [[0], [1], [2]], 'one worker is enough for all of them');
  fs.writeFileSync(`${dir}/2.go`, '');
  assert.deepEqual((await held).responses, [1, 2]);
  await Promise.all([holder, ...others].map((one) => one.close()));
});

for (const [state, record] of [
  ['idle', null],
  ['that awaits', 'forever'],
  ['in an endless loop', 'loop'],
  ['that blocks', 'block'],
]) {
  test(`an environment that is terminated with workers ${state}: the others go on`, async (t) => {
    const most = watch(t);
    const [victim, other, third] = environments(t, 3, 'parallelizer', act);
    const file = `${temporary(t)}/pids`;
    if (record === null) {
      await victim.do((p) => p.ready());
    } else {
      victim.tell((p, [record, file]) => p.run([{ do: record, file }, { do: record, file }]), [record, file]);
      await waitFor(() => lines(file).length === BUDGET, 'all workers to be taken');
    }
    const before = workers();
    const waiting = other.do((p) => p.run([{ do: 'pid' }, { do: 'pid' }]));
    await other.do(() => {});
    await victim.terminate();
    const { responses, failures } = await waiting;
    assert.deepEqual(failures, []);
    if (record === null) assert.ok(responses.every((pid) => before.includes(pid)), 'idle ones are handed on');
    else assert.ok(responses.every((pid) => !before.includes(pid)), 'busy ones ended with their owner');
    assert.deepEqual((await third.do((p) => p.run([{ do: 'echo', value: 3 }]))).responses, [3]);
    assert.ok(most() <= BUDGET, `${most()} workers`);
    await Promise.all([other.close(), third.close()]);
    assert.deepEqual(childrenOf(process.pid), []);
  });
}

test('environments that are all terminated leave nothing behind', async (t) => {
  const all = environments(t, 4, 'parallelizer', act);
  await Promise.all(all.map((one) => one.do((p) => p.run([{ do: 'echo', value: 1 }, { do: 'echo', value: 2 }]))));
  assert.equal(workers().length, BUDGET);
  await Promise.all(all.map((one) => one.terminate()));
  await noneLeft();
});

test('environments come and go while others work', async (t) => {
  const most = watch(t);
  const [steady] = environments(t, 1, 'pool', { processes: BUDGET });
  let stop = false;
  const working = (async () => {
    for (let i = 0; !stop; i++) await steady.do(pidsOfMap, [i, i + 1, i + 2]);
  })();
  for (let i = 0; i < 8; i++) {
    const [guest] = environments(t, 1, 'pool', { processes: BUDGET });
    const running = guest.do(pidsOfMap, Array.from({ length: 200 }, (_, k) => k));
    if (i % 2 === 0) {
      await running;
      await guest.close();
    } else {
      running.catch(() => {});
      await guest.do(() => {});
    }
    await guest.terminate();
  }
  stop = true;
  await working;
  assert.ok(most() <= BUDGET, `${most()} workers`);
  await steady.close();
});

test("a worker that is killed costs its own environment's call only", async (t) => {
  const [one, other] = environments(t, 2, 'parallelizer', { ...act, parallelization: 2 });
  const dir = temporary(t);
  const gate = (owner, name) => owner.do((p, file) => p.run([{ do: 'gate', file, value: 'kept' }]).then(
    ({ responses, errors }) => ({ responses, codes: errors.map(({ code, signal }) => [code, signal]) }),
  ), `${dir}/${name}`);
  const [first, second] = [gate(one, 'one'), gate(other, 'other')];
  await Promise.all([appeared(`${dir}/one.started`), appeared(`${dir}/other.started`)]);
  process.kill(await helpers.pidIn(`${dir}/one.started`), 'SIGKILL');
  assert.deepEqual(await first, { responses: [], codes: [['ERR_PARALLELIZER_WORKER_EXITED', 'SIGKILL']] });
  assert.deepEqual((await one.do((p) => p.run([{ do: 'echo', value: 'again' }]))).responses, ['again']);
  fs.writeFileSync(`${dir}/other.go`, '');
  assert.deepEqual(await second, { responses: ['kept'], codes: [] });
  await Promise.all([one.close(), other.close()]);
});

test('idle workers that are killed cost nothing', async (t) => {
  const [one, other] = environments(t, 2, 'parallelizer', act);
  for (let round = 0; round < 5; round++) {
    await one.do((p) => p.run([{ do: 'echo', value: 1 }, { do: 'echo', value: 2 }]));
    // Whichever environment holds them, nothing is under way.
    for (const pid of workers()) process.kill(pid, 'SIGKILL');
    const { responses, failures } = await other.do((p) => p.run([{ do: 'echo', value: 1 }, { do: 'echo', value: 2 }]));
    assert.deepEqual([responses, failures], [[1, 2], []]);
  }
  await Promise.all([one.close(), other.close()]);
});

for (const end of ['close', 'terminate']) {
  test(`${end} in one environment does not harm another`, async (t) => {
    const [one, other] = environments(t, 2, 'parallelizer', act);
    const pids = async (owner) => (await owner.do((p) => p.run([{ do: 'pid' }, { do: 'pid' }]))).responses;
    const before = new Set([...(await pids(one)), ...(await pids(other))]);
    await one.do((p, end) => p[end](), end);
    assert.ok((await pids(other)).every((pid) => before.has(pid)), 'the workers are there');
    await assert.rejects(one.do((p) => p.run([{ do: 'pid' }])), { code: 'ERR_PARALLELIZER_CLOSED' });
    await other.close();
    assert.deepEqual(childrenOf(process.pid), []);
  });
}

test('terminate of one with work under way kills only its own workers', async (t) => {
  const [one, other] = environments(t, 2, 'parallelizer', act);
  const dir = temporary(t);
  const held = other.do((p, file) => p.run([{ do: 'gate', file, value: 'kept' }]), `${dir}/kept`);
  await appeared(`${dir}/kept.started`);
  one.tell((p, file) => p.run([{ do: 'loop', file }]), `${dir}/looping`);
  const looping = await helpers.pidIn(`${dir}/looping`, PATIENCE);
  await one.do((p) => p.terminate());
  await gone(looping);
  fs.writeFileSync(`${dir}/kept.go`, '');
  assert.deepEqual((await held).responses, ['kept']);
  await other.close();
});

test('close finishes what was accepted, even if the workers are lent to others', async (t) => {
  const [one, other] = environments(t, 2, 'parallelizer', { ...act, parallelization: 1 });
  const file = `${temporary(t)}/gate`;
  const held = one.do((p, file) => p.run([{ do: 'gate', file, value: 'kept' }]), file);
  await appeared(`${file}.started`);
  const closing = other.do(async (p) => {
    const run = p.run([{ do: 'echo', value: 'accepted' }]);
    await p.close();
    return (await run).responses;
  });
  await other.do(() => {});
  const closed = one.close();
  fs.writeFileSync(`${file}.go`, '');
  assert.deepEqual(await closing, ['accepted']);
  assert.deepEqual((await held).responses, ['kept']);
  await closed;
  assert.deepEqual(childrenOf(process.pid), []);
});

test('removeChildThreads ends idle workers; the next run starts workers again', async (t) => {
  const [one, other] = environments(t, 2, 'parallelizer', act);
  await one.do((p) => p.run([{ do: 'echo' }, { do: 'echo' }]));
  await waitFor(() => workers().length === BUDGET, 'the workers');
  // The first one may have its answer and still hold the workers until its turn of the event loop ends.
  await waitFor(async () => {
    await other.do((p) => p.removeChildThreads());
    return childrenOf(process.pid).length === 0;
  }, 'the idle workers to be gone');
  for (const owner of [one, other]) {
    assert.deepEqual((await owner.do((p) => p.run([{ do: 'echo', value: 5 }]))).responses, [5]);
  }
  await Promise.all([one.close(), other.close()]);
});

test("'exit' handlers run in workers when the last environment closes", async (t) => {
  const file = `${temporary(t)}/exit`;
  const options = { filePath: fixture('exit-handler.js'), processBatchFunctionName: 'act', parallelization: 1 };
  const known = Object.keys(require('./fixtures/exit-handler.js'));
  const [one, other] = environments(t, 2, 'parallelizer', { ...options, processBatchFunctionName: known[0] });
  await one.do((p, file) => p.run([{ file }]), file);
  await one.close();
  assert.deepEqual(lines(file), []);
  await other.close();
  assert.deepEqual(lines(file), ['exit']);
});

test('functions sent as source: each environment runs its own, in whatever order they came', async (t) => {
  const all = environments(t, 4, 'pool', { processes: 1 });
  const answers = await Promise.all(
    all.map((one, i) =>
      one.do(async (pool, i) => {
        const fns = [(x) => `a${x}`, (x) => `b${x}`, (x) => `c${x}`, (x) => `d${x}`];
        const order = fns.map((_, k) => (k + i) % fns.length);
        const results = [];
        for (let round = 0; round < 10; round++)
          for (const k of order) results.push([k, await pool.apply(fns[k], [round])]);
        return results.every(([k, value], n) => value === `${'abcd'[k]}${Math.floor(n / 4)}`) ? 'right' : results;
      }, i),
    ),
  );
  assert.deepEqual(answers, ['right', 'right', 'right', 'right']);
  await Promise.all(all.map((one) => one.close()));
});

test('a call that one environment cancels does not make a call of another be skipped', async (t) => {
  const [one, other] = environments(t, 2, 'pool', { processes: 1 });
  for (let round = 0; round < 10; round++) {
    const codes = one.do(
      async (pool, { filePath }) => {
        const controller = new AbortController();
        const runs = Array.from({ length: 20 }, () =>
          pool.apply({ filePath, name: 'act' }, [{ batch: [{ do: 'echo', value: 1 }] }], { signal: controller.signal }),
        );
        setImmediate(() => controller.abort());
        return (await Promise.allSettled(runs)).length;
      },
      { filePath: act.filePath },
    );
    const values = other.do((pool) =>
      pool.map(
        (x) => x,
        Array.from({ length: 100 }, (_, i) => i),
      ),
    );
    assert.equal(await codes, 20);
    assert.deepEqual(await values, Array.from({ length: 100 }, (_, i) => i));
  }
  await Promise.all([one.close(), other.close()]);
});

test('maxTasksPerChild counts what a worker did for all environments', async (t) => {
  const [one, other] = environments(t, 2, 'pool', { processes: 1, maxTasksPerChild: 3 });
  const pid = (owner) => owner.do((pool) => pool.apply(() => process.pid));
  const pids = [await pid(one), await pid(one), await pid(other), await pid(other), await pid(one)];
  assert.equal(new Set(pids.slice(0, 3)).size, 1);
  assert.equal(new Set(pids.slice(3)).size, 1);
  assert.notEqual(pids[2], pids[3]);
  await Promise.all([one.close(), other.close()]);
});

test('idleTimeout stops workers that nobody needs', async (t) => {
  const all = environments(t, 3, 'parallelizer', { ...act, idleTimeout: 100 });
  const answers = await Promise.all(
    all.map((one) =>
      one.do((p) =>
        p.run([
          { do: 'echo', value: 1 },
          { do: 'echo', value: 2 },
        ]),
      ),
    ),
  );
  for (const { responses } of answers) assert.deepEqual(responses, [1, 2]);
  await noneLeft();
  assert.deepEqual((await all[0].do((p) => p.run([{ do: 'echo', value: 3 }]))).responses, [3]);
  await Promise.all(all.map((one) => one.close()));
});

test('groupBy keeps the order of each key while workers pass from one environment to another', async (t) => {
  const all = environments(t, 4, 'parallelizer', { ...act, batchSize: 1 });
  const dir = temporary(t);
  await Promise.all(
    all.map((one, i) =>
      one.do(
        async (p, [dir, i]) => {
          const records = Array.from({ length: 60 }, (_, n) => ({
            do: 'touch',
            file: `${dir}/${i}-${n % 3}`,
            key: n % 3,
            value: n,
          }));
          const { responses, failures } = await p.run(records, null, { groupBy: (record) => record.key });
          if (failures.length > 0) throw new Error(failures.join());
          for (let k = 0; k < 3; k++) {
            const own = responses.filter((n) => n % 3 === k);
            if (own.some((n, at) => at > 0 && n < own[at - 1])) throw new Error(`key ${k}: ${own}`);
          }
        },
        [dir, i],
      ),
    ),
  );
  for (let i = 0; i < 4; i++) for (let k = 0; k < 3; k++) assert.equal(lines(`${dir}/${i}-${k}`).length, 20);
  await Promise.all(all.map((one) => one.close()));
});

test('a module that does not load is reported to every environment', async (t) => {
  const options = { ...act, filePath: fixture('throws-at-load.js'), parallelization: 1 };
  const all = environments(t, 3, 'parallelizer', options);
  const codes = await Promise.all(all.map((one) => one.do((p) => p.run([1]).then(({ errors }) => errors[0].code))));
  assert.deepEqual(codes, Array(3).fill('ERR_PARALLELIZER_MODULE'));
  await Promise.all(all.map((one) => one.close()));
});

test('what a worker prints comes out in the environment that it works for', async (t) => {
  const all = environments(t, 3, 'parallelizer', { ...act, parallelization: 1, stdio: 'forward' });
  const printed = await Promise.all(
    all.map((one, i) =>
      one.do(async (p, i) => {
        const said = [];
        const { log } = console;
        console.log = (line) => said.push(line);
        await p.run([{ do: 'prints', count: 20, text: `of ${i}`, stream: 'log' }]);
        console.log = log;
        return said;
      }, i),
    ),
  );
  for (const [i, said] of printed.entries())
    assert.deepEqual(
      said,
      Array.from({ length: 20 }, (_, k) => `of ${i} ${k}`),
    );
  await Promise.all(all.map((one) => one.close()));
});

test('pools with different options have their own workers, and equal ones in one environment share', async (t) => {
  const pools = [{}, {}, { env: { ...process.env, OTHER: '1' } }, { processes: 1 }].map(
    (options) => new Pool({ processes: 2, shared: true, ...options }),
  );
  t.after(() => pools.map((pool) => pool.terminate()));
  const [one, same, other, fewer] = await within(
    Promise.all(pools.map((pool) => pidsOfMap(pool, Array.from({ length: 50 }, (_, i) => i)))),
    'all of them',
    PATIENCE,
  );
  assert.ok(new Set([...one, ...same]).size <= 2);
  for (const pid of [...one, ...same]) assert.ok(!other.includes(pid) && !fewer.includes(pid));
  assert.ok(workers().length <= 5, `${workers().length} workers`);
  await Promise.all(pools.map((pool) => {
    pool.close();
    return pool.join();
  }));
  assert.deepEqual(childrenOf(process.pid), []);
});

test('without sharing each environment has its own workers', async (t) => {
  const all = environments(t, 2, 'parallelizer', { ...act, parallelization: 1, shared: false });
  const pids = await Promise.all(all.map((one) => one.do((p) => p.run([{ do: 'pid' }]))));
  assert.notEqual(pids[0].responses[0], pids[1].responses[0]);
  await Promise.all(all.map((one) => one.close()));
});

test('threads: no more than the budget in all environments together', async (t) => {
  const directory = temporary(t);
  const count = () => fs.readdirSync(directory).length;
  const most = watch(t, count);
  const env = { ...process.env, DIRECTORY: directory };
  const all = environments(t, 4, 'pool', { processes: BUDGET, type: 'worker-threads', env });
  const ids = await Promise.all(all.map((one) => one.do(async (pool, filePath) => {
    const results = await pool.map({ filePath, name: 'work' }, Array(20).fill(1));
    return [...new Set(results)];
  }, fixture('counted.js'))));
  for (const own of ids) assert.ok(own.length >= 1);
  assert.ok(most() >= 1 && most() <= BUDGET, `${most()} threads`);
  await Promise.all(all.map((one) => one.close()));
  assert.equal(count(), 0);
});

test('threads of a terminated environment make room for others', async (t) => {
  const [one, other] = environments(t, 2, 'parallelizer', { ...act, type: 'worker-threads' });
  const file = `${temporary(t)}/looping`;
  one.tell((p, file) => p.run([{ do: 'loop', file }, { do: 'loop', file }]), file);
  await waitFor(() => lines(file).length === BUDGET, 'all threads to be taken');
  const waiting = other.do((p) => p.run([{ do: 'echo', value: 1 }]));
  await other.do(() => {});
  await one.terminate();
  assert.deepEqual((await waiting).responses, [1]);
  await other.close();
});
