'use strict';
// Installed by Yarn with Plug'n'Play: packages are in archives, and only its own hook finds them.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');

const { ecosystemTest, jsonLines, project, succeed } = require('./support/projects');
const { PLACE, inSet } = require('./support/tools');

const PROGRAM = `
const { Parallelizer, Pool } = require('@parallelizer/node');
const { createHandler } = require('@parallelizer/node/lambda');
(async () => {
  const type = process.argv[2];
  const parallelizer = new Parallelizer({ type, filePath: require.resolve('./worker.js'), processBatchFunctionName: 'work', parallelization: 1 });
  const { responses, failures } = await parallelizer.run([1, 2]);
  const pool = new Pool({ type, processes: 1 });
  const found = await pool.apply(async () => [typeof require('@parallelizer/node').isWorker, require('./worker.js').name]);
  const handler = createHandler({ type, filePath: require.resolve('./worker.js'), recordFunctionName: 'record', parallelization: 1 });
  const answer = await handler({ Records: [{ messageId: 'm', body: '{}', eventSource: 'aws:sqs', eventSourceARN: 'arn' }] }, {});
  for (const each of [parallelizer, handler.parallelizer]) await each.close();
  pool.close();
  await pool.join();
  console.log(JSON.stringify({ responses, failures, found, answer }));
})();
`;

ecosystemTest('installed and run, in all modes', ['yarn'], async (t) => {
  const packed = fs.readdirSync(path.join(PLACE, 'packed')).map((name) => path.join(PLACE, 'packed', name));
  const tarball = (pattern) => `file:${packed.find((file) => pattern.test(path.basename(file)))}`;
  const platform = tarball(/^parallelizer-node-(?:linux|darwin)/);
  const name = JSON.parse(await succeed(t, PLACE, ['tar', '-xzOf', platform.slice(5), 'package/package.json']).then(({ stdout }) => stdout)).name;
  const folder = project(t, 'yarn', {
    'package.json': {
      name: 'project', private: true, packageManager: 'yarn@4.18.1',
      dependencies: { '@parallelizer/node': tarball(/^parallelizer-node-\d/) },
      // Those of other platforms are not published where this looks.
      resolutions: Object.fromEntries([[name, platform], ...others(name).map((other) => [other, 'link:./none'])]),
    },
    'none/package.json': { name: 'none', version: '0.0.0' },
    '.yarnrc.yml': 'nodeLinker: pnp\nenableGlobalCache: false\nenableTelemetry: false\nenableImmutableInstalls: false\ncacheFolder: ./.cache\n',
    'yarn.lock': '',
    'worker.js': "exports.work = ({ batch }) => batch.map((n) => n * 2);\nexports.name = typeof require('@parallelizer/node').Pool;\nexports.record = () => {};\n",
    'program.js': PROGRAM,
  });
  const yarn = [process.execPath, inSet('yarn', '@yarnpkg', 'cli-dist', 'bin', 'yarn.js')];
  await succeed(t, folder, [...yarn, 'install']);
  assert.ok(fs.existsSync(path.join(folder, '.pnp.cjs')));
  for (const type of ['child-process', 'worker-threads', 'inline']) {
    const { stdout } = await succeed(t, folder, [...yarn, 'node', 'program.js', type]);
    assert.deepEqual(jsonLines(stdout), [
      { responses: [[2, 4]], failures: [], found: ['boolean', 'function'], answer: { batchItemFailures: [] } },
    ], type);
  }
});

/** The platform packages but one. @param {string} own */
function others(own) {
  const manifest = JSON.parse(fs.readFileSync(path.join(PLACE, 'node_modules', '@parallelizer', 'node', 'package.json'), 'utf8'));
  return Object.keys(manifest.optionalDependencies).filter((name) => name !== own);
}
