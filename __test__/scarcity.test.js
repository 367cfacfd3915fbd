'use strict';
// When there are no descriptors, processes or memory for another worker, work goes on with the existing ones, or is
// rejected with the cause. Starting is retried at growing intervals, and once there is room all workers are back.

const assert = require('node:assert/strict');
const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { test } = require('node:test');

const { childrenOf, fixture, isRunning, root, temporary, waitFor, within } = require('./support/helpers');
const { forEachMode } = require('./support/modes');
const { asynchronous, run, start } = require('./support/scripts');

const NOBODY = 65_534;
const lacksPrlimit = spawnSync('prlimit', ['--version']).status !== 0 && 'there is no prlimit (util-linux) here';
const isNotRoot = process.getuid() !== 0 && 'only root can run a program as somebody else, whose processes are counted';
const isHidden = !isNotRoot
  && spawnSync(process.execPath, ['-e', `require(${JSON.stringify(root)})`], { uid: NOBODY, gid: NOBODY }).status !== 0
  && 'nobody else can read this directory';

/** Ways to change a limit of a running process. Only the soft limit, which needs no privilege. */
const limits = {
  descriptors: {
    option: '--nofile', few: 3, errno: /EMFILE|ERR_WORKER_INIT_FAILED|too many open files/i,
  },
  processes: {
    option: '--nproc', few: 1, errno: /EAGAIN|ERR_WORKER_INIT_FAILED/, uid: NOBODY, skip: isNotRoot || isHidden,
  },
};

/** Runs as the owner of the process, since root may not have the capability to do it for others. */
function prlimit(pid, { uid }, ...args) {
  const user = uid === undefined ? {} : { uid, gid: uid };
  const { status, stderr, stdout } = spawnSync('prlimit', ['--pid', String(pid), ...args], {
    encoding: 'utf8',
    ...user,
  });
  assert.equal(status, 0, stderr);
  return stdout.trim();
}
const setLimit = (pid, limit, value) => prlimit(pid, limit, `${limit.option}=${value}:`);
const softLimit = (pid, limit) => prlimit(pid, limit, limit.option, '--output=SOFT', '--noheadings');

/** A program that runs its steps one by one when told to, and answers each with a line of JSON. */
function stepwise(t, mode, limit, body) {
  const dir = temporary(t);
  fs.chmodSync(dir, 0o777);
  const program = start(
    t,
    `const { existsSync } = require('node:fs');
     const until = async (step) => { while (!existsSync(${JSON.stringify(dir)} + '/' + step)) await sleep(10); };
     // What the first result does not need is loaded a moment after it, and needs descriptors for that.
     const isLoaded = () => Object.keys(require.cache).some((file) => file.endsWith('record-encoder.js'));
     const say = async (what) => {
       while (!isLoaded()) await sleep(10);
       console.log(JSON.stringify([what]));
     };
     const brief = ({ responses, errors }) => [responses, errors.map(({ code, message, cause }) => [code, message + ' ' + (cause?.code ?? '')])];
     ${asynchronous(body)}`,
    { mode, uid: limit.uid, env: { MEET: dir } },
  );
  let told = 0;
  return {
    program,
    dir,
    answer: async () => {
      await waitFor(
        () => program.messages().length > told || program.child.exitCode !== null || program.child.signalCode !== null,
        'an answer',
        60_000,
      );
      assert.ok(
        program.messages().length > told,
        `it has ended (${program.child.exitCode}, ${program.child.signalCode}): ${program.stderr}`,
      );
      return program.messages()[told++][0];
    },
    go: (step) => fs.writeFileSync(path.join(dir, step), ''),
  };
}

const starts = (program) => program.stderr.split('\n').filter((line) => line.includes('"event":"spawn"')).length;

