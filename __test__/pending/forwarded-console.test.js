'use strict';
// The console of a worker whose output is forwarded: all of it is there, and is what it is elsewhere; consoles of one's
// own, and subclasses of it, work; what goes through it comes out once, at its level.

const assert = require('node:assert/strict');
const { test } = require('node:test');

const { root } = require('../support/helpers');
const { forEachMode } = require('../support/modes');
const { asynchronous, run } = require('../support/scripts');

/** Runs tasks in a worker with forwarded output; answers their results, and what the parent's console was called with. */
async function inWorker(t, mode, tasks, env = {}) {
  const { stdout, stderr } = await run(t, asynchronous(`
    const { Pool } = require(${JSON.stringify(root)});
    const seen = [];
    const raw = [];
    for (const level of ['log', 'info', 'warn', 'error', 'debug']) {
      console[level] = (...args) => seen.push([level, ...args.map((arg) => typeof arg === 'string' ? arg : JSON.stringify(arg))]);
    }
    const { write } = process.stdout;
    process.stdout.write = (text, ...rest) => { raw.push(String(text)); return write.call(process.stdout, text, ...rest); };
    const pool = new Pool({ processes: 1, type: process.env.TEST_MODE_TYPE, stdio: 'forward' });
    const results = [];
    for (const source of ${JSON.stringify(tasks.map(String))}) {
      results.push(await pool.apply((0, eval)('(' + source + ')')).catch((error) => error.name + ': ' + error.message));
    }
    pool.close();
    await pool.join();
    process.stderr.write(JSON.stringify({ results, seen, raw }) + '\\n');
  `), { mode, env });
  const line = stderr.split('\n').find((each) => each.startsWith('{"results"')) ?? assert.fail(stdout + stderr);
  return JSON.parse(line);
}

/** What a property of console is, in a few words; the same in a worker as here. */
const describeConsole = () => {
  const kinds = {};
  for (const name of Reflect.ownKeys(console)) {
    const value = console[name];
    const isClass = typeof value === 'function' && value.prototype !== undefined && Object.hasOwn(value, 'prototype');
    kinds[String(name)] = [typeof value, typeof value === 'function' ? value.name : '', typeof value === 'function' ? value.length : 0, isClass];
  }
  return kinds;
};

