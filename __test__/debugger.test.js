'use strict';
// A worker that is told to wait for a debugger waits for as long as that takes, and a debugger can attach to it.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const http = require('node:http');
const path = require('node:path');
const { test } = require('node:test');

const { childrenOf, isRunning, sleep, temporary, waitFor, within } = require('./support/helpers');
const { asynchronous, start } = require('./support/scripts');

/** Longer than a worker may be silent while it boots; so long is waited, and nothing is measured by it. */
const LONGER_THAN_A_BOOT = 33_000;

/** The address of the debugger that a process says it listens for. */
const listening = (program, nth = 1) =>
  waitFor(() => [...program.stderr.matchAll(/ws:\/\/(127\.0\.0\.1:\d+)\/(\S+)/g)][nth - 1], 'a worker to listen');

/** Lets a process that waits for a debugger go on. */
async function attach([, address, id]) {
  const key = Buffer.from('0123456789abcdef').toString('base64');
  const request = http.get(`http://${address}/${id}`, {
    headers: { Connection: 'Upgrade', Upgrade: 'websocket', 'Sec-WebSocket-Key': key, 'Sec-WebSocket-Version': '13' },
  });
  const socket = await new Promise((resolve, reject) => {
    request.once('upgrade', (_, upgraded) => resolve(upgraded)).once('error', reject);
  });
  const send = (message) => {
    const text = Buffer.from(JSON.stringify(message));
    // A client masks what it sends; by zeroes it stays what it is.
    socket.write(Buffer.concat([Buffer.from([0x81, 0x80 | text.length, 0, 0, 0, 0]), text]));
  };
  send({ id: 1, method: 'Runtime.enable' });
  send({ id: 2, method: 'Debugger.enable' });
  send({ id: 3, method: 'Runtime.runIfWaitingForDebugger' });
  // It stops at the first line.
  socket.on('data', (bytes) => {
    if (bytes.includes('Debugger.paused')) send({ id: 4, method: 'Debugger.resume' });
  });
  socket.on('error', () => {});
  return socket;
}

const WAYS = {
  '--inspect-brk=0 in execArgv': { execArgv: ['--inspect-brk=0'] },
  '--inspect-brk with an underscore, in NODE_OPTIONS of env': {
    env: { PATH: process.env.PATH, NODE_OPTIONS: '--inspect_brk=0' },
  },
};
if (Number.parseInt(process.versions.node, 10) >= 22) {
  WAYS['--inspect-wait=0 in execArgv'] = { execArgv: ['--inspect-wait=0'] };
}

for (const [what, options] of Object.entries(WAYS)) {
  test(`a worker waits: ${what}`, { concurrency: true }, async (t) => {
    const program = start(t, asynchronous(`
      const parallelizer = make(${JSON.stringify({ parallelization: 1, ...options })});
      const { responses, failures } = await parallelizer.run([{ do: 'pid' }]);
      console.log(JSON.stringify({ responses, failures }));
      await parallelizer.terminate();
    `));
    const address = await listening(program);
    const [pid] = childrenOf(program.pid);
    await sleep(LONGER_THAN_A_BOOT);
    assert.ok(isRunning(pid), 'it waits');
    const socket = await attach(address);
    t.after(() => socket.destroy());
    await within(program.exited, 'the program to end');
    assert.deepEqual(program.messages(), [{ responses: [pid], failures: [] }]);
  });
}

test('a worker waits: a preload opens a port and waits', async (t) => {
  const dir = temporary(t);
  const file = path.join(dir, 'wait.cjs');
  fs.writeFileSync(file, "require('node:inspector').open(0, '127.0.0.1', true);");
  const program = start(t, asynchronous(`
    const parallelizer = make(${JSON.stringify({ parallelization: 1, execArgv: ['--require', file] })});
    const { responses, failures } = await parallelizer.run([{ do: 'pid' }]);
    console.log(JSON.stringify({ responses, failures }));
    await parallelizer.terminate();
  `));
  const address = await listening(program);
  const [pid] = childrenOf(program.pid);
  await sleep(LONGER_THAN_A_BOOT);
  assert.ok(isRunning(pid), 'it waits');
  const socket = await attach(address);
  t.after(() => socket.destroy());
  await within(program.exited, 'the program to end');
  assert.deepEqual(program.messages(), [{ responses: [pid], failures: [] }]);
});

test('a call that is stopped by a debugger has no limit but its own', async (t) => {
  const program = start(t, asynchronous(`
    const parallelizer = make({ parallelization: 1, execArgv: ['--inspect=0'] });
    const { responses } = await parallelizer.run([{ do: 'pid' }]);
    console.log(JSON.stringify({ responses }));
    await parallelizer.terminate();
  `));
  await listening(program);
  await within(program.exited, 'the program to end');
  assert.equal(program.messages()[0].responses.length, 1);
});
