'use strict';
// What npm installs from a registry, for this system and for others, and what the loader says if that does not fit.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { after, before, describe, test } = require('node:test');

const { errorIn, install, write } = require('./support/packages');
const { serve } = require('./support/registry');
const { addonPath } = require('../lib/native/native');
const { pack } = require('../scripts/pack');

const PACKAGE = '@parallelizer/node';
const targets = [
  'linux-x64-gnu',
  'linux-x64-musl',
  'linux-arm64-gnu',
  'linux-arm64-musl',
  'darwin-x64',
  'darwin-arm64',
];

/** The npm flags that select another system. @param {string} target */
function flagsOf(target) {
  const [system, cpu, abi] = target.split('-');
  return [`--os=${system}`, `--cpu=${cpu}`, ...(abi === undefined ? [] : [`--libc=${abi === 'gnu' ? 'glibc' : abi}`])];
}

describe('from a registry', { timeout: 300_000 }, () => {
  /** @type {string} */
  let base;
  /** @type {Awaited<ReturnType<typeof serve>>} */
  let registry;
  /** @type {string} the package of this system */
  let own;
  /** @type {string} */
  let foreign;

  before(async () => {
    base = fs.mkdtempSync(path.join(os.tmpdir(), 'parallelizer-registry-'));
    const addons = path.join(base, 'addons');
    // Only the package of this system is ever loaded.
    write(addons, Object.fromEntries(targets.map((target) => [`parallelizer.${target}.node`, `for ${target}`])));
    const built = addonPath();
    fs.copyFileSync(built, path.join(addons, path.basename(built)));
    const target = path.basename(built).split('.')[1];
    own = `${PACKAGE}-${target}`;
    foreign = process.platform === 'darwin' ? 'linux-arm64-gnu' : 'darwin-arm64';
    const { packages, missing } = await pack({ addons, out: path.join(base, 'tarballs') });
    // A clone has the fallback's module only where somebody has built it.
    assert.deepEqual(missing.filter((name) => name !== 'parallelizer.wasm'), []);
    registry = await serve(packages.map(({ tarball }) => tarball));
  });
  after(() => {
    registry.close();
    fs.rmSync(base, { recursive: true, force: true });
  });

  const installed = (/** @type {string} */ folder) =>
    fs.readdirSync(path.join(folder, 'node_modules/@parallelizer')).map((name) => `@parallelizer/${name}`);

  test('npm installs the package of this system, and no other', async () => {
    const folder = path.join(base, 'plain');
    await install(folder, [PACKAGE], registry.url);
    assert.deepEqual(installed(folder), [PACKAGE, own]);
    assert.deepEqual(await errorIn(folder), {});
  });

  for (const target of targets) {
    test(`for ${target} it takes that one`, async () => {
      const folder = path.join(base, target);
      await install(folder, [...flagsOf(target), PACKAGE], registry.url);
      assert.deepEqual(installed(folder), [PACKAGE, `${PACKAGE}-${target}`]);
    });
  }

  test('installed for another system: the error says for which one, and its remedy helps', async () => {
    const folder = path.join(base, 'foreign');
    await install(folder, [...flagsOf(foreign), PACKAGE], registry.url);
    const { code, message } = await errorIn(folder);
    assert.equal(code, 'ERR_PARALLELIZER_PLATFORM');
    assert.ok(message.includes(own) && message.includes(`another system (${PACKAGE}-${foreign})`), message);
    const remedy = message.match(/`npm install (.*?)`/)[1].split(' ');
    await install(folder, remedy, registry.url);
    assert.deepEqual(await errorIn(folder), {});
  });

  for (const flag of ['--omit=optional', '--no-optional']) {
    test(`${flag}: the error names it, and its remedy helps`, async () => {
      const folder = path.join(base, flag);
      await install(folder, [flag, PACKAGE], registry.url);
      assert.deepEqual(installed(folder), [PACKAGE]);
      const { code, message } = await errorIn(folder);
      assert.equal(code, 'ERR_PARALLELIZER_PLATFORM');
      assert.ok(message.includes(own), message);
      assert.match(message, /npm has left it out.*--omit=optional.*--no-optional/);
      await install(folder, [], registry.url);
      assert.deepEqual(await errorIn(folder), {});
    });
  }
});
