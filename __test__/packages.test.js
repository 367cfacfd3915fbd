'use strict';
// The packed tarballs in an empty project: what they contain, and that they work without network, scripts and Rust.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { after, before, describe, test } = require('node:test');

const { buildSync } = require('esbuild');

const { root } = require('./support/helpers');
const { DRIVER, assertHandled, errorIn, handlerFiles, install, node, packHere, write } = require('./support/packages');

/** The scheduler of the fallback: there where it was built before (`npm run build:wasm`). */
const MODULE = 'parallelizer.wasm';

/**
 * Lenient: up to one and a half times the size when this was written. Of the addon some 200 KiB are what one version of
 * V8 has compiled of the workers' JavaScript; beside it are 340 KiB for that of the caller. Releases have two of these.
 */
const MAX_PACKED = { root: 305, module: 240, addon: 1800 }; // KiB

describe('packed and installed', { timeout: 300_000 }, () => {
  /** @type {string} */
  let base;
  /** @type {Awaited<ReturnType<typeof packHere>>} */
  let packages;
  /** @type {string} */
  let project;

  before(async () => {
    base = fs.mkdtempSync(path.join(os.tmpdir(), 'parallelizer-packages-'));
    packages = await packHere(path.join(base, 'tarballs'));
    project = path.join(base, 'project');
    await install(project, packages.map(({ tarball }) => tarball));
  });
  after(() => fs.rmSync(base, { recursive: true, force: true }));

  /** Another project with the same packages, to be tampered with. */
  const copyOf = (name) => {
    fs.cpSync(project, path.join(base, name), { recursive: true });
    return path.join(base, name);
  };
  const platformFolder = (folder) => path.join(folder, 'node_modules', packages[1].name);
  test('the root package has the code that can be loaded, its types, and nothing else', () => {
    const published = path.join(project, 'node_modules/@parallelizer/node');
    const { exports, peerDependencies } = JSON.parse(fs.readFileSync(path.join(published, 'package.json'), 'utf8'));
    const entries = Object.values(exports).filter((entry) => typeof entry === 'object');
    const { metafile } = buildSync({
      absWorkingDir: published,
      entryPoints: entries.map((entry) => entry.default),
      external: ['@parallelizer/*', ...Object.keys(peerDependencies)],
      bundle: true,
      platform: 'node',
      loader: { '.node': 'copy' },
      outdir: 'nowhere',
      write: false,
      metafile: true,
      logLevel: 'error',
    });
    const reachable = Object.keys(metafile.inputs).filter((file) => !file.endsWith('.node'));
    const types = entries.flatMap((entry) => [...declarationsFrom(published, path.posix.normalize(entry.types))]);
    const texts = ['LICENSE', 'README.md', 'package.json', ...types];
    const files = packages[0].files.filter((file) => file !== MODULE);
    assert.deepEqual(files.toSorted(), [...new Set([...reachable, ...texts])].sort());
  });

  test('the package of a platform has the addon, and what V8 has compiled of the root package', () => {
    const isText = (/** @type {string} */ file) => /^(LICENSE|README\.md|package\.json)$/.test(file);
    const [addon, ...compiled] = packages[1].files.filter((file) => !isText(file))
      .sort((a, b) => Number(a.startsWith('compiled/')) - Number(b.startsWith('compiled/')));
    assert.match(addon, /^parallelizer\.[\w-]+\.node$/);
    const start = `compiled/${process.versions.v8}/`;
    assert.deepEqual(compiled.filter((file) => !file.startsWith(start) || !file.endsWith('.jsc')), []);
    assert.ok(compiled.includes(`${start}index.jsc`), compiled.join());
  });

  test('they are small', (t) => {
    const root = MAX_PACKED.root + (packages[0].files.includes(MODULE) ? MAX_PACKED.module : 0);
    for (const [{ name, size }, limit] of [[packages[0], root], [packages[1], MAX_PACKED.addon]]) {
      t.diagnostic(`${name}: ${Math.ceil(size / 1024)} KiB packed`);
      assert.ok(size < limit * 1024, `${name} has ${size} bytes`);
    }
  });

  test('the root package depends on the platform packages of its own version, and on nothing else', () => {
    const installed = JSON.parse(
      fs.readFileSync(path.join(project, 'node_modules/@parallelizer/node/package.json'), 'utf8'),
    );
    assert.equal(installed.dependencies, undefined);
    assert.equal(installed.scripts, undefined);
    assert.equal(installed.devDependencies, undefined);
    const platforms = [
      'darwin-arm64',
      'darwin-x64',
      'linux-arm64-gnu',
      'linux-arm64-musl',
      'linux-x64-gnu',
      'linux-x64-musl',
    ];
    assert.deepEqual(
      installed.optionalDependencies,
      Object.fromEntries(platforms.map((platform) => [`@parallelizer/node-${platform}`, installed.version])),
    );
    const cargo = fs.readFileSync(path.join(root, 'Cargo.toml'), 'utf8');
    assert.equal(cargo.match(/^version = "(.*)"$/m)?.[1], installed.version, 'Cargo.toml has the same version');
  });

  test('only these are installed', () => {
    const names = fs.readdirSync(path.join(project, 'node_modules')).filter((name) => !name.startsWith('.'));
    assert.deepEqual(names, ['@parallelizer']);
    assert.equal(fs.readdirSync(path.join(project, 'node_modules/@parallelizer')).length, 2);
  });

  for (const format of /** @type {const} */ (['cjs', 'esm'])) {
    test(`the README's handler runs (${format})`, async () => {
      write(project, { ...handlerFiles(format), 'driver.mjs': DRIVER });
      assertHandled(await node(project, ['driver.mjs', `./handler.${format === 'cjs' ? 'js' : 'mjs'}`]));
    });
  }

  for (const type of ['child-process', 'worker-threads', 'inline']) {
    test(`a pool runs (${type})`, async () => {
      const script = `const { Pool } = require('@parallelizer/node');
        const pool = new Pool({ type: '${type}', processes: 2 });
        pool.map((n) => n * n, [1, 2, 3]).then((squares) => { console.log(squares.join()); return pool.terminate(); });`;
      const { stdout, stderr } = await node(project, ['-e', script]);
      assert.equal(stdout, '1,4,9\n', stderr);
    });
  }

  test('TypeScript finds the types, and reports a mistake', async () => {
    const body = (/** @type {string} */ result) => `
      import { Parallelizer, Pool, PARALLELIZER_THREADS } from '@parallelizer/node';
      export const parallelizer = new Parallelizer({
        type: PARALLELIZER_THREADS, filePath: '/worker.js', processBatchFunctionName: 'work',
      });
      export const squares: Promise<${result}[]> = new Pool().map((n: number) => n * n, [1, 2]);
    `;
    write(project, { 'right.mts': body('number'), 'right.cts': body('number'), 'wrong.mts': body('string') });
    const tsc = path.join(root, 'node_modules/typescript/bin/tsc');
    const args = ['--noEmit', '--strict', '--module', 'nodenext', '--target', 'es2022', '--types', 'node'];
    const roots = ['--typeRoots', path.join(root, 'node_modules/@types')];
    const right = await node(project, [tsc, ...args, ...roots, 'right.mts', 'right.cts']);
    assert.equal(right.code, 0, right.stdout);
    const wrong = await node(project, [tsc, ...args, ...roots, 'wrong.mts']);
    assert.notEqual(wrong.code, 0);
    assert.match(wrong.stdout, /^wrong\.mts\(6,.*error TS.*number/m);
  });

  test('without the platform package the module still loads, but creating an instance throws', async () => {
    const folder = path.join(base, 'alone');
    await install(folder, [packages[0].tarball]);
    const { stdout } = await node(folder, ['-p', `Object.keys(require('@parallelizer/node')).join()`]);
    assert.match(stdout, /Parallelizer.*isWorker/);
    const { code, name } = await errorIn(folder);
    assert.deepEqual([name, code], ['ParallelizerError', 'ERR_PARALLELIZER_PLATFORM']);
  });

  test('an addon that does not load: the error quotes the linker', async () => {
    const folder = copyOf('broken');
    const addon = packages[1].files.find((file) => file.endsWith('.node'));
    fs.writeFileSync(path.join(platformFolder(folder), String(addon)), 'no addon');
    const { code, message } = await errorIn(folder);
    assert.equal(code, 'ERR_PARALLELIZER_PLATFORM');
    assert.match(message, /does not load: .*parallelizer\..*\.node/);
    assert.ok(message.includes(`--os=${process.platform} --cpu=${process.arch}`), message);
  });

  test('an addon of another version is refused', async () => {
    const folder = copyOf('versions');
    const published = path.join(folder, 'node_modules/@parallelizer/node');
    const file = path.join(published, 'lib/index.js');
    const manifest = JSON.parse(fs.readFileSync(path.join(published, 'package.json'), 'utf8'));
    const text = fs.readFileSync(file, 'utf8');
    fs.writeFileSync(file, text.replace(`version:"${manifest.version}"`, 'version:"99.0.0"'));
    const { code, message } = await errorIn(folder);
    assert.equal(code, 'ERR_PARALLELIZER_PLATFORM');
    assert.ok(message.includes('99.0.0') && message.includes(manifest.version), message);
  });

  for (const [platform, arch] of [['win32', 'x64'], ['freebsd', 'x64'], ['linux', 's390x'], ['linux', 'ia32']]) {
    test(`${platform} on ${arch} has no addon: the fallback runs, or an error says that it is not there`, async () => {
      const prelude = `for (const [name, value] of [['platform', '${platform}'], ['arch', '${arch}']])
        Object.defineProperty(process, name, { value })`;
      if (packages[0].files.includes(MODULE)) {
        const script = `${prelude};
          const pool = new (require('@parallelizer/node').Pool)({ type: 'worker-threads', processes: 1 });
          pool.apply((n) => n * n, [3]).then((square) => {
            console.log(square, pool.stats().scheduler);
            return pool.terminate();
          });`;
        const { stdout, stderr } = await node(project, ['-e', script]);
        assert.equal(stdout, '9 wasm\n', stderr);
        return;
      }
      const { code, message } = await errorIn(project, prelude);
      assert.equal(code, 'ERR_PARALLELIZER_PLATFORM');
      assert.match(message, new RegExp(`there is no addon for ${platform} \\(${arch}\\)`));
      assert.match(message, /parallelizer\.wasm is not there/);
    });
  }
});

/** A file of declarations and those that it imports. @param {string} folder @param {string} file */
function declarationsFrom(folder, file, found = new Set()) {
  if (found.has(file)) return found;
  found.add(file);
  const text = fs.readFileSync(path.join(folder, file), 'utf8');
  for (const [, place] of text.matchAll(/ from '(\.[^']+)'/g)) {
    declarationsFrom(folder, `${path.posix.join(path.posix.dirname(file), place)}.d.ts`, found);
  }
  return found;
}
