'use strict';
// The package as it is published, checked by the tools that know how package managers, Node and TypeScript read one:
// publint, and "Are the types wrong?".

const assert = require('node:assert/strict');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { before, test } = require('node:test');

const { packHere } = require('./support/packages');

/** The root package as it is published, without the addons. */
let tarball;

before(async () => {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'parallelizer-test-'));
  try {
    const [rootPackage] = await packHere(directory);
    tarball = fs.readFileSync(rootPackage.tarball);
  } finally {
    fs.rmSync(directory, { recursive: true, force: true });
  }
});

test('publint finds nothing', async () => {
  const { publint } = await import('publint');
  const { formatMessage } = await import('publint/utils');
  const { messages, pkg } = await publint({
    pack: { tarball: arrayBuffer(tarball) },
    level: 'suggestion',
    strict: true,
  });
  assert.deepEqual(
    messages.map((message) => formatMessage(message, pkg)),
    [],
  );
  assert.equal(pkg.name, '@parallelizer/node');
});

test('TypeScript finds the types that match what Node loads, for each entry and module system', async () => {
  const { checkPackage, createPackageFromTarballData } = await import('@arethetypeswrong/core');
  const { types, problems, entrypoints } = await checkPackage(createPackageFromTarballData(tarball));
  assert.equal(types.kind, 'included');
  assert.deepEqual(problems, []);
  const { exports } = require('../package.json');
  assert.deepEqual(Object.keys(entrypoints).sort(), Object.keys(exports).sort());
  for (const [entry, { resolutions }] of Object.entries(entrypoints)) {
    assert.deepEqual(Object.keys(resolutions).sort(), ['bundler', 'node10', 'node16-cjs', 'node16-esm']);
    for (const { resolution, name } of Object.values(resolutions)) assert.ok(resolution, `${entry} for ${name}`);
  }
});

/** @param {Buffer} buffer */
function arrayBuffer({ buffer, byteOffset, byteLength }) {
  return buffer.slice(byteOffset, byteOffset + byteLength);
}
