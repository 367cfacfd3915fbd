'use strict';
// Descriptors, threads, processes and memory do not grow with the number of runs and instances.

const assert = require('node:assert/strict');
const { test } = require('node:test');

const { forEachMode } = require('./support/modes');
const { asynchronous, run } = require('./support/scripts');

const measure = `
const fs = require('node:fs');
const count = () => {
  const children = fs.readdirSync('/proc').filter((pid) => {
    try { return /^\\d+$/.test(pid) && fs.readFileSync('/proc/' + pid + '/stat', 'latin1').replace(/^.*\\) . /s, '').split(' ')[0] === String(process.pid); } catch { return false; }
  }).length;
  return { descriptors: fs.readdirSync('/proc/self/fd').length, threads: fs.readdirSync('/proc/self/task').length, children };
};
const listeners = () => process.eventNames().reduce((sum, name) => sum + process.listenerCount(name), 0);
// Waits for the counts to come down to the limit, since things may be freed a moment later.
const settled = async (limit) => {
  for (const end = Date.now() + 15000; ; await sleep(50)) {
    const now = count();
    if (Object.keys(limit).every((key) => now[key] <= limit[key]) || Date.now() > end) return now;
  }
};
`;

forEachMode((mode) => {
  const grows = async (t, { setUp, step, times, finish = '' }) => {
    const { messages } = await run(
      t,
      measure +
        asynchronous(`
          ${setUp}
          for (let i = 0; i < 20; i++) { ${step} }
          await sleep(300);
          const before = count();
          const heard = listeners();
          for (let i = 0; i < ${times}; i++) { ${step} }
          const after = await settled(before);
          console.log(JSON.stringify([before, after, heard, listeners()]));
          ${finish}`),
      { mode, deadline: 180_000 },
    );
    const [before, after, heardBefore, heardAfter] = messages[0];
    for (const key of Object.keys(before))
      assert.ok(after[key] <= before[key] + 1, `${key}: ${before[key]} → ${after[key]}`);
    assert.ok(heardAfter <= heardBefore, `listeners on process: ${heardBefore} → ${heardAfter}`);
  };

  test('300 runs', (t) =>
    grows(t, {
      setUp: 'const parallelizer = make();',
      step: "await parallelizer.run([{ do: 'echo', value: i }, { do: i % 3 ? 'echo' : 'throws' }], null, { timeout: 20000, signal: new AbortController().signal });",
      times: 300,
      finish: 'await parallelizer.close();',
    }));

  test('60 instances, closed', (t) =>
    grows(t, {
      setUp: '',
      step: "const one = make(); await one.run([{ do: 'echo' }, { do: 'echo' }]); await one.close();",
      times: 60,
    }));

  test('60 instances, terminated while they start', (t) =>
    grows(t, { setUp: '', step: 'await make().terminate();', times: 60 }));

  test('memory: 3,000 runs of 100 KB each way', async (t) => {
    const { messages } = await run(
      t,
      asynchronous(`
        const gc = require('node:vm').runInNewContext('gc');
        const parallelizer = make();
        const value = 'x'.repeat(50000);
        const rounds = async (n) => {
          for (let i = 0; i < n; i++) await parallelizer.run([{ do: 'echo', value: value + i }, { do: 'echo', value: value + i }]);
          for (let i = 0; i < 3; i++) { gc(); await sleep(50); }
          return process.memoryUsage().rss / 2 ** 20;
        };
        await rounds(500);
        const before = await rounds(300);
        const after = await rounds(2200);
        await parallelizer.close();
        console.log(JSON.stringify([before, after]));`),
      { mode, execArgv: ['--expose-gc'], deadline: 180_000 },
    );
    const [before, after] = messages[0];
    // 2,200 rounds carry 440 MB, so anything left behind by each round would show.
    assert.ok(after - before < 60, `${before.toFixed()} → ${after.toFixed()} MB`);
  });
});

forEachMode(
  (mode) => {
    const grows = (t, step, times) =>
      run(
        t,
        measure +
          asynchronous(`
            const parallelizer = make();
            for (let i = 0; i < 8; i++) { ${step} }
            // Both workers run at the same time, so that the count includes all of them.
            const full = async () => {
              const dir = fs.mkdtempSync(require('node:path').join(require('node:os').tmpdir(), 'meet-'));
              await parallelizer.run([{ do: 'meet', dir, count: 2 }, { do: 'meet', dir, count: 2 }]);
              fs.rmSync(dir, { recursive: true });
            };
            await full(); await sleep(300);
            const before = count();
            for (let i = 0; i < ${times}; i++) { ${step} }
            await full();
            console.log(JSON.stringify([before, await settled(before)]));
            await parallelizer.close();`),
        { mode, deadline: 180_000 },
      ).then(({ messages: [[before, after]] }) => {
        for (const key of Object.keys(before))
          assert.ok(after[key] <= before[key] + 1, `${key}: ${before[key]} → ${after[key]}`);
      });

    test('50 deaths', (t) =>
      grows(t, "await parallelizer.run([{ do: 'exit', code: 1 }, { do: 'kill', signal: 'SIGKILL' }]);", 25));

    test('40 removeChildThreads', (t) =>
      grows(t, "await parallelizer.run([{ do: 'echo' }]); parallelizer.removeChildThreads();", 40));

    test('30 timeouts', (t) => grows(t, "await parallelizer.run([{ do: 'loop' }], null, { timeout: 60 });", 30));
  },
  { needs: ['hasProcess'] },
);
