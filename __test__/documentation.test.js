'use strict';
// Every code block of the documentation is checked: programs are run, TypeScript is compiled and run, JSON is parsed,
// and commands are among those that another test or step runs. support/documentation.js describes how blocks are
// marked.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { spawn, spawnSync } = require('node:child_process');
const { once } = require('node:events');
const { describe, test } = require('node:test');

const ts = require('typescript-5');

const { root, temporary, within } = require('./support/helpers');
const { sectionsOf } = require('./support/documentation');

const DEADLINE = 120_000;

/** Commands that are not run here, by their beginning, with where each is run, or why it is not. */
const COMMANDS = new Map([
  ['npm install', 'a registry would be asked; the tests of the package install its tarball'],
  ['npm start', 'takes a minute; what it runs is tested with the example'],
  ['npm test', 'runs this'],
  ['npm run test:', 'tests of their own'],
  ['npm run build', 'is what the tests begin with'],
  ['npm run bench', 'takes minutes, and its result is for people'],
  ['npm run lint:workflows', 'a step of npm test'],
  ['npm run chaos', 'takes minutes; chaos.test.js runs the same for a shorter time'],
  ['npx @parallelizer/cli', 'the tests of cli/ run its commands, packed and installed as well'],
  ['npx esbuild', 'bundles.test.js bundles so, and more'],
  ['npx eslint', 'a step of npm test'],
  ['cargo ', 'a step of npm test; its corpus is replayed there'],
  ['node --test', 'runs this'],
]);

/** Packages that the documentation shows in use. */
const PACKAGES = [
  'avsc', 'zod', '@aws-lambda-powertools/idempotency', '@opentelemetry/api', '@opentelemetry/sdk-trace-node',
];

const HOW = 'Say how it is checked by a comment before it: see __test__/support/documentation.js';

/** @param {string} folder @returns {string[]} */
const documentsIn = (folder) => fs.readdirSync(path.join(root, folder)).filter((name) => name.endsWith('.md')).map((name) => path.join(folder, name));

const documents = ['.', 'docs', 'benchmark', 'cli'].flatMap(documentsIn);

/** Where a line of text ends at the latest; rows of tables, blocks of code and single long words cannot be broken. */
const COLUMNS = 120;
const MAX_README_WORDS = 1800;

for (const document of documents) {
  describe(document, () => {
    for (const section of sectionsOf(fs.readFileSync(path.join(root, document), 'utf8'))) {
      test(section.title, async (t) => {
        const project = layOut(t, section, document);
        typeCheck(project);
        for (const program of project.programs) await run(project, program);
        const loaded = fs.readFileSync(project.log, 'utf8').split('\n');
        for (const { file, place } of project.files) {
          const name = path.basename(file).replace(/ts$/, 'js');
          assert.ok(
            loaded.includes(name),
            `${place}: no program of this section loads it: add one in a comment <!-- check … -->`,
          );
        }
      });
    }
  });
}

