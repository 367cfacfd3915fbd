'use strict';

// The wording of this library's errors: what happened, to what, and what helps.

const { test } = require('node:test');
const assert = require('node:assert/strict');
const { spawnSync } = require('node:child_process');
const errors = require('../lib/errors');
const { notOnWindows } = require('./support/helpers');

const { ParallelizerError } = errors;

test('each factory makes a ParallelizerError with its code', () => {
  const made = {
    ERR_PARALLELIZER_OPTION: errors.optionError('batchSize', -1, 'a positive integer'),
    ERR_PARALLELIZER_MODULE: errors.moduleError('/srv/a.js', { functionName: 'f', exports: [] }),
    ERR_PARALLELIZER_WORKER_EXITED: errors.workerExited({ pid: 1, exitCode: 1 }),
    ERR_PARALLELIZER_TIMEOUT: errors.timeoutError(100, 'sub-batch 2'),
    ERR_PARALLELIZER_ABORTED: errors.abortError(undefined, 'sub-batch 2'),
    ERR_PARALLELIZER_QUEUE_FULL: errors.queueFullError(3, 4, 2),
    ERR_PARALLELIZER_CLOSED: errors.closedError('run()'),
    ERR_PARALLELIZER_SKIPPED: errors.skippedError('customer 1'),
    ERR_PARALLELIZER_SERIALIZATION: errors.serializationError('batch[1].socket', () => {}, undefined),
    ERR_PARALLELIZER_PROTOCOL: errors.protocolError('a frame of kind 99'),
  };
  for (const [code, error] of Object.entries(made)) {
    assert.ok(error instanceof ParallelizerError && error instanceof Error);
    assert.equal(error.code, code);
    assert.ok(error.message.length > 20);
    assert.ok(!('cause' in error) || code === 'ERR_PARALLELIZER_ABORTED', `${code} has no cause to tell of`);
    assert.ok(error.stack.startsWith(`${error.name}: ${error.message}`));
    assert.ok(!Object.keys(error).includes('name'));
  }
  assert.equal(String(made.ERR_PARALLELIZER_TIMEOUT).split(':')[0], 'ParallelizerError');
});

test('an option error shows the value in brief', () => {
  const message = (value, name = 'x') => errors.optionError(name, value, 'good').message;
  assert.equal(message(-1, 'batchSize'), 'option "batchSize" must be good, got -1 (number)');
  assert.equal(message('4'), `option "x" must be good, got '4' (string)`);
  assert.equal(message(undefined), 'option "x" must be good, got undefined');
  assert.equal(message(null), 'option "x" must be good, got null');
  assert.equal(message(5n), 'option "x" must be good, got 5n (bigint)');
  assert.equal(message([1, 2]), 'option "x" must be good, got [Array] (array)');
  assert.equal(message(Symbol('s')), 'option "x" must be good, got Symbol(s) (symbol)');
  assert.ok(message('y'.repeat(1e6)).length < 200);
  assert.ok(!message('a\nb\nc').includes('\n'));
});

test('an option error shows no secrets', () => {
  for (const name of ['env', 'env.API_KEY', 'options[2].env', 'options[2].env["A=B"]']) {
    assert.ok(!errors.optionError(name, 'hunter2', 'a good one').message.includes('hunter2'), name);
  }
  assert.ok(!errors.optionError('x', { password: 'hunter2' }, 'good').message.includes('hunter2'));
  assert.ok(errors.optionError('environment', 'shown', 'good').message.includes('shown'));
});

test('values that resist being shown', () => {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  const hostile = {
    get [Symbol.toStringTag]() {
      throw new Error('no');
    },
    [Symbol.for('nodejs.util.inspect.custom')]() {
      throw new Error('no');
    },
    toString() {
      throw new Error('no');
    },
  };
  for (const value of [proxy, hostile, Object.create(null), new Proxy({}, { get() { throw new Error('no'); } })]) {
    for (const make of [
      () => errors.optionError('x', value, 'good'),
      () => errors.optionError('x', value, 'cannot be read', { cause: value }),
      () => errors.abortError(value, 'sub-batch 1'),
      () => errors.skippedError(value),
      () => errors.serializationError('batch[0]', value, value),
      () => errors.moduleError('/srv/a.js', { cause: value }),
    ]) {
      assert.ok(make() instanceof ParallelizerError);
    }
  }
});

test('a module that does not load: its own error is quoted and kept', () => {
  const cause = new SyntaxError('Unexpected token\n    at line 3');
  const error = errors.moduleError('/srv/a.js', { cause });
  assert.equal(error.cause, cause);
  assert.match(error.message, /"\/srv\/a\.js" does not load: SyntaxError: Unexpected token\./);
  assert.equal(errors.moduleError('/srv/a.js', { cause: undefined }).cause, undefined);
  assert.match(errors.moduleError('/srv/a.js', { cause: undefined }).message, /does not load: undefined/);
});

test('a module without the function: what it exports instead', () => {
  const message = (functionName, exports) => errors.moduleError('/srv/a.js', { functionName, exports }).message;
  assert.match(message('f', ['g', 'default']), /has no function "f"; it exports "g", "default": name one of these/);
  assert.match(message('f', []), /it exports nothing/);
  assert.match(message('f', ['f', 'g']), /under that name is not a function/);
  const many = message('f', Array.from({ length: 500 }, (_, i) => `export${i}`));
  assert.ok(many.length < 600 && many.includes('and 480 more'));
});

