'use strict';
// Runs a suite that is a script of its own, and counts its tests.

const { spawn } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const path = require('node:path');

const { root } = require('./helpers');

/**
 * Runs the test files of a folder, or those that begin as the command line says. The last line has the counts.
 * @param {string} name @param {string} folder
 */
async function runSuite(name, folder) {
  const wanted = process.argv.slice(2);
  const isWanted = (/** @type {string} */ file) =>
    file.endsWith('.test.js') && (wanted.length === 0 || wanted.some((prefix) => file.startsWith(prefix)));
  const files = fs.readdirSync(folder).filter(isWanted).map((file) => path.join(folder, file));
  // One at a time: they measure the machine, or install what they need.
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
  const count = (/** @type {string} */ what) => Number(new RegExp(`^ℹ ${what} (\\d+)$`, 'm').exec(output)?.[1] ?? 0);
  const failed = count('fail') + count('cancelled');
  console.log(`\n${name}: ${count('pass')} passed, ${failed} failed, ${count('skipped')} skipped`);
  process.exitCode = code ?? 1;
}

module.exports = { runSuite };