forEachMode(
  (mode) => {
    for (const [what, limit] of Object.entries(limits)) {
      const skip = lacksPrlimit || limit.skip || false;

      test(
        `no ${what} for a new worker: the other one does the work; once there is room again, both do`,
        { skip },
        async (t) => {
          const { program, answer, go, dir } = stepwise(
            t,
            mode,
            limit,
            `
          const parallelizer = make({ debug: true });
          // As much as possible is loaded before resources run out.
          await parallelizer.run([{ do: 'throws' }, { do: 'echo' }]);
          await parallelizer.ready();
          say('ready');
          await until('limited');
          say(brief(await parallelizer.run([{ do: 'exit', code: 1 }])));
          const many = Array.from({ length: 6 }, (_, value) => ({ do: 'sleep', ms: 100, value }));
          say(brief(await parallelizer.run(many, null, { onProgress() {} })));
          for (let i = 0; i < 20; i++) await parallelizer.run([{ do: 'sleep', ms: 100 }, { do: 'sleep', ms: 50 }]);
          say('worked');
          await until('room');
          const met = [{ do: 'meet', dir: process.env.MEET + '/met', count: 2 }, { do: 'meet', dir: process.env.MEET + '/met', count: 2 }];
          say(brief(await parallelizer.run(met))[1]);
          await parallelizer.close();`);
        assert.equal(await answer(), 'ready');
        const before = softLimit(program.pid, limit);
        setLimit(program.pid, limit, limit.few);
        go('limited');
        assert.equal((await answer())[1][0][0], 'ERR_PARALLELIZER_WORKER_EXITED');
        const [responses, errors] = await answer();
        assert.deepEqual(errors, []);
        assert.deepEqual(responses, [2, 5]);
        assert.equal(await answer(), 'worked');
        t.diagnostic(`${starts(program)} starts`);
        assert.ok(starts(program) <= 20, `${starts(program)} starts in some seconds`);
        setLimit(program.pid, limit, before);
        fs.mkdirSync(path.join(dir, 'met'));
        fs.chmodSync(path.join(dir, 'met'), 0o777);
        go('room');
        assert.deepEqual(await answer(), [], 'two workers at the same time');
        assert.equal((await within(program.exited, 'the program')).code, 0);
      });

      test(
        `no ${what} for any worker: rejected with the cause; once there is room again it works`,
        { skip },
        async (t) => {
          const { program, answer, go } = stepwise(
            t,
            mode,
            limit,
            `
          const parallelizer = make({ debug: true });
          await parallelizer.run([{ do: 'throws' }, { do: 'echo' }]);
          await parallelizer.ready();
          say('ready');
          await until('limited');
          say(brief(await parallelizer.run([{ do: 'exit', code: 1 }, { do: 'exit', code: 1 }]))[1].length);
          say(brief(await parallelizer.run([{ do: 'echo', value: 1 }, { do: 'echo', value: 2 }])));
          say(await parallelizer.ready().catch(({ code }) => code));
          await until('room');
          say(brief(await parallelizer.run([{ do: 'echo', value: 1 }, { do: 'echo', value: 2 }])));
          await parallelizer.close();`);
        assert.equal(await answer(), 'ready');
        const before = softLimit(program.pid, limit);
        setLimit(program.pid, limit, limit.few);
        go('limited');
        assert.equal(await answer(), 2);
        const [responses, errors] = await answer();
        assert.deepEqual(responses, []);
        assert.equal(errors.length, 2);
        for (const [code, message] of errors) {
          assert.equal(code, 'ERR_PARALLELIZER_WORKER_EXITED');
          assert.match(message, limit.errno);
        }
        assert.equal(await answer(), 'ERR_PARALLELIZER_WORKER_EXITED');
        assert.ok(starts(program) <= 20, `${starts(program)} starts`);
        setLimit(program.pid, limit, before);
        go('room');
        assert.deepEqual(await answer(), [[1, 2], []]);
        assert.equal((await within(program.exited, 'the program')).code, 0);
      });
    }
  },
  { needs: 'hasWorkers' },
);

