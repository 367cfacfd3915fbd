'use strict';
// What a worker *writes* to its stdout comes out of the parent's stdout as it was written, byte for byte; what it says to
// its console is said to the parent's console. So a line of JSON that a logger writes stays one on AWS Lambda, in both log
// formats.

const assert = require('node:assert/strict');
const { test } = require('node:test');

const { root } = require('./support/helpers');
const { forEachMode } = require('./support/modes');
const { asynchronous, run } = require('./support/scripts');

/** A program whose console prefixes what it is told, as the runtime of AWS Lambda does. */
const program = (source) => asynchronous(`
  const { Pool } = require(${JSON.stringify(root)});
  const { write } = process.stdout;
  const prefixed = (level) => (...args) => write.call(process.stdout, 'PREFIX ' + level + ' ' + require('node:util').format(...args) + '\\n');
  for (const level of ['log', 'info', 'warn', 'error', 'debug']) console[level] = prefixed(level);
  const pool = new Pool({ processes: 1, type: process.env.TEST_MODE_TYPE, stdio: 'forward' });
  await pool.apply(${source});
  pool.close();
  await pool.join();
`);

const LINE = '{"level":30,"msg":"a line of JSON"}';

/** Ways to write; what comes out of the parent's stdout. */
const WRITES = {
  'process.stdout.write of JSON': [`() => void process.stdout.write(${JSON.stringify(`${LINE}\n`)})`, `${LINE}\n`],
  'process.stdout.write of text': ["() => void process.stdout.write('plain text\\n')", 'plain text\n'],
  'several lines at once': [`() => void process.stdout.write(${JSON.stringify(`${LINE}\nplain\n${LINE}\n`)})`, `${LINE}\nplain\n${LINE}\n`],
  'piece by piece': ["() => { process.stdout.write('{\"a\":'); process.stdout.write('1}'); process.stdout.write('\\n'); }", '{"a":1}\n'],
  'a line that the console ends': [
    "() => { process.stdout.write('Loading... '); console.log('done'); process.stdout.write('Saving... '); console.log('saved'); }",
    'PREFIX log Loading... done\nPREFIX log Saving... saved\n',
  ],
  'a Buffer': ["() => void process.stdout.write(Buffer.from('bytes \\u00e9\\u4e2d\\n'))", 'bytes \u00e9\u4e2d\n'],
  'a character in two pieces': ["() => { const b = Buffer.from('\\u4e2d\\n'); process.stdout.write(b.subarray(0, 1)); process.stdout.write(b.subarray(1)); }", '\u4e2d\n'],
  'text in another encoding': ["() => void process.stdout.write('aGV4Cg==', 'base64')", 'hex\n'],
  'fs.writeSync(1)': [`() => void require('node:fs').writeSync(1, ${JSON.stringify(`${LINE}\n`)})`, `${LINE}\n`],
  'fs.writeSync(process.stdout.fd)': [`() => void require('node:fs').writeSync(process.stdout.fd ?? 1, ${JSON.stringify(`${LINE}\n`)})`, `${LINE}\n`],
  'a stream on descriptor 1': [
    `() => new Promise((resolve) => require('node:fs').createWriteStream(null, { fd: 1, autoClose: false }).write(${JSON.stringify(`${LINE}\n`)}, resolve))`,
    `${LINE}\n`,
  ],
  'a process that the worker starts': [
    `() => void require('node:child_process').execFileSync('sh', ['-c', 'echo "$0"', ${JSON.stringify(LINE)}], { stdio: 'inherit' })`,
    `${LINE}\n`,
  ],
  'a callback and what write returns': [
    "() => new Promise((resolve) => process.stdout.write('called\\n', resolve))",
    'called\n',
  ],
  'console.log': ["() => console.log('said')", 'PREFIX log said\n'],
  'console.log of JSON': [`() => console.log(${JSON.stringify(LINE)})`, `PREFIX log ${LINE}\n`],
  'console.error': ["() => console.error('said')", 'PREFIX error said\n'],
  'console.table': ["() => console.table([])", /^PREFIX log /],
};

forEachMode((mode) => {
  test('what is said long after the calls have been answered comes out by itself, line by line', async (t) => {
    const { messages } = await run(t, asynchronous(`
      const { Pool } = require(${JSON.stringify(root)});
      const { write } = process.stdout;
      const seen = [];
      const allSeen = new Promise((resolve) => {
        console.log = (text) => { if (seen.push(text) === 8) resolve(); };
      });
      const pool = new Pool({ processes: 1, type: process.env.TEST_MODE_TYPE, stdio: 'forward' });
      await pool.apply(() => {
        const say = (names) => names.split('').forEach((name) => console.log(name));
        ['ab', 'c', 'd', 'efg', 'h'].forEach((names, i) => setTimeout(say, 10 * (i + 1), names));
      });
      // What keeps this process alive, and no more: no call, and nothing else of the pool's.
      const held = setInterval(() => {}, 1000);
      await allSeen;
      clearInterval(held);
      await pool.terminate();
      write.call(process.stdout, JSON.stringify(seen) + '\\n');
    `), { mode });
    assert.deepEqual(messages, [['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']]);
  });

  for (const format of ['Text', 'JSON']) {
    for (const [what, [source, expected]] of Object.entries(WRITES)) {
      test(`${what}, ${format} logs`, async (t) => {
        const { stdout, stderr } = await run(t, program(source), { mode, env: { AWS_LAMBDA_LOG_FORMAT: format } });
        if (expected instanceof RegExp) assert.match(stdout, expected);
        else assert.equal(stdout, expected, stderr);
      });
    }
  }

  test('what is written without an end of line comes out when the worker ends', async (t) => {
    const { stdout } = await run(t, program("() => void process.stdout.write('no end')"), { mode });
    assert.match(stdout, /^no end\n?$/);
  });

  test('what is written and what is said stay in order', async (t) => {
    const source = "() => { for (let i = 0; i < 20; i++) { process.stdout.write('written ' + i + '\\n'); console.log('said ' + i); } }";
    const { stdout } = await run(t, program(source), { mode });
    assert.equal(stdout, Array.from({ length: 20 }, (_, i) => `written ${i}\nPREFIX log said ${i}\n`).join(''));
  });
}, { needs: 'hasWorkers' });
