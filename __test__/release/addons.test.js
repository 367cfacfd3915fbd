'use strict';
// The addons of a release, from `npm run build:release`: what they require of the system, their size, and that each
// runs on the system that it is for.

const assert = require('node:assert/strict');
const { execFileSync, spawnSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { after, before, describe, test } = require('node:test');

const { root } = require('../support/helpers');
const { nodeArm64, nodeMusl } = require('./systems');
const { DRIVER, assertHandled, handlerFiles, install, write } = require('../support/packages');
const { pack } = require('../../scripts/pack');

const folder = path.join(root, 'dist', 'addons');
const addons = fs.existsSync(folder) ? fs.readdirSync(folder).filter((name) => name.endsWith('.node')).sort() : [];

/** What Amazon Linux 2023 has, and what releases are built against. */
const NEWEST_GLIBC = '2.34';
const BUILT_AGAINST = '2.17';
const MAX_PACKED = 2.5 * 2 ** 20;

const hasReadelf = spawnSync('readelf', ['--version']).status === 0;
const older = (/** @type {string} */ a, /** @type {string} */ b) => a.localeCompare(b, 'en', { numeric: true }) <= 0;
const readelf = (/** @type {string} */ addon, /** @type {string[]} */ ...flags) =>
  execFileSync('readelf', ['--wide', ...flags, path.join(folder, addon)], { encoding: 'utf8' });

test('there is an addon', () => {
  assert.ok(addons.length > 0, 'run `npm run build:release` first');
});

for (const addon of addons.filter((name) => name.includes('.linux-'))) {
  describe(addon, { skip: hasReadelf ? false : 'readelf (binutils) is not there' }, () => {
    test('it needs no newer glibc than it was built against', (t) => {
      const versions = [...new Set(readelf(addon, '--version-info').match(/GLIBC_[\d.]+/g))].map((name) =>
        name.slice(6),
      );
      if (addon.includes('-musl')) return assert.deepEqual(versions, []);
      assert.ok(versions.length > 0, 'it uses glibc');
      const newest = versions.reduce((a, b) => (older(a, b) ? b : a));
      t.diagnostic(`GLIBC_${newest}`);
      assert.ok(older(newest, NEWEST_GLIBC), `GLIBC_${newest}`);
      return assert.ok(older(newest, BUILT_AGAINST), `GLIBC_${newest}`);
    });

    test('it needs no libraries other than those of the C library', () => {
      const needed = [...readelf(addon, '--dynamic').matchAll(/\(NEEDED\).*\[(.*)\]/g)].map(([, name]) => name);
      const own = /^(libc|libm|libdl|libpthread|librt|ld-linux-[\w-]+)\.so/;
      assert.deepEqual(needed.filter((name) => !own.test(name)), []);
    });

    test('it stays loaded, and has no debug symbols', () => {
      assert.match(readelf(addon, '--dynamic'), /FLAGS_1.*NODELETE/);
      assert.doesNotMatch(readelf(addon, '--sections'), /\.(symtab|debug_info)\b/);
    });
  });
}

describe('packed and installed', { timeout: 600_000, skip: addons.length > 0 ? false : 'no addons' }, () => {
  /** @type {string} */
  let base;
  /** @type {Awaited<ReturnType<typeof pack>>['packages']} */
  let packages;

  before(async () => {
    base = fs.mkdtempSync(path.join(os.tmpdir(), 'parallelizer-release-'));
    ({ packages } = await pack({ addons: folder, out: path.join(base, 'tarballs') }));
  });
  after(() => fs.rmSync(base, { recursive: true, force: true }));

  /** A project with the packages of one platform. @param {string} platform */
  async function projectFor(platform) {
    const project = path.join(base, platform);
    const wanted = packages.filter(({ name }) => name === '@parallelizer/node' || name.endsWith(platform));
    assert.equal(wanted.length, 2, `${platform} is packed`);
    // By force, since the package may be for a processor other than npm's.
    await install(project, ['--force', ...wanted.map(({ tarball }) => tarball)]);
    write(project, { ...handlerFiles('cjs'), 'driver.mjs': DRIVER, 'modes.js': MODES });
    return project;
  }

  test('they are small', (t) => {
    for (const { name, size, unpackedSize } of packages) {
      t.diagnostic(`${name}: ${Math.ceil(size / 1024)} KiB packed, ${Math.ceil(unpackedSize / 1024)} KiB unpacked`);
      assert.ok(size < MAX_PACKED, name);
    }
  });

  /** @type {Record<string, () => string>} */
  const systems = {
    'linux-x64-gnu': () => {
      if (process.platform !== 'linux' || process.arch !== 'x64') throw new Error('this is another system');
      if (!process.report.getReport().header.glibcVersionRuntime) throw new Error('this Node runs on musl');
      return process.execPath;
    },
    'linux-x64-musl': () => {
      if (process.platform !== 'linux' || process.arch !== 'x64') throw new Error('this is another system');
      return process.report.getReport().header.glibcVersionRuntime ? nodeMusl() : process.execPath;
    },
    'linux-arm64-gnu': () =>
      process.platform === 'linux' && process.arch === 'arm64' ? process.execPath : nodeArm64(),
  };
  for (const [platform, nodeFor] of Object.entries(systems)) {
    const isBuilt = addons.some((name) => name.includes(`.${platform}.`));
    test(`it runs on ${platform}`, { skip: isBuilt ? false : 'it was not built' }, async (t) => {
      let node;
      try {
        node = nodeFor();
      } catch (error) {
        return t.skip(`no Node for it: ${/** @type {Error} */ (error).message}`);
      }
      const project = await projectFor(platform);
      // Workers are started with `process.execPath`, which has to be the emulator.
      const preload = path.join(project, 'preload.js');
      fs.writeFileSync(preload, `process.execPath = ${JSON.stringify(node)};`);
      const run = (/** @type {string[]} */ ...args) => {
        const { status, stdout, stderr } = spawnSync(node, ['--require', preload, ...args], {
          cwd: project,
          encoding: 'utf8',
        });
        return { code: status, stdout, stderr };
      };
      const { stdout: arch } = run('-p', 'process.arch');
      assert.equal(arch.trim(), platform.split('-')[1]);
      assertHandled(run('driver.mjs', './handler.js'));
      const modes = run('modes.js');
      assert.equal(modes.stdout, EXPECTED, modes.stderr);
    });
  }
});

/** Each way to run, with bytes large enough for shared memory, and a death. */
const MODES = `
const { Pool } = require('@parallelizer/node');
(async () => {
  for (const type of ['child-process', 'worker-threads', 'inline']) {
    const pool = new Pool({ type, processes: 2 });
    const squares = await pool.map((n) => n * n, [1, 2, 3]);
    const [sum] = await pool.map((bytes) => bytes[0] + bytes[bytes.length - 1], [Buffer.alloc(1 << 20, 7)]);
    console.log(type, squares.join(), sum);
    if (type === 'child-process') {
      await pool.apply(() => process.kill(process.pid, 'SIGKILL')).catch((error) => console.log(error.code, error.signal));
      console.log(await pool.apply(() => 'goes on'));
    }
    await pool.terminate();
  }
})();
`;
const EXPECTED = `child-process 1,4,9 14
ERR_PARALLELIZER_WORKER_EXITED SIGKILL
goes on
worker-threads 1,4,9 14
inline 1,4,9 14
`;
