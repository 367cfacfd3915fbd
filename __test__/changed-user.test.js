'use strict';
// A process that changes its user after its workers have started may no longer signal them. They end all the same, and
// one that cannot is named.

const assert = require('node:assert/strict');
const { test } = require('node:test');

const { gone, isRunning, temporary } = require('./support/helpers');
const { asynchronous, start } = require('./support/scripts');

const skip = process.getuid() !== 0 && 'only root can give up its rights';
const NOBODY = 65534;

const WORK = {
  'idle workers': 'const running = Promise.resolve();',
  'a worker in an endless loop': `
    const running = parallelizer.run([{ do: 'loop', file }]).then(({ errors }) => errors.map(({ code }) => code));
    while (!require('node:fs').existsSync(file)) await sleep(5);`,
  'a worker that is blocked in a system call': `
    const running = parallelizer.run([{ do: 'block', file }]).then(({ errors }) => errors.map(({ code }) => code));
    while (!require('node:fs').existsSync(file)) await sleep(5);`,
};

for (const [what, work] of Object.entries(WORK)) {
  for (const end of ['terminate', 'close']) {
    // What never returns is never closed.
    if (end === 'close' && what !== 'idle workers') continue;
    test(`${what}: ${end}()`, { skip }, async (t) => {
      const file = `${temporary(t)}/file`;
      const program = start(t, asynchronous(`
        const [file] = process.argv.slice(2);
        const parallelizer = make({ parallelization: 2 });
        await parallelizer.ready();
        const pids = parallelizer.stats().workers.map(({ pid }) => pid);
        ${work}
        process.setgid(${NOBODY});
        process.setuid(${NOBODY});
        console.log(JSON.stringify({ pids }));
        await parallelizer.${end}();
        console.log(JSON.stringify({ settled: await running ?? null }));
      `), { args: [file] });
      await program.says('pids');
      const [{ pids }] = program.messages();
      t.after(() => {
        for (const pid of pids) if (isRunning(pid)) process.kill(pid, 'SIGKILL');
      });
      await program.says('settled');
      const { code, stderr } = await program.exited;
      assert.equal(code, 0, stderr);
      for (const pid of pids) await gone(pid);
    });
  }
}

test('terminate() names a worker that nothing can end', { skip }, async (t) => {
  const program = start(t, asynchronous(`
    const parallelizer = make({ parallelization: 2 });
    await parallelizer.ready();
    const [pid, other] = parallelizer.stats().workers.map(({ pid }) => pid);
    // Its watchdog does not run either.
    process.kill(pid, 'SIGSTOP');
    process.setgid(${NOBODY});
    process.setuid(${NOBODY});
    console.log(JSON.stringify({ pid, other }));
    const { code, message, pids } = await parallelizer.terminate().then(() => ({}), (error) => error);
    console.log(JSON.stringify({ code, message, pids }));
  `));
  await program.says('"pid"');
  const [{ pid, other }] = program.messages();
  t.after(() => isRunning(pid) && process.kill(pid, 'SIGKILL'));
  await program.says('"code"');
  const [, { code, message, pids }] = program.messages();
  assert.equal(code, 'ERR_PARALLELIZER_WORKER_OUTLIVES');
  assert.deepEqual(pids, [pid]);
  assert.match(message, new RegExp(`pid ${pid}\\).*EPERM`));
  // Nobody waits for it any more.
  const exit = await program.exited;
  assert.equal(exit.code, 0, exit.stderr);
  await gone(other);
  assert.ok(isRunning(pid));
  // Once it goes on it finds that it has been hung up.
  process.kill(pid, 'SIGCONT');
  await gone(pid);
});

test('a timeout ends a call, and its worker', { skip }, async (t) => {
  const file = `${temporary(t)}/file`;
  const program = start(t, asynchronous(`
    const [file] = process.argv.slice(2);
    const parallelizer = make({ parallelization: 1, gracePeriod: 50 });
    const { responses: [pid] } = await parallelizer.run([{ do: 'pid' }]);
    process.setgid(${NOBODY});
    process.setuid(${NOBODY});
    const { errors: [{ code }] } = await parallelizer.run([{ do: 'loop', file }], undefined, { timeout: 200 });
    console.log(JSON.stringify({ pid, code }));
    // The successor is the new user's own.
    const { responses: [value] } = await parallelizer.run([{ do: 'echo', value: 1 }]);
    console.log(JSON.stringify({ value }));
    await parallelizer.terminate();
  `), { args: [file] });
  await program.says('"code"');
  const [{ pid, code }] = program.messages();
  t.after(() => isRunning(pid) && process.kill(pid, 'SIGKILL'));
  assert.equal(code, 'ERR_PARALLELIZER_TIMEOUT');
  await gone(pid);
  await program.says('"value":1');
  await program.exited;
});
