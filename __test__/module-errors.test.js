'use strict';
// Which worker modules load, and the errors for those that do not.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { pathToFileURL } = require('node:url');
const { test } = require('node:test');

const { Parallelizer } = require('@parallelizer/node');
const { fixture, lines, make, sleep, temporary, within } = require('./support/helpers');
const { forEachMode } = require('./support/modes');
const { asynchronous, run } = require('./support/scripts');

const named = (name) => fixture(`modules/${name}`);

// A package whose .js files are ES modules.
function esmPackage(t) {
  const dir = temporary(t);
  fs.writeFileSync(path.join(dir, 'package.json'), '{ "type": "module" }');
  fs.writeFileSync(path.join(dir, 'label.js'), "export const label = 'type: module';");
  fs.writeFileSync(
    path.join(dir, 'worker.js'),
    "import { label } from './label.js'; export const act = ({ batch }) => [label, batch]; export default act;",
  );
  return path.join(dir, 'worker.js');
}

forEachMode((mode) => {
  test('a module with a top-level await loads also where its name is as require takes it', async (t) => {
    const dir = temporary(t);
    fs.writeFileSync(path.join(dir, 'package.json'), '{"type":"module"}');
    fs.writeFileSync(path.join(dir, 'worker.js'), 'await 0; export const same = ({ batch }) => batch;');
    fs.mkdirSync(path.join(dir, 'folder'));
    fs.writeFileSync(path.join(dir, 'folder', 'index.js'), 'await 0; export const same = ({ batch }) => batch;');
    for (const name of ['worker.js', 'worker', 'folder']) {
      const parallelizer = make(t, { type: mode.type, filePath: path.join(dir, name), processBatchFunctionName: 'same' });
      const { responses, failures } = await within(parallelizer.run([1]), name);
      assert.deepEqual([responses, failures], [[[1]], []], name);
    }
  });
});

