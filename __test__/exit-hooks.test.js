'use strict';
// A parent that exits without `close()` gives its workers time for their exit hooks, as a plain fork has it: coverage,
// profiles, whatever listens to 'exit'. Without a farewell they are gone at once.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');

const { gone, lines, root, temporary, waitFor } = require('./support/helpers');
const { withAddon } = require('./support/modes');
const { asynchronous, run, start } = require('./support/scripts');

/** A pool of two whose workers write a line to FILE when they exit, with work done and none under way. */
const parent = (end) => asynchronous(`
  const { Pool } = require(${JSON.stringify(root)});
  const [file] = process.argv.slice(2);
  const pool = new Pool(2);
  // Until each of the two has had a call.
  const pids = new Set();
  while (pids.size < 2) {
    const found = await pool.map((file) => {
      const tell = (code) => require('node:fs').appendFileSync(file, process.pid + ' ' + code + '\\n');
      if (!globalThis.hooked) process.on('exit', tell);
      globalThis.hooked = true;
      return new Promise((resolve) => setTimeout(resolve, 20, process.pid));
    }, [file, file], { chunkSize: 1 });
    for (const pid of found) pids.add(pid);
  }
  console.log(JSON.stringify({ pids: [...pids] }));
  ${end}
`);

const ENDS = {
  'nothing is left to do': ['', 0],
  'process.exit()': ['process.exit(3);', 3],
  'an exception that nobody catches': ["setTimeout(() => { throw new Error('on purpose'); });", 1],
  'process.exit() within its own exit hook': ["process.on('exit', () => process.exit(4)); process.exit(3);", 4],
};

for (const [what, [end, expected]] of Object.entries(ENDS)) {
  test(`exit hooks run: ${what}`, async (t) => {
    const file = `${temporary(t)}/exits`;
    const { code, messages: [{ pids }] } = await run(t, parent(end), { args: [file], code: null });
    assert.equal(code, expected);
    for (const pid of pids) await gone(pid);
    assert.deepEqual(lines(file).map((line) => Number(line.split(' ')[0])).sort(), [...pids].sort());
  });
}

for (const [what, end] of Object.entries({
  SIGKILL: "process.kill(process.pid, 'SIGKILL'); setInterval(() => {}, 1000);",
  'process.reallyExit()': 'process.reallyExit(0);',
  'process.abort()': 'process.abort();',
})) {
  test(`no farewell, no hooks: ${what}`, async (t) => {
    const file = `${temporary(t)}/exits`;
    const { messages: [{ pids }] } = await run(t, parent(end), { args: [file], code: null });
    for (const pid of pids) await gone(pid);
    assert.deepEqual(lines(file), []);
  });
}

test('exit hooks run where the parent is a thread that ends', async (t) => {
  for (const end of ['', 'process.exit();']) {
    const dir = temporary(t);
    const [file, thread] = [`${dir}/exits`, `${dir}/thread.js`];
    fs.writeFileSync(thread, `process.argv.splice(2, Infinity, ${JSON.stringify(file)});\n${parent(end)}`);
    const { messages: [{ pids }] } = await run(t, asynchronous(`
      const { Worker } = require('node:worker_threads');
      const thread = new Worker(${JSON.stringify(thread)});
      await new Promise((resolve) => thread.once('exit', resolve));
      // What the thread's workers write at their end does not depend on this process.
      await sleep(1000);
    `), { args: [file] });
    for (const pid of pids) await gone(pid);
    assert.deepEqual(lines(file).map((line) => Number(line.split(' ')[0])).sort(), [...pids].sort(), end);
  }
});

