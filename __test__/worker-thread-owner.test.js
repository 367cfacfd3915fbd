'use strict';
// A Node worker thread may own instances, and may be terminated at any moment: the process survives, and the worker
// processes end with their owner. Each case is its own program, which a crash would take down.

const assert = require('node:assert/strict');
const { test } = require('node:test');

const { childrenOf, gone, waitFor, within } = require('./support/helpers');
const { forEachMode, withAddon } = require('./support/modes');
const { asynchronous, run, start } = require('./support/scripts');

const owner = (body) => `
const { Worker } = require('node:worker_threads');
const { once } = require('node:events');
const { root, type } = { root: ${JSON.stringify(require('./support/helpers').root)}, type: process.env.TEST_MODE_TYPE };
// A thread that owns an instance named \`parallelizer\` and runs \`code\`; it answers by postMessage.
const own = (code, options = {}) => new Worker(\`
  const { parentPort } = require('node:worker_threads');
  const { Parallelizer } = require(\${JSON.stringify(root)});
  const parallelizer = new Parallelizer({
    type: \${JSON.stringify(type)}, filePath: \${JSON.stringify(fixture('act.js'))}, processBatchFunctionName: 'act',
    parallelization: 2, ...\${JSON.stringify(options)},
  });
  (async () => { \${code} })().catch((error) => parentPort.postMessage({ error: String(error) }));
\`, { eval: true });
const said = async (thread) => {
  const [message] = await once(thread, 'message');
  if (message?.error) throw new Error(message.error);
  return message;
};
const exists = (pid) => {
  try {
    const text = require('node:fs').readFileSync('/proc/' + pid + '/stat', 'latin1');
    return !'ZX'.includes(text[text.lastIndexOf(')') + 2]);
  } catch { return false; }
};
const vanished = async (pids) => {
  for (const end = Date.now() + 20000; pids.some(exists); await sleep(15)) {
    if (Date.now() > end) throw new Error('still there: ' + pids.filter(exists));
  }
};
${asynchronous(body)}`;

forEachMode((mode) => {
  test('an instance in a thread works, and the thread ends by itself', async (t) => {
    const { messages } = await run(
      t,
      owner(`
        const thread = own("parentPort.postMessage((await parallelizer.run([{ do: 'echo', value: 1 }, { do: 'echo', value: 2 }])).responses);");
        // Requested early, since a thread's last message and its exit may come together.
        const [answer, exit] = await Promise.all([said(thread), once(thread, 'exit')]);
        console.log(JSON.stringify(answer));
        console.log(JSON.stringify(exit));`),
      { mode },
    );
    assert.deepEqual(messages, [[1, 2], [0]]);
  });

  test('several threads and the main thread, each with an instance, at once', async (t) => {
    const { messages } = await run(
      t,
      owner(`
        const code = (n) => "const all = await Promise.all(Array.from({ length: 20 }, (_, i) => parallelizer.run([{ do: 'echo', value: " + n + " * 100 + i }, { do: 'sleep', ms: i % 3, value: i }])));"
          + "await parallelizer.close(); parentPort.postMessage(all.map(({ responses }) => responses));";
        const threads = [1, 2, 3, 4].map((n) => own(code(n)));
        const mine = make();
        const results = await Promise.all([
          Promise.all(Array.from({ length: 20 }, (_, i) => mine.run([{ do: 'echo', value: i }, { do: 'sleep', ms: i % 3, value: i }]))).then((all) => all.map(({ responses }) => responses)),
          ...threads.map(said),
        ]);
        await mine.close();
        console.log(JSON.stringify(results));`),
      { mode },
    );
    assert.deepEqual(
      messages[0],
      [0, 1, 2, 3, 4].map((n) => Array.from({ length: 20 }, (_, i) => [n * 100 + i, i])),
    );
  });

  for (const [state, code, options] of [
    ['idle', "await parallelizer.ready(); parentPort.postMessage('now');"],
    [
      'busy',
      "parallelizer.run([{ do: 'forever' }, { do: 'forever' }]); await parallelizer.ready(); parentPort.postMessage('now');",
    ],
    ['at the end of a run', "await parallelizer.run([{ do: 'echo' }]); parentPort.postMessage('now');"],
    ['while booting', "parentPort.postMessage('now');"],
    [
      'while closing',
      "parallelizer.run([{ do: 'sleep', ms: 100 }]); parallelizer.close(); parentPort.postMessage('now');",
    ],
    [
      'with a deadline set',
      "parallelizer.run([{ do: 'sleep', ms: 5000 }], null, { timeout: 3000 }); parentPort.postMessage('now');",
    ],
    [
      'in the middle of big payloads',
      "setInterval(() => parallelizer.run([{ do: 'echo', value: 'x'.repeat(2e6) }, { do: 'echo', value: 'y'.repeat(2e6) }]), 1); setTimeout(() => parentPort.postMessage('now'), 60);",
    ],
  ]) {
    if (mode.name === 'inline' && state !== 'idle') continue;
    test(`a thread terminated ${state} does not take the process down`, async (t) => {
      const { stdout, stderr } = await run(
        t,
        owner(`
          for (let i = 0; i < 4; i++) {
            const thread = own(${JSON.stringify(code)}, ${JSON.stringify(options ?? {})});
            await said(thread);
            await thread.terminate();
          }
          // The process still works, and so does this library in it.
          const parallelizer = make();
          console.log((await parallelizer.run([{ do: 'echo', value: 'alive' }])).responses.join());
          await parallelizer.close();`),
        { mode },
      );
      assert.equal(stdout, 'alive\n', stderr);
    });
  }

  test('a thread that calls process.exit ends only itself', async (t) => {
    const { stdout } = await run(
      t,
      owner(`
        const thread = own("await parallelizer.run([{ do: 'echo' }]); parallelizer.run([{ do: 'sleep', ms: 1000 }]); process.exit(4);");
        console.log('thread ' + (await once(thread, 'exit'))[0]);
        const parallelizer = make();
        console.log((await parallelizer.run([{ do: 'echo', value: 'alive' }])).responses.join());
        await parallelizer.close();`),
      { mode },
    );
    assert.equal(stdout, 'thread 4\nalive\n');
  });

  test('a thread that throws, with work under way', async (t) => {
    const { stdout } = await run(
      t,
      owner(`
        const thread = own("await parallelizer.ready(); parallelizer.run([{ do: 'sleep', ms: 1000 }]); setTimeout(() => { throw new Error('thread down'); }, 20);");
        console.log((await once(thread, 'error'))[0].message);
        const parallelizer = make();
        console.log((await parallelizer.run([{ do: 'echo', value: 'alive' }])).responses.join());
        await parallelizer.close();`),
      { mode },
    );
    assert.equal(stdout, 'thread down\nalive\n');
  });

  test('many threads terminated at random moments', async (t) => {
    const { stdout, stderr } = await run(
      t,
      owner(`
        const one = async (i) => {
          const thread = own("parentPort.postMessage('now'); for (;;) await parallelizer.run([{ do: 'echo', value: 1 }, { do: 'echo', value: 2 }]);", { parallelization: 1 });
          await said(thread);
          await sleep((i * 13) % 90);
          await thread.terminate();
        };
        for (let i = 0; i < 24; i += 3) await Promise.all([one(i), one(i + 1), one(i + 2)]);
        console.log('survived');`),
      { mode, deadline: 120_000 },
    );
    assert.equal(stdout, 'survived\n', stderr);
  });
});

