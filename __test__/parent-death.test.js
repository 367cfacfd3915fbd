'use strict';
// A parent that crashes, or dies at the very moment at which it starts workers, leaves none of them behind.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');

const { Random } = require('./chaos/random');
const { gone, lines, sleep, temporary, waitFor, within } = require('./support/helpers');
const { forEachMode } = require('./support/modes');
const { asynchronous, start } = require('./support/scripts');

let marks = 0;

/** A mark in the environment of the program and of everything that it starts, and a function that finds them by it. */
function marked() {
  const mark = `PARALLELIZER_MARK=${process.pid}-${++marks}`;
  const pids = () => fs.readdirSync('/proc').filter((name) => /^\d+$/.test(name)).filter((pid) => {
    try {
      return fs.readFileSync(`/proc/${pid}/environ`, 'latin1').includes(mark);
    } catch {
      return false;
    }
  });
  return { env: { PARALLELIZER_MARK: mark.split('=')[1] }, pids };
}

const nobodyIsLeft = (pids, what) => waitFor(() => pids().length === 0, what).catch((error) => {
  const told = pids().map((pid) => {
    try {
      return `${pid} ${fs.readFileSync(`/proc/${pid}/stat`, 'latin1').slice(0, 60)}`;
    } catch {
      return pid;
    }
  });
  for (const pid of pids()) process.kill(Number(pid), 'SIGKILL');
  error.message += `: ${told.join(', ')}`;
  throw error;
});

forEachMode(
  (mode) => {
    const states = {
      idle: { begin: 'await parallelizer.ready(); begun();' },
      busy: { record: "{ do: 'forever', file }" },
      'in an endless loop': { record: "{ do: 'loop', file }" },
      'still booting': { options: "{ filePath: fixture('slow-load.js') }", slow: true },
      'in an endless loop while booting': { options: '{ filePath: loop }', loops: true },
    };
    const ends = {
      'process.abort': 'process.abort();',
      SIGSEGV: "process.kill(process.pid, 'SIGSEGV');",
      SIGBUS: "process.kill(process.pid, 'SIGBUS');",
      'its heap being full': 'const all = []; for (;;) all.push(new Array(1e5).fill(all.length));',
    };
    for (const [state, { options = '{}', begin = '', record, slow, loops }] of Object.entries(states)) {
      for (const [end, code] of Object.entries(ends)) {
        test(`${end} of the parent, workers ${state}: none is left`, async (t) => {
          const dir = temporary(t);
          const file = path.join(dir, 'begun');
          const loop = path.join(dir, 'loop.js');
          fs.writeFileSync(loop, `require('node:fs').appendFileSync(${JSON.stringify(file)}, 'here\\n'); for (;;);`);
          const { env, pids } = marked();
          const program = start(
            t,
            asynchronous(`
              const fs = require('node:fs');
              const file = ${JSON.stringify(file)};
              const loop = ${JSON.stringify(loop)};
              const begun = () => fs.writeFileSync(file, 'one\\ntwo\\n');
              const parallelizer = make({ stdio: 'ignore', ...${options} });
              ${begin}
              ${record ? `parallelizer.run([${record}, ${record}]);` : ''}
              setInterval(() => { if (fs.existsSync(file + '.end')) { ${code} } }, 10);`),
            {
              mode,
              execArgv: ['--max-old-space-size=40'],
              env: { ...env, ...(slow ? { SLOW_LOAD_FILE: file } : {}) },
              cwd: dir,
            },
          );
          await waitFor(
            () => lines(file).length >= 2,
            `two workers to be at it; ${loops ? 'looping; ' : ''}${program.stderr}`,
            60_000,
          );
          assert.equal(pids().length, 3, 'the parent and its workers');
          fs.writeFileSync(`${file}.end`, '');
          const { code: exitCode } = await within(program.exited, 'the parent', 60_000);
          assert.notEqual(exitCode, 0);
          await nobodyIsLeft(pids, 'all to end');
        });
      }
    }

    test('SIGKILL of the parent at the very moment at which it starts workers: none is left', async (t) => {
      const random = new Random(5);
      for (let round = 0; round < 12; round++) {
        const { env, pids } = marked();
        const program = start(
          t,
          `console.log('made');
           const all = [];
           setInterval(() => { all.push(make({ parallelization: 2 })); if (all.length > 4) all.shift().terminate(); }, 5);`,
          { mode, env },
        );
        await program.says('made');
        await sleep(random.between(0, 80));
        program.kill('SIGKILL');
        await gone(program.pid);
        await nobodyIsLeft(pids, `all to end in round ${round}`);
      }
    });

    for (const [what, code] of [
      ['process.exit', 'process.exit(3)'],
      ['an exception', "throw new Error('the end')"],
      ['process.abort', 'process.abort()'],
    ]) {
      test(`${what} in the turn in which workers are requested, and in the next one: none is left`, async (t) => {
        for (const when of ['', 'setImmediate', 'setTimeout']) {
          const { env, pids } = marked();
          const program = start(
            t,
            `make(); make().run([{ do: 'loop' }]); ${when}(() => { ${code} })${when === '' ? '()' : ''};`,
            {
              mode,
              env,
              cwd: temporary(t),
            },
          );
          await within(program.exited, 'the parent');
          await nobodyIsLeft(pids, `all to end (${when || 'at once'})`);
        }
      });
    }
  },
  { needs: 'hasProcess' },
);
