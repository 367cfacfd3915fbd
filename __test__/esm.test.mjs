// Everything is importable from an ES module, by name.

import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { test } from 'node:test';

import * as namespace from '@parallelizer/node';
import parallelizerPackage, {
  isWorker,
  Parallelizer,
  PARALLELIZER_CHILD,
  PARALLELIZER_INLINE,
  PARALLELIZER_THREADS,
  ParallelizerError,
} from '@parallelizer/node';

const required = createRequire(import.meta.url)('@parallelizer/node');

test('named imports are the same as what require gives', () => {
  assert.equal(Parallelizer, required.Parallelizer);
  assert.equal(ParallelizerError, required.ParallelizerError);
  assert.deepEqual(
    [PARALLELIZER_CHILD, PARALLELIZER_THREADS, PARALLELIZER_INLINE],
    ['child-process', 'worker-threads', 'inline'],
  );
  assert.equal(isWorker, false);
  assert.equal(parallelizerPackage.Parallelizer, Parallelizer, 'and the default is all of it');
  for (const name of Object.keys(required)) assert.equal(namespace[name], required[name], `${name} is a named export`);
});

test('an ES module as caller, a URL relative to it as worker module', async () => {
  const parallelizer = new Parallelizer({
    type: PARALLELIZER_CHILD,
    filePath: new URL('./fixtures/act.js', import.meta.url),
    processBatchFunctionName: 'act',
    parallelization: 1,
  });
  try {
    assert.deepEqual((await parallelizer.run([{ do: 'echo', value: 'here' }])).responses, ['here']);
  } finally {
    await parallelizer.close();
  }
});

test('its own file as worker module', async () => {
  const parallelizer = new Parallelizer({
    filePath: fileURLToPath(new URL('./fixtures/esm-self.mjs', import.meta.url)),
    processBatchFunctionName: 'double',
    parallelization: 2,
  });
  try {
    assert.deepEqual((await parallelizer.run([1, 2, 3, 4])).responses, [[2, 4], [6, 8]]);
  } finally {
    await parallelizer.terminate();
  }
});
