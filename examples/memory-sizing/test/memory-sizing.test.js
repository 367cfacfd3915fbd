'use strict';
// The box holds what is in it to its size, the model says what it is documented to, and a quick run measures all ways.

const assert = require('node:assert/strict');
const { execFile, spawn } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const readline = require('node:readline');
const { after, before, describe, test } = require('node:test');
const { promisify } = require('node:util');

const { Box, obstacle } = require('../box.js');
const { model } = require('../model.js');
const { schedule } = require('../plan.js');
const { ADDON, ALL, ONE, TWO, WAYS } = require('../ways.js');
const { cores, cost, defaultWorkers, divide, vcpus } = require('../sizes.js');

const EXAMPLE = path.join(__dirname, '..');
const MAIN = path.join(EXAMPLE, 'main.js');
const run = promisify(execFile);

test('a size comes with vCPUs, cores and a price', () => {
  assert.equal(vcpus(3538), 2);
  assert.deepEqual([128, 3008, 3009, 5307, 5308, 7077, 10240].map(cores), [2, 2, 3, 3, 4, 5, 6]);
  assert.deepEqual([128, 1769, 2653, 2654, 3538, 5307, 10240].map(defaultWorkers), [1, 1, 1, 2, 2, 3, 6]);
  // A second of a gibibyte, a million times.
  assert.equal(cost(1024, 1000).toFixed(4), '16.6667');
  assert.equal(cost(1024, 999.2), cost(1024, 1000));
  assert.deepEqual(divide([1769, 3538, 3539], 2), { measured: [1769, 3538], modelled: [3539] });
});

test('the number of workers is the one that the library chooses', async () => {
  const script = 'const { Parallelizer } = require("@parallelizer/node");'
    + 'const parallelizer = new Parallelizer({ filePath: require.resolve("./work.js"), processBatchFunctionName: "deriveBatch" });'
    + 'console.log(parallelizer.stats().workers.length); parallelizer.terminate();';
  for (const size of [128, 1769, 2653, 2654, 3538].filter((one) => defaultWorkers(one) <= os.availableParallelism())) {
    const env = { ...process.env, AWS_LAMBDA_FUNCTION_MEMORY_SIZE: String(size) };
    const { stdout } = await run(process.execPath, ['-e', script], { cwd: EXAMPLE, env });
    assert.equal(Number(stdout), defaultWorkers(size), `${size} MB`);
  }
});

test('every way is measured in each round, writes more often, and keys at small sizes once', () => {
  const plan = schedule([128, 1769, 3538], 3);
  const of = (size, work) => plan.filter((one) => one.size === size && one.work === work);
  assert.equal(of(128, 'derive').length, WAYS.length);
  assert.equal(of(1769, 'derive').length, 3 * WAYS.length);
  assert.equal(of(1769, 'write').length, 2 * 3 * WAYS.length);
  assert.ok(of(3538, 'derive').every(({ way }) => way !== TWO), 'two workers are the default there');
  assert.equal(new Set(plan.map((one) => JSON.stringify(one))).size, plan.length);
});

test('the model divides keys among cores, and lets writes wait', () => {
  const measured = (way, size) => ({ 3538: { [ONE]: 2000, [ALL]: 1100, [ADDON]: 1200 } })[size]?.[way];
  const at = (work, way, size) => model({ work, way, size, keys: 4, measured, sizes: [1769, 3538] });
  assert.equal(at('derive', ONE, 10240), 2000);
  // Three cores for four keys: libuv's threads share them out, three workers have two, one and one.
  assert.equal(at('derive', ALL, 5307).toFixed(3), ((1100 * 2) / 3).toFixed(3));
  assert.equal(at('derive', ADDON, 5307), 1200);
  assert.equal(at('derive', ADDON, 7076), 600);
  assert.equal(at('derive', ALL, 10240), 550);
  assert.equal(at('write', ADDON, 10240), 1200);
  assert.equal(at('derive', TWO, 10240), null);
});

test('a bad option is refused by name', async () => {
  for (const [args, message] of [
    [['--sizes', '1769,12'], /--sizes: 12 is no whole number from 128 to 10240/],
    [['--rounds', 'many'], /--rounds: many is no whole number from 1 to 100/],
  ]) {
    await assert.rejects(run(process.execPath, [MAIN, ...args]), ({ code, stderr }) => code === 1 && message.test(stderr));
  }
});