forEachMode(
  (mode) => {
    test('a worker that ends when nothing more can be loaded fails its calls, and nothing else', async (t) => {
      const { messages: [[code, cause]] } = await run(t, asynchronous(`
        const { Pool } = require(${JSON.stringify(root)});
        const Module = require('node:module');
        const { _load } = Module;
        Module._load = (...args) => {
          if (args[0].endsWith('/exit-error')) throw Object.assign(new Error('too many open files'), { code: 'EMFILE' });
          return _load(...args);
        };
        const pool = new Pool({ processes: 1, type: process.env.TEST_MODE_TYPE });
        const error = await pool.apply(() => process.exit(3)).catch((thrown) => thrown);
        await pool.terminate();
        console.log(JSON.stringify([error.code, error.cause.code]));
      `), { mode });
      assert.deepEqual([code, cause], ['ERR_PARALLELIZER_WORKER_EXITED', 'EMFILE']);
    });

    test(
      'no descriptor for the shared memory of an answer: its call fails and says so; with room it arrives',
      { skip: lacksPrlimit },
      async (t) => {
        const limit = limits.descriptors;
        const { program, answer, go } = stepwise(
          t,
          mode,
          limit,
          `
        const { Pool } = require(${JSON.stringify(root)});
        const pool = new Pool(1, { stdio: 'ignore' });
        const bytes = (length) => pool.apply((n) => Buffer.alloc(n, 7), [length]).then((b) => b.length, ({ code, cause }) => [code, cause?.code, cause?.message]);
        await pool.apply(() => { throw new Error('no'); }).catch(() => {});
        say(await bytes(1_000_000));
        await until('limited');
        say(await bytes(1_000_000));
        await until('room');
        say(await bytes(1_000_000));
        await pool.terminate();`);
      assert.equal(await answer(), 1_000_000);
      const before = softLimit(program.pid, limit);
      setLimit(program.pid, limit, limit.few);
      go('limited');
      const [code, cause, message] = await answer();
      assert.deepEqual([code, cause], ['ERR_PARALLELIZER_WORKER_EXITED', 'ERR_PARALLELIZER_PROTOCOL']);
      assert.match(message, /file descriptor/);
      setLimit(program.pid, limit, before);
      go('room');
      assert.equal(await answer(), 1_000_000);
      assert.equal((await within(program.exited, 'the program')).code, 0);
    });

    let deny = null;
    let skip = false;
    test('a program that denies system calls can be built', (t) => {
      const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'parallelizer-deny-'));
      process.on('exit', () => fs.rmSync(dir, { recursive: true, force: true }));
      const file = path.join(dir, 'deny');
      const { error, status, stderr } = spawnSync('cc', ['-o', file, fixture('deny.c')], { encoding: 'utf8' });
      if (error || status !== 0) skip = `no C compiler: ${error ?? stderr}`;
      else if (spawnSync(file, ['process=11', 'true']).status === 77) skip = 'no seccomp filters here';
      else deny = file;
      if (skip) t.skip(skip);
    });

    for (const [call, errno, name] of [
      ['process', os.constants.errno.EAGAIN, 'EAGAIN'],
      ['process', os.constants.errno.ENOMEM, 'ENOMEM'],
      ['socketpair', os.constants.errno.EMFILE, 'EMFILE'],
      ['socketpair', 23, 'ENFILE'],
    ]) {
      test(`${name} from the start (${call}): ready() and run() name it, and the program ends by itself`, async (t) => {
        if (deny === null) return t.skip(skip || 'the case before was left out');
        const program = start(
          t,
          asynchronous(`
            const parallelizer = make({ debug: true });
            const told = ({ code, message }) => [code, message];
            console.log(JSON.stringify(await parallelizer.ready().then(() => null, told)));
            console.log(JSON.stringify((await parallelizer.run([{ do: 'echo' }, { do: 'echo' }])).errors.map(told)));`),
          { mode, by: [deny, `${call}=${errno}`] },
        );
        const { code, stderr } = await within(program.exited, 'the program');
        assert.equal(code, 0, stderr);
        const [ready, errors] = program.messages();
        assert.equal(errors.length, 2);
        for (const [code, message] of [ready, ...errors]) {
          assert.equal(code, 'ERR_PARALLELIZER_WORKER_EXITED');
          assert.match(message, new RegExp(`\\b${name}\\b`));
        }
        assert.ok(starts(program) <= 16, `${starts(program)} starts`);
      });
    }

    test('without pidfds workers are reaped all the same', async (t) => {
      if (deny === null) return t.skip(skip || 'the case before was left out');
      const program = start(
        t,
        asynchronous(`
          const parallelizer = make();
          await parallelizer.ready();
          const pids = parallelizer.stats().workers.map(({ pid }) => pid);
          console.log(JSON.stringify((await parallelizer.run([{ do: 'exit', code: 7 }, { do: 'kill', signal: 'SIGKILL' }])).errors.map(({ exitCode, signal }) => [exitCode, signal])));
          console.log(JSON.stringify((await parallelizer.run([{ do: 'echo', value: 1 }, { do: 'echo', value: 2 }])).responses));
          await parallelizer.close();
          console.log(JSON.stringify(pids));
          await sleep(60000);`),
        { mode, by: [deny, `pidfd_open=${os.constants.errno.EPERM}`] },
      );
      const pids = await waitFor(() => program.messages()[2], 'the answers');
      assert.deepEqual(program.messages().slice(0, 2), [[[7, null], [null, 'SIGKILL']], [1, 2]]);
      await waitFor(() => childrenOf(program.pid).length === 0, 'no zombie');
      for (const pid of pids) assert.ok(!isRunning(pid));
    });
  },
  { needs: 'hasProcess' },
);

for (const [hand, first, responses] of [
  ['the first result', "run([{ do: 'echo', value: 1 }])", [1]],
  ['ready()', 'ready()', null],
]) {
  test(`a caller who takes all descriptors with ${hand} in hand is not ended by what is loaded later`, {
    skip: lacksPrlimit,
  }, async (t) => {
    const program = start(t, asynchronous(`
      const fs = require('node:fs');
      const parallelizer = make({ parallelization: 1 });
      const first = await parallelizer.${first};
      const held = [];
      let code = null;
      while (code === null) {
        try { held.push(fs.openSync('/dev/null')); } catch (error) { code = error.code; }
      }
      await new Promise((resolve) => setImmediate(resolve));
      const second = await parallelizer.run([{ do: 'echo', value: 2 }]);
      held.forEach((fd) => fs.closeSync(fd));
      const third = await parallelizer.run([{ do: 'echo', value: new Map([[3, 3]]) }]);
      await parallelizer.terminate();
      console.log(JSON.stringify([code, first?.responses ?? null, second.responses, third.responses[0].get(3)]));
    `), { by: ['prlimit', '--nofile=256'] });
    await program.exited;
    assert.deepEqual(program.messages(), [['EMFILE', responses, [2], 3]], program.stderr);
  });
}
