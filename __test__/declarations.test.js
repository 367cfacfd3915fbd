'use strict';
// The declarations agree with the code about exports, methods, options and errors.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const { EventEmitter } = require('node:events');
const path = require('node:path');
const { test } = require('node:test');

const ts = require('typescript-5');

const library = require('@parallelizer/node');
const { root } = require('./support/helpers');

const { Parallelizer, ParallelizerError, Pool } = library;
const { exports: entries } = require('../package.json');

const files = Object.values(entries)
  .filter((entry) => entry.types !== undefined)
  .map((entry) => path.join(root, entry.types));
const program = ts.createProgram(files, {
  target: ts.ScriptTarget.ES2022,
  module: ts.ModuleKind.Node16,
  moduleResolution: ts.ModuleResolutionKind.Node16,
  strict: true,
  types: ['node'],
});
const checker = program.getTypeChecker();

/** What a declaration file exports. @param {string} file */
function exportsOf(file) {
  const source = program.getSourceFile(file);
  return checker.getExportsOfModule(checker.getSymbolAtLocation(source));
}

const symbols = new Map(files.flatMap((file) => exportsOf(file)).map((symbol) => [symbol.name, symbol]));

/** The names of the properties of a type. @param {string} name */
function propertiesOf(name) {
  const properties = checker.getDeclaredTypeOfSymbol(symbols.get(name)).getProperties();
  return properties.map((property) => nameOf(property)).sort();
}

/** Symbols have names such as `__@asyncDispose@123`. */
const nameOf = ({ name }) => name.replace(/^__@(\w+)@\d+$/, '@@$1');
const namesOn = (prototype) =>
  Reflect.ownKeys(prototype).filter((key) => key !== 'constructor')
    // Node 20 calls one of them 'nodejs.asyncDispose'.
    .map((key) => (typeof key === 'symbol' ? `@@${key.description.replace(/^\w+\./, '')}` : key)).sort();

/** What a class has of its own: what it has of an EventEmitter is Node's to declare. */
const ownOf = (names) => names.filter((name) => !EMITTER.includes(name));
const EMITTER = namesOn(EventEmitter.prototype).concat('@@captureRejectionSymbol');

for (const [entry, { types, default: file }] of Object.entries(entries).filter(
  ([, each]) => each.types !== undefined,
)) {
  test(`"${entry}" exports what it declares`, () => {
    const declared = exportsOf(path.join(root, types)).filter(({ flags }) => (flags & ts.SymbolFlags.Value) !== 0);
    assert.deepEqual(declared.map(({ name }) => name).sort(), Object.keys(require(path.join(root, file))).sort());
  });
}

test('the classes have the methods that they declare', async () => {
  assert.deepEqual(ownOf(propertiesOf('Parallelizer')), ownOf(namesOn(Parallelizer.prototype)));
  assert.deepEqual(ownOf(propertiesOf('ParallelizerList')), ownOf(namesOn(Parallelizer.prototype)));
  assert.deepEqual(ownOf(propertiesOf('Pool')), ownOf(namesOn(Pool.prototype)));
  for (const instance of [Pool, Parallelizer]) assert.ok(instance.prototype instanceof EventEmitter);
  const pool = new Pool(0);
  const result = pool.applyAsync(() => 1);
  assert.deepEqual(
    propertiesOf('AsyncResult'),
    namesOn(Object.getPrototypeOf(result)).filter((name) => name !== '@@toStringTag'),
  );
  const stream = pool.imap(() => 1, []);
  // Iterators need not have `throw`.
  for (const name of propertiesOf('ResultStream').filter((each) => each !== 'throw')) {
    const key = name.startsWith('@@') ? Symbol[name.slice(2)] : name;
    assert.equal(typeof stream[key], 'function', name);
  }
  await pool.terminate();
});

