'use strict';

// Which of the parent's flags a worker inherits.

const { test } = require('node:test');
const assert = require('node:assert/strict');
const { spawnSync } = require('node:child_process');
const { inheritedExecArgv, inheritedEnv, resourceLimitFlags, waitsForDebugger } = require('../lib/host/exec-argv');

/** @param {string} text flags, separated by spaces */
const kept = (text) => inheritedExecArgv(text.split(' ')).join(' ');

test('what users rely on is kept', () => {
  for (const flags of [
    '-r ./setup.js --require ./more.js',
    '--import ./register.mjs --loader ./loader.mjs',
    '--conditions development -C custom',
    '--experimental-strip-types --experimental-vm-modules --enable-source-maps',
    '--no-warnings --trace-uncaught --unhandled-rejections=strict --stack-trace-limit=50',
    '--expose-gc --tls-min-v1.2 --dns-result-order ipv4first --env-file=.env',
  ]) {
    assert.equal(kept(flags), flags);
  }
  assert.deepEqual(inheritedExecArgv([]), []);
});

test('what tells Node to run something else is dropped, with its argument', () => {
  for (const flags of [
    '-e code()',
    '--eval code()',
    '--eval=code()',
    '-p 1+1',
    '-p',
    '--print 1+1',
    '-pe 1+1',
    '-i',
    '--interactive',
    '-c',
    '--check',
    '-',
    '--run build',
    '--run=build',
    '--input-type=module',
    '--input-type module',
    '--snapshot-blob program.blob',
    '--snapshot-blob=program.blob',
    '--build-snapshot',
  ]) {
    assert.equal(kept(`--before ${flags} --after`), '--before --after', flags);
  }
});

test('the test runner and watch mode are not started again', () => {
  assert.equal(
    kept('--test --test-reporter spec --test-reporter-destination=out --test-only --test-name-pattern foo -r a'),
    '-r a',
  );
  assert.equal(kept('--test-concurrency=1 --test-timeout 5 --test-force-exit -r a'), '-r a');
  assert.equal(kept('--watch --watch-path ./src --watch-path=./lib --watch-preserve-output -r a'), '-r a');
});

test('no second debugger listens on the same port', () => {
  assert.equal(kept('--inspect --inspect-brk=0 --inspect-wait=127.0.0.1:0 --inspect=9229 -r a'), '-r a');
  assert.equal(
    kept('--inspect-port 0 --inspect-port=0 --debug-port=1 --debug-port 9 --inspect-publish-uid=http -r a'),
    '-r a',
  );
});

test('heap flags are dropped in every spelling', () => {
  for (const flag of [
    '--max-old-space-size=921',
    '--max_old_space_size=921',
    '--max-old_space-size 921',
    '--max-semi-space-size=64',
    '--max_semi_space_size 64',
    '--min-semi-space-size=16',
    '--initial-old-space-size=500',
    '--max-heap-size=900',
    '--max-old-space-size-percentage=50',
    '--optimize-for-size',
    '--no-optimize-for-size',
    '--optimize_for_size',
  ]) {
    assert.equal(kept(`-r a ${flag} -r b`), '-r a -r b', flag);
  }
});

test('a flag without its value does not swallow what follows', () => {
  assert.equal(kept('--max-old-space-size --require a'), '--require a');
  assert.equal(kept('-p --require a'), '--require a');
});

test('similar names are kept', () => {
  const flags =
    '--inspector --testing --watchful --evaluate --printer --max-http-header-size=1 --experimental-test-isolation';
  assert.equal(kept(flags), flags);
});

test('the list that was passed is not changed', () => {
  const flags = Object.freeze(['--inspect', '-r', 'a']);
  assert.deepEqual(inheritedExecArgv(flags), ['-r', 'a']);
});