const byTheirThread = withAddon('a thread that is ended by the end of the process cannot tell its workers of it');
test('exit hooks run where the parent is a thread, and the main thread ends the process', byTheirThread, async (t) => {
  const dir = temporary(t);
  const [file, thread] = [`${dir}/exits`, `${dir}/thread.js`];
  fs.writeFileSync(thread, `process.argv.splice(2, Infinity, ${JSON.stringify(file)});
    ${parent("require('node:worker_threads').parentPort.postMessage(''); setInterval(() => {}, 1000);")}`);
  const { messages: [{ pids }] } = await run(t, asynchronous(`
    const { Worker } = require('node:worker_threads');
    const { Pool } = require(${JSON.stringify(root)});
    // Whoever ends the process has a pool, too.
    const pool = new Pool(1);
    await pool.apply(() => 1);
    const thread = new Worker(${JSON.stringify(thread)});
    await new Promise((resolve) => thread.once('message', resolve));
    process.exit();
  `), { args: [file] });
  for (const pid of pids) await gone(pid);
  assert.deepEqual(lines(file).map((line) => Number(line.split(' ')[0])).sort(), [...pids].sort());
});

test('a hook may print, and what it prints where output is forwarded harms nothing', async (t) => {
  const file = `${temporary(t)}/exits`;
  const { messages: [{ pid }] } = await run(t, asynchronous(`
    const { Pool } = require(${JSON.stringify(root)});
    const [file] = process.argv.slice(2);
    const pool = new Pool({ processes: 1, stdio: 'forward' });
    const pid = await pool.apply((file) => {
      process.on('exit', () => {
        for (let i = 0; i < 100; i++) console.log('x'.repeat(10_000));
        require('node:fs').writeFileSync(file, 'done\\n');
      });
      return process.pid;
    }, [file]);
    console.log(JSON.stringify({ pid }));
  `), { args: [file] });
  await gone(pid);
  assert.deepEqual(lines(file), ['done']);
});

test('close() and the end of the parent at the same time', async (t) => {
  const file = `${temporary(t)}/exits`;
  const { messages: [{ pids }] } = await run(t, parent('pool.close(); process.exit();'), { args: [file] });
  for (const pid of pids) await gone(pid);
  assert.equal(lines(file).length, 2);
});

test('a program that emits the event itself goes on with its workers', async (t) => {
  const file = `${temporary(t)}/exits`;
  const { messages: [{ pids }, { again }] } = await run(t, parent(`
    process.emit('exit', 0);
    await sleep(100);
    const again = await pool.map(() => process.pid, [1, 2]);
    console.log(JSON.stringify({ again }));
    process.exit();
  `), { args: [file] });
  for (const pid of again) assert.ok(pids.includes(pid));
  for (const pid of pids) await gone(pid);
  assert.equal(lines(file).length, 2);
});

test('any number of pools listens once', async (t) => {
  const { stderr, messages: [{ counts }] } = await run(t, asynchronous(`
    const { Pool } = require(${JSON.stringify(root)});
    const counts = [process.listenerCount('exit')];
    const pools = Array.from({ length: 15 }, () => new Pool(1));
    counts.push(process.listenerCount('exit'));
    for (const pool of pools) await pool.terminate();
    counts.push(process.listenerCount('exit'));
    console.log(JSON.stringify({ counts }));
  `));
  assert.deepEqual(counts, [counts[0], counts[0] + 1, counts[0] + 1]);
  assert.doesNotMatch(stderr, /MaxListeners/);
});

test('a hook that never ends does not keep its worker', async (t) => {
  const file = `${temporary(t)}/began`;
  const { messages: [{ pid }] } = await run(t, asynchronous(`
    const { Pool } = require(${JSON.stringify(root)});
    const [file] = process.argv.slice(2);
    const pool = new Pool(1);
    const pid = await pool.apply((file) => {
      process.on('exit', () => {
        require('node:fs').writeFileSync(file, '');
        for (;;);
      });
      return process.pid;
    }, [file]);
    console.log(JSON.stringify({ pid }));
  `), { args: [file] });
  await gone(pid);
  assert.ok(fs.existsSync(file), 'it had begun');
});