test('the declared options are exactly those that are accepted', async () => {
  const pool = new Pool(0);
  const parallelizer = new Parallelizer({ filePath: __filename, processBatchFunctionName: 'f', parallelization: 0 });
  const options = {
    ParallelizerOptions: () => new Parallelizer({ '': 1 }),
    PoolOptions: () => new Pool({ '': 1 }),
    ResourceLimits: () => new Pool({ resourceLimits: { '': 1 } }),
    RunOptions: () => parallelizer.run([], null, { '': 1 }),
    ApplyOptions: () => pool.apply(() => 1, [], { '': 1 }),
    ApplyAsyncOptions: () => pool.applyAsync(() => 1, [], { '': 1 }),
    MapOptions: () => pool.map(() => 1, [], { '': 1 }),
    MapAsyncOptions: () => pool.mapAsync(() => 1, [], { '': 1 }),
    StreamOptions: () => pool.imap(() => 1, [], { '': 1 }),
  };
  for (const [type, call] of Object.entries(options)) {
    // The error for an unknown name lists the known ones.
    const taken = await Promise.resolve()
      .then(call)
      .then(assert.fail, (error) => /the names are (.*)$/.exec(error.message)?.[1].split(', '));
    assert.deepEqual(taken?.sort(), propertiesOf(type), type);
  }
  await Promise.all([pool.terminate(), parallelizer.terminate()]);
});

test('each declared error code is used, and each one used is declared', () => {
  const declared = checker
    .getDeclaredTypeOfSymbol(symbols.get('ParallelizerErrorCode'))
    .types.map(({ value }) => value);
  const modules = fs
    .readdirSync(path.join(root, 'lib'), { recursive: true })
    .map(String)
    .filter((name) => name.endsWith('.js'));
  const code = modules
    .map((name) => fs.readFileSync(path.join(root, 'lib', name), 'utf8').replace(/^ *\*.*$|\/\/.*$/gm, ''))
    .join('\n');
  const raised = new Set([...code.matchAll(/'(ERR_PARALLELIZER_\w+)'/g)].map(([, found]) => found));
  assert.deepEqual([...raised].sort(), declared.sort());
  assert.ok(new ParallelizerError('ERR_PARALLELIZER_OPTION', 'text') instanceof Error);
});

test('docs/options.md names every option, method, field and error code', () => {
  const text = fs.readFileSync(path.join(root, 'docs', 'options.md'), 'utf8');
  const types = [
    'ParallelizerOptions', 'ResourceLimits', 'PoolOptions', 'RunOptions', 'MapOptions', 'MapAsyncOptions', 'ApplyOptions', 'ApplyAsyncOptions',
    'StreamOptions', 'Pool', 'AsyncResult', 'Parallelizer', 'ParallelizerList', 'BatchArguments', 'RunResult', 'BatchError', 'Progress',
    'Stats', 'WorkerStats', 'Histogram', 'HandlerOptions', 'ProcessPartialResponseOptions', 'RecordsFailedError',
  ];
  for (const type of types) {
    const own = ownOf(propertiesOf(type));
    for (const name of own.filter((each) => !/^@@|^(name|message|stack)$/.test(each))) {
      assert.ok(new RegExp(`\`[^\`\n]*\\b${name}\\b`).test(text), `docs/options.md does not name ${name} of ${type}`);
    }
  }
  for (const { value } of checker.getDeclaredTypeOfSymbol(symbols.get('ParallelizerErrorCode')).types) {
    assert.ok(text.includes(`| \`${value}\` |`), `docs/options.md does not explain ${value}`);
  }
});

test('README names the options that matter, and those are options', () => {
  const section = /^## The options that matter$(.*?)^## /ms.exec(fs.readFileSync(path.join(root, 'README.md'), 'utf8'))?.[1] ?? '';
  const named = [...section.matchAll(/^\| `(\w+)`/gm)].map(([, name]) => name);
  const known = [...propertiesOf('ParallelizerOptions'), ...propertiesOf('RunOptions')];
  assert.equal(named.length, 6);
  assert.deepEqual(named.filter((name) => !known.includes(name)), []);
});

test('everything that is exported is documented', () => {
  for (const file of files) {
    for (const symbol of exportsOf(file)) {
      const isObvious = /^(ParallelizerType|RecordSource|ParallelizerErrorCode|RunResult|WorkerStats|Raw\w+)$/.test(
        symbol.name,
      );
      const text = ts.displayPartsToString(symbol.getDocumentationComment(checker));
      assert.ok(isObvious || text !== '', `${symbol.name} of ${path.basename(file)}`);
    }
  }
});