test('the same flags are removed from NODE_OPTIONS, and nothing else', () => {
  const options = (text) => inheritedEnv({ NODE_OPTIONS: text }).NODE_OPTIONS;
  assert.equal(options('--max-old-space-size=4096'), undefined);
  assert.equal(options('--max-old-space-size=4096 --enable-source-maps'), '--enable-source-maps');
  assert.equal(options('--require ./agent.js --inspect'), '--require ./agent.js');
  assert.equal(options('  --no-warnings   --inspect-port=0 '), '--no-warnings');
  assert.equal(options('--require "./my agent.js" --inspect'), '--require "./my agent.js"');
  assert.equal(options('--require "./a\\"b \\\\c.js" "--inspect"'), '--require "./a\\"b \\\\c.js"');
  assert.equal(options('--require ./back\\slash.js'), '--require ./back\\slash.js');
  assert.equal(options('--title="--inspect x"'), '--title="--inspect x"');
});

test('invalid NODE_OPTIONS are left for Node to reject', () => {
  assert.equal(inheritedEnv({ NODE_OPTIONS: '--inspect "open' }).NODE_OPTIONS, '--inspect "open');
  assert.equal(inheritedEnv({ NODE_OPTIONS: '"open\\' }).NODE_OPTIONS, '"open\\');
});

test('the rest of the environment is copied', () => {
  const env = Object.freeze({ A: '1', EMPTY: '', GONE: undefined, NODE_OPTIONS: '--inspect' });
  assert.deepEqual({ ...inheritedEnv(env) }, { A: '1', EMPTY: '' });
  assert.equal(inheritedEnv().PATH, process.env.PATH);
});

test('Node reads the filtered NODE_OPTIONS as it reads the original', () => {
  const title = 'a "quoted" \\ title';
  const text = `--inspect-port=0 --title="${title.replace(/["\\]/g, '\\$&')}" --max-old-space-size=64`;
  const { stdout, stderr } = spawnSync(process.execPath, ['-p', 'process.title'], {
    env: inheritedEnv({ ...process.env, NODE_OPTIONS: text }),
    encoding: 'utf8',
  });
  assert.equal(stdout, `${title}\n`, stderr);
});

test('resource limits as flags', () => {
  assert.deepEqual(resourceLimitFlags(null), []);
  assert.deepEqual(resourceLimitFlags({}), []);
  assert.deepEqual(resourceLimitFlags({ codeRangeSizeMb: 16 }), []);
  assert.deepEqual(resourceLimitFlags({ maxOldGenerationSizeMb: 100.4 }), ['--max-old-space-size=100']);
  assert.deepEqual(resourceLimitFlags({ maxOldGenerationSizeMb: 0.1 }), ['--max-old-space-size=1']);
  assert.deepEqual(resourceLimitFlags({ maxYoungGenerationSizeMb: 48 }), ['--max-semi-space-size=16']);
  assert.deepEqual(resourceLimitFlags({ stackSizeMb: 4 }), ['--stack-size=3904']);
});

test('a process with these flags has the heap of a thread with these limits', () => {
  const limits = { maxOldGenerationSizeMb: 60, maxYoungGenerationSizeMb: 6 };
  const measure = "require('node:v8').getHeapStatistics().heap_size_limit";
  const child = spawnSync(process.execPath, [...resourceLimitFlags(limits), '-p', measure], { encoding: 'utf8' });
  const thread = spawnSync(
    process.execPath,
    [
      '-e',
      `new (require('node:worker_threads').Worker)(${JSON.stringify(`console.log(${measure})`)},
        { eval: true, resourceLimits: ${JSON.stringify(limits)} })`,
    ],
    { encoding: 'utf8' },
  );
  assert.equal(child.stdout, thread.stdout, child.stderr + thread.stderr);
});

test('what waits for a debugger, in either place and spelling', () => {
  const waiting = ['brk', 'brk=0', 'brk=127.0.0.1:0', 'brk-node', 'wait', 'wait=9229'].map((end) => `--inspect-${end}`);
  for (const flag of [...waiting, '--inspect_brk', '--inspect_wait=0']) {
    assert.ok(waitsForDebugger(['--enable-source-maps', flag]), flag);
    assert.ok(waitsForDebugger([], `--enable-source-maps "${flag}"`), `NODE_OPTIONS ${flag}`);
  }
  const others = ['--inspect', '--inspect=0', '--inspect-port=0', '--inspect-publish-uid=http', 'inspect-brk'];
  for (const flag of others) {
    assert.ok(!waitsForDebugger([flag], flag), flag);
  }
  assert.ok(!waitsForDebugger([]));
});
