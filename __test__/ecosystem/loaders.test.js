'use strict';
// Worker modules in TypeScript, by tsx, ts-node and Node itself; bundles by esbuild.

const assert = require('node:assert/strict');
const path = require('node:path');

const { root } = require('../support/helpers');
const { ecosystemTest, execute, jsonLines, project, succeed } = require('./support/projects');
const { NODES, inSet, node } = require('./support/tools');

const FILES = {
  'worker.ts': `import { factor } from './factor';
export enum Kind { A = 'a' }
export const work = ({ batch }: { batch: number[] }): unknown[] => batch.map((n) => [n * factor, Kind.A]);
`,
  'factor.ts': 'export const factor: number = 2;\n',
  'plain.ts': 'export const work = ({ batch }: { batch: number[] }): unknown[] => batch.map((n: number) => [n * 2]);\n',
  'tsconfig.json': { compilerOptions: { module: 'commonjs', target: 'es2022', esModuleInterop: true, skipLibCheck: true, types: ['node'] } },
};
const program = (type, file = 'worker.ts', options = '{}') => `
const { Parallelizer, Pool } = require('@parallelizer/node');
(async () => {
  const parallelizer = new Parallelizer({ type: '${type}', filePath: __dirname + '/${file}', processBatchFunctionName: 'work', parallelization: 1, ...${options} });
  const { responses, failures } = await parallelizer.run([1, 2]);
  const pool = new Pool({ type: '${type}', processes: 1, ...${options} });
  const doubled = await pool.map((n) => { const twice = (m) => m * 2; return twice(n); }, [1, 2]);
  await parallelizer.close();
  pool.close();
  await pool.join();
  console.log(JSON.stringify({ responses, failures, doubled }));
})();
`;
const TYPED = program('TYPE').replace('(m) =>', '(m: number): number =>').replace('(n) =>', '(n: number) =>')
  .replace("const { Parallelizer, Pool } = require('@parallelizer/node');", "import { Parallelizer, Pool } from '@parallelizer/node';");
const RIGHT = { responses: [[[2, 'a'], [4, 'a']]], failures: [], doubled: [2, 4] };

for (const type of ['child-process', 'worker-threads', 'inline']) {
  const typed = TYPED.replaceAll('TYPE', type);

  for (const [what, flags] of Object.entries({
    '--require tsx/cjs': ['--require', 'tsx/cjs'],
    '--import tsx': ['--import', 'tsx'],
  })) {
    ecosystemTest(`tsx, ${what}: ${type}`, ['loaders'], async (t) => {
      const folder = project(t, 'loaders', { ...FILES, 'program.ts': typed });
      const { stdout } = await succeed(t, folder, [process.execPath, ...flags, 'program.ts']);
      assert.deepEqual(jsonLines(stdout), [RIGHT]);
    });
  }

  ecosystemTest(`tsx as a command: ${type}`, ['loaders'], async (t) => {
    const folder = project(t, 'loaders', { ...FILES, 'program.ts': typed });
    const { stdout } = await succeed(t, folder, [process.execPath, inSet('loaders', 'tsx', 'dist', 'cli.mjs'), 'program.ts']);
    assert.deepEqual(jsonLines(stdout), [RIGHT]);
  });

  ecosystemTest(`ts-node, --require ts-node/register/transpile-only: ${type}`, ['loaders'], async (t) => {
    const folder = project(t, 'loaders', { ...FILES, 'program.ts': typed });
    const { stdout } = await succeed(t, folder, [process.execPath, '--require', 'ts-node/register/transpile-only', 'program.ts']);
    assert.deepEqual(jsonLines(stdout), [RIGHT]);
  });

  // Inline there are no workers to have flags.
  if (type !== 'inline') ecosystemTest(`tsx in the workers' execArgv only: ${type}`, ['loaders'], async (t) => {
    const folder = project(t, 'loaders', { ...FILES, 'program.js': program(type, 'worker.ts', "{ execArgv: ['--require', 'tsx/cjs'] }") });
    const { stdout } = await succeed(t, folder, [process.execPath, 'program.js']);
    assert.deepEqual(jsonLines(stdout), [RIGHT]);
  });

  for (const major of NODES.filter((version) => version >= 22)) {
    ecosystemTest(`types stripped by Node ${major}: ${type}`, ['loaders', major], async (t) => {
      const folder = project(t, 'loaders', { ...FILES, 'program.js': program(type, 'plain.ts') });
      const { stdout } = await succeed(t, folder, [node(major).binary, 'program.js']);
      assert.deepEqual(jsonLines(stdout), [{ responses: [[[2], [4]]], failures: [], doubled: [2, 4] }]);
    });
  }

  for (const [what, options] of Object.entries({
    'with keepNames': { keepNames: true },
    'with keepNames, minified but for names': { keepNames: true, minifyWhitespace: true, minifySyntax: true },
    minified: { minify: true },
  })) {
    ecosystemTest(`esbuild, ${what}: ${type}`, [], async (t) => {
      const { stdout } = await succeed(t, bundle(t, type, options), [process.execPath, 'bundle.js']);
      assert.deepEqual(jsonLines(stdout), [RIGHT]);
    });
  }

  ecosystemTest(`esbuild, minified with keepNames: an error names the tool: ${type}`, [], async (t) => {
    // The helper has lost its name: nobody can tell what it was.
    const { code, stderr } = await execute(t, bundle(t, type, { keepNames: true, minify: true }), [process.execPath, 'bundle.js']);
    assert.notEqual(code, 0);
    assert.match(stderr, /esbuild/);
    assert.match(stderr, /keepNames/);
  });
}

/** A program with its bundle. */
function bundle(t, type, options) {
  const folder = project(t, null, { 'worker.js': "exports.work = ({ batch }) => batch.map((n) => [n * 2, 'a']);", 'program.js': program(type, 'worker.js') });
  require(path.join(root, 'node_modules', 'esbuild')).buildSync({
    absWorkingDir: folder, entryPoints: ['program.js'], outfile: 'bundle.js', bundle: true, platform: 'node', loader: { '.node': 'copy' }, ...options,
  });
  return folder;
}
