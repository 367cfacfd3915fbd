'use strict';
// The console and the streams of a worker whose output is forwarded.

const assert = require('node:assert/strict');
const { test } = require('node:test');

const { root } = require('./support/helpers');
const { forEachMode } = require('./support/modes');
const { asynchronous, run } = require('./support/scripts');

/** Runs a task in a worker; answers what it returned, what came through the console, and what was written. */
async function inWorker(t, mode, task, env) {
  const { stdout, stderr } = await run(t, asynchronous(`
    const { Pool } = require(${JSON.stringify(root)});
    const seen = [];
    for (const level of ['log', 'info', 'warn', 'error', 'debug']) console[level] = (...args) => seen.push([level, ...args]);
    const pool = new Pool({ processes: 1, type: process.env.TEST_MODE_TYPE, stdio: 'forward' });
    const result = await pool.apply((0, eval)(${JSON.stringify(`(${task})`)}));
    pool.close();
    await pool.join();
    process.stderr.write('\\n' + JSON.stringify({ result, seen }));
  `), { mode, env });
  const [written, last] = [stderr.slice(0, stderr.lastIndexOf('\n')), stderr.slice(stderr.lastIndexOf('\n') + 1)];
  return { ...JSON.parse(last), stdout, stderr: written };
}

forEachMode(
  (mode) => {
    test('its properties are what they are elsewhere', async (t) => {
      const describe = () =>
        Reflect.ownKeys(console).map((key) => {
          const value = console[key];
          const isFunction = typeof value === 'function';
          const name = !isFunction || key === 'Console' ? '' : value.name.replace(/^bound /, '');
          return [String(key), typeof value, name, isFunction && Object.hasOwn(value, 'prototype')];
        }).sort();
      const { result } = await inWorker(t, mode, String(describe));
      // That of `dirxml` is `log` in Node.
      assert.deepEqual(result, describe().map(([key, type, name, isClass]) => [key, type, key === 'dirxml' ? key : name, isClass]));
    });

    for (const env of [{}, { AWS_LAMBDA_LOG_FORMAT: 'JSON' }]) {
      test(`${env.AWS_LAMBDA_LOG_FORMAT ?? 'text'} logs: a console of one's own writes, as it does elsewhere`, async (t) => {
        const { seen, stdout, stderr } = await inWorker(t, mode, `() => {
          const { Console } = require('node:console');
          if (Console !== console.Console || require('console') !== console) throw new Error('another console');
          new Console(process.stdout, process.stderr).log('{"_aws":1}');
          new console.Console({ stdout: process.stdout, stderr: process.stderr }).error('{"level":"error"}\\nplain');
          (class extends console.Console { metric(name) { this.log('{"%s":1}', name); } }).prototype.metric.call(new Console(process.stdout), 'm');
          console.Console(process.stdout).log('without new');
          process.stdout.write('in ');
          process.stdout.write('pieces\\n');
          process.stdout.write('the end');
        }`, env);
        // What goes to stderr may be last words, and is told as an error unless a logger wrote it.
        assert.deepEqual(seen, [['error', 'plain']]);
        assert.equal(stdout, '{"_aws":1}\n{"m":1}\nwithout new\nin pieces\nthe end\n');
        assert.equal(stderr, '{"level":"error"}\n');
      });
    }

    test('classes of consoles: subclasses, instances, streams of one’s own', async (t) => {
      const { result, seen, stdout, stderr } = await inWorker(t, mode, `() => {
        class Own extends console.Console {
          shout(text) { this.log(text.toUpperCase()); }
        }
        new Own(process.stdout).shout('subclass');
        new (require('console').Console)({ stdout: process.stdout }).table([{ a: 1 }]);
        const written = [];
        const { Writable } = require('node:stream');
        const stream = new Writable({ write: (chunk, _, done) => { written.push(String(chunk)); done(); } });
        new console.Console(stream).log('elsewhere %d', 1);
        return [written, new Own(process.stdout) instanceof console.Console, console instanceof console.Console];
      }`);
      assert.deepEqual(result, [['elsewhere 1\n'], true, true]);
      assert.match(stdout, /^SUBCLASS\n┌[^]+│ 0 +│ 1 │\n└[^]+\n$/);
      assert.deepEqual([seen, stderr], [[], '']);
    });

    test('a call of a method is one message at its level, whatever the method prints through', async (t) => {
      const { seen } = await inWorker(t, mode, `() => {
        const log = console.log.bind(null);
        log('bound %d', 1);
        console.table([{ a: 1 }]);
        console.assert(false, 'broken');
        console.group('group');
        console.info('indented');
        console.groupEnd();
        console.dir({ a: { b: {} } }, { depth: 0 });
        console.count('n');
        console.trace('here');
        console.warn('warned');
        console.error('failed');
        console.debug('%s', 'detail');
        console.assert(true, 'not broken');
        console.countReset('n');
        console.count();
        console.time('timer');
        console.timeEnd('timer');
      }`);
      assert.deepEqual(seen.map(([level]) => level), [
        'log', 'log', 'warn', 'log', 'info', 'log', 'log', 'error', 'warn', 'error', 'debug', 'log', 'log',
      ]);
      const texts = seen.map(([, text]) => text);
      assert.deepEqual([texts[0], ...texts.slice(2, 7), ...texts.slice(8, 12)], [
        'bound 1', 'Assertion failed: broken', 'group', '  indented', '{ a: [Object] }', 'n: 1',
        'warned', 'failed', 'detail', 'default: 1',
      ]);
      assert.match(texts[1], /^┌[^]*│ a[^]*┘$/);
      assert.match(texts[7], /^Trace: here\n {4}at /);
      assert.match(texts[12], /^timer: [\d.]+/);
    });

    test('methods that were taken off it, bound or not, still print', async (t) => {
      const { seen } = await inWorker(t, mode, `() => {
        const { log, warn } = console;
        log('taken');
        warn.call(null, 'called');
        console.info.bind({})('bound');
        [1].forEach((n) => log(n));
        ({ ...console }).log('copied');
        Object.create(console).log('inherited');
        console.log = new Proxy(console.log, {});
        console.log('wrapped');
      }`);
      assert.deepEqual(seen, [
        ['log', 'taken'], ['warn', 'called'], ['info', 'bound'], ['log', '1'], ['log', 'copied'], ['log', 'inherited'],
        ['log', 'wrapped'],
      ]);
    });

    test('a tool that replaces a method prints through what it has replaced; what a debugger has is there', async (t) => {
      const { result, seen } = await inWorker(t, mode, `() => {
        const { log } = console;
        console.log = (...args) => log('[tool]', ...args);
        console.log('message');
        console.log = log;
        console.log('again');
        return [console.createTask?.('x').run, console.context?.('name').log, console.profile, console.profileEnd, console.timeStamp]
          .map((each) => typeof each);
      }`);
      assert.deepEqual(seen, [['log', '[tool] message'], ['log', 'again']]);
      assert.deepEqual(result, [
        typeof console.createTask, typeof console.context, 'function', 'function', 'function',
      ]);
    });

    test('with JSON logs, objects stay objects, beside a console of one’s own', async (t) => {
      const { seen, stdout } = await inWorker(t, mode, `() => {
        console.log({ a: 1 });
        new console.Console(process.stdout).log(JSON.stringify({ _aws: { emf: true } }));
      }`, { AWS_LAMBDA_LOG_FORMAT: 'JSON' });
      assert.deepEqual(seen, [['log', { a: 1 }]]);
      assert.equal(stdout, '{"_aws":{"emf":true}}\n');
    });
  },
  { needs: ['hasWorkers'] },
);
