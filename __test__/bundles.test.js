'use strict';
// The README's handler bundled with esbuild, as CDK's NodejsFunction and serverless-esbuild call it, by either recipe:
// the library inside the bundle and its addon copied next to it, or the library external and installed next to it.
// Each bundle is zipped, unzipped into its own read-only directory, and run there.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { after, before, describe, test } = require('node:test');

const { callers, recipes, workshop } = require('./support/bundles');
const { DRIVER, assertHandled, handlerFiles, node, write } = require('./support/packages');

/** A user that may not write there, as root may. Only root can switch to it. */
const NOBODY = process.getuid?.() === 0 ? { uid: 65534, gid: 65534 } : {};

describe('bundled', { timeout: 300_000 }, () => {
  /** @type {Awaited<ReturnType<typeof workshop>>} */
  let shop;

  before(async () => {
    shop = await workshop();
    write(shop.base, { 'driver.mjs': DRIVER });
  });
  after(() => shop.remove());

  /** @param {string} deployed @param {string[]} args */
  const runThere = (deployed, ...args) => node(deployed, args, NOBODY);

  for (const [caller, flags] of Object.entries(callers)) {
    for (const [recipe, more] of Object.entries(recipes)) {
      for (const format of /** @type {const} */ (['cjs', 'esm'])) {
        test(`${caller}, ${recipe}, ${format}`, async (t) => {
          const files = handlerFiles(format);
          const { deployed, names, bytes } = shop.deploy(files, format, [...flags, ...more]);
          t.diagnostic(`${Math.ceil(bytes / 1024)} KiB zipped`);
          if (recipe === '.node=copy') {
            assert.equal(names.filter((name) => name.endsWith('.node')).length, 1, 'the addon is copied once');
            assert.ok(!names.some((name) => name.includes('node_modules')));
          }
          const extension = format === 'cjs' ? 'js' : 'mjs';
          assertHandled(
            await runThere(deployed, path.join(shop.base, 'driver.mjs'), path.join(deployed, `handler.${extension}`)),
          );
        });
      }
    }
  }

  test('worker threads and tasks by source run in a bundle as well', async () => {
    const program = `
      const { Pool } = require('@parallelizer/node');
      (async () => {
        for (const type of ['child-process', 'worker-threads', 'inline']) {
          const pool = new Pool({ type, processes: 2 });
          console.log(type, (await pool.map((n) => n * n, [1, 2, 3])).join());
          await pool.terminate();
        }
      })();`;
    const { deployed } = shop.deploy({ 'program.js': program }, 'cjs', ['--minify', '--loader:.node=copy']);
    const { stdout, stderr } = await runThere(deployed, 'program.js');
    assert.equal(stdout, 'child-process 1,4,9\nworker-threads 1,4,9\ninline 1,4,9\n', stderr);
  });

  test('a bundle whose addon is for another system says so', async () => {
    const program = `const { Pool } = require('@parallelizer/node');
      try { new Pool(1); } catch (error) { console.log(error.code, error.message); }`;
    const { deployed, names } = shop.deploy({ 'program.js': program }, 'cjs', ['--loader:.node=copy']);
    const addon = path.join(deployed, String(names.find((name) => name.endsWith('.node'))));
    fs.chmodSync(deployed, 0o755);
    fs.chmodSync(addon, 0o644);
    fs.writeFileSync(addon, 'for another system');
    const { stdout, stderr } = await runThere(deployed, 'program.js');
    assert.match(stdout, /^ERR_PARALLELIZER_PLATFORM .*does not load: .*\.node.*--os=/, stderr);
    fs.rmSync(addon);
    const without = await runThere(deployed, 'program.js');
    assert.match(without.stdout, /^ERR_PARALLELIZER_PLATFORM .*is not there.*--loader:\.node=copy/, without.stderr);
  });
});
