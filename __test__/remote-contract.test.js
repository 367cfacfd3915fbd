'use strict';
// The engine that the tests have in memory keeps the contract, and what is no engine is refused.

const assert = require('node:assert/strict');
const { test } = require('node:test');

const { CONTRACT, engineOption } = require('../lib/remote/engine');
const { testContract } = require('./support/remote/contract');
const { MemoryHub } = require('./support/remote/memory-engine');

testContract('memory', () => new MemoryHub());

test('what is no engine is refused by name', () => {
  const check = (value) => () => engineOption({ name: 'engine', value });
  const refused = (value, text) =>
    assert.throws(check(value), ({ code, message }) => code === 'ERR_PARALLELIZER_OPTION' && message.includes(text));
  refused(undefined, 'is required');
  for (const value of [null, 'redis://localhost', 5, () => {}]) refused(value, 'must be an engine');
  refused({ contract: CONTRACT, connect() {} }, '"engine.name"');
  refused({ contract: CONTRACT, name: 'x' }, '"engine.connect"');
  refused({ contract: CONTRACT + 1, name: 'x', connect() {} }, '"engine.contract"');
});