test('work that still runs gets no hooks, and ends', async (t) => {
  const file = `${temporary(t)}/exits`;
  const { messages: [{ pid }] } = await run(t, asynchronous(`
    const { Pool } = require(${JSON.stringify(root)});
    const [file] = process.argv.slice(2);
    const pool = new Pool(1);
    const pid = await pool.apply((file) => {
      process.on('exit', () => require('node:fs').appendFileSync(file, 'hook'));
      return process.pid;
    }, [file]);
    const loop = (file) => {
      require('node:fs').writeFileSync(file + '.running', '');
      for (;;);
    };
    pool.apply(loop, [file]).catch(() => {});
    while (!require('node:fs').existsSync(file + '.running')) await sleep(5);
    console.log(JSON.stringify({ pid }));
    process.exit();
  `), { args: [file] });
  await gone(pid);
  assert.deepEqual(lines(file), []);
});

test('what V8 covers in workers is written, without close()', async (t) => {
  const dir = temporary(t);
  const worker = path.join(dir, 'worker.js');
  fs.writeFileSync(worker, `exports.covered = ({ batch }) => batch.length > 0 ? process.pid : never();
    function never() {}`);
  const coverage = path.join(dir, 'coverage');
  const program = start(t, asynchronous(`
    const parallelizer = make({ filePath: ${JSON.stringify(worker)}, processBatchFunctionName: 'covered' });
    const { responses } = await parallelizer.run([1, 2]);
    console.log(JSON.stringify({ pids: responses }));
  `), { env: { NODE_V8_COVERAGE: coverage } });
  const { code, stderr } = await program.exited;
  assert.equal(code, 0, stderr);
  const [{ pids }] = program.messages();
  for (const pid of new Set(pids)) await gone(pid);
  const read = (name) => JSON.parse(fs.readFileSync(path.join(coverage, name), 'utf8'));
  const covered = fs.readdirSync(coverage).map(read);
  const ofWorkers = covered.filter(({ result }) => result.some(({ url }) => url.endsWith('/worker.js')));
  assert.equal(ofWorkers.length, new Set(pids).size);
});

test('a profile that a worker takes of its CPU is written, without close()', async (t) => {
  const dir = temporary(t);
  const { messages: [{ pid }] } = await run(t, asynchronous(`
    const { Pool } = require(${JSON.stringify(root)});
    const [dir] = process.argv.slice(2);
    const pool = new Pool({ processes: 1, execArgv: ['--cpu-prof', '--cpu-prof-dir=' + dir] });
    console.log(JSON.stringify({ pid: await pool.apply(() => process.pid) }));
  `), { args: [dir] });
  await gone(pid);
  await waitFor(() => fs.readdirSync(dir).some((name) => name.endsWith('.cpuprofile')), 'the profile');
});

const byStreams = withAddon('a worker reads its pipe by a socket of Node, which loads streams');
test('a worker that has printed nothing ends without streams to print by', byStreams, async (t) => {
  const { Pool } = require(root);
  const file = path.join(temporary(t), 'streams');
  const pool = new Pool(1);
  t.after(() => pool.terminate());
  const told = await pool.apply((file) => {
    const { moduleLoadList } = /** @type {any} */ (process);
    if (moduleLoadList === undefined) return false;
    process.on('exit', () => require('node:fs').writeFileSync(file, moduleLoadList.join('\n')));
    return true;
  }, [file]);
  if (!told) return t.skip('this version of Node does not say what it has loaded');
  pool.close();
  await pool.join();
  assert.ok(!lines(file).includes('NativeModule stream'));
});

test('a worker that has just printed more than a pipe holds writes all of it before it ends', async (t) => {
  const length = 1 << 20;
  const { stdout } = await run(t, asynchronous(`
    const { Pool } = require(${JSON.stringify(root)});
    const pool = new Pool(1);
    await pool.apply((length) => void process.stdout.write('x'.repeat(length)), [${length}]);
    pool.close();
    await pool.join();
  `));
  assert.equal(stdout.length, length);
});
