'use strict';
// The README's handler bundled with esbuild, as CDK's NodejsFunction and serverless-esbuild call it, by either recipe:
// the library inside of the bundle and its addon copied beside it, or the library external and installed beside it.
// Each bundle is zipped, unzipped into a directory of its own that nobody may write to, and run there.

const assert = require('node:assert/strict');
const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { after, before, describe, test } = require('node:test');

const { unzipSync, zipSync } = require('fflate');

const { root } = require('./support/helpers');
const { DRIVER, assertHandled, handlerFiles, install, node, packHere, write } = require('./support/packages');

const esbuild = path.join(root, 'node_modules/.bin/esbuild');
/** So that even root may not write: only root can become it. */
const NOBODY = process.getuid?.() === 0 ? { uid: 65534, gid: 65534 } : {};
/** ES modules have no `require`; what is bundled into one needs it. */
const BANNER = "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);";

/** As each of them calls esbuild. @type {Record<string, string[]>} */
const callers = {
  'CDK, defaults': ['--sourcemap'],
  'CDK, all options': ['--minify', '--sourcemap=inline', '--keep-names', '--external:@aws-sdk/*', '--external:@smithy/*'],
  'serverless-esbuild': ['--minify', '--sourcemap=external', '--main-fields=main,module'],
};

/** @type {Record<string, string[]>} */
const recipes = {
  '.node=copy': ['--loader:.node=copy'],
  external: ['--external:@parallelizer/node'],
};

describe('bundled', { timeout: 300_000 }, () => {
  /** @type {string} */
  let base;
  /** @type {string} */
  let project;

  before(async () => {
    base = fs.mkdtempSync(path.join(os.tmpdir(), 'parallelizer-bundles-'));
    fs.chmodSync(base, 0o755);
    const packages = await packHere(path.join(base, 'tarballs'));
    project = path.join(base, 'project');
    await install(project, packages.map(({ tarball }) => tarball));
    write(base, { 'driver.mjs': DRIVER });
  });
  after(() => {
    execFileSync('chmod', ['-R', 'u+w', base]);
    fs.rmSync(base, { recursive: true, force: true });
  });

  let count = 0;

  /**
   * Bundles the entry points, each for itself, and says where the bundle was deployed.
   * @param {Record<string, string>} files @param {'cjs' | 'esm'} format @param {string[]} flags
   */
  function deploy(files, format, flags) {
    const number = ++count;
    const source = path.join(project, `source-${number}`);
    const built = path.join(base, `built-${number}`);
    const deployed = path.join(base, `deployed-${number}`);
    write(source, files);
    const own = format === 'esm' ? ['--format=esm', '--out-extension:.js=.mjs', `--banner:js=${BANNER}`] : ['--format=cjs'];
    const entries = Object.keys(files).map((name) => path.join(source, name));
    const args = ['--bundle', '--platform=node', '--target=node20', `--outdir=${built}`, ...own, ...flags, ...entries];
    const said = execFileSync(esbuild, [...args, '--log-level=warning'], { encoding: 'utf8', stdio: 'pipe' });
    assert.equal(said, '', 'esbuild has nothing to warn of');
    if (flags.includes('--external:@parallelizer/node')) {
      fs.cpSync(path.join(project, 'node_modules'), path.join(built, 'node_modules'), { recursive: true });
    }
    const emitted = fs.readdirSync(built, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
    const names = emitted.map((entry) => path.relative(built, path.join(entry.parentPath ?? entry.path, entry.name)));
    const zip = zipSync(Object.fromEntries(names.map((name) => [name, fs.readFileSync(path.join(built, name))])));
    // What it was built from must not be of help.
    for (const folder of [source, built]) fs.rmSync(folder, { recursive: true });
    for (const [name, bytes] of Object.entries(unzipSync(zip))) {
      fs.mkdirSync(path.dirname(path.join(deployed, name)), { recursive: true });
      fs.writeFileSync(path.join(deployed, name), bytes);
    }
    execFileSync('chmod', ['-R', 'a-w,a+rX', deployed]);
    return { deployed, names, bytes: zip.length };
  }

  /** @param {string} deployed @param {string[]} args */
  const runThere = (deployed, ...args) => node(deployed, args, NOBODY);

  for (const [caller, flags] of Object.entries(callers)) {
    for (const [recipe, more] of Object.entries(recipes)) {
      for (const format of /** @type {const} */ (['cjs', 'esm'])) {
        test(`${caller}, ${recipe}, ${format}`, async (t) => {
          const files = handlerFiles(format);
          const { deployed, names, bytes } = deploy(files, format, [...flags, ...more]);
          t.diagnostic(`${Math.ceil(bytes / 1024)} KiB zipped`);
          if (recipe === '.node=copy') {
            assert.equal(names.filter((name) => name.endsWith('.node')).length, 1, 'the addon is copied once');
            assert.ok(!names.some((name) => name.includes('node_modules')));
          }
          const extension = format === 'cjs' ? 'js' : 'mjs';
          assertHandled(await runThere(deployed, path.join(base, 'driver.mjs'), path.join(deployed, `handler.${extension}`)));
        });
      }
    }
  }

  test('worker threads and tasks by source run in a bundle, too', async () => {
    const program = `
      const { Pool } = require('@parallelizer/node');
      (async () => {
        for (const type of ['child-process', 'worker-threads', 'inline']) {
          const pool = new Pool({ type, processes: 2 });
          console.log(type, (await pool.map((n) => n * n, [1, 2, 3])).join());
          await pool.terminate();
        }
      })();`;
    const { deployed } = deploy({ 'program.js': program }, 'cjs', ['--minify', '--loader:.node=copy']);
    const { stdout, stderr } = await runThere(deployed, 'program.js');
    assert.equal(stdout, 'child-process 1,4,9\nworker-threads 1,4,9\ninline 1,4,9\n', stderr);
  });

  test('a bundle whose addon is for another system says so', async () => {
    const program = `const { Pool } = require('@parallelizer/node');
      try { new Pool(1); } catch (error) { console.log(error.code, error.message); }`;
    const { deployed, names } = deploy({ 'program.js': program }, 'cjs', ['--loader:.node=copy']);
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
