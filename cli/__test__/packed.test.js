'use strict';
// The command as its users get it: both packages packed, and installed into an empty project from a registry. The same
// project has TypeScript's types for Node and an SDK of OpenTelemetry, for what else users of both begin with.

const assert = require('node:assert/strict');
const { execFile } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { after, before, describe, test } = require('node:test');
const { promisify } = require('node:util');

const { bare, install, packHere } = require('../../__test__/support/packages');
const { serve } = require('../../__test__/support/registry');
const { packFolder } = require('../../scripts/npm-pack');
const { packCli } = require('../../scripts/pack-cli');
const { root } = require('../../__test__/support/helpers');
const { ndjson, read, records } = require('./support/command');
const { example } = require('./support/timeline');

const cli = require('../package.json');
const library = require('../../package.json');

const run = promisify(execFile);

/** What is in the project beside the command, as this checkout has it. */
const BESIDE = ['@types/node', '@opentelemetry/api', '@opentelemetry/sdk-trace-node'];

/** Packages of this checkout that others need, and what these need. @param {string[]} names @param {Set<string>} [found] */
function withDependencies(names, found = new Set()) {
  for (const name of names) {
    if (found.has(name)) continue;
    found.add(name);
    const { dependencies = {} } = JSON.parse(read(path.join(root, 'node_modules', name, 'package.json')));
    withDependencies(Object.keys(dependencies), found);
  }
  return found;
}

test('it depends on the library of its own version, and on packages as this checkout has them', () => {
  assert.equal(cli.version, library.version);
  const { '@parallelizer/node': own, ...others } = cli.dependencies;
  assert.equal(own, library.version);
  for (const [name, range] of Object.entries(others)) assert.equal(range, library.devDependencies[name], name);
});

