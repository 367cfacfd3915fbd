'use strict';
// The command as its users get it: both packages packed, and installed into an empty project from a registry.

const assert = require('node:assert/strict');
const { execFile } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { after, before, describe, test } = require('node:test');
const { promisify } = require('node:util');

const { bare, install, packHere } = require('../../__test__/support/packages');
const { serve } = require('../../__test__/support/registry');
const { packFolder } = require('../../scripts/npm-pack');
const { packCli } = require('../../scripts/pack-cli');
const { root } = require('../../__test__/support/helpers');
const { ndjson, read, records } = require('./support/command');
const { example } = require('./support/timeline');

const cli = require('../package.json');
const library = require('../../package.json');

const run = promisify(execFile);

/** Packages of this checkout that others need, and what these need. @param {string[]} names @param {Set<string>} [found] */
function withDependencies(names, found = new Set()) {
  for (const name of names) {
    if (found.has(name)) continue;
    found.add(name);
    const { dependencies = {} } = JSON.parse(read(path.join(root, 'node_modules', name, 'package.json')));
    withDependencies(Object.keys(dependencies), found);
  }
  return found;
}

test('it depends on the library of its own version, and on packages as this checkout has them', () => {
  assert.equal(cli.version, library.version);
  const { '@parallelizer/node': own, ...others } = cli.dependencies;
  assert.equal(own, library.version);
  for (const [name, range] of Object.entries(others)) assert.equal(range, library.devDependencies[name], name);
});

describe('packed and installed', { timeout: 300_000 }, () => {
  /** @type {string} */
  let base;
  /** @type {string} */
  let project;
  /** @type {Awaited<ReturnType<typeof packCli>>} */
  let packed;

  before(async () => {
    base = fs.mkdtempSync(path.join(os.tmpdir(), 'parallelizer-cli-'));
    const out = path.join(base, 'tarballs');
    packed = await packCli(out);
    const own = [packed, ...(await packHere(out))].map(({ tarball }) => tarball);
    const { '@parallelizer/node': _, ...others } = cli.dependencies;
    const theirs = [...withDependencies(Object.keys(others))].map((name) => packFolder(path.join(root, 'node_modules', name), out).tarball);
    const registry = await serve([...own, ...theirs]);
    project = path.join(base, 'project');
    try {
      await install(project, ['@parallelizer/cli'], registry.url);
    } finally {
      registry.close();
    }
  });
  after(() => fs.rmSync(base, { recursive: true, force: true }));

  /** @param {string[]} args */
  const npx = (...args) => run('npx', ['--no-install', 'parallelizer', ...args], { cwd: project, env: bare() });

  test('it has its code, its README and its licence, and nothing else', () => {
    const rest = packed.files.filter((file) => !/^(lib|bin)\/.*\.js$/.test(file));
    assert.deepEqual(rest.sort(), ['LICENSE', 'README.md', 'package.json']);
    for (const file of packed.files.filter((name) => name.endsWith('.js'))) {
      const text = read(path.join(project, 'node_modules/@parallelizer/cli', file));
      for (const [, wanted] of text.matchAll(/\brequire\("?'?(\.[^"')]*)/g)) {
        assert.ok(!path.posix.join(path.posix.dirname(file), wanted).startsWith('..'), `${file} requires ${wanted}`);
      }
    }
  });

  test('map, doctor and trace work', async () => {
    fs.writeFileSync(path.join(project, 'work.mjs'), 'export const twice = async ({ id }) => ({ id: 2 * id });\n');
    fs.writeFileSync(path.join(project, 'in.ndjson'), ndjson(100));
    const { stderr } = await npx('map', './work.mjs#twice', '--in', 'in.ndjson', '--out', 'out.ndjson');
    assert.match(stderr, /^100 records in /);
    assert.deepEqual(records(read(path.join(project, 'out.ndjson'))).map(({ id }) => id), Array.from({ length: 100 }, (_, i) => 2 * i));
    fs.writeFileSync(path.join(project, 'in.csv'), 'id\n3\n');
    assert.equal((await npx('map', './work.mjs#twice', '--in', 'in.csv')).stdout, '{"id":6}\n');
    const { processes } = JSON.parse((await npx('doctor', '--json')).stdout);
    assert.equal(processes.works, true);
    fs.writeFileSync(path.join(project, 't.json'), example().json);
    assert.match((await npx('trace', 't.json')).stdout, /t\.html: \d+ KiB/);
    const failed = await npx('map', './work.mjs#thrice', '--in', 'in.ndjson').catch((error) => error);
    assert.equal(failed.code, 2);
    assert.match(failed.stderr, /has no function "thrice"; it exports "twice"/);
  });
});
