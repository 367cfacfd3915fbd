'use strict';
// Where the addon cannot be loaded by the runtime's own decision: the error says so, before anything native is touched.

const assert = require('node:assert/strict');
const { execFileSync } = require('node:child_process');
const { test } = require('node:test');

const { root } = require('./support/helpers');

/**
 * What `new Pool` throws in another process.
 * @param {string[]} flags @param {string} [before] runs first
 * @returns {{ code: string, message: string, loaded: boolean }} `loaded`: whether an addon was tried
 */
function errorOf(flags, before = '') {
  const program = `
    ${before}
    let loaded = false;
    const open = process.dlopen;
    process.dlopen = (...args) => { loaded = true; return open.apply(process, args); };
    try { new (require(${JSON.stringify(root)}).Pool)(1); } catch ({ code, message }) {
      console.log(JSON.stringify({ code, message, loaded }));
    }`;
  return JSON.parse(execFileSync(process.execPath, [...flags, '-e', program], { encoding: 'utf8' }));
}

for (const [name, version] of [['bun', 'Bun 1.4.5'], ['deno', 'Deno 2.9.6']]) {
  test(`${version} is told that it is not Node, and no addon is tried`, () => {
    const versions = `{ ...process.versions, ${name}: ${JSON.stringify(version.split(' ')[1])} }`;
    const { code, message, loaded } = errorOf([], `Object.defineProperty(process, 'versions', { value: ${versions} });`);
    assert.equal(code, 'ERR_PARALLELIZER_PLATFORM');
    assert.match(message, new RegExp(`runs on Node\\.js 20 or newer, and this is ${version}`));
    assert.equal(loaded, false);
  });
}

test('--no-addons is named, not taken for a broken installation', () => {
  const { code, message } = errorOf(['--no-addons']);
  assert.equal(code, 'ERR_PARALLELIZER_PLATFORM');
  assert.match(message, /--no-addons/);
  assert.doesNotMatch(message, /npm install|install it/);
});

test('so is the permission model', (t) => {
  const flag = ['--permission', '--experimental-permission'].find((name) => process.allowedNodeEnvironmentFlags.has(name));
  if (flag === undefined) return t.skip('this Node has no permission model');
  const { code, message } = errorOf([flag, '--allow-fs-read=*', '--no-warnings']);
  assert.equal(code, 'ERR_PARALLELIZER_PLATFORM');
  assert.match(message, /--allow-addons/);
});
