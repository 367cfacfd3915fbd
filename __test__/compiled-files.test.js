'use strict';
// The published package loads its files as V8 compiled them in advance, where that fits, and as ever where it does not.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');

const { publish } = require('../benchmark/support/published');
const { begin } = require('../lib/package/compiled-files');
const { temporary } = require('./support/helpers');
const { withAddon } = require('./support/modes');
const { node } = require('./support/packages');

const FOLDER = path.join('node_modules', '@parallelizer');
const options = withAddon('nothing is compiled in advance');

/** Preloaded: notes, for each file, whether V8 took what was compiled, and says so at the end. */
const NOTES = `
  const vm = require('node:vm');
  const seen = {};
  const show = (script) => (script.cachedDataRejected === undefined ? 'nothing' : script.cachedDataRejected ? 'refused' : 'taken');
  vm.Script = class extends vm.Script {
    constructor(text, options) {
      super(text, options);
      if (options?.filename?.endsWith('.js')) seen[options.filename.split(/[\\\\/]/).pop()] = show(this);
    }
  };
  // A worker has it as well.
  if (!process.execArgv.includes('--input-type=commonjs')) process.on('exit', () => console.log(JSON.stringify(seen)));
`;

const FIRST_RESULT = `
  const { Pool } = require('@parallelizer/node');
  const pool = new Pool(1);
  pool.apply((a, b) => a + b, [20, 22]).then((sum) => {
    if (sum !== 42) throw new Error('wrong: ' + sum);
    return pool.close();
  });
`;

/** The published package, of which each test gets a copy. @type {Promise<string> | undefined} */
let published;

/** @param {import('node:test').TestContext} t */
async function project(t) {
  const original = (published ??= (async () => {
    const folder = fs.mkdtempSync(path.join(require('node:os').tmpdir(), 'compiled-'));
    process.on('exit', () => fs.rmSync(folder, { recursive: true, force: true }));
    await publish(folder);
    return folder;
  })());
  const folder = temporary(t);
  fs.cpSync(await original, folder, { recursive: true });
  fs.writeFileSync(path.join(folder, 'notes.cjs'), NOTES);
  const scope = path.join(folder, FOLDER);
  const platform = fs.readdirSync(scope).find((name) => name.startsWith('node-'));
  const compiled = path.join(scope, /** @type {string} */ (platform), 'compiled', process.versions.v8);
  /** @param {string} script @param {string[]} [flags] @param {object} [env] */
  const run = async (script, flags = [], env = {}) => {
    const args = ['--require', './notes.cjs', ...flags, '-e', script];
    const { code, stdout, stderr } = await node(folder, args, { env: { ...process.env, ...env } });
    assert.equal(code, 0, stderr);
    assert.equal(stderr, '');
    const lines = stdout.trim().split('\n');
    return { seen: JSON.parse(/** @type {string} */ (lines.pop())), lines };
  };
  return { lib: path.join(scope, 'node', 'lib'), compiled, run };
}

test('V8 takes it, up to the first result, and it is more than an empty one', options, async (t) => {
  const { compiled, lib, run } = await project(t);
  for (const file of ['index.js', 'next.js', 'lambda.js']) {
    const empty = begin(file, fs.readFileSync(path.join(lib, file)));
    const { length } = fs.readFileSync(path.join(compiled, `${file}c`));
    // Both have the same text.
    const size = length - empty.length + empty.readUInt32LE();
    assert.ok(size > 5 * empty.readUInt32LE(), `${file}: ${size} bytes`);
  }
  const { seen } = await run(FIRST_RESULT);
  assert.equal(seen['index.js'], 'taken');
  assert.equal(seen['next.js'], 'taken');
  assert.equal(seen['later.js'], 'taken');
});

test('so it does with flags, in the arguments or in NODE_OPTIONS', options, async (t) => {
  const { run } = await project(t);
  const flags = ['--expose-gc', '--max-old-space-size=300', '--stack-trace-limit=20'];
  assert.equal((await run(FIRST_RESULT, flags)).seen['index.js'], 'taken');
  const env = { NODE_OPTIONS: '--max-old-space-size=300' };
  assert.equal((await run(FIRST_RESULT, [], env)).seen['index.js'], 'taken');
});