describe('packed and installed', { timeout: 300_000 }, () => {
  /** @type {string} */
  let base;
  /** @type {string} */
  let project;
  /** @type {Awaited<ReturnType<typeof packCli>>} */
  let packed;

  before(async () => {
    base = fs.mkdtempSync(path.join(os.tmpdir(), 'parallelizer-cli-'));
    const out = path.join(base, 'tarballs');
    packed = await packCli(out);
    const own = [packed, ...(await packHere(out))].map(({ tarball }) => tarball);
    const { '@parallelizer/node': _, ...others } = cli.dependencies;
    const theirs = [...withDependencies(Object.keys(others))].map((name) => packFolder(path.join(root, 'node_modules', name), out).tarball);
    const registry = await serve([...own, ...theirs]);
    project = path.join(base, 'project');
    try {
      await install(project, ['@parallelizer/cli'], registry.url);
    } finally {
      registry.close();
    }
    for (const name of withDependencies(BESIDE)) {
      const place = path.join('node_modules', name);
      fs.cpSync(path.join(root, place), path.join(project, place), { recursive: true });
    }
  });
  after(() => fs.rmSync(base, { recursive: true, force: true }));

  /** @param {string[]} args */
  const npx = (...args) => run('npx', ['--no-install', 'parallelizer', ...args], { cwd: project, env: bare() });

  test('it has its code, its README and its licence, and nothing else', () => {
    const rest = packed.files.filter((file) => !/^(lib|bin)\/.*\.js$/.test(file));
    assert.deepEqual(rest.sort(), ['LICENSE', 'README.md', 'package.json']);
    for (const file of packed.files.filter((name) => name.endsWith('.js'))) {
      const text = read(path.join(project, 'node_modules/@parallelizer/cli', file));
      for (const [, wanted] of text.matchAll(/\brequire\("?'?(\.[^"')]*)/g)) {
        assert.ok(!path.posix.join(path.posix.dirname(file), wanted).startsWith('..'), `${file} requires ${wanted}`);
      }
    }
  });

  test('map, doctor and trace work', async () => {
    fs.writeFileSync(path.join(project, 'work.mjs'), 'export const twice = async ({ id }) => ({ id: 2 * id });\n');
    fs.writeFileSync(path.join(project, 'in.ndjson'), ndjson(100));
    const { stderr } = await npx('map', './work.mjs#twice', '--in', 'in.ndjson', '--out', 'out.ndjson');
    assert.match(stderr, /^100 records in /);
    assert.deepEqual(records(read(path.join(project, 'out.ndjson'))).map(({ id }) => id), Array.from({ length: 100 }, (_, i) => 2 * i));
    fs.writeFileSync(path.join(project, 'in.csv'), 'id\n3\n');
    assert.equal((await npx('map', './work.mjs#twice', '--in', 'in.csv')).stdout, '{"id":6}\n');
    const { processes } = JSON.parse((await npx('doctor', '--json')).stdout);
    assert.equal(processes.works, true);
    fs.writeFileSync(path.join(project, 't.json'), example().json);
    assert.match((await npx('trace', 't.json')).stdout, /t\.html: \d+ KiB/);
    const failed = await npx('map', './work.mjs#thrice', '--in', 'in.ndjson').catch((error) => error);
    assert.equal(failed.code, 2);
    assert.match(failed.stderr, /has no function "thrice"; it exports "twice"/);
  });

  /** Writes files of the project. @param {Record<string, string>} files */
  function write(files) {
    for (const [name, text] of Object.entries(files)) fs.writeFileSync(path.join(project, name), text);
  }

  /** Compiles the project's TypeScript, as its users do, and gives what the compiler says. */
  async function compiled() {
    const compilerOptions = {
      module: 'nodenext', target: 'es2022', strict: true, types: ['node'], outDir: 'out', noEmitOnError: true,
    };
    write({ 'tsconfig.json': JSON.stringify({ compilerOptions, include: ['*.mts', '*.cts'] }) });
    const compiler = path.join(root, 'node_modules/typescript/bin/tsc');
    return run(process.execPath, [compiler, '-p', '.'], { cwd: project, env: bare() })
      .then(({ stdout }) => stdout, ({ stdout }) => stdout);
  }

  test('TypeScript resolves, checks and runs what is imported, from ES modules and from CommonJS', async () => {
    const program = `
      const pool = new Pool({ processes: 1 });
      const doubled: number[] = await pool.map((x: number) => x * 2, [1, 2, 3]);
      const parallelizer = new Parallelizer({
        filePath: WORKER, processBatchFunctionName: 'lengths', parallelization: 1,
      });
      const { responses } = await parallelizer.run(['a', 'bcd']);
      const named: string = await pool.apply((x: number) => { throw new RangeError(String(x)); }, [4])
        .catch((error: unknown) => error instanceof ParallelizerError ? 'no' : (error as Error).message);
      await pool.terminate();
      await parallelizer.terminate();
      console.log(JSON.stringify([doubled, responses, named]));
    `;
    const names = 'Parallelizer, ParallelizerError, Pool';
    write({
      'lengths.cjs': 'exports.lengths = ({ batch }) => batch.reduce((sum, { length }) => sum + length, 0);\n',
      'module.mts': `import { ${names} } from '@parallelizer/node';\nconst WORKER = './lengths.cjs';\n${program}`,
      'common.cts': `import { ${names} } from '@parallelizer/node';\nconst WORKER = './lengths.cjs';\n`
        + `async function main(): Promise<void> {${program}}\nmain();\n`,
    });
    assert.equal(await compiled(), '');
    for (const file of ['out/module.mjs', 'out/common.cjs']) {
      const { stdout } = await run(process.execPath, [file], { cwd: project, env: bare() });
      assert.deepEqual(JSON.parse(stdout), [[2, 4, 6], [4], '4'], file);
    }
    // It is the types that are checked: what they do not allow is refused.
    write({ 'wrong.mts': "import { Pool } from '@parallelizer/node';\nnew Pool({ processes: 'two' });\n" });
    const refused = await compiled();
    fs.rmSync(path.join(project, 'wrong.mts'));
    assert.match(refused, /^wrong\.mts\(2,\d+\): error [^]*Type 'string' is not assignable to type 'number'/);
  });

  test('@parallelizer/node/opentelemetry makes spans with the SDK of the project, and the worker goes on in them', async () => {
    write({
      'sdk.mjs': `
        import { NodeTracerProvider } from '@opentelemetry/sdk-trace-node';
        new NodeTracerProvider().register();
      `,
      'traced.mjs': `
        import { context, trace } from '@opentelemetry/api';
        export const traced = async () => (await null, trace.getSpan(context.active())?.spanContext());
      `,
      'spans.mts': `
        import { InMemorySpanExporter, NodeTracerProvider, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-node';
        import type { SpanContext } from '@opentelemetry/api';
        import { Pool } from '@parallelizer/node';
        import { instrument } from '@parallelizer/node/opentelemetry';
        const exporter = new InMemorySpanExporter();
        new NodeTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }).register();
        const instrumentation = instrument();
        const pool = new Pool({ processes: 1, execArgv: ['--import', './sdk.mjs'] });
        const seen: SpanContext = await pool.apply({ filePath: './traced.mjs', name: 'traced' });
        await pool.terminate();
        instrumentation.disable();
        const [call, run] = exporter.getFinishedSpans();
        console.log(JSON.stringify({
          names: [run.name, call.name], isChild: call.parentSpanContext?.spanId === run.spanContext().spanId,
          isWithin: seen.spanId === call.spanContext().spanId && seen.traceId === run.spanContext().traceId,
        }));
      `,
    });
    assert.equal(await compiled(), '');
    const { stdout } = await run(process.execPath, ['out/spans.mjs'], { cwd: project, env: bare() });
    assert.deepEqual(JSON.parse(stdout), { names: ['apply traced', 'apply traced'], isChild: true, isWithin: true });
  });
});
