'use strict';
// What the sources look like as a whole: who requires whom, and how long files and lines are.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');

const rules = require('../.dependency-cruiser');

const root = path.join(__dirname, '..');
const MAX_LINES = 500;
const MAX_COLUMNS = 120;

/** The sources, as paths from the root. */
const sources = ['src', 'lib', 'cli/lib', 'cli/bin']
  .flatMap((folder) => fs.readdirSync(path.join(root, folder), { recursive: true }).map((name) => `${folder}/${name}`))
  .filter((file) => /\.(?:rs|js|ts)$/.test(file));

/** Lists violations when there are any. */
function assertNone(found, what) {
  assert.equal(found.length, 0, `${what}:\n${found.join('\n')}`);
}

test('files of lib/ require downward only, and never in a circle', async () => {
  const { cruise } = await import('dependency-cruiser');
  const { output } = await cruise(['index.js', 'lambda.js', 'bullmq.js', 'opentelemetry.js', 'lib'], {
    ...rules.options,
    ruleSet: rules,
    validate: true,
    baseDir: root,
  });
  const { modules, summary } = output;
  const dependencies = modules.reduce((sum, module) => sum + module.dependencies.length, 0);
  assert.ok(dependencies > 100, `only ${dependencies} dependencies were found`);
  assertNone(summary.violations.map(({ rule, from, to }) => `${from} requires ${to} (${rule.name})`), 'wrong arrows');
});

test(`a file has at most ${MAX_LINES} lines, tests aside`, () => {
  const lines = (file) => fs.readFileSync(path.join(root, file), 'utf8').split('\n').length - 1;
  const files = sources.filter((file) => !/\btests(?:\.rs$|\/)/.test(file));
  const long = files.map((file) => [lines(file), file]).filter(([count]) => count > MAX_LINES);
  assertNone(long.map(([count, file]) => `${file}: ${count}`), 'too long');
});

test(`a line ends at ${MAX_COLUMNS} columns`, () => {
  const long = sources.flatMap((file) =>
    fs
      .readFileSync(path.join(root, file), 'utf8')
      .split('\n')
      .flatMap((line, at) => (line.length > MAX_COLUMNS ? [`${file}:${at + 1}: ${line.length}`] : [])),
  );
  assertNone(long, 'too long');
});