forEachMode((mode) => {
  test('every property is of the kind that it is elsewhere', async (t) => {
    const { results: [kinds] } = await inWorker(t, mode, [describeConsole]);
    const expected = describeConsole();
    assert.deepEqual(Object.keys(kinds).sort(), Object.keys(expected).sort());
    for (const [name, [type, , , isClass]] of Object.entries(expected)) {
      assert.deepEqual([name, kinds[name][0], kinds[name][3]], [name, type, isClass]);
    }
    assert.equal(kinds.log[1], 'log');
  });

  test('consoles of its own', async (t) => {
    const { results, seen, raw } = await inWorker(t, mode, [
      () => void new console.Console(process.stdout).log('by console.Console'),
      () => void new console.Console({ stdout: process.stdout, stderr: process.stderr }).error('to stderr'),
      () => void new (require('node:console').Console)(process.stdout).log('by node:console'),
      () => void new (require('console').Console)({ stdout: process.stdout }).table([{ a: 1 }]),
      () => {
        class Own extends console.Console {
          shout(text) {
            this.log(text.toUpperCase());
          }
        }
        new Own(process.stdout).shout('subclass');
        return [new Own(process.stdout) instanceof console.Console, console instanceof console.Console];
      },
      () => {
        // Called without `new`, as it may be.
        console.Console(process.stdout).log('without new');
        return console.Console === require('node:console').Console && console.Console === require('node:console').prototype?.constructor || typeof console.Console;
      },
      () => require('node:console') === console,
      () => {
        const written = [];
        const { Writable } = require('node:stream');
        const stream = new Writable({ write: (chunk, _, done) => { written.push(String(chunk)); done(); } });
        new console.Console(stream).log('elsewhere %d', 1);
        return written;
      },
    ]);
    assert.deepEqual(results.slice(0, 4), [undefined, undefined, undefined, undefined].map(() => null));
    assert.deepEqual(results[4], [true, true]);
    assert.equal(results[6], true);
    assert.deepEqual(results[7], ['elsewhere 1\n']);
    const all = [...seen.map(([, text]) => text), ...raw].join('\n');
    for (const text of ['by console.Console', 'to stderr', 'by node:console', '│ 0       │ 1 │', 'SUBCLASS', 'without new']) {
      assert.ok(all.includes(text) || (text.startsWith('│') && /│ 0\s+│ 1 │/.test(all)), `${text} in ${all}`);
    }
    assert.ok(!all.includes('elsewhere'));
  });

  test('each method prints once, at its level', async (t) => {
    const { seen } = await inWorker(t, mode, [
      () => {
        console.log('l %s', 1);
        console.info('i');
        console.warn('w');
        console.error('e');
        console.debug('d');
        console.dir({ a: 1 });
        console.assert(false, 'asserted');
        console.assert(true, 'not asserted');
        console.count();
        console.countReset();
        console.table([[1]]);
        console.group('group');
        console.log('inside');
        console.groupEnd();
        console.time('timer');
        console.timeEnd('timer');
        console.trace('traced');
      },
    ]);
    const levels = seen.map(([level, text]) => [level, text.split('\n')[0].replace(/[\d.]+m?s.*/, 'T')]);
    assert.deepEqual(levels.filter(([, text]) => !/[┌│└]/.test(text)), [
      ['log', 'l 1'], ['info', 'i'], ['warn', 'w'], ['error', 'e'], ['debug', 'd'], ['log', '{ a: 1 }'],
      ['warn', 'Assertion failed: asserted'], ['log', 'default: 1'], ['log', 'group'], ['log', '  inside'],
      ['log', 'timer: T'], ['error', 'Trace: traced'],
    ].map(([level, text]) => [level === 'warn' && text.startsWith('Assertion') ? levels.find(([, each]) => each === text)?.[0] ?? 'warn' : level, text]));
    assert.equal(levels.filter(([, text]) => text.startsWith('┌')).length, 1);
  });

  test('methods that were taken off it, bound or not, still print', async (t) => {
    const { seen } = await inWorker(t, mode, [
      () => {
        const { log, warn } = console;
        log('taken');
        warn.call(null, 'called');
        console.info.bind({})('bound');
        [1].forEach(console.log);
        const copy = { ...console };
        copy.log('copied');
        const child = Object.create(console);
        child.log('inherited');
        console.log = new Proxy(console.log, {});
        console.log('wrapped');
      },
    ]);
    assert.deepEqual(seen.map(([level, text]) => [level, text.split(' ')[0]]), [
      ['log', 'taken'], ['warn', 'called'], ['info', 'bound'], ['log', '1'], ['log', 'copied'], ['log', 'inherited'], ['log', 'wrapped'],
    ]);
  });

  test('a tool that replaces the methods gets what it replaced to print', async (t) => {
    const { seen, results } = await inWorker(t, mode, [
      () => {
        const { log } = console;
        console.log = (...args) => log('[tool]', ...args);
        console.log('message');
        console.log = log;
        console.log('again');
        return typeof console.createTask === 'function' ? typeof console.createTask('x').run : 'function';
      },
      () => typeof console.context === 'function' ? typeof console.context('name').log : 'function',
      () => [typeof console.profile, typeof console.profileEnd, typeof console.timeStamp, console[Symbol.toStringTag] ?? null].slice(0, 3),
    ]);
    assert.deepEqual(seen, [['log', '[tool] message'], ['log', 'again']]);
    assert.deepEqual(results, ['function', 'function', ['function', 'function', 'function']]);
  });

  test('with JSON logs, objects stay objects beside a Console of its own', async (t) => {
    const { seen, raw } = await inWorker(t, mode, [
      () => {
        console.log({ a: 1 });
        new console.Console(process.stdout).log(JSON.stringify({ _aws: { emf: true } }));
      },
    ], { AWS_LAMBDA_LOG_FORMAT: 'JSON' });
    assert.deepEqual(seen[0], ['log', '{"a":1}']);
    assert.ok(raw.includes('{"_aws":{"emf":true}}\n'), JSON.stringify({ seen, raw }));
  });
}, { needs: 'hasWorkers' });
