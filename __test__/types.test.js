'use strict';
// The public types infer what they should and reject what they should (types/*.ts, where each intended error is
// marked), with the compilers and the module resolutions that users have.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { spawnSync } = require('node:child_process');
const { describe, test } = require('node:test');

const { root } = require('./support/helpers');

const project = path.join(__dirname, 'types');

/**
 * @param {string} compiler the name of the package @param {string[]} args
 * @returns {{ errors: string[], files: string[] }} the first lines of its errors; files relative to the repository
 */
function compile(compiler, args) {
  const tsc = path.join(root, 'node_modules', compiler, 'bin', 'tsc');
  const { stdout, stderr } = spawnSync(process.execPath, [tsc, '--pretty', 'false', '--listFiles', ...args], {
    cwd: project,
    encoding: 'utf8',
    maxBuffer: 2 ** 26,
  });
  const lines = (stdout + stderr).split('\n').filter(Boolean);
  const files = lines
    .filter((line) => path.isAbsolute(line) && fs.existsSync(line))
    .map((line) => path.relative(root, line));
  assert.ok(files.includes('index.d.ts'), `found by the package's name: ${stderr}`);
  return { errors: lines.filter((line) => !path.isAbsolute(line)), files };
}

for (const compiler of ['typescript', 'typescript-5']) {
  const { version } = require(`${compiler}/package.json`);
  const isOld = version.startsWith('5.');

  describe(`TypeScript ${version}`, () => {
    const sources = fs.readdirSync(project).filter((name) => /\.[cm]?ts$/.test(name));
    for (const [module, resolution] of [['node16', 'node16'], ['nodenext', 'nodenext'], ['preserve', 'bundler']]) {
      test(`CommonJS and ES modules, moduleResolution ${resolution}`, () => {
        const { errors, files } = compile(compiler, [
          '--project',
          '.',
          '--module',
          module,
          '--moduleResolution',
          resolution,
        ]);
        assert.deepEqual(errors, []);
        for (const name of sources)
          assert.ok(files.includes(path.join('__test__', 'types', name)), `${name} was compiled`);
      });
    }

    test('code without type arguments compiles without strict, and so do the declarations by themselves', () => {
      const options = ['--noEmit', '--types', 'node', '--target', 'es2022', '--module', 'node16', '--strict', 'false'];
      if (!isOld) options.push('--ignoreConfig');
      assert.deepEqual(
        compile(compiler, [path.join(project, 'drop-in.cts'), ...options, '--skipLibCheck', 'false']).errors,
        [],
      );
    });

    test('errors for mistakes name the wrong name or value', () => {
      const { errors } = compile(compiler, ['--project', 'mistakes']);
      const heads = errors.filter((line) => !line.startsWith(' '));
      const expected = [
        /Type '"batchProcesor"' is not assignable to type '"batchProcessor"'/,
        /Type 'number' is not assignable to type 'string'/,
        /Expected 2-3 arguments, but got 1/,
        /'dryrun' does not exist .* Did you mean to write 'dryRun'/,
        /'"sqare"' is not assignable to .*"square"/,
        /'string\[\]' is not assignable to parameter of type 'Iterable<number>'/,
        /No overload matches this call/,
      ];
      assert.equal(heads.length, expected.length, errors.join('\n'));
      for (const [i, pattern] of expected.entries()) assert.match(heads[i], pattern);
      assert.match(errors.at(-1), /'paralelization' does not exist .* Did you mean to write 'parallelization'/);
    });
  });
}