test('a worker that ended: how, doing what, its last output, and what helps', () => {
  const killed = errors.workerExited({ pid: 42, signal: 'SIGKILL', stderr: 'one\ntwo\n', what: 'sub-batch 3' });
  assert.deepEqual(
    [killed.pid, killed.exitCode, killed.signal, killed.stderr],
    [42, null, 'SIGKILL', 'one\ntwo\n'],
  );
  assert.match(killed.message, /pid 42\) was ended by SIGKILL while it ran sub-batch 3; .*memory/);
  assert.ok(killed.message.endsWith('\nThe last lines of its stderr:\none\ntwo'));

  const left = errors.workerExited({ pid: 42, exitCode: 0 });
  assert.match(left.message, /exited with code 0; .*process\.exit/);
  assert.equal(left.stderr, '');
  assert.ok(!left.message.includes('\n'));

  assert.match(errors.workerExited({ exitCode: 9, duringBoot: true }).message, /before it was ready; .*execArgv/);
  assert.match(errors.workerExited({ exitCode: 1 }).message, /not caught/);
  assert.match(errors.workerExited({ signal: 'SIGABRT' }).message, /heap/);
  assert.match(errors.workerExited({ signal: 'SIGSEGV' }).message, /native/);
  assert.match(errors.workerExited({}).message, /not known/);
  // Where there are no signals, the exit code says it.
  assert.match(errors.workerExited({ exitCode: 134 }).message, /heap/);
  assert.match(errors.workerExited({ exitCode: 0xc0000005 }).message, /code 3221225477 \(0xc0000005\); native code/);
  assert.match(errors.workerExited({ exitCode: 0xc000013a }).message, /Ctrl\+C/);
  assert.match(errors.workerExited({ exitCode: 0xcfffffff }).message, /\(0xcfffffff\); your code/);
});

test('the message has only the end of a long stderr, the property all that was kept', () => {
  const lines = Array.from({ length: 400 }, (_, i) => `line ${i}`);
  const error = errors.workerExited({ pid: 1, exitCode: 1, stderr: lines.join('\n') });
  assert.ok(error.message.endsWith('line 398\nline 399'));
  assert.ok(!error.message.includes('line 300\n'));
  assert.equal(error.stderr, lines.join('\n'));
  assert.ok(errors.workerExited({ pid: 1, exitCode: 1, stderr: 'x'.repeat(1e6) }).message.length < 2000);
});

test('a worker that could not be started', notOnWindows('errors have other numbers'), () => {
  const limit = errors.spawnFailedError({ errno: 11, message: 'posix_spawn' });
  assert.equal(limit.code, 'ERR_PARALLELIZER_WORKER_EXITED');
  assert.match(limit.message, /EAGAIN: posix_spawn.*ulimit -u/);
  assert.deepEqual([limit.errno, limit.pid, limit.exitCode, limit.signal], [11, null, null, null]);
  assert.match(errors.spawnFailedError({ errno: -24 }).message, /EMFILE/);
  assert.match(errors.spawnFailedError({ errno: 'ENOMEM' }).message, /memory/);
  assert.match(errors.spawnFailedError({ errno: 99_999 }).message, /could not be started/);
  assert.match(errors.spawnFailedError({ message: 'no idea' }).message, /\(no idea\)/);
});

test('an abort has the name that code checks for, and the reason', () => {
  const signal = AbortSignal.abort(new Error('user left'));
  const error = errors.abortError(signal.reason, 'sub-batch 1');
  assert.equal(error.name, 'AbortError');
  assert.equal(error.cause, signal.reason);
  assert.ok(error.message.includes('user left'));
  assert.equal(errors.abortError('text', 'sub-batch 1').cause, 'text');
  assert.ok('cause' in errors.abortError(undefined, 'sub-batch 1'));
});

test('a full queue: the numbers', () => {
  assert.match(errors.queueFullError(3, 4, 2).message, /2 more: 3 are waiting and "maxQueue" is 4/);
});

test('a value that cannot travel: where it is, what it is, why', () => {
  const cause = new TypeError('Converting circular structure to JSON');
  const error = errors.serializationError('batch[3].socket', { self: 'secret' }, cause);
  assert.match(error.message, /^batch\[3\]\.socket cannot travel .*\[Object\] \(object\).*circular/);
  assert.equal(error.cause, cause);
});

test('loading the errors loads nothing else, since they add to the start of every worker', () => {
  // The first file that is required may have Node load what it loads modules with.
  const script = `
    const first = ${JSON.stringify(require.resolve('./fixtures/grandchild.js'))};
    require(first);
    delete require.cache[first];
    const before = process.moduleLoadList.length;
    const cached = Object.keys(require.cache).length;
    require(${JSON.stringify(require.resolve('../lib/errors'))});
    console.log(JSON.stringify(process.moduleLoadList.slice(before)), Object.keys(require.cache).length - cached);
  `;
  const { stdout, stderr } = spawnSync(process.execPath, ['-e', script], { encoding: 'utf8' });
  assert.equal(stdout, '[] 1\n', stderr);
});
