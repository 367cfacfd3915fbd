'use strict';
// Node's permission model: where only the folder of the program may be read, modules load as in any other place,
// although there is no package.json in the folder, and the folders above it must not even be asked for one.

const assert = require('node:assert/strict');
const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { describe, test } = require('node:test');

const { root, temporary } = require('./support/helpers');
const { node } = require('./support/nodes');

const COMMON = 'exports.work = ({ batch }) => batch.map((n) => n * 2);';
const ES = 'export const work = async ({ batch }) => batch.map((n) => n * 2);';
const TYPED = 'export const work = ({ batch }: { batch: number[] }): number[] => batch.map((n: number) => n * 2);';

/** Modules by name, with whether Node can tell by the name alone what they are. */
const MODULES = {
  'worker.js': COMMON,
  'worker.cjs': COMMON,
  'worker.mjs': ES,
  'worker.mts': TYPED,
  'worker.cts': TYPED.replace('export const work', 'const work') + ' exports.work = work;',
  'package/worker.js': ES,
  'package/worker.ts': TYPED,
};

const PROGRAM = `
const path = require('node:path');
const { Parallelizer, Pool } = require('@parallelizer/node');
const [, , type, ...files] = process.argv;
(async () => {
  const found = {};
  for (const file of files) {
    const filePath = path.join(__dirname, file);
    const parallelizer = new Parallelizer({ type, filePath, processBatchFunctionName: 'work', parallelization: 1 });
    const { responses, failures } = await parallelizer.run([1, 2]);
    await parallelizer.close();
    const pool = new Pool({ type, processes: 1 });
    const applied = await pool.apply({ filePath, name: 'work' }, [{ batch: [3] }]).catch(String);
    await pool.terminate();
    found[file] = [responses, failures, applied];
  }
  console.log(JSON.stringify(found));
})();
`;

/** A folder with the library and the modules in it, which the test may read alone. */
function setUp(t) {
  const folder = fs.realpathSync(temporary(t));
  const library = path.join(folder, 'node_modules', '@parallelizer', 'node');
  fs.mkdirSync(library, { recursive: true });
  const addon = fs.readdirSync(root).filter((name) => name.endsWith('.node'));
  for (const name of ['index.js', 'package.json', 'lib', ...addon]) {
    fs.cpSync(path.join(root, name), path.join(library, name), { recursive: true });
  }
  fs.mkdirSync(path.join(folder, 'package'));
  fs.writeFileSync(path.join(folder, 'package', 'package.json'), '{ "type": "module" }');
  for (const [name, text] of Object.entries(MODULES)) fs.writeFileSync(path.join(folder, name), text);
  fs.writeFileSync(path.join(folder, 'program.js'), PROGRAM);
  return folder;
}

for (const major of [22, 24]) {
  describe(`Node ${major}`, () => {
    for (const type of ['child-process', 'worker-threads', 'inline']) {
      test(type, (t) => {
        const { binary, reason } = node(major);
        if (binary === null) return t.skip(reason);
        const folder = setUp(t);
        const allowed = ['--allow-addons', '--allow-child-process', '--allow-worker', `--allow-fs-read=${folder}/*`];
        const { status, stdout, stderr } = spawnSync(
          binary,
          ['--no-warnings', '--permission', ...allowed, 'program.js', type, ...Object.keys(MODULES)],
          { cwd: folder, encoding: 'utf8', timeout: 120_000 },
        );
        assert.equal(status, 0, stderr);
        const expected = Object.keys(MODULES).map((name) => [name, [[[2, 4]], [], [6]]]);
        assert.deepEqual(JSON.parse(stdout), Object.fromEntries(expected), stderr);
      });
    }
  });
}
