'use strict';
// Bundles as CDK's NodejsFunction and serverless-esbuild make them, zipped, and unzipped elsewhere.

const assert = require('node:assert/strict');
const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

const { unzipSync, zipSync } = require('fflate');

const { root } = require('./helpers');
const { install, packHere, write } = require('./packages');

const esbuild = path.join(root, 'node_modules/.bin/esbuild');
/** ES modules have no `require`, which code bundled into one needs. */
const BANNER = "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);";

/** The esbuild flags of each of them. @type {Record<string, string[]>} */
const callers = {
  'CDK, defaults': ['--sourcemap'],
  'CDK, all options': [
    '--minify',
    '--sourcemap=inline',
    '--keep-names',
    '--external:@aws-sdk/*',
    '--external:@smithy/*',
  ],
  'serverless-esbuild': ['--minify', '--sourcemap=external', '--main-fields=main,module'],
};

/** @type {Record<string, string[]>} */
const recipes = {
  '.node=copy': ['--loader:.node=copy'],
  external: ['--external:@parallelizer/node'],
};

/** A place to bundle in, with the library installed from its tarballs. */
async function workshop() {
  const base = fs.mkdtempSync(path.join(os.tmpdir(), 'parallelizer-bundles-'));
  fs.chmodSync(base, 0o755);
  const packages = await packHere(path.join(base, 'tarballs'));
  const project = path.join(base, 'project');
  await install(project, packages.map(({ tarball }) => tarball));

  let count = 0;

  /**
   * Bundles each entry point by itself, and returns where the bundle was deployed.
   * @param {Record<string, string>} files @param {'cjs' | 'esm'} format @param {string[]} flags
   */
  function deploy(files, format, flags) {
    const number = ++count;
    const source = path.join(project, `source-${number}`);
    const built = path.join(base, `built-${number}`);
    const deployed = path.join(base, `deployed-${number}`);
    write(source, files);
    const own =
      format === 'esm' ? ['--format=esm', '--out-extension:.js=.mjs', `--banner:js=${BANNER}`] : ['--format=cjs'];
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
    // The sources must not be there to help.
    for (const folder of [source, built]) fs.rmSync(folder, { recursive: true });
    for (const [name, bytes] of Object.entries(unzipSync(zip))) {
      fs.mkdirSync(path.dirname(path.join(deployed, name)), { recursive: true });
      fs.writeFileSync(path.join(deployed, name), bytes);
    }
    execFileSync('chmod', ['-R', 'a-w,a+rX', deployed]);
    return { deployed, names, bytes: zip.length };
  }

  function remove() {
    execFileSync('chmod', ['-R', 'u+w', base]);
    fs.rmSync(base, { recursive: true, force: true });
  }
  return { base, deploy, remove };
}

module.exports = { callers, recipes, workshop };
