'use strict';
// Where the workers' output goes: 'inherit', 'forward', 'ignore'.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');

const { root, temporary } = require('./support/helpers');
const { forEachMode } = require('./support/modes');
const { asynchronous, run } = require('./support/scripts');

const work = (options, body = '') =>
  asynchronous(`
    ${body}
    const parallelizer = make({ parallelization: 1, ...${JSON.stringify(options)} });
    const { failures } = await parallelizer.run([
      { do: 'prints', text: 'to log', stream: 'log' }, { do: 'prints', text: 'to error', stream: 'error' },
      { do: 'prints', text: 'to warn', stream: 'warn' }, { do: 'prints', text: 'to info', stream: 'info' },
    ]);
    await parallelizer.close();
    process.exitCode = failures.length;
    globalThis.after?.();`);

forEachMode(
  (mode) => {
    for (const options of [{ stdio: 'inherit' }, {}]) {
      test(`${options.stdio ?? 'by default'}: to the parent's stdout and stderr`, async (t) => {
        const { stdout, stderr } = await run(t, work(options), { mode });
        assert.equal(stdout, 'to log\nto info\n');
        assert.equal(stderr, 'to error\nto warn\n');
      });
    }

    test('ignore: nowhere', async (t) => {
      const { stdout, stderr } = await run(t, work({ stdio: 'ignore' }), { mode });
      assert.deepEqual([stdout, stderr], ['', '']);
    });

    test('ignore: its stderr is read all the same', async (t) => {
      const { messages: [[drained, error]] } = await run(t, asynchronous(`
        const { Pool } = require(${JSON.stringify(root)});
        const pool = new Pool({ processes: 1, type: process.env.TEST_MODE_TYPE, stdio: 'ignore' });
        const drained = await pool.apply(async () => {
          const line = 'x'.repeat(1000) + '\\n';
          for (let i = 0; i < 1000 && process.stderr.write(line); i++);
          if (process.stderr.writableNeedDrain) await new Promise((resolve) => process.stderr.once('drain', resolve));
          return true;
        });
        const error = await pool.apply(() => { console.error('last words'); process.exit(7); }).catch(({ stderr }) => stderr);
        await pool.terminate();
        console.log(JSON.stringify([drained, error]));
      `), { mode });
      assert.equal(drained, true);
      assert.match(error, /last words\n$/);
    });

    const spy = `
      const seen = [];
      for (const level of ['log', 'info', 'warn', 'error', 'debug']) console[level] = (...args) => seen.push([level, ...args]);
      globalThis.after = () => process.stdout.write(JSON.stringify(seen) + '\\n');`;

    test("forward: through the parent's console, level kept, before the answer", async (t) => {
      const { messages, stderr } = await run(t, work({ stdio: 'forward' }, spy), { mode });
      const seen = messages[0].map(([level, ...args]) => [level, args.join(' ').trimEnd()]);
      assert.deepEqual(
        seen.filter(([level]) => ['log', 'info'].includes(level)).map(([, text]) => text),
        ['to log', 'to info'],
      );
      assert.deepEqual(seen.find(([, text]) => text === 'to log')[0], 'log');
      assert.deepEqual(seen.find(([, text]) => text === 'to error')[0], 'error');
      assert.deepEqual(seen.find(([, text]) => text === 'to warn')[0], 'warn');
      assert.deepEqual(seen.find(([, text]) => text === 'to info')[0], 'info');
      assert.equal(stderr, '');
    });

    test('forward: through streams that somebody had before, and through those that nobody had', async (t) => {
      const preload = path.join(temporary(t), 'preload.js');
      fs.writeFileSync(preload, 'globalThis.early = [process.stdout, process.stderr];');
      for (const execArgv of [[], ['--require', preload]]) {
        const { messages, stdout, stderr } = await run(t, asynchronous(`${spy}
          const { Pool } = require(${JSON.stringify(root)});
          const execArgv = ${JSON.stringify(execArgv)};
          const pool = new Pool(1, { type: process.env.TEST_MODE_TYPE, stdio: 'forward', execArgv });
          const outcome = await pool.apply(() => {
            const [stdout, stderr] = globalThis.early ?? [process.stdout, process.stderr];
            stdout.write('to stdout\\n');
            stderr.write('to stderr\\n');
            console.warn('to warn');
            return [stdout === process.stdout, stderr === process.stderr, Object.keys(process).includes('stdout')];
          });
          await pool.close();
          await pool.join();
          console.debug(...outcome);
          globalThis.after();
        `), { mode });
        const seen = messages[0].map(([level, ...args]) => [level, args.join(' ').trimEnd()]);
        assert.deepEqual(seen, [['error', 'to stderr'], ['warn', 'to warn'], ['debug', 'true true true']]);
        assert.match(stdout, /^to stdout\n/);
        assert.equal(stderr, '');
      }
    });

    test('forward: a message of several lines stays one message', async (t) => {
      const text = `first line\n${'  an indented line, as stacks have\n'.repeat(60)}last line`;
      const { messages } = await run(
        t,
        asynchronous(`
          ${spy}
          const parallelizer = make({ parallelization: 1, stdio: 'forward' });
          await parallelizer.run([{ do: 'prints', text: ${JSON.stringify(text)} }, { do: 'prints', text: 'another' }]);
          await parallelizer.close();
          globalThis.after();`),
        { mode },
      );
      assert.deepEqual(messages[0].map(([, ...args]) => args.join(' ').trimEnd()), [text, 'another']);
    });

    test('forward: text that looks like a format string is left as it is', async (t) => {
      const { stdout } = await run(
        t,
        asynchronous(`
          const parallelizer = make({ parallelization: 1, stdio: 'forward' });
          await parallelizer.run([{ do: 'prints', text: '100%s %d %o %% done, Größe 漢字' }]);
          await parallelizer.close();`),
        { mode },
      );
      // The worker's own console leaves a single argument as it is, except '%%'.
      assert.equal(stdout.trimEnd().replace('%%', '%'), '100%s %d %o % done, Größe 漢字');
    });

    for (const stdio of ['inherit', 'forward']) {
      test(`${stdio}: 20,000 lines from each of two workers, each line whole and in order`, async (t) => {
        const { stdout } = await run(
          t,
          asynchronous(`
            const parallelizer = make({ stdio: '${stdio}' });
            await parallelizer.run([{ do: 'prints', count: 20000, text: 'worker a ' + 'x'.repeat(40) }, { do: 'prints', count: 20000, text: 'worker b ' + 'y'.repeat(40) }]);
            await parallelizer.close();`),
          { mode, deadline: 120_000 },
        );
        const lines = stdout.split('\n').filter(Boolean);
        if (stdio === 'inherit' && mode.hasProcess) {
          // Two processes write to one pipe: the system may interleave their lines, but loses none.
          const expected = lines.length === 0 ? '' : Array.from({ length: 20_000 }, (_, i) => i).join('');
          assert.equal(stdout.replace(/[^x]/g, '').length, 20_000 * 40);
          assert.equal(stdout.replace(/[^y]/g, '').length, 20_000 * 40);
          assert.equal(stdout.replace(/\D/g, '').length, 2 * expected.length);
          return;
        }
        for (const [name, fill] of [['a', 'x'], ['b', 'y']]) {
          const own = lines.filter((line) => line.startsWith(`worker ${name}`));
          assert.equal(own.length, 20_000, `lines of ${name}`);
          assert.ok(
            own.every((line, i) => line === `worker ${name} ${fill.repeat(40)} ${i}`),
            `lines of ${name}, in order`,
          );
        }
      });
    }

    test('what a worker prints between runs, and when it dies, is printed too', async (t) => {
      for (const stdio of ['inherit', 'forward']) {
        const { stderr } = await run(
          t,
          asynchronous(`
            const parallelizer = make({ parallelization: 1, stdio: '${stdio}' });
            await parallelizer.run([{ do: 'sayAndExit', text: 'famous last words\\n', code: 3 }]);
            await parallelizer.close();`),
          { mode },
        );
        assert.match(stderr, /famous last words/, stdio);
      }
    });

    test('forward: the error of a call has the last lines that its worker printed', async (t) => {
      const { messages } = await run(
        t,
        asynchronous(`
          const { Pool } = require(${JSON.stringify(root)});
          const pool = new Pool({ type: process.env.TEST_MODE_TYPE, processes: 1, stdio: 'forward' });
          console.error = () => {};
          const last = [];
          // The parent sleeps, or is awake, when the first of them comes.
          for (const ms of [0, 50, 0, 50]) {
            const { stderr } = await pool.apply((ms) => {
              for (const end = Date.now() + ms; Date.now() < end; );
              for (const word of ['one', 'two', 'three']) console.error(word);
              for (const end = Date.now() + 30; Date.now() < end; );
              process.exit(3);
            }, [ms]).catch((error) => error);
            last.push(stderr);
          }
          console.log(JSON.stringify(last));
          await pool.terminate();`),
        { mode },
      );
      assert.deepEqual(messages[0], Array.from({ length: 4 }, () => 'one\ntwo\nthree\n'));
    });

    test('a parent whose stdout is closed by its reader does not hang', async (t) => {
      await run(
        t,
        asynchronous(`
          process.stdout.on('error', () => {});
          const parallelizer = make({ parallelization: 1, stdio: 'ignore' });
          const { failures } = await parallelizer.run([{ do: 'prints', count: 5000, text: 'into the void' }]);
          await parallelizer.close();
          process.exitCode = failures.length;`),
        { mode },
      );
    });

    test('debug: life-cycle lines on stderr as JSON, none without it', async (t) => {
      const { stdout, stderr } = await run(
        t,
        asynchronous(
          `const one = make({ parallelization: 1, debug: true }); await one.run([{ do: 'echo' }]); await one.close();`,
        ),
        { mode },
      );
      assert.equal(stdout, '');
      const lines = stderr.split('\n').filter(Boolean);
      assert.ok(lines.length > 0);
      for (const line of lines) assert.equal(typeof JSON.parse(line), 'object', line);
      const quiet = await run(
        t,
        asynchronous(`const one = make({ parallelization: 1 }); await one.run([{ do: 'echo' }]); await one.close();`),
        { mode },
      );
      assert.deepEqual([quiet.stdout, quiet.stderr], ['', '']);
    });
  },
  { needs: ['hasWorkers'] },
);
