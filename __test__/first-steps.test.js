'use strict';
// A new user's first ten minutes, in TypeScript: the packed package installed into an empty directory, the README's
// handler compiled and run, a mistake that the compiler catches, and a crash that is reported.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { after, before, describe, test } = require('node:test');

const { root } = require('./support/helpers');
const { fromReadme, install, node, packHere, write } = require('./support/packages');

/** Invokes the handler as Lambda would, and prints what it throws. */
const INVOKE = `
  const { handler } = require('./handler.js');
  const orders = [{ id: 'a', amount: 50 }, { id: 'b', amount: 150 }, { id: 'c', amount: 250 }];
  handler({ orders }).then((ids) => console.log(JSON.stringify(ids)), (error) => console.log(error.message));
`;

describe('first steps', { timeout: 300_000 }, () => {
  /** @type {string} */
  let base;
  /** @type {string} */
  let project;

  before(async () => {
    base = fs.mkdtempSync(path.join(os.tmpdir(), 'parallelizer-first-steps-'));
    project = path.join(base, 'project');
    await install(project, (await packHere(path.join(base, 'tarballs'))).map(({ tarball }) => tarball));
    // The compiler and the types of Node, which everyone who writes TypeScript has.
    for (const name of ['typescript', '@types', 'undici-types', '@typescript']) {
      const from = path.join(root, 'node_modules', name);
      if (fs.existsSync(from)) fs.symlinkSync(from, path.join(project, 'node_modules', name));
    }
  });
  after(() => fs.rmSync(base, { recursive: true, force: true }));

  const compile = () => {
    const options = ['--strict', '--target', 'es2022', '--module', 'node16', '--types', 'node', '--pretty', 'false'];
    return node(project, ['node_modules/typescript/bin/tsc', ...options, 'handler.ts', 'worker.ts']);
  };
  const files = () => ({ 'worker.ts': fromReadme('worker.ts'), 'handler.ts': fromReadme('handler.ts') });

  test('the handler compiles, and runs', async () => {
    write(project, files());
    const { code, stdout } = await compile();
    assert.equal(code, 0, stdout);
    const { stdout: answer, stderr } = await node(project, ['-e', INVOKE]);
    assert.equal(answer, '["b","c"]\n', stderr);
  });

  for (const [slip, from, to, told] of [
    [
      'the name of the function',
      "'batchProcessor'",
      "'batchProcesor'",
      /^handler\.ts\(7,3\): .*'"batchProcesor"' is not assignable to type '"batchProcessor"'/m,
    ],
    [
      'a param',
      '{ limit: 100 }',
      "{ limit: '100' }",
      /^handler\.ts\(11,.*'string' is not assignable to type 'number'/m,
    ],
    [
      'the records',
      'event.orders,',
      'event.orders.map(({ id }) => id),',
      /^handler\.ts\(11,.*'string\[\]' is not assignable to .*Order\[\]'/m,
    ],
    [
      'what comes back',
      'responses.flat()',
      'responses',
      /^handler\.ts\(13,.*'string\[\]\[\]' is not assignable to type 'string\[\]'/m,
    ],
  ]) {
    test(`the compiler reports a mistake in ${slip}`, async () => {
      const { 'worker.ts': worker, 'handler.ts': handler } = files();
      assert.ok(handler.includes(from));
      write(project, { 'worker.ts': worker, 'handler.ts': handler.replace(from, to) });
      const { code, stdout } = await compile();
      assert.notEqual(code, 0);
      assert.match(stdout, told);
      assert.equal(stdout.match(/error TS/g)?.length, 1, stdout);
    });
  }

  test('a crash is reported: which worker, how it ended, and its last output', async () => {
    const { 'worker.ts': worker, 'handler.ts': handler } = files();
    const crash = `  if (batch.some(({ amount }) => amount === 150)) {\n    console.error('no more paper');\n    process.kill(process.pid, 'SIGKILL');\n  }\n  return batch`;
    assert.ok(worker.includes('  return batch'));
    write(project, { 'worker.ts': worker.replace('  return batch', () => crash), 'handler.ts': handler });
    const { code, stdout } = await compile();
    assert.equal(code, 0, stdout);
    const { stdout: said } = await node(project, ['-e', INVOKE]);
    assert.match(said, /worker .*SIGKILL/);
    assert.match(said, /no more paper/);
  });
});