test('handlers and threads have theirs', options, async (t) => {
  const { run } = await project(t);
  const { seen } = await run(`
    const { createHandler } = require('@parallelizer/node/lambda');
    const worker = require('node:path').resolve('worker.cjs');
    require('node:fs').writeFileSync(worker, 'exports.take = (record) => record.messageId;');
    const handler = createHandler({ type: 'worker-threads', filePath: worker, recordFunctionName: 'take' });
    const record = { messageId: 'a', body: '{}', eventSource: 'aws:sqs', eventSourceARN: 'arn:aws:sqs:eu-west-1:1:q' };
    handler({ Records: [record] }).then((answer) => {
      if (answer.batchItemFailures.length > 0) throw new Error(JSON.stringify(answer));
      return handler.parallelizer.close();
    });
  `);
  for (const file of ['index.js', 'lambda.js', 'threads.js']) assert.equal(seen[file], 'taken', file);
});

test('the addon beside it is not looked for once more; `require` finds it where it has another name', options, async (t) => {
  const { compiled, run } = await project(t);
  const script = `${FIRST_RESULT}
    console.log('found:', ...Object.keys(require.cache).map((file) => path.basename(file)).filter((name) => /node$/.test(name)));
  `;
  assert.deepEqual((await run(script)).lines, ['found:']);
  const folder = path.join(compiled, '..', '..');
  const file = path.join(folder, 'package.json');
  const manifest = JSON.parse(fs.readFileSync(file, 'utf8'));
  fs.renameSync(path.join(folder, manifest.main), path.join(folder, 'other.node'));
  fs.writeFileSync(file, JSON.stringify({ ...manifest, main: 'other.node' }));
  assert.deepEqual((await run(script)).lines, ['found: other.node']);
});

test('what somebody has mended in a file runs, even if the file is as long as before', options, async (t) => {
  const { lib, run } = await project(t);
  const file = path.join(lib, 'index.js');
  const text = fs.readFileSync(file, 'utf8');
  const changed = text.replaceAll('a number of workers', 'A NUMBER ÖF WORKERS');
  assert.ok(changed !== text && changed.length === text.length, 'the file has such a text');
  fs.writeFileSync(file, changed);
  const { seen, lines } = await run(`
    const { Pool } = require('@parallelizer/node');
    try { new Pool(-1); } catch ({ message }) { console.log(message); }
  `);
  assert.match(lines[0], /A NUMBER ÖF WORKERS/);
  assert.equal(seen['index.js'], 'nothing');
});

test('each module is there once, whatever was compiled', options, async (t) => {
  const { compiled, run } = await project(t);
  // Each of these errors is made in another file, of the class that is in the first one.
  const script = `
    const { Pool, ParallelizerError } = require('@parallelizer/node');
    const { createHandler } = require('@parallelizer/node/lambda');
    (async () => {
      const pool = new Pool(1);
      const errors = [
        await pool.apply(() => process.exit(3), []).catch((error) => error),
        await pool.map((x) => x, [1], { timeout: -1 }).catch((error) => error),
        await pool.map((x) => x, [() => 1]).catch((error) => error),
      ];
      await pool.close();
      errors.push(await pool.apply((x) => x, [1]).catch((error) => error));
      try { createHandler({}); } catch (error) { errors.push(error); }
      for (const error of errors) console.log(error instanceof ParallelizerError, error.code);
    })();
  `;
  const expected = ['WORKER_EXITED', 'OPTION', 'SERIALIZATION', 'CLOSED', 'OPTION']
    .map((code) => `true ERR_PARALLELIZER_${code}`);
  assert.deepEqual((await run(script)).lines, expected);
  // Some of the files only.
  for (const name of fs.readdirSync(compiled)) if (!name.startsWith('index')) fs.rmSync(path.join(compiled, name));
  const { seen, lines } = await run(script);
  assert.deepEqual(lines, expected);
  assert.equal(seen['index.js'], 'taken');
  assert.ok(Object.values(seen).includes('nothing'), JSON.stringify(seen));
});

