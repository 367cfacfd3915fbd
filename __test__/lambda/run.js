'use strict';
// `npm run test:lambda [-- FILE…]`: the library in AWS's own runtime client, in a box with Lambda's limits. Installs
// what that needs (see support/runtime-clients.js), then runs the test files here. What this machine lacks is printed
// first, and the tests that need it are skipped. The last line has the counts.

const { spawn } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const path = require('node:path');

const { root } = require('../support/helpers');
const { CLIENTS, install } = require('./support/runtime-clients');

async function main() {
  const missing = await install();
  for (const [name, reason] of Object.entries(missing)) {
    console.log(`missing: ${CLIENTS[name] ? `AWS's runtime client ${CLIENTS[name].version}` : name}: ${reason}`);
  }
  const wanted = process.argv.slice(2);
  const files = fs
    .readdirSync(__dirname)
    .filter(
      (name) => name.endsWith('.test.js') && (wanted.length === 0 || wanted.some((prefix) => name.startsWith(prefix))),
    )
    .map((name) => path.join(__dirname, name));
  // One at a time, since they measure how fast parts of the machine are.
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
  console.log(
    `\nlambda: ${count('pass')} passed, ${count('fail') + count('cancelled')} failed, ${count('skipped')} skipped`,
  );
  process.exitCode = code ?? 1;
}

main();
