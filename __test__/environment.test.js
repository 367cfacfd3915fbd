'use strict';
// What a worker inherits, and what it does not.

const assert = require('node:assert/strict');
const { execFileSync, spawnSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { test } = require('node:test');

const { fixture, gone, make, temporary } = require('./support/helpers');
const { forEachMode, withAddon } = require('./support/modes');
const { asynchronous, run } = require('./support/scripts');

const descriptors = withAddon('Node itself starts its workers, and decides about their descriptors');
const signals = withAddon('its workers are in groups of their own, and have the default of every signal');

const workers = { filePath: fixture('environment.js'), processBatchFunctionName: 'look', parallelization: 1 };

forEachMode(
  (mode) => {
    const look = async (t, options, ...what) => {
      const parallelizer = make(t, { type: mode.type, ...workers, ...options });
      const { responses, failures } = await parallelizer.run(what);
      assert.deepEqual(failures, []);
      return responses[0];
    };
    // The same in a program: `before` runs first, and the responses are its only message.
    const lookFrom = async (t, what, { before = '', options = '{}', ...how } = {}) => {
      const { messages, stderr } = await run(
        t,
        asynchronous(`
          ${before}
          const parallelizer = make({ filePath: fixture('environment.js'), processBatchFunctionName: 'look', parallelization: 1, ...${options} });
          const answers = [];
          for (const what of ${JSON.stringify(what)}) {
            const { responses, failures } = await parallelizer.run([].concat(what));
            if (failures.length) throw new Error(failures[0]);
            answers.push(responses[0]);
          }
          await parallelizer.close();
          console.log(JSON.stringify(answers));`),
        { mode, ...how },
      );
      return { answers: messages.at(-1), stderr };
    };

    test('env replaces the environment, as in fork', async (t) => {
      const env = { ONLY: 'this one', EMPTY: '', UMLAUT: 'ä=漢' };
      assert.deepEqual(await look(t, { env }, 'env', Object.keys(env)), env);
      // Of the library there is what it promises.
      const names = Object.keys(env).concat('PARALLELIZER_WORKER_INDEX').sort();
      assert.deepEqual(await look(t, { env }, 'envNames'), names);
    });

    test("without env it is the parent's, including what the parent has set itself", async (t) => {
      process.env.SET_BY_THE_PARENT = 'yes';
      t.after(() => delete process.env.SET_BY_THE_PARENT);
      assert.deepEqual(await look(t, {}, 'env', ['SET_BY_THE_PARENT', 'PATH']), {
        SET_BY_THE_PARENT: 'yes',
        PATH: process.env.PATH,
      });
    });

    test('nothing of the library shows in the environment but what it promises', async (t) => {
      const env = { PATH: process.env.PATH };
      assert.deepEqual(await look(t, { env }, 'secret'), ['PARALLELIZER_WORKER_INDEX']);
    });

    test('execArgv is used, and is what the worker sees', async (t) => {
      const execArgv = ['--no-deprecation', '--stack-trace-limit=17'];
      assert.deepEqual(await look(t, { execArgv }, 'execArgv'), execArgv);
      assert.deepEqual(await look(t, { execArgv: [] }, 'execArgv'), []);
    });

    test("without execArgv it is the parent's, except for what is not meant for workers", async (t) => {
      const { answers } = await lookFrom(t, ['execArgv', 'heapLimit', 'inspector'], {
        execArgv: [
          '--no-deprecation',
          '--max-old-space-size=300',
          '--max-semi-space-size=8',
          '--inspect=127.0.0.1:0',
          '--stack-trace-limit=17',
        ],
      });
      assert.deepEqual(answers[0], ['--no-deprecation', '--stack-trace-limit=17']);
      const plain = Number(
        spawnSync(process.execPath, ['-p', 'v8.getHeapStatistics().heap_size_limit'], { encoding: 'utf8' }).stdout,
      );
      assert.ok(Math.abs(answers[1] / plain - 1) < 0.05, `heap limit ${answers[1]}, by default ${plain}`);
      assert.equal(answers[2], null, 'no debugger');
    });

    test('heap flags are removed from NODE_OPTIONS, the rest of it is kept', async (t) => {
      const { answers } = await lookFrom(t, [['env', ['NODE_OPTIONS']], 'heapLimit'], {
        env: { NODE_OPTIONS: '--max-old-space-size=300 --no-deprecation --max_semi_space_size=4' },
      });
      assert.deepEqual(answers[0], { NODE_OPTIONS: '--no-deprecation' });
      assert.ok(answers[1] > 600 * 2 ** 20, `heap limit ${answers[1]}`);
    });

    test('resourceLimits sets the heap', async (t) => {
      const limit = await look(t, { resourceLimits: { maxOldGenerationSizeMb: 100 } }, 'heapLimit');
      const { heap_size_limit: usual } = require('node:v8').getHeapStatistics();
      assert.ok(limit > 90 * 2 ** 20 && limit < 400 * 2 ** 20 && limit < usual, `${limit}, usually ${usual}`);
    });

    test('a program passed with -e, or read from stdin, has workers like any other', () => {
      const source = `
        const { Parallelizer } = require(${JSON.stringify(path.join(__dirname, '..'))});
        const one = new Parallelizer({ type: ${JSON.stringify(mode.type)}, filePath: ${JSON.stringify(workers.filePath)}, processBatchFunctionName: 'look', parallelization: 1 });
        one.run(['execArgv']).then(({ responses, failures }) => console.log(JSON.stringify([responses, failures])));`;
      for (const [args, input] of [
        [['-e', source], ''],
        [['--eval', source], ''],
        [['-'], source],
        [['-p', source], ''],
      ]) {
        const { stdout, stderr, status } = spawnSync(process.execPath, args, {
          encoding: 'utf8',
          input,
          timeout: 60_000,
        });
        assert.equal(status, 0, stderr);
        assert.ok(stdout.includes('[[[]],[]]'), `${args[0]}: ${stdout}`);
      }
    });

    test('it works inside the test runner', async (t) => {
      const file = path.join(temporary(t), 'inner.test.js');
      fs.writeFileSync(
        file,
        `const { test } = require('node:test');
         const { Parallelizer } = require(${JSON.stringify(path.join(__dirname, '..'))});
         test('inner', async () => {
           const one = new Parallelizer({ type: ${JSON.stringify(mode.type)}, filePath: ${JSON.stringify(workers.filePath)}, processBatchFunctionName: 'look', parallelization: 1 });
           const { responses } = await one.run(['execArgv']);
           const unfit = responses[0].filter((flag) => /^--test/.test(flag));
           if (unfit.length) throw new Error(JSON.stringify(responses));
           await one.close();
         });`,
      );
      const { NODE_TEST_CONTEXT: _, ...env } = process.env;
      const { status, stdout } = spawnSync(process.execPath, ['--test', file], {
        encoding: 'utf8',
        env,
        timeout: 60_000,
      });
      assert.equal(status, 0, stdout);
    });

    test('process.argv is sensible', async (t) => {
      const { argv, execPath } = await look(t, {}, 'argv');
      assert.equal(argv[0], process.execPath);
      assert.equal(execPath, process.execPath);
      for (const argument of argv) assert.ok(argument.length < 4096, 'no program text in it');
    });

    test('no globals beyond those of a plain script', async (t) => {
      const plain = JSON.parse(execFileSync(process.execPath, [fixture('print-globals.js')], { encoding: 'utf8' }));
      assert.deepEqual(await look(t, {}, 'globals'), plain);
    });

    test('the module is not the main module', async (t) => {
      assert.equal(await look(t, {}, 'main'), false, '`if (require.main === module)` does not run in a worker');
    });

    test("the user's own fork and Worker work in a worker", async (t) => {
      assert.deepEqual(await look(t, { execArgv: [] }, 'fork', fixture('forked.js')), {
        argv: ['argument'],
        execArgv: [],
      });
      assert.equal(await look(t, {}, 'thread'), 'from the thread');
      assert.deepEqual(await look(t, { execArgv: ['--no-deprecation'] }, 'fork', fixture('forked.js')), {
        argv: ['argument'],
        execArgv: ['--no-deprecation'],
      });
    });

    test('the working directory is that of the parent', async (t) => {
      const dir = fs.realpathSync(temporary(t));
      const { answers } = await lookFrom(t, ['cwd'], { before: `process.chdir(${JSON.stringify(dir)});` });
      assert.deepEqual(answers, [dir]);
      assert.equal(await look(t, {}, 'cwd'), process.cwd());
    });
  },
  { needs: ['hasProcess'] },
);

forEachMode(
  (mode) => {
    const open = async (t, before, options = '{}') => {
      const { messages } = await run(
        t,
        asynchronous(`
          const fs = require('node:fs');
          ${before}
          const parallelizer = make({ filePath: fixture('environment.js'), processBatchFunctionName: 'look', parallelization: 2, ...${options} });
          // By pid, until both workers have answered.
          const seen = new Map();
          for (const end = Date.now() + 20000; seen.size < 2 && Date.now() < end; ) {
            const { responses } = await parallelizer.run(['descriptors', 'descriptors']);
            for (const { pid, descriptors } of responses) seen.set(pid, descriptors);
          }
          console.log(JSON.stringify([...seen.values()]));
          await parallelizer.close();`),
        { mode },
      );
      return messages[0];
    };

    const beyond = (descriptors) => Object.entries(descriptors).filter(([fd]) => fd > 2).map(([, target]) => target);

    test('a worker has its three streams, its channel and what Node opens, whatever the parent has', descriptors, async (t) => {
      const dir = temporary(t);
      const [plain] = await open(t, '');
      const kinds = (descriptors) =>
        beyond(descriptors)
          .map((target) => target.replace(/\d+/g, '#'))
          .sort();
      assert.ok(
        kinds(plain).filter((kind) => kind.startsWith('socket:')).length <= 2,
        `the channel alone: ${JSON.stringify(plain)}`,
      );
      for (const fd of [0, 1, 2]) assert.ok(plain[fd], `descriptor ${fd}`);

      // Node opens everything close-on-exec; a native module, or a parent that passes descriptors on, may not.
      const noisy = await open(
        t,
        `const net = require('node:net'), { execFileSync } = require('node:child_process');
         for (let i = 0; i < 20; i++) fs.openSync(${JSON.stringify(path.join(dir, 'opened'))} + i, 'w');
         const server = net.createServer((socket) => socket.unref()).listen(0, '127.0.0.1').unref();
         await require('node:events').once(server, 'listening');
         const client = net.connect(server.address().port, '127.0.0.1').unref();
         await require('node:events').once(client, 'connect');
         const other = require('node:child_process').spawn('sleep', ['30']); other.unref(); for (const s of [other.stdin, other.stdout, other.stderr]) s.unref();
         process.on('exit', () => other.kill());`,
      );
      for (const descriptors of noisy) assert.deepEqual(kinds(descriptors), kinds(plain));
    });

    test('descriptors that the parent itself inherited are not passed on to the workers', descriptors, async (t) => {
      const dir = temporary(t);
      const secret = path.join(dir, 'secret');
      const program = path.join(dir, 'program.js');
      fs.writeFileSync(
        program,
        `const { Parallelizer } = require(${JSON.stringify(path.join(__dirname, '..'))});
         const parallelizer = new Parallelizer({ type: ${JSON.stringify(mode.type)}, filePath: ${JSON.stringify(workers.filePath)}, processBatchFunctionName: 'look', parallelization: 1 });
         const mine = require('node:fs').readdirSync('/proc/self/fd').flatMap((fd) => { try { return [require('node:fs').readlinkSync('/proc/self/fd/' + fd)]; } catch { return []; } });
         parallelizer.run(['descriptors']).then(({ responses }) => console.log(JSON.stringify([mine, Object.values(responses[0].descriptors)])));`,
      );
      // 3, 7 and 40 are open without close-on-exec, as the shell opens them.
      const { stdout, stderr } = spawnSync(
        'bash',
        ['-c', `exec 3>"$1" 7>"$1" 40<"$1"; exec "$2" "$3"`, '-', secret, process.execPath, program],
        {
          encoding: 'utf8',
          timeout: 60_000,
        },
      );
      const [mine, theirs] = JSON.parse(stdout || `"${stderr}"`);
      assert.equal(mine.filter((target) => target === secret).length, 3, 'the case is set up');
      assert.deepEqual(theirs.filter((target) => target === secret), []);
    });

    test("workers do not hold each other's channels open: when one is killed, that is noticed at once", descriptors, async (t) => {
      const [one, two] = await open(t, '');
      const channels = (descriptors) => beyond(descriptors).filter((target) => /^(socket|pipe):/.test(target));
      assert.ok(channels(one).length > 0);
      for (const channel of channels(one)) assert.ok(!channels(two).includes(channel), 'shared');
    });

    test("a closed stdin, stdout or stderr of the parent does not confuse the workers' descriptors", async (t) => {
      const program = path.join(temporary(t), 'program.js');
      const out = `${program}.out`;
      fs.writeFileSync(
        program,
        `const { Parallelizer } = require(${JSON.stringify(path.join(__dirname, '..'))});
         const parallelizer = new Parallelizer({ type: ${JSON.stringify(mode.type)}, filePath: ${JSON.stringify(fixture('act.js'))}, processBatchFunctionName: 'act', parallelization: 2 });
         parallelizer.run([{ do: 'prints', text: 'x', value: 1 }, { do: 'echo', value: 2 }]).then(({ responses, failures }) =>
           require('node:fs').writeFileSync(${JSON.stringify(out)}, JSON.stringify([responses, failures])));`,
      );
      for (const closing of ['<&-', '>&-', '2>&-', '<&- >&- 2>&-']) {
        fs.rmSync(out, { force: true });
        const { status } = spawnSync(
          'bash',
          ['-c', `exec ${closing}; exec "$1" "$2"`, '-', process.execPath, program],
          { stdio: 'ignore', timeout: 60_000 },
        );
        assert.equal(status, 0, closing);
        assert.equal(fs.readFileSync(out, 'utf8'), '[[1,2],[]]', closing);
      }
    });

    test('no signals are blocked or ignored beyond those that Node does, except those meant for the parent', signals, async (t) => {
      const parallelizer = make(t, { type: mode.type, ...workers });
      const mask = (lines, name) => BigInt(`0x${lines.find((line) => line.startsWith(name)).split(/\s+/)[1]}`);
      const { responses } = await parallelizer.run(['signals']);
      const plain = spawnSync(
        process.execPath,
        [
          '-e',
          `console.log(require('fs').readFileSync('/proc/self/status', 'utf8').match(/^Sig(?:Blk|Ign|Cgt):.*$/gm).join('\\n'))`,
        ],
        { encoding: 'utf8' },
      )
        .stdout.trim()
        .split('\n');
      // Of the 31 classic signals: the C library reserves some above them for itself.
      const classic = (1n << 31n) - 1n;
      const { SIGHUP, SIGINT, SIGTERM } = os.constants.signals;
      const forParent = [SIGHUP, SIGINT, SIGTERM].reduce((set, number) => set | (1n << BigInt(number - 1)), 0n);
      assert.equal(mask(responses[0], 'SigBlk') & classic, mask(plain, 'SigBlk') & classic);
      assert.equal(mask(responses[0], 'SigIgn') & classic, (mask(plain, 'SigIgn') & classic) | forParent);
    });

    test('workers stay in the process group and the session of the parent', signals, async (t) => {
      const parallelizer = make(t, { type: mode.type, ...workers });
      const [ppid, group, session] = (await parallelizer.run(['group'])).responses[0];
      const own = fs
        .readFileSync('/proc/self/stat', 'latin1')
        .replace(/^.*\) /s, '')
        .split(' ')
        .slice(1, 4)
        .map(Number);
      assert.deepEqual([ppid, group, session], [process.pid, own[1], own[2]]);
    });

    test("a worker does not read the parent's stdin", async (t) => {
      const program = path.join(temporary(t), 'program.js');
      fs.writeFileSync(
        program,
        `const { Parallelizer } = require(${JSON.stringify(path.join(__dirname, '..'))});
         const parallelizer = new Parallelizer({ type: ${JSON.stringify(mode.type)}, filePath: ${JSON.stringify(workers.filePath)}, processBatchFunctionName: 'look', parallelization: 1 });
         parallelizer.run(['stdin']).then(({ responses }) => {
           console.log(JSON.stringify([responses[0], require('node:fs').readFileSync(0, 'utf8')]));
         });`,
      );
      const { stdout, stderr } = spawnSync(process.execPath, [program], {
        encoding: 'utf8',
        input: 'for the parent',
        timeout: 60_000,
      });
      assert.deepEqual(JSON.parse(stdout || `"${stderr}"`), ['', 'for the parent']);
    });

    test('a worker can be told from its parent: it has its own pid, which stats() returns', async (t) => {
      const parallelizer = make(t, { type: mode.type, ...workers });
      await parallelizer.ready();
      const [{ pid }] = parallelizer.stats().workers;
      assert.ok(pid !== process.pid && fs.existsSync(`/proc/${pid}`));
      await parallelizer.terminate();
      await gone(pid);
    });
  },
  { needs: ['hasProcess'] },
);