test('a file has all of `require`, and can import, without a warning', options, async (t) => {
  const { lib, run } = await project(t);
  fs.writeFileSync(path.join(lib, 'extra.js'), `
    module.exports = [require.resolve('node:fs'), typeof require.cache, typeof require('./import-module.js').importModule];
  `);
  const { lines } = await run(`
    const { writeFileSync } = require('node:fs');
    const { Pool } = require('@parallelizer/node');
    console.log(...require('@parallelizer/node')[Symbol.for('@parallelizer/node')].load('extra.js'));
    writeFileSync('task.mjs', 'export const double = (x) => x * 2;');
    const pool = new Pool({ type: 'inline' });
    pool.apply({ filePath: require('node:path').resolve('task.mjs'), name: 'double' }, [21]).then(console.log);
  `);
  assert.deepEqual(lines, ['node:fs object function', '42']);
});

test('where what lies beside the package may not be looked at, it is loaded as ever', options, async (t) => {
  const { lib } = await project(t);
  const isStable = process.allowedNodeEnvironmentFlags.has('--permission');
  const own = path.dirname(fs.realpathSync(lib));
  const flags = [isStable ? '--permission' : '--experimental-permission', '--no-warnings', `--allow-fs-read=${own}/*`];
  const script = `console.log(typeof require(${JSON.stringify(path.join(own, 'index.js'))}).Pool)`;
  const { stdout, stderr } = await node(own, [...flags, '-e', script], { env: process.env });
  assert.equal(stdout, 'function\n', stderr);
});

test('a file that was cut off, another version of V8, or none at all: the package works as ever', options, async (t) => {
  const { compiled, run } = await project(t);
  const file = path.join(compiled, 'index.jsc');
  const whole = fs.readFileSync(file);
  for (const damaged of [Buffer.alloc(0), whole.subarray(0, 3), whole.subarray(0, whole.length / 2)]) {
    fs.writeFileSync(file, damaged);
    assert.equal((await run(FIRST_RESULT)).seen['index.js'], 'nothing');
  }
  // Of another version of V8, in the place of this one's: it says so itself.
  const other = Buffer.from(whole);
  other.fill(0, 12, 16);
  fs.writeFileSync(file, other);
  assert.equal((await run(FIRST_RESULT)).seen['index.js'], 'refused');
  fs.renameSync(compiled, `${compiled}.1`);
  assert.deepEqual((await run(FIRST_RESULT)).seen, {});
});

test('a context of its own, as those of test runners, gets objects of its own', options, async (t) => {
  const { lib, run } = await project(t);
  const { seen, lines } = await run(`
    const vm = require('node:vm');
    const fs = require('node:fs');
    const path = require('node:path');
    const Module = require('node:module');
    const context = vm.createContext({ process });
    const modules = {};
    const requireFrom = (file) => (id) => {
      if (!id.startsWith('.')) return Module.createRequire(file)(id);
      const wanted = Module.createRequire(file).resolve(id);
      if (!wanted.endsWith('.js')) return require(wanted);
      if (modules[wanted] === undefined) {
        const module = (modules[wanted] = { exports: {} });
        const text = '(function (exports, require, module, __filename, __dirname) {' + fs.readFileSync(wanted, 'utf8') + '\\n})';
        vm.runInContext(text, context)(module.exports, requireFrom(wanted), module, wanted, path.dirname(wanted));
      }
      return modules[wanted].exports;
    };
    const { ParallelizerError } = requireFrom(${JSON.stringify(path.join(lib, 'x'))})('../index.js');
    console.log(ParallelizerError instanceof Function, ParallelizerError instanceof vm.runInContext('Function', context));
  `);
  assert.deepEqual(lines, ['false true']);
  assert.deepEqual(seen, {});
});

test('its errors say where they come from', options, async (t) => {
  const { run } = await project(t);
  const { lines } = await run(`
    const { Pool } = require('@parallelizer/node');
    try { new Pool(-1); } catch ({ stack }) { console.log(stack.split('\\n')[1]); }
  `);
  assert.match(lines[0], /@parallelizer\/node\/lib\/index\.js:\d+:\d+/);
});
