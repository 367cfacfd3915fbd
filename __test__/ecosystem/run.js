'use strict';
// `npm run test:ecosystem [-- FILE…]`: the library beside the tools that its users have (test runners, loaders, loggers,
// package managers, other runtimes), each as it comes from the npm registry. What this machine cannot have is said first,
// by name and reason, and the tests that need it are skipped. The last line counts.

const { spawn } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const path = require('node:path');

const { root } = require('../support/helpers');
const lambda = require('../lambda/support/runtime-clients');
const { installLibrary } = require('./support/projects');
const { SETS, tools } = require('./support/tools');

async function main() {
  await installLibrary();
  for (const name of Object.keys(SETS)) {
    // That of the running Node is not needed.
    if (name === `node-${Number.parseInt(process.versions.node, 10)}`) continue;
    const { missing } = tools(name);
    if (missing !== null) console.log(`missing: ${missing}`);
  }
  for (const [name, reason] of Object.entries(await lambda.install())) console.log(`missing: AWS's runtime client ${name}: ${reason}`);
  const wanted = process.argv.slice(2);
  const files = fs
    .readdirSync(__dirname)
    .filter((name) => name.endsWith('.test.js') && (wanted.length === 0 || wanted.some((prefix) => name.startsWith(prefix))))
    .map((name) => path.join(__dirname, name));
  const tests = spawn(process.execPath, ['--test', '--test-concurrency=1', '--test-reporter=spec', ...files], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  tests.stdout.setEncoding('utf8').on('data', (text) => {
    output += text;
    process.stdout.write(text);
  });
  const [code] = await once(tests, 'close');
  const count = (what) => Number(new RegExp(`^ℹ ${what} (\\d+)$`, 'm').exec(output)?.[1] ?? 0);
  console.log(`\necosystem: ${count('pass')} passed, ${count('fail') + count('cancelled')} failed, ${count('skipped')} skipped`);
  process.exitCode = code ?? 1;
}

main();
