'use strict';
// Signals that a terminal, a container runtime or a process manager sends to a whole process group: the parent decides
// what to do about them, and its workers go on until they are told to stop, unless their own code listens.

const assert = require('node:assert/strict');
const { test } = require('node:test');

const { gone, isRunning, read, temporary, waitFor } = require('./support/helpers');
const { asynchronous, start } = require('./support/scripts');

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'];

/** A parent that has work under way when the signal comes, finishes it and closes. */
const GRACEFUL = asynchronous(`
  const fs = require('node:fs');
  const [signal, file] = process.argv.slice(2);
  const parallelizer = make({ parallelization: 2 });
  await parallelizer.ready();
  const gate = (number, value) => ({ do: 'gate', file: file + number, value });
  const running = parallelizer.run([gate('1', 'one'), gate('2', 'two')]);
  const signalled = new Promise((resolve) => process.once(signal, resolve));
  const pids = parallelizer.stats().workers.map(({ pid }) => pid);
  while (!fs.existsSync(file + '1.started') || !fs.existsSync(file + '2.started')) await sleep(5);
  console.log(JSON.stringify({ pids }));
  await signalled;
  // Whoever dies of it is gone by the time that these have been let go.
  await sleep(50);
  for (const each of ['1', '2']) fs.writeFileSync(file + each + '.go', '');
  const { responses, failures } = await running;
  const after = parallelizer.stats();
  await parallelizer.close();
  console.log(JSON.stringify({ responses, failures, restarts: after.restarts }));
`);

for (const signal of SIGNALS) {
  test(`${signal} to the group: work under way is finished by the same workers`, async (t) => {
    const file = `${temporary(t)}/gate`;
    const parent = start(t, GRACEFUL, { args: [signal, file], detached: true });
    await parent.says('pids');
    process.kill(-parent.pid, signal);
    const { code, stdout, stderr } = await parent.exited;
    assert.equal(code, 0, stdout + stderr);
    const [{ pids }, outcome] = parent.messages();
    assert.deepEqual(outcome, { responses: ['one', 'two'], failures: [], restarts: 0 });
    for (const pid of pids) await gone(pid);
  });

  test(`${signal} to each process by itself, as service managers do: work under way is finished as well`, async (t) => {
    const file = `${temporary(t)}/gate`;
    const parent = start(t, GRACEFUL, { args: [signal, file] });
    await parent.says('pids');
    const [{ pids }] = parent.messages();
    for (const pid of pids) process.kill(pid, signal);
    process.kill(parent.pid, signal);
    const { code, stdout, stderr } = await parent.exited;
    assert.equal(code, 0, stdout + stderr);
    assert.deepEqual(parent.messages()[1], { responses: ['one', 'two'], failures: [], restarts: 0 });
    for (const pid of pids) await gone(pid);
  });

  test(`${signal} to one worker alone does not end it`, async (t) => {
    const parent = start(t, asynchronous(`
      const [signal] = process.argv.slice(2);
      const parallelizer = make({ parallelization: 1 });
      const { responses: [pid] } = await parallelizer.run([{ do: 'pid' }]);
      process.kill(pid, signal);
      await sleep(100);
      const { responses: [again] } = await parallelizer.run([{ do: 'pid' }]);
      console.log(JSON.stringify({ isSame: again === pid }));
      await parallelizer.close();
    `), { args: [signal] });
    await parent.exited;
    assert.deepEqual(parent.messages(), [{ isSame: true }]);
  });

  test(`${signal} that a worker's own code listens for reaches it`, async (t) => {
    const parent = start(t, asynchronous(`
      const { Pool } = require(${JSON.stringify(require('./support/helpers').root)});
      const [signal] = process.argv.slice(2);
      const pool = new Pool(1);
      const pid = await pool.apply((name) => {
        process.on(name, () => (globalThis.heard = name));
        return process.pid;
      }, [signal]);
      process.kill(pid, signal);
      let heard;
      for (let i = 0; i < 500 && heard === undefined; i++) {
        heard = await pool.apply(() => globalThis.heard);
        await sleep(10);
      }
      console.log(JSON.stringify({ heard }));
      pool.close();
      await pool.join();
    `), { args: [signal] });
    await parent.exited;
    assert.deepEqual(parent.messages(), [{ heard: signal }]);
  });

  test(`${signal} is ignored again once a worker's own code has stopped to listen`, async (t) => {
    const parent = start(t, asynchronous(`
      const { Pool } = require(${JSON.stringify(require('./support/helpers').root)});
      const [signal] = process.argv.slice(2);
      const pool = new Pool(1);
      const pid = await pool.apply((name) => {
        const listener = () => {};
        process.on(name, listener);
        process.once(name, listener);
        process.off(name, listener);
        process.removeAllListeners(name);
        return process.pid;
      }, [signal]);
      process.kill(pid, signal);
      await sleep(100);
      console.log(JSON.stringify({ isSame: await pool.apply(() => process.pid) === pid }));
      pool.close();
      await pool.join();
    `), { args: [signal] });
    await parent.exited;
    assert.deepEqual(parent.messages(), [{ isSame: true }]);
  });

  test(`${signal} to the group of a parent that does not listen: it ends, and so do they`, async (t) => {
    const parent = start(t, asynchronous(`
      const parallelizer = make({ parallelization: 2 });
      await parallelizer.ready();
      console.log(JSON.stringify({ pids: parallelizer.stats().workers.map(({ pid }) => pid) }));
      setInterval(() => {}, 1000);
    `), { detached: true });
    await parent.says('pids');
    const [{ pids }] = parent.messages();
    process.kill(-parent.pid, signal);
    const { signal: ended } = await parent.exited;
    assert.equal(ended, signal);
    for (const pid of pids) await gone(pid);
  });

  test(`${signal} ends a process that a worker has started, as everywhere`, async (t) => {
    const file = `${temporary(t)}/pid`;
    const parent = start(t, asynchronous(`
      const { Pool } = require(${JSON.stringify(require('./support/helpers').root)});
      const [, file] = process.argv.slice(2);
      const pool = new Pool(1);
      await pool.apply((file) => {
        const child = require('node:child_process').spawn('sleep', ['600'], { stdio: 'ignore' });
        require('node:fs').writeFileSync(file, String(child.pid));
      }, [file]);
      console.log('ready');
      setInterval(() => {}, 1000);
    `), { args: [signal, file] });
    await parent.says('ready');
    const pid = Number(read(file));
    t.after(() => isRunning(pid) && process.kill(pid, 'SIGKILL'));
    process.kill(pid, signal);
    await waitFor(() => !isRunning(pid), 'the grandchild to end');
  });
}
