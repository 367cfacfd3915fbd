'use strict';
// A worker process has the addon as its main module, where nothing speaks against it, and a script of its own
// elsewhere. The user's module finds the same either way.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { describe, test } = require('node:test');

const { Parallelizer, Pool } = require('@parallelizer/node');
const { canBeMainModule } = require('../lib/host/main-module');
const { fixture, temporary } = require('./support/helpers');
const { isFallback } = require('./support/modes');
const { asynchronous, run } = require('./support/scripts');

const needsAddon = isFallback ? { skip: 'without the addon workers have a script of their own' } : {};
const readsProc = process.platform === 'linux' ? needsAddon : { skip: 'how a process was started is read in /proc' };
const ROOT = path.join(__dirname, '..');
/** What makes a worker have a script of its own: no flag that is known to be harmless. */
const OTHERWISE = ['-C', 'custom'];

/** What one worker answers. */
async function ask(t, fn, options, batch = ['node:path']) {
  const parallelizer = new Parallelizer({
    filePath: fixture('surroundings.js'),
    processBatchFunctionName: fn,
    parallelization: 1,
    ...options,
  });
  t.after(() => parallelizer.terminate());
  const { responses, failures } = await parallelizer.run(batch);
  assert.deepEqual(failures, []);
  return responses[0];
}

/** Whether a command line is that of a process whose main module is the addon. */
const isMain = (words) => words.some((word) => word.endsWith('.node')) && !words.includes('-e');

test('a worker process has the addon as its main module, also with flags that are harmless', readsProc, async (t) => {
  assert.ok(isMain(await ask(t, 'commandLine', { execArgv: [] })));
  const execArgv = ['--expose-gc', '--no-warnings', '--stack-trace-limit=20'];
  assert.ok(isMain(await ask(t, 'commandLine', { execArgv, resourceLimits: { maxOldGenerationSizeMb: 200 } })));
  assert.ok(isMain(await ask(t, 'commandLine', { execArgv: [], env: { ...process.env, NODE_OPTIONS: '--enable-source-maps' } })));
});

test('and a script of its own with flags that may decide what is loaded, and how', readsProc, async (t) => {
  const preloaded = path.join(temporary(t), 'preloaded.mjs');
  fs.writeFileSync(preloaded, 'globalThis.isPreloaded = true;');
  for (const execArgv of [OTHERWISE, ['--import', preloaded], ['--require', fixture('values.js')]]) {
    const words = await ask(t, 'commandLine', { execArgv });
    assert.ok(!isMain(words) && words.includes('-e'), execArgv.join(' '));
  }
  const env = { ...process.env, NODE_OPTIONS: `--import ${preloaded}` };
  assert.ok(!isMain(await ask(t, 'commandLine', { execArgv: [], env })));
});

test('the module of the user finds the same either way', needsAddon, async (t) => {
  const one = await ask(t, 'surroundings', { execArgv: [] });
  const other = await ask(t, 'surroundings', { execArgv: OTHERWISE });
  assert.deepEqual(one, { ...other, execArgv: [] });
  assert.equal(one.main, 'none');
  assert.equal(one.mainModule, 'none');
  assert.deepEqual(one.argv, [fixture('surroundings.js')]);
  assert.deepEqual(one.required, [fixture('surroundings.js')]);
  assert.deepEqual(one.environment, ['PARALLELIZER_WORKER_INDEX']);
  assert.ok(one.imported.includes('join'));
});

test('functions by source, ES modules and the library itself load there', needsAddon, async (t) => {
  const file = path.join(temporary(t), 'module.mjs');
  fs.writeFileSync(file, 'export default (n) => n + 1;\nexport const { pid } = process;');
  const pool = new Pool({ processes: 1, execArgv: [] });
  t.after(() => pool.terminate());
  assert.equal(await pool.apply({ filePath: file, name: 'default' }, [1]), 2);
  const pid = await pool.apply(async (url) => (await import(url)).pid, [`file://${file}`]);
  assert.equal(pid, await pool.apply(() => process.pid));
  const nested = await pool.apply(async (root) => {
    const { Pool: Inner, isWorker } = require(root);
    const inner = new Inner({ processes: 1, type: 'worker-threads' });
    try {
      return [isWorker, await inner.apply((n) => n * 2, [3])];
    } finally {
      await inner.terminate();
    }
  }, [ROOT]);
  assert.deepEqual(nested, [true, 6]);
});

test('a program that has the mark and loads the addon is no worker', needsAddon, async (t) => {
  const { addonPath } = require('../lib/native/native');
  const { messages } = await run(t, asynchronous(`
    const { setTimeout: sleep } = require('node:timers/promises');
    const native = require(${JSON.stringify(addonPath())});
    await sleep(50);
    console.log(JSON.stringify([typeof native.NativePool, process.mainModule.filename === __filename]));
  `), { env: { PARALLELIZER_WORKER: 'main' } });
  assert.deepEqual(messages, [['function', true]]);
});

describe('what speaks against it', () => {
  const { execPath } = process;
  const inPackage = (t, type, name = 'parallelizer.node') => {
    const folder = temporary(t);
    if (type !== null) fs.writeFileSync(path.join(folder, 'package.json'), JSON.stringify({ type }));
    return path.join(folder, name);
  };
  const can = (t, { type = 'commonjs', name, program = execPath, flags = [], env = {} } = {}) =>
    canBeMainModule(inPackage(t, type, name), program, flags, env);

  test('the place of the addon: a package of ES modules, or another name', (t) => {
    assert.equal(can(t), true);
    assert.equal(can(t, { type: 'module' }), false);
    assert.equal(can(t, { name: 'parallelizer.bin' }), false);
    const besideNonsense = inPackage(t, null);
    fs.writeFileSync(path.join(path.dirname(besideNonsense), 'package.json'), '{ "type": ');
    assert.equal(canBeMainModule(besideNonsense, execPath, [], {}), false, 'Node reads it, and would not start');
  });

  test('another program', (t) => {
    assert.equal(can(t, { program: '/usr/local/bin/other-node' }), false);
  });

  test('flags that are not known', (t) => {
    for (const flags of [
      ['--expose-gc', '--max_semi_space_size=16'], ['--no-warnings'], ['--trace-warnings', '--unhandled-rejections=strict'],
      ['--conditions=custom'], ['--enable-source-maps'], ['--no-experimental-require-module'], ['--stack-size=900'],
    ]) assert.equal(can(t, { flags }), true, flags.join(' '));
    for (const flags of [
      ['--import=./a.mjs'], ['--loader', './a.mjs'], ['-r', './a.js'], ['--require=./a.js'], ['--input-type=module'],
      ['--experimental-default-type=module'], ['--permission'], ['--inspect-brk'], ['--snapshot-blob=a'], ['--check'],
      ['--experimental-policy=a'], ['--a-flag-of-tomorrow'], ['--conditions', 'custom'], ['--stack-size-of-nothing'],
      ['--cpu-profile-of-tomorrow'], ['--network-family-autoselections'],
    ]) {
      assert.equal(can(t, { flags }), false, flags.join(' '));
      assert.equal(can(t, { env: { NODE_OPTIONS: flags.join(' ') } }), false, `NODE_OPTIONS=${flags.join(' ')}`);
    }
    assert.equal(can(t, { env: { NODE_OPTIONS: '--no-warnings --title="a b"' } }), true);
    assert.equal(can(t, { env: { NODE_OPTIONS: '"--no-warnings' } }), false, 'what Node rejects');
  });
});