describe('in the box', () => {
  /** @type {string | undefined} */
  let missing;
  /** @type {string} */
  let directory;
  before(async () => {
    missing = await obstacle();
    directory = fs.mkdtempSync(path.join(os.tmpdir(), 'memory-sizing-'));
  });
  after(() => fs.rmSync(directory, { recursive: true, force: true }));

  /** @param {string} name @param {(t: import('node:test').TestContext) => Promise<void>} body */
  const boxed = (name, body) => test(name, async (t) => {
    if (missing) t.skip(missing);
    else await body(t);
  });

  boxed('a program gets the CPU of its size, from when it is throttled', async () => {
    const box = new Box(512);
    try {
      const child = box.spawn([process.execPath, '-e', `
        process.once('message', () => {
          const begin = performance.now();
          const before = process.cpuUsage();
          while (process.cpuUsage(before).user < 500_000);
          process.send(performance.now() - begin);
          process.disconnect();
        });
        process.send('ready');
      `], { env: { PATH: process.env.PATH } });
      assert.deepEqual((await once(child, 'message'))[0], 'ready');
      box.throttle();
      child.send('go');
      const [duration] = await once(child, 'message');
      // A machine with other work may take longer; sooner than this means that there is no quota. One period is its own.
      assert.ok(duration > 500 / vcpus(512) - 2 * 100, `${duration} ms for half a second of CPU at ${vcpus(512).toFixed(2)} vCPUs`);
      assert.ok(box.cpuTime >= 500, `${box.cpuTime}`);
      assert.equal(box.outOfMemory, 0);
    } finally {
      await box.remove();
    }
  });

  boxed('a program that needs more memory than its size has is killed, and that is known', async () => {
    const box = new Box(128);
    try {
      const child = box.spawn([process.execPath, '-e', 'Buffer.alloc(200 * 2 ** 20, 1)'], { env: { PATH: process.env.PATH } });
      assert.deepEqual(await once(child, 'exit'), [null, 'SIGKILL']);
      assert.ok(box.outOfMemory > 0);
    } finally {
      await box.remove();
    }
  });

  boxed('a removed box leaves nothing, and ends what is left in it', async () => {
    const box = new Box(512);
    const child = box.spawn([process.execPath, '-e', 'setInterval(() => {}, 1000); process.send("ready")'], { env: { PATH: process.env.PATH } });
    const exited = once(child, 'exit');
    await once(child, 'message');
    const { directories } = box;
    for (const directory of directories) {
      const pids = fs.readFileSync(path.join(directory, 'cgroup.procs'), 'utf8').split('\n');
      assert.ok(pids.includes(String(child.pid)), directory);
    }
    await box.remove();
    assert.deepEqual(await exited, [null, 'SIGKILL']);
    assert.deepEqual(directories.filter((directory) => fs.existsSync(directory)), []);
  });

  boxed('sizes of which none can be played are refused', async (t) => {
    if (vcpus(10240) <= os.availableParallelism()) {
      t.skip('this machine can play all sizes');
      return;
    }
    await assert.rejects(run(process.execPath, [MAIN, '--sizes', '10240']), ({ code, stderr }) => (
      code === 1 && /--sizes: this machine's \d+ cores cannot play any of 10240 MB/.test(stderr)
    ));
  });

  boxed('a quick run goes on where it was interrupted, and measures every way', async () => {
    const out = path.join(directory, 'results');
    const args = [MAIN, '--quick', '--sizes', '1024,1769,3538,10240', '--out', out];

    const interrupted = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    for await (const line of readline.createInterface({ input: interrupted.stdout })) {
      if (line.startsWith('3/')) interrupted.kill('SIGINT');
    }
    if (interrupted.signalCode === null) await once(interrupted, 'exit');
    assert.equal(interrupted.signalCode, 'SIGINT');
    assert.equal(fs.existsSync(path.join(out, 'results.json')), false);

    const { stdout } = await run(process.execPath, args);
    const steps = stdout.split('\n').filter((line) => /^\d+\/\d+: /.test(line));
    const taken = schedule(divide([1024, 1769, 3538, 10240], os.availableParallelism()).measured, 1);
    assert.equal(steps.length, taken.length);
    const before = steps.filter((line) => line.endsWith('(before)'));
    assert.ok(before.length >= 3 && before.length < steps.length, `${before.length} of ${steps.length} were known`);

    const { rows, machine, versions } = JSON.parse(fs.readFileSync(path.join(out, 'results.json'), 'utf8'));
    assert.equal(machine.node, process.version);
    assert.ok(Object.values(versions).every((version) => /^\d+\.\d+\.\d+/.test(version)));
    assert.equal(rows.reduce((sum, { samples }) => sum + samples, 0), taken.length);
    for (const { size, work, way } of taken) {
      const row = rows.find((one) => one.size === size && one.work === work && one.way === way);
      assert.ok(row.duration.median > 0, `${size} MB, ${work}, ${way}`);
      assert.equal(row.cost, cost(size, row.duration.median));
      assert.equal(row.modelled, false);
    }
    if (vcpus(10240) > os.availableParallelism()) {
      for (const work of ['derive', 'write']) {
        for (const way of [ONE, ALL, ADDON]) {
          assert.ok(rows.find((one) => one.size === 10240 && one.work === work && one.way === way).modelled, `${work}, ${way}`);
        }
      }
    }
    assert.deepEqual(fs.readdirSync(out).sort(), ['README.md', 'derive.svg', 'results.json', 'write.svg']);
    for (const name of ['derive.svg', 'write.svg']) assert.match(fs.readFileSync(path.join(out, name), 'utf8'), /^<svg [^]*<\/svg>\n$/);
    assert.match(fs.readFileSync(path.join(out, 'README.md'), 'utf8'), /\| 1,769 \| 1\.00 \| \d/);
  });
});
