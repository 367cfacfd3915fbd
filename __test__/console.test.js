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
        Reflect.ownKeys(console).map((key) => [String(key), typeof console[key], key === 'Console' || typeof console[key] !== 'function' ? '' : console[key].name]);
      const { result } = await inWorker(t, mode, String(describe));
      // That of `dirxml` is `log` in Node.
      const names = describe().map(([key, type, name]) => [key, type, key === 'dirxml' ? key : name.replace(/^bound /, '')]);
      assert.deepEqual(result.map(([key, type, name]) => [key, type, name.replace(/^bound /, '')]).sort(), names.sort());
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
      }`);
      assert.deepEqual(seen.map(([level]) => level), ['log', 'log', 'warn', 'log', 'info', 'log', 'log', 'error']);
      const texts = seen.map(([, text]) => text);
      assert.deepEqual([texts[0], texts[2], texts[3], texts[4], texts[5], texts[6]],
        ['bound 1', 'Assertion failed: broken', 'group', '  indented', '{ a: [Object] }', 'n: 1']);
      assert.match(texts[1], /│ a/);
      assert.match(texts[7], /^Trace: here\n {4}at /);
    });

    test('what is written to the descriptor of stdout comes out as it was written', async (t) => {
      const { seen, stdout } = await inWorker(t, mode, `() => void require('node:fs').writeSync(1, '{"level":30}\\nplain\\n')`);
      assert.equal(stdout, '{"level":30}\nplain\n');
      assert.deepEqual(seen, []);
    });
  },
  { needs: ['hasWorkers'] },
);