forEachMode((mode) => {
  const on = (t, options) => make(t, { type: mode.type, ...options });
  const outcome = async (t, options) => {
    const parallelizer = on(t, options);
    const result = await within(parallelizer.run(['a', 'b']), 'the run');
    assert.deepEqual(result.responses, []);
    assert.ok(result.failures.length >= 1);
    assert.deepEqual(result.failures, result.errors.map(String));
    for (const error of result.errors) assert.equal(error.code, 'ERR_PARALLELIZER_MODULE');
    if (mode.loadsFirst) {
      await assert.rejects(within(parallelizer.ready(), 'ready'), { code: 'ERR_PARALLELIZER_MODULE' });
    }
    return result.errors[0];
  };

  test('a missing file: the message names it', async (t) => {
    const error = await outcome(t, { filePath: '/no/such/module.js' });
    assert.match(error.message, /\/no\/such\/module\.js/);
    assert.ok(['MODULE_NOT_FOUND', 'ERR_MODULE_NOT_FOUND'].includes(error.cause.code), error.cause.code);
  });

  test('a syntax error, in CommonJS and in an ES module', async (t) => {
    const dir = temporary(t);
    for (const name of ['syntax-error.js', 'syntax-error.mjs']) {
      fs.writeFileSync(path.join(dir, name), 'const act = ( => 1;');
      const error = await outcome(t, { filePath: path.join(dir, name) });
      assert.ok(error.cause instanceof SyntaxError, `${name}: ${error.cause}`);
      assert.ok(error.message.includes(name) || error.cause.stack.includes(name), 'tells where');
    }
  });

  test('a module that throws: its error is the cause', async (t) => {
    const error = await outcome(t, { filePath: fixture('throws-at-load.js') });
    assert.ok(error.cause instanceof RangeError);
    assert.equal(error.cause.message, 'this module refuses to load');
    assert.match(error.cause.stack, /throws-at-load\.js:2/);
    assert.match(error.message, /throws-at-load\.js/);
  });

  test('its own message arrives, whatever characters it has', async (t) => {
    const dir = temporary(t);
    for (const [i, text] of ['größer', '漢字', '😀 é'].entries()) {
      const file = path.join(dir, `says-${i}.js`);
      fs.writeFileSync(file, `throw new Error(${JSON.stringify(text)});`);
      assert.equal((await outcome(t, { filePath: file })).cause.message, text);
    }
  });

  test('a module that throws something other than an error', async (t) => {
    assert.equal((await outcome(t, { filePath: named('throws-text.js') })).cause, 'text thrown at load');
    assert.equal((await outcome(t, { filePath: named('throws-undefined.js') })).cause, undefined);
  });

  test('a missing dependency is distinguished from a missing module', async (t) => {
    const error = await outcome(t, { filePath: named('missing-dependency.js') });
    assert.match(`${error.message} ${error.cause.message}`, /no-such-package-anywhere/);
  });

  test('an ES module that rejects while loading', async (t) => {
    const error = await outcome(t, { filePath: named('rejects.mjs') });
    assert.ok(error.cause instanceof TypeError);
    assert.equal(error.cause.message, 'rejected at load');
  });

  test('no such export: the message lists the existing ones', async (t) => {
    const error = await outcome(t, { filePath: named('not-functions.js'), processBatchFunctionName: 'misspelt' });
    assert.match(error.message, /misspelt/);
    assert.match(error.message, /works/);
    assert.match(error.message, /alsoWorks/);
    const esm = await outcome(t, { filePath: named('named.mjs'), processBatchFunctionName: 'misspelt' });
    assert.match(esm.message, /misspelt.*act|act.*misspelt/s);
    const empty = await outcome(t, { filePath: named('empty.js'), processBatchFunctionName: 'anything' });
    assert.match(empty.message, /anything/);
  });

  for (const name of ['number', 'text', 'nothing', 'object', 'list', 'toString', 'constructor', '__proto__']) {
    test(`an export that is not a function of the module: ${name}`, async (t) => {
      const error = await outcome(t, { filePath: named('not-functions.js'), processBatchFunctionName: name });
      assert.ok(error.message.includes(name), error.message);
    });
  }

  for (const [what, file, name, label] of [
    ['a .mjs file', 'modules/named.mjs', 'act', 'named.mjs'],
    ['a .cjs file', 'modules/named.cjs', 'act', 'named.cjs'],
    ['type: module', esmPackage, 'act', 'type: module'],
    ["an ES module's default", 'modules/named.mjs', 'default', 'default'],
    ['a default in a package of type: module', esmPackage, 'default', 'type: module'],
    ["CommonJS 'default': the module is the function", 'modules/default.js', 'default', 'the module itself'],
    ["CommonJS 'default': exports.default", 'modules/default-property.js', 'default', 'exports.default'],
    ['top-level await', 'modules/awaits.mjs', 'act', 'awaited'],
    ['an instance of a class as the module', 'modules/class-instance.js', 'act', null],
  ]) {
    test(`loads: ${what}`, async (t) => {
      const filePath = typeof file === 'function' ? file(t) : fixture(file);
      const parallelizer = on(t, { filePath, processBatchFunctionName: name, parallelization: 1 });
      const { responses, failures } = await within(parallelizer.run([1, 2]), 'the run');
      assert.deepEqual(failures, []);
      if (label) assert.equal(responses[0][0], label);
      assert.deepEqual(responses[0][1], [1, 2]);
    });
  }

  test('filePath may be a file: URL, as a string or as a URL object', async (t) => {
    const url = pathToFileURL(named('named.mjs'));
    for (const filePath of [url, url.href]) {
      assert.equal((await on(t, { filePath, parallelization: 1 }).run([1])).responses[0][0], 'named.mjs');
    }
    const dir = path.join(temporary(t), 'a b#c?d%20e');
    fs.mkdirSync(dir);
    fs.copyFileSync(named('named.cjs'), path.join(dir, 'named.cjs'));
    const odd = pathToFileURL(path.join(dir, 'named.cjs')).href;
    assert.equal((await on(t, { filePath: odd, parallelization: 1 }).run([1])).responses[0][0], 'named.cjs');
  });

  for (const name of [
    "it's",
    'a "quoted" one',
    'with space',
    'Größe 漢字 🎈',
    'back\\slash',
    '`tick`${x}',
    '#?&=%20',
    'new\nline',
    '-e',
    'trailing ',
  ]) {
    for (const file of ['named.cjs', 'named.mjs']) {
      // Node itself refuses such an ES module: its URL has an encoded backslash.
      if (name.includes('\\') && file.endsWith('.mjs')) continue;
      test(`loads ${file} from a directory named ${JSON.stringify(name)}`, async (t) => {
        const dir = path.join(temporary(t), name);
        fs.mkdirSync(dir);
        fs.copyFileSync(named(file), path.join(dir, file));
        const parallelizer = on(t, { filePath: path.join(dir, file), parallelization: 1 });
        const { responses, failures } = await parallelizer.run([1]);
        assert.deepEqual(failures, []);
        assert.equal(responses[0][0], file);
      });
    }
  }

  test('a function name that is not an identifier', async (t) => {
    const file = path.join(temporary(t), 'names.js');
    fs.writeFileSync(file, `exports["with-dash and 'quote'"] = () => 'found'; exports[''] = () => 'empty';`);
    assert.deepEqual(
      (await on(t, { filePath: file, processBatchFunctionName: "with-dash and 'quote'", parallelization: 1 }).run([1]))
        .responses,
      ['found'],
    );
  });

  test('a relative path is relative to the working directory at the call', async (t) => {
    const dir = temporary(t);
    fs.copyFileSync(named('named.cjs'), path.join(dir, 'named.cjs'));
    fs.copyFileSync(named('named.mjs'), path.join(dir, 'named.mjs'));
    const { messages } = await run(
      t,
      asynchronous(`
        const made = ['./named.cjs', 'named.mjs'].map((filePath) => make({ filePath, parallelization: 1 }));
        process.chdir('/');
        const before = await Promise.all(made.map((one) => one.run([1])));
        // New workers, started in a different working directory.
        for (const one of made) one.removeChildThreads();
        const after = await Promise.all(made.map((one) => one.run([1])));
        for (const one of made) await one.close();
        console.log(JSON.stringify([...before, ...after].map(({ responses, failures }) => responses[0]?.[0] ?? failures[0])));`),
      { mode, cwd: dir },
    );
    assert.deepEqual(messages, [['named.cjs', 'named.mjs', 'named.cjs', 'named.mjs']]);
  });

  test('the module is resolved through symbolic links, as require does', async (t) => {
    const dir = temporary(t);
    fs.symlinkSync(named('named.cjs'), path.join(dir, 'link.cjs'));
    assert.equal(
      (await on(t, { filePath: path.join(dir, 'link.cjs'), parallelization: 1 }).run([1])).responses[0][0],
      'named.cjs',
    );
  });

  test('a path without its extension, and a directory with an index.js, load as with require', async (t) => {
    const dir = temporary(t);
    fs.writeFileSync(path.join(dir, 'index.js'), 'exports.act = () => "index";');
    assert.deepEqual((await on(t, { filePath: dir, parallelization: 1 }).run([1])).responses, ['index']);
    assert.deepEqual((await on(t, { filePath: path.join(dir, 'index'), parallelization: 1 }).run([1])).responses, [
      'index',
    ]);
  });

  test('TypeScript, if the running Node strips types', async (t) => {
    if (!process.features.typescript) {
      t.skip(`Node ${process.version} does not strip types`);
      return;
    }
    const dir = temporary(t);
    fs.writeFileSync(
      path.join(dir, 'worker.ts'),
      'export const act = ({ batch }: { batch: number[] }): string => `typed ${batch.length}`;',
    );
    assert.deepEqual((await on(t, { filePath: path.join(dir, 'worker.ts'), parallelization: 1 }).run([1])).responses, [
      'typed 1',
    ]);
  });
});

