'use strict';
// The README's handler, bundled and zipped as by CDK and serverless-esbuild, in AWS's runtime clients.

const assert = require('node:assert/strict');
const { after, before, describe } = require('node:test');

const { callers, recipes, workshop } = require('../support/bundles');
const { handlerFiles } = require('../support/packages');
const { lambdaTest, startEnvironment } = require('./support/environment');

describe('bundled', () => {
  /** @type {Awaited<ReturnType<typeof workshop>>} */
  let shop;
  before(async () => {
    shop = await workshop();
  });
  after(() => shop.remove());

  for (const [caller, flags] of Object.entries(callers)) {
    for (const [recipe, more] of Object.entries(recipes)) {
      for (const format of /** @type {const} */ (['cjs', 'esm'])) {
        const client = format === 'cjs' ? 3 : 4;
        lambdaTest(`${caller}, ${recipe}, ${format}, runtime client ${client}`, { client }, async (t) => {
          const { deployed } = shop.deploy(handlerFiles(format), format, [...flags, ...more]);
          const environment = await startEnvironment(t, {
            task: deployed,
            handler: 'handler.handler',
            client,
            megabytes: 3538,
          });
          for (const count of [100, 7]) {
            const counts = await environment.respond({ Records: Array.from({ length: count }, (_, i) => ({ i })) });
            assert.equal(counts.reduce((/** @type {number} */ sum, /** @type {number} */ n) => sum + n, 0), count);
          }
          assert.match(environment.output, /"table":"orders"/, 'what workers log arrives');
        });
      }
    }
  }
});
