'use strict';
// Handlers that use up nearly all of what Lambda limits (descriptors; processes and threads; libuv's threads), try what
// a pool can still do, release it again, and return how each attempt went.

const fs = require('node:fs');
const os = require('node:os');
const { spawn, execFileSync } = require('node:child_process');
const { once } = require('node:events');
const { setTimeout: sleep } = require('node:timers/promises');
const { Parallelizer } = require('@parallelizer/node');

const options = {
  filePath: `${__dirname}/fixtures/act.js`,
  processBatchFunctionName: 'act',
  parallelization: 2,
  // An attempt is judged by its outcome, however many times it took.
  retries: 0,
  ...JSON.parse(process.env.TEST_OPTIONS ?? '{}'),
};
const warm = new Parallelizer(options);
const LARGE = Buffer.alloc(2 ** 20, 7);

async function attempt(parallelizer, batch) {
  const { responses, errors } = await parallelizer.run(batch);
  return {
    responses: responses.map((value) => (ArrayBuffer.isView(value) ? value.length : value)),
    errors: errors.map(({ code, message, cause }) => ({ code, message, cause: cause?.code ?? cause?.message ?? null })),
  };
}

const echo = (value) => ({ do: 'echo', value });

/** What is tried while something is short, and after it (`release`). */
async function trials(release) {
  const said = {};
  said.small = await attempt(warm, [echo(1), echo(2)]);
  const cold = new Parallelizer(options);
  said.cold = await attempt(cold, [echo(3)]);
  await cold.close();
  said.death = await attempt(warm, [{ do: 'exit', code: 3 }]);
  said.withTheOther = await attempt(warm, [echo(4)]);
  await release();
  said.released = await attempt(warm, [echo(5), echo(6)]);
  const other = new Parallelizer(options);
  said.coldReleased = await attempt(other, [echo(7), echo(8)]);
  await other.close();
  return said;
}

exports.descriptors = async () => {
  // What a pool loads after its first result is there as well.
  await attempt(warm, [echo(0), echo(0)]);
  await new Promise((resolve) => setImmediate(resolve));
  const held = [];
  const hold = () => {
    try {
      for (;;) held.push(fs.openSync('/dev/null'));
    } catch (error) {
      if (error.code !== 'EMFILE') throw error;
    }
  };
  hold();
  // Large values travel by descriptor, a few of which are left.
  for (const fd of held.splice(-16)) fs.closeSync(fd);
  const large = await attempt(warm, [echo(LARGE), echo(LARGE)]);
  hold();
  const said = await trials(() => held.forEach((fd) => fs.closeSync(fd)));
  return { held: held.length, large, ...said };
};

/** Starts processes until the system refuses one more. */
async function holdProcesses() {
  // A shell is quick at it, and its children outlive it; the last few are started one by one.
  const shell = spawn('sh', ['-c', 'for i in $(seq 900); do sleep 1000 > /dev/null & echo $!; done'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  let output = '';
  shell.stdout.on('data', (chunk) => (output += chunk));
  await once(shell, 'close');
  const held = output.trim().split('\n').map(Number);
  let refused;
  while (refused === undefined) {
    const child = spawn('sleep', ['1000'], { stdio: 'ignore' });
    if (child.pid === undefined) [refused] = await once(child, 'error');
    else held.push(child.pid);
  }
  return { held, refused: refused.code };
}

async function end(pids) {
  for (const pid of pids) process.kill(pid, 'SIGKILL');
  while (pids.some(isThere)) await sleep(5);
}

function isThere(pid) {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

exports.processes = async () => {
  await warm.ready();
  const { held, refused } = await holdProcesses();
  const large = await attempt(warm, [echo(LARGE), echo(LARGE)]);
  const said = await trials(() => end(held));
  return { held: held.length, refused, large, ...said };
};

// Room for a process and some of its threads: Node then waits forever for the others, before it runs anything.
exports.threads = async () => {
  const { held } = await holdProcesses();
  await end(held.splice(-4));
  const cold = new Parallelizer({ ...options, parallelization: 1 });
  const pending = attempt(cold, [echo(1)]);
  while (cold.stats().workers.every(({ pid }) => pid === null)) await sleep(5);
  const [{ pid }] = cold.stats().workers;
  await sleep(1000);
  const wasStuck = cold.stats().workers.some((worker) => worker.pid === pid && worker.state === 'starting');
  await end(held);
  return { wasStuck, answer: await pending };
};

exports.libuv = async () => {
  const fifo = `${process.env.TEST_TMP}/fifo`;
  execFileSync('mkfifo', [fifo]);
  // Opening a pipe for reading waits for a writer, and libuv has four threads that can wait.
  const waiting = Array.from({ length: 4 }, () => fs.promises.open(fifo, 'r'));
  let isBlocked = true;
  const probe = fs.promises.stat(fifo).then(() => (isBlocked = false));
  const cold = new Parallelizer(options);
  const said = {
    cold: await attempt(cold, [echo(1), echo(2)]),
    warm: await attempt(warm, [echo(LARGE), echo(4)]),
    death: await attempt(warm, [{ do: 'exit', code: 3 }, echo(5)]),
    after: await attempt(warm, [echo(6), echo(7)]),
  };
  await cold.close();
  said.wasBlocked = isBlocked;
  const writer = fs.openSync(fifo, 'r+');
  await Promise.all((await Promise.all(waiting)).map((handle) => handle.close()));
  await probe;
  fs.closeSync(writer);
  return said;
};

exports.sandbox = async () => {
  const refused = (act) => {
    try {
      act();
      return null;
    } catch (error) {
      return error.code;
    }
  };
  const said = {
    uid: process.getuid(),
    user: refused(() => os.userInfo()),
    home: refused(() => os.homedir()),
    code: refused(() => fs.writeFileSync(`${__dirname}/written`, '')),
    shm: fs.existsSync('/dev/shm'),
    tmp: refused(() => fs.mkdtempSync('/tmp/written-')),
  };
  said.small = await attempt(warm, [echo(1), echo(2)]);
  said.large = await attempt(warm, [echo(LARGE), echo(LARGE)]);
  said.death = await attempt(warm, [{ do: 'exit', code: 3 }, echo(5)]);
  said.after = await attempt(warm, [echo(6), echo(7)]);
  return said;
};
