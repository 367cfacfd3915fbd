'use strict';

/** The programs print what the originals print. */

const assert = require('node:assert/strict');
const { describe, test } = require('node:test');
const { PROGRAMS, missingPython, runProgram } = require('../programs/index.js');

const skip = missingPython() ?? false;

test('squares prints the squares', async () => {
  assert.equal((await runProgram('squares', 'Node')).stdout, 'squares 0 1 4 9 16\n');
});

test('methods comes to its end', async () => {
  assert.match((await runProgram('methods', 'Node')).stdout, /^no processes: in this one True\n$/m);
});

describe('beside lambda_multiprocessing', () => {
  for (const program of PROGRAMS) {
    test(`${program} prints the same`, { skip }, async () => {
      const [node, python] = await Promise.all([runProgram(program, 'Node'), runProgram(program, 'Python')]);
      assert.equal(node.stdout, python.stdout);
    });
  }

  test('uploads: the tests with moto pass', { skip }, async () => {
    const { stderr } = await runProgram('uploads_test', 'Python');
    assert.match(stderr, /^Ran 3 tests .*\n\nOK$/m);
  });
});