forEachMode(
  (mode) => {
    test('a module that ends the process while it loads is reported, and not started forever', async (t) => {
      const file = path.join(temporary(t), 'starts');
      const parallelizer = new Parallelizer({
        type: mode.type, filePath: named('exits-at-load.js'), processBatchFunctionName: 'act', parallelization: 2,
        env: { ...process.env, EXITS_FILE: file },
      });
      t.after(() => parallelizer.terminate());
      const { responses, errors } = await within(parallelizer.run([1, 2]), 'the run');
      assert.deepEqual(responses, []);
      assert.equal(errors.length, 2);
      for (const error of errors) {
        assert.ok(['ERR_PARALLELIZER_WORKER_EXITED', 'ERR_PARALLELIZER_MODULE'].includes(error.code), error.code);
        assert.match(error.message, /5/, 'the exit code');
      }
      await assert.rejects(within(parallelizer.ready(), 'ready'));
      await sleep(1500);
      assert.ok(lines(file).length <= 20, `${lines(file).length} starts for one run`);
      const before = lines(file).length;
      await sleep(1500);
      assert.ok(lines(file).length <= before + 2, 'idle, it does not go on starting workers');
    });

    test('a module that never finishes loading can be aborted and terminated', async (t) => {
      const parallelizer = make(t, { type: mode.type, filePath: named('never.mjs') });
      const controller = new AbortController();
      const running = parallelizer.run([1, 2], null, { signal: controller.signal });
      setTimeout(() => controller.abort(), 300);
      const { errors } = await within(running, 'the run');
      assert.deepEqual(errors.map(({ code }) => code), ['ERR_PARALLELIZER_ABORTED', 'ERR_PARALLELIZER_ABORTED']);
      await within(parallelizer.terminate(), 'terminate');
    });

    test('a module that loads at the second attempt serves the next run', async (t) => {
      const file = path.join(temporary(t), 'later.js');
      fs.writeFileSync(file, 'throw new Error("not yet");');
      const parallelizer = make(t, { type: mode.type, filePath: file, parallelization: 1 });
      assert.match((await parallelizer.run([1])).failures[0], /not yet|later\.js/);
      fs.writeFileSync(file, 'exports.act = () => "now";');
      parallelizer.removeChildThreads();
      assert.deepEqual((await within(parallelizer.run([1]), 'the run')).responses, ['now']);
    });
  },
  { needs: ['hasProcess'] },
);
