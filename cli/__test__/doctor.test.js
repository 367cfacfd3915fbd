'use strict';
// `parallelizer doctor`: what it says is what this machine has, and nothing that must not be told.

const assert = require('node:assert/strict');
const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { test } = require('node:test');

const { root } = require('../../__test__/support/helpers');
const { environment, program, run } = require('./support/command');

/** @param {NodeJS.ProcessEnv} env @param {string[]} [more] */
function doctor(env, more = []) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [...more, program, 'doctor', '--json'], {
    env: { ...environment(), ...env },
    encoding: 'utf8',
  });
  return { status, stderr, text: stdout, found: JSON.parse(stdout) };
}

test('--json has what was found and measured', () => {
  const { status, found } = doctor({});
  assert.equal(status, 0);
  assert.equal(found.versions.node, process.version);
  assert.equal(found.cpus.online, os.cpus().length);
  for (const kind of ['processes', 'threads']) {
    const { works, workers, roundTrip, callsPerSecond, start } = found[kind];
    assert.equal(works, true);
    assert.equal(workers, found.cpus.usable);
    assert.equal(found[kind].advice.pays, false, 'calls that do nothing do not pay');
    assert.equal(found[kind].advice.breakEven > 0, found.cpus.usable > 1);
    assert.ok(roundTrip.p50 > 0 && roundTrip.p50 <= roundTrip.p99 && callsPerSecond > 0 && start > 0);
  }
  if (process.platform === 'linux') {
    const { memory, memfd, pidfd } = found.processes;
    assert.ok(memory.own > 2 ** 20 && memory.own <= memory.resident);
    assert.equal(typeof memfd, 'boolean');
    assert.equal(typeof pidfd, 'boolean');
    assert.ok(found.limits.openFiles.soft > 0);
  }
});

test('it tells nothing that must not be told', () => {
  const secret = 'hunter2-of-the-house';
  const { text } = doctor(
    { TOKEN: secret, NODE_OPTIONS: `--no-deprecation --title=${secret}`, AWS_SECRET_ACCESS_KEY: secret },
    [`--title=${secret}`],
  );
  assert.ok(!text.includes(secret));
  assert.ok(!text.includes(os.hostname()) && !text.includes(os.homedir() + '/'));
  assert.deepEqual(JSON.parse(text).process.nodeOptions, ['--no-deprecation', '--title']);
});

test('on Lambda it says what the memory grants', () => {
  const { found } = doctor({ AWS_LAMBDA_FUNCTION_NAME: 'f', AWS_LAMBDA_FUNCTION_MEMORY_SIZE: '1769' });
  assert.equal(found.cpus.usable, 1);
  assert.equal(found.cpus.lambdaMemory, 1769);
  if (os.availableParallelism() > 1) assert.equal(found.cpus.decidedBy, 'the memory of the Lambda function');
  assert.equal(found.cpus.spare, 0);
  assert.ok(found.memory.heapPerWorker > 0);
});

test('the report is for people', async () => {
  const { code, stdout } = await run(['doctor']);
  assert.equal(code, 0);
  for (const title of ['System', 'CPUs', 'Worker processes', 'Worker threads']) assert.match(stdout, new RegExp(`^${title}$`, 'm'));
  assert.match(stdout, /a call and its result take [\d.,]+ [µm]s/);
  assert.match(stdout, /what decides is /);
  assert.match(stdout, /a call pays if it computes for longer than [\d.,]+ [µm]s|calls that compute do not pay/);
});

test('without the addon it says so: that workers do not work, and why, or what schedules them instead', () => {
  const { status, found } = doctor({}, ['--no-addons']);
  const { works, message, scheduler } = found.processes;
  assert.equal(status, works ? 0 : 1);
  if (works) assert.notEqual(scheduler, 'native');
  else assert.match(message, /addon/);
});

const hasFallback = fs.existsSync(path.join(root, 'parallelizer.wasm'));
const skip = !hasFallback && 'parallelizer.wasm is not there: `npm run build:wasm` makes it';

test('where the fallback runs, it says so', { skip }, () => {
  const { status, found } = doctor({ PARALLELIZER_FALLBACK: '1' });
  assert.equal(status, 0);
  assert.equal(found.processes.scheduler, 'wasm');
  assert.equal(found.processes.memfd, null);
});

test('it takes no arguments', async () => {
  const { code, stderr } = await run(['doctor', 'who']);
  assert.equal(code, 2);
  assert.match(stderr, /"who": doctor takes no arguments/);
});
