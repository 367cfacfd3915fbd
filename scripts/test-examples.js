'use strict';

/**
 * Runs the examples' tests, `examples/NAME/test/*.test.js`, after making each example ready. `npm run test:examples --
 * NAME…` takes those whose names begin so. One at a time: what they measure needs the machine for itself.
 *
 * The last line counts the tests. A skipped one is listed with its reason, and is neither passed nor failed.
 */

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { run } = require('node:test');
const { spec } = require('node:test/reporters');

const root = path.join(__dirname, '..');

/** @param {string} name @returns {string[]} its test files */
function testsOf(name) {
  const directory = path.join(root, 'examples', name, 'test');
  if (!fs.existsSync(directory)) return [];
  return fs.readdirSync(directory).filter((file) => file.endsWith('.test.js')).map((file) => path.join(directory, file));
}

/** @param {string} name @returns {boolean} whether it worked */
function setUp(name) {
  const script = path.join(__dirname, 'setup-example.js');
  return spawnSync(process.execPath, [script, path.join(root, 'examples', name)], { stdio: 'inherit' }).status === 0;
}

/**
 * @param {string[]} files
 * @param {{ passed: number, failed: number, skipped: string[] }} count
 */
async function test(files, count) {
  const stream = run({ files, concurrency: 1 });
  /** @param {{ name: string, skip?: string | boolean, details: { type?: string } }} event */
  const one = ({ name, skip, details }, /** @type {boolean} */ passed) => {
    if (skip !== undefined) count.skipped.push(`${name}: ${skip === true || skip === '' ? 'no reason given' : skip}`);
    // A suite's own outcome is that of the tests in it.
    else if (details.type !== 'suite') count[passed ? 'passed' : 'failed']++;
  };
  stream.on('test:pass', (event) => one(event, true));
  stream.on('test:fail', (event) => one(event, false));
  for await (const text of stream.compose(new spec())) process.stdout.write(text);
}

async function main() {
  const wanted = process.argv.slice(2);
  const names = fs
    .readdirSync(path.join(root, 'examples'))
    .filter((name) => testsOf(name).length > 0)
    .filter((name) => wanted.length === 0 || wanted.some((prefix) => name.startsWith(prefix)));

  /** @type {{ passed: number, failed: number, skipped: string[] }} */
  const count = { passed: 0, failed: 0, skipped: [] };
  for (const name of names) {
    console.log(`\n== ${name}`);
    if (setUp(name)) {
      await test(testsOf(name), count);
    } else {
      console.error(`${name}: its set-up failed, so that none of its tests ran`);
      count.failed++;
    }
  }

  for (const line of count.skipped) console.log(`skipped: ${line}`);
  if (names.length === 0) console.error(`no example with a test${wanted.length > 0 ? ` begins with ${wanted.join(' or ')}` : ''}`);
  console.log(`\n${count.passed} passed, ${count.failed} failed`);
  process.exitCode = count.failed > 0 || count.passed === 0 ? 1 : 0;
}

main();
