'use strict';
// `import()` in a function that travels by its source resolves as `require` does there: from the working directory.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');

const { temporary } = require('../support/helpers');
const { forEachMode } = require('../support/modes');
const { asynchronous, run } = require('../support/scripts');
const { root } = require('../support/helpers');

/** A working directory with modules and packages. */
function workplace(t) {
  const dir = fs.realpathSync(temporary(t));
  const write = (name, text) => {
    fs.mkdirSync(path.dirname(path.join(dir, name)), { recursive: true });
    fs.writeFileSync(path.join(dir, name), text);
  };
  write('package.json', '{ "name": "workplace", "imports": { "#own": "./sub/own.mjs" } }');
  write('esm.mjs', 'export const twice = (n) => n * 2;');
  write('common.cjs', 'exports.twice = (n) => n * 2;');
  write('sub/own.mjs', "export { twice } from '../esm.mjs';");
  write('data.json', '{ "a": 1 }');
  write('node_modules/of-modules/package.json', '{ "name": "of-modules", "type": "module", "exports": { ".": "./index.js", "./sub": "./sub.js" } }');
  write('node_modules/of-modules/index.js', 'export const name = import.meta.url.split("/").at(-2);');
  write('node_modules/of-modules/sub.js', 'export default "sub";');
  write('node_modules/of-commons/package.json', '{ "name": "of-commons" }');
  write('node_modules/of-commons/index.js', 'exports.name = "of-commons";');
  return dir;
}

const TASKS = {
  'a relative path': ["async () => (await import('./esm.mjs')).twice(2)", 4],
  'a relative path of CommonJS': ["async () => (await import('./common.cjs')).twice(2)", 4],
  'an absolute path': ["async () => (await import(process.cwd() + '/esm.mjs')).twice(2)", 4],
  'a URL': ["async () => (await import(require('node:url').pathToFileURL('esm.mjs').href)).twice(2)", 4],
  'a package of ES modules': ["async () => (await import('of-modules')).name", 'of-modules'],
  'an entry of a package': ["async () => (await import('of-modules/sub')).default", 'sub'],
  'a package of CommonJS': ["async () => (await import('of-commons')).name", 'of-commons'],
  'an import of the package itself': ["async () => (await import('#own')).twice(2)", 4],
  'a built-in module': ["async () => typeof (await import('node:fs')).readFileSync", 'function'],
  'one within a helper': ["async (n) => { const load = (name) => import(name); return (await load('./esm.mjs')).twice(2); }", 4],
  'one that is not there': ["async () => { try { await import('./none.mjs'); } catch (error) { return error.code; } }", 'ERR_MODULE_NOT_FOUND'],
};

forEachMode((mode) => {
  test('from the working directory, without a warning', async (t) => {
    const { messages: [found], stderr } = await run(t, asynchronous(`
      const { Pool } = require(${JSON.stringify(root)});
      const pool = new Pool({ processes: 1, type: process.env.TEST_MODE_TYPE });
      const found = {};
      for (const [name, [source]] of Object.entries(${JSON.stringify(TASKS)})) {
        const task = (0, eval)('(' + source + ')');
        found[name] = await pool.apply(task).catch((error) => error.code + ': ' + error.message);
      }
      await pool.terminate();
      console.log(JSON.stringify(found));
    `), { mode, cwd: workplace(t) });
    assert.deepEqual(found, Object.fromEntries(Object.entries(TASKS).map(([name, [, value]]) => [name, value])));
    assert.equal(stderr, '');
  });

  test('in an initializer', async (t) => {
    const { messages: [found], stderr } = await run(t, asynchronous(`
      const { Pool } = require(${JSON.stringify(root)});
      const pool = new Pool({
        processes: 1,
        type: process.env.TEST_MODE_TYPE,
        initializer: async () => { globalThis.twice = (await import('./esm.mjs')).twice; },
      });
      const found = await pool.apply(() => globalThis.twice(4));
      await pool.terminate();
      console.log(JSON.stringify([found]));
    `), { mode, cwd: workplace(t) });
    assert.deepEqual(found, [8]);
    assert.equal(stderr, '');
  });

  test('an error thrown there still says which variable is missing, and why', async (t) => {
    const { messages: [message] } = await run(t, asynchronous(`
      const { Pool } = require(${JSON.stringify(root)});
      const outer = 1;
      const pool = new Pool({ processes: 1, type: process.env.TEST_MODE_TYPE });
      const error = await pool.apply(async () => { await import('./esm.mjs'); return outer; }).catch((error) => error);
      await pool.terminate();
      console.log(JSON.stringify([error.message]));
    `), { mode, cwd: workplace(t) });
    assert.match(message[0], /outer is not defined in a worker: a function travels by its source/);
  });
});