for (const document of documents) {
  test(`${document}: lines end at ${COLUMNS} columns`, () => {
    const text = fs.readFileSync(path.join(root, document), 'utf8').replace(/^ *(```+).*?^ *\1$|^<!--.*?-->$/gms, (block) => block.replace(/.+/g, ''));
    const long = text.split('\n').flatMap((line, i) => (line.length > COLUMNS && !line.startsWith('|') && / /.test(line.trim().slice(2)) ? [i + 1] : []));
    assert.deepEqual(long, [], 'these lines');
  });
}

test('the README is short enough to be read', () => {
  const words = fs.readFileSync(path.join(root, 'README.md'), 'utf8').split(/\s+/).length;
  assert.ok(words <= MAX_README_WORDS, `it has ${words} words: what not everybody needs goes to docs/`);
});

test('a document with too little or too much markup is refused', () => {
  assert.throws(() => sectionsOf('```js\n1;\n'), /line 1: the block is not closed/);
  assert.throws(() => sectionsOf('<!-- run -->\n\nText.\n'), /line 1: "run" belongs to a block/);
  assert.throws(() => sectionsOf('<!-- run -->'), /line 1: "run" belongs to a block/);
  assert.throws(() => sectionsOf('<!-- file -->\n```js\n```\n'), /line 1: "file" needs a name/);
  assert.throws(() => sectionsOf('<!-- within\n-->\n```js\n```\n'), /line 1: "within" needs a line/);
  const [{ title, blocks, checks }] = sectionsOf(
    '## A\n<!-- a remark -->\n<!-- check\n1;\n-->\n<!-- run: a.mjs -->\n\n  ```js\n  2;\n  ```\n',
  );
  assert.equal(title, 'A');
  assert.deepEqual(
    checks.map(({ text }) => text),
    ['1;'],
  );
  assert.deepEqual(
    blocks.map(({ text, line, directive: { word, name } }) => [text, line, word, name]),
    [['2;\n', 8, 'run', 'a.mjs']],
  );
});

/**
 * A directory with what a section shows, in which this package is installed.
 * @param {import('node:test').TestContext} t @param {import('./support/documentation').Section} section @param {string}
 *   document
 */
function layOut(t, { blocks, checks }, document) {
  const directory = temporary(t);
  for (const name of ['@parallelizer/node', '@types/node', '@types/aws-lambda', ...PACKAGES]) {
    const link = path.join(directory, 'node_modules', name);
    fs.mkdirSync(path.dirname(link), { recursive: true });
    fs.symlinkSync(name === '@parallelizer/node' ? root : path.join(root, 'node_modules', name), link);
  }
  const project = { directory, files: [], programs: [], types: [], log: path.join(directory, 'loaded.log') };
  fs.writeFileSync(project.log, '');
  const add = (name, text, place) => {
    const file = path.join(directory, name);
    assert.ok(!fs.existsSync(file), `${place}: there is a ${name} already: begin a <!-- new directory -->`);
    fs.mkdirSync(path.dirname(file), { recursive: true });
    fs.writeFileSync(file, text);
    if (/ts$/.test(name)) project.types.push(file);
    return file;
  };
  for (const [i, { language, text, line, directive }] of blocks.entries()) {
    const place = `${document}:${line}`;
    const name = directive?.name ?? `block-${i + 1}.${language}`;
    const isCode = ['js', 'mjs', 'cjs', 'ts', 'mts', 'cts'].includes(language);
    if (language === 'json') {
      assert.doesNotThrow(() => JSON.parse(text), `${place}: is not JSON`);
      if (directive?.word === 'file') add(name, text, place);
    } else if (language === 'sh' && directive === null) {
      for (const command of text
        .split('\n')
        .map((each) => each.trim())
        .filter((each) => each !== '' && !each.startsWith('#'))) {
        const known = [...COMMANDS.keys()].some((beginning) => command.startsWith(beginning));
        assert.ok(
          known,
          `${place}: nobody runs "${command}". Name who does in COMMANDS of __test__/documentation.test.js`,
        );
      }
    } else if (isCode && directive?.word === 'file') {
      project.files.push({ file: add(name, noting(name, text, project.log), place), place });
    } else if (isCode && directive?.word === 'run') {
      project.programs.push({ file: add(name, text, place), place });
    } else if (isCode && directive?.word === 'within') {
      const whole = directive.text.replace(/^ *…$/m, () => text);
      project.programs.push({ file: add(name, whole, place), place });
    } else {
      // Text is for readers only.
      assert.ok(
        language === 'text' && directive === null,
        `${place}: a block of language "${language}" is not checked. ${HOW}`,
      );
    }
  }
  for (const [i, { name, text, line }] of checks.entries()) {
    const place = `${document}:${line}`;
    project.programs.push({ file: add(name ?? `check-${i + 1}.js`, text, place), place });
  }
  return project;
}

/** A file that notes that it was loaded, in whatever process; the lines keep their numbers. */
function noting(name, text, log) {
  const note = `appendFileSync(${JSON.stringify(log)}, ${JSON.stringify(`${name.replace(/ts$/, 'js')}\n`)});`;
  const isModule = name.endsWith('.mjs') || (/ts$/.test(name) && !name.endsWith('.cts'));
  return (isModule ? `import { appendFileSync } from 'node:fs'; ${note} ` : `require('node:fs').${note} `) + text;
}

/** Compiles TypeScript, with the JavaScript next to it. */
function typeCheck({ directory, types }) {
  if (types.length === 0) return;
  const options = [
    '--strict',
    '--noEmit',
    '--target',
    'es2022',
    '--module',
    'nodenext',
    '--types',
    'node',
    '--pretty',
    'false',
  ];
  const tsc = path.join(root, 'node_modules', 'typescript', 'bin', 'tsc');
  const args = [tsc, ...options, '--lib', 'es2022,esnext.disposable', '--skipLibCheck', ...types];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd: directory, encoding: 'utf8' });
  assert.equal(status, 0, stdout + stderr);
  for (const file of types) {
    const module = file.endsWith('.mts') ? ts.ModuleKind.ES2022 : ts.ModuleKind.CommonJS;
    const compilerOptions = { module, target: ts.ScriptTarget.ES2022, esModuleInterop: true };
    fs.writeFileSync(
      file.replace(/ts$/, 'js'),
      ts.transpileModule(fs.readFileSync(file, 'utf8'), { compilerOptions }).outputText,
    );
  }
}

/** Runs a program to its end, and checks that it prints what it says it prints. */
async function run({ directory }, { file, place }) {
  const { NODE_TEST_CONTEXT, NODE_OPTIONS, NODE_V8_COVERAGE, ...env } = process.env;
  const child = spawn(process.execPath, [file.replace(/ts$/, 'js')], {
    cwd: directory,
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  let errors = '';
  child.stdout.setEncoding('utf8').on('data', (text) => (output += text));
  child.stderr.setEncoding('utf8').on('data', (text) => (errors += text));
  try {
    const [code] = await within(once(child, 'close'), `${place}: the program`, DEADLINE);
    assert.equal(code, 0, `${place}: ended with exit code ${code}\n${output}${errors}`);
  } finally {
    child.kill('SIGKILL');
  }
  let rest = output.split('\n').map((line) => line.trim());
  for (const [, said] of fs.readFileSync(file, 'utf8').matchAll(/\/\/ → (.+)$/gm)) {
    const at = rest.indexOf(said.trim());
    assert.notEqual(at, -1, `${place}: does not print "${said}" there, but\n${output}${errors}`);
    rest = rest.slice(at + 1);
  }
}