forEachMode(
  (mode) => {
    for (const [state, record] of [
      ['idle', null],
      ['busy', 'forever'],
      ['in an endless loop', 'loop'],
      ['blocked', 'block'],
    ]) {
      test(`the worker processes of a terminated thread vanish while the process goes on: ${state}`, async (t) => {
        const { stdout } = await run(
          t,
          owner(`
            const file = require('node:path').join(require('node:fs').mkdtempSync(require('node:path').join(require('node:os').tmpdir(), 'owner-')), 'pids');
            const read = () => { try { return require('node:fs').readFileSync(file, 'utf8').trim().split('\\n').map(Number); } catch { return []; } };
            const thread = own(\`
              await parallelizer.ready();
              ${record ? `parallelizer.run([{ do: '${record}', file: '\${file}' }, { do: '${record}', file: '\${file}' }]);` : ''}
              parentPort.postMessage(parallelizer.stats().workers.map(({ pid }) => pid));\`);
            const pids = await said(thread);
            if (pids.length !== 2) throw new Error('two workers: ' + pids);
            ${record ? 'while (read().length < 2) await sleep(10);' : ''}
            await thread.terminate();
            await vanished(pids);
            require('node:fs').rmSync(require('node:path').dirname(file), { recursive: true });
            console.log('vanished');`),
          { mode },
        );
        assert.equal(stdout, 'vanished\n');
      });
    }

    const onItsLoop = 'Node reaps a child on the event loop that started it, which is gone with its thread';
    test('no zombie is left in the process', withAddon(onItsLoop), async (t) => {
      const program = start(
        t,
        owner(`
          for (let i = 0; i < 5; i++) {
            const thread = own("await parallelizer.ready(); parentPort.postMessage('now');");
            await said(thread);
            await thread.terminate();
          }
          console.log('terminated');
          await sleep(60000);`),
        { mode },
      );
      await within(program.says('terminated'), 'the threads', 60_000);
      await waitFor(() => childrenOf(program.pid).length === 0, 'the last child to be reaped');
      program.kill('SIGKILL');
      await gone(program.pid);
    });

    test("a terminated thread leaves another thread's workers alone", async (t) => {
      const { messages } = await run(
        t,
        owner(`
          const parallelizer = make();
          await parallelizer.ready();
          const pids = () => parallelizer.stats().workers.map(({ pid }) => pid);
          const before = pids();
          const thread = own("await parallelizer.ready(); parentPort.postMessage('now');");
          await said(thread);
          await thread.terminate();
          await parallelizer.run([{ do: 'echo' }, { do: 'echo' }]);
          const after = pids();
          console.log(JSON.stringify([before.sort(), after.sort()]));
          await parallelizer.close();`),
        { mode },
      );
      assert.deepEqual(messages[0][0], messages[0][1]);
    });
  },
  { needs: ['hasProcess'] },
);
