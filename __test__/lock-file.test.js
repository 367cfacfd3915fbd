'use strict';
// The lock file is one that `npm ci` takes on every platform, from the public registry.

const assert = require('node:assert/strict');
const { test } = require('node:test');

const { lockfileVersion, packages } = require('../package-lock.json');
const { devDependencies } = require('../package.json');

const REGISTRY = 'https://registry.npmjs.org/';
const locked = Object.entries(packages).filter(([folder]) => folder !== '');

test('it is about what package.json asks for', () => {
  assert.equal(lockfileVersion, 3);
  assert.deepEqual(packages[''].devDependencies, devDependencies);
});

test('each package comes from the public registry, with a digest', () => {
  assert.ok(locked.length > 0);
  for (const [folder, { resolved, integrity }] of locked) {
    // npm puts the registry that is configured in the place of this one; it does so with no other.
    assert.ok(resolved?.startsWith(REGISTRY), `${folder} comes from ${resolved}`);
    assert.match(integrity, /^sha512-/, folder);
  }
});

test('packages for other platforms are in it', () => {
  // `npm install` leaves them out when it makes a lock file from a node_modules folder; `npm ci` then misses them.
  for (const [folder, { optionalDependencies = {} }] of locked) {
    for (const name of Object.keys(optionalDependencies)) {
      assert.ok(found(name, folder), `${folder} asks for ${name}. Make the lock file anew: `
        + 'npm install --package-lock-only, without a node_modules folder');
    }
  }
});

/** Whether a package is where Node looks for it from that folder. @param {string} name @param {string} folder */
function found(name, folder) {
  const places = [folder, ...folder.split('/node_modules/').map((_, i, parts) => parts.slice(0, i).join('/node_modules/'))];
  return places.some((place) => packages[`${place === '' ? '' : `${place}/`}node_modules/${name}`] !== undefined);
}
