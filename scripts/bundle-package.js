'use strict';

/**
 * Makes the files that are published of the package's JavaScript: what users require, and in `lib` what is not always
 * needed. The file system of a Lambda function makes each file dear, and a function loads them on a cold start.
 *
 * `scripts/pack.js` calls this; a clone runs `index.js` and `lib/` as they are.
 */

const fs = require('node:fs');
const path = require('node:path');
const esbuild = require('esbuild');

const { OUTPUT, cutIntoChunks } = require('./chunks');

const { version } = require('../package.json');

const root = path.join(__dirname, '..');

/** What users require: a few lines each, which load a file of the same name in `lib`. */
const ENTRIES = ['index', 'lambda', 'lambda-invoke', 'bullmq', 'opentelemetry'];

/** By which the files find each other's modules, and `load`, among what `index.js` exports. */
const INTERNALS = '[Symbol.for("@parallelizer/node")]';

/** Stays a file of its own, as it is. */
const IMPORTER = path.join(root, 'lib', 'package', 'import-module');

/** What a file in `lib` requires to get at another file of the package. @param {string} file */
const fromLib = (file) => `../${path.relative(root, file).replaceAll(path.sep, '/')}`;

/**
 * What is loaded before the first worker is started. The rest is loaded while that starts: a caller waits for every
 * character that is compiled before. (A module that is missing here costs time, and nothing else.)
 */
const FIRST = [
  'index.js', 'lib/errors.js', 'lib/events/non-retryable.js', 'lib/host/busy-time.js', 'lib/host/cpus.js',
  'lib/host/exec-argv.js', 'lib/host/main-module.js', 'lib/host/nesting.js', 'lib/host/program.js',
  'lib/host/relative-flags.js', 'lib/host/start-directory.js', 'lib/host/variables.js', 'lib/intrinsics/clock.js',
  'lib/intrinsics/define.js', 'lib/intrinsics/json.js', 'lib/intrinsics/list.js', 'lib/intrinsics/once.js',
  'lib/jobs/carrier-for.js', 'lib/jobs/cost-meter.js', 'lib/jobs/explain-exit.js', 'lib/jobs/later-loads.js',
  'lib/jobs/observers.js', 'lib/jobs/open-instances.js', 'lib/jobs/run-id.js', 'lib/jobs/worker-config.js',
  'lib/jobs/worker-pool.js',
  'lib/native/native.js', 'lib/options/option-checks.js', 'lib/options/options.js', 'lib/options/pool-options.js',
  'lib/package/code-cache.js', 'lib/package/package-type.js', 'lib/parallelizer/parallelizer.js',
  'lib/pool/arguments.js', 'lib/pool/pool.js', 'lib/transport/constants.js',
  'lib/transport/registers.js', 'lib/worker/boot-script.js',
];

/**
 * What is loaded before the first result of a pool or a parallelizer on child processes, while its worker starts, and
 * on threads before one is started. To compile more would take time from that, where two CPUs are two halves of a core.
 * (Modules that are missing here cost time as well, and nothing else.)
 */
const NEXT = [
  'lib/carriers/script-carrier.js', 'lib/codec/cell-writer.js', 'lib/codec/codec.js', 'lib/codec/is-error.js',
  'lib/codec/json-safe.js', 'lib/codec/parts.js', 'lib/codec/record-encoder.js', 'lib/codec/record-layout.js',
  'lib/codec/record-lists.js', 'lib/codec/record-shape.js', 'lib/codec/transfer.js', 'lib/intrinsics/keep.js',
  'lib/jobs/abort.js', 'lib/jobs/answer-lists.js', 'lib/jobs/call-encoder.js', 'lib/jobs/job-table.js',
  'lib/jobs/moved-calls.js', 'lib/jobs/report.js', 'lib/jobs/task-registry.js', 'lib/jobs/watched-calls.js',
  'lib/options/keys.js', 'lib/parallelizer/plan.js', 'lib/parallelizer/record-run.js', 'lib/parallelizer/run.js',
  'lib/parallelizer/split.js', 'lib/pool/call-queue.js', 'lib/pool/item-error.js', 'lib/pool/map-job.js',
  'lib/transport/frame-channel.js', 'lib/transport/ports.js', 'lib/transport/ring.js', 'lib/transport/time-slice.js',
  'lib/worker/message-room.js',
];

/**
 * What users require, by its name. A bundler sees what belongs to it by the plain `require`.
 * @param {string} name
 */
function entry(name) {
  const load = name === 'index'
    // There is no such variable in an ES module that somebody bundles it into.
    ? `const load = require('./lib/package/compiled-files').compiledFiles(typeof __dirname === 'undefined' ? null : __dirname, module);`
    : `const { load } = require('./index.js')${INTERNALS};`;
  const exported = `const exported = load('${name}.js') ?? require('./lib/${name}.js');`;
  const shown = name === 'index' ? `exported${INTERNALS}.load = load;` : '';
  // Never runs. Node finds an ES module's named imports by reading the text of what is imported.
  const names = `0 && (module.exports = { ${Object.keys(require(`../${name}`)).join(', ')} });`;
  return { contents: [load, exported, shown, 'module.exports = exported;'].join('\n'), names };
}

/** @param {string} name @returns {Promise<string>} */
async function textOf(name) {
  const { contents, names } = entry(name);
  const { outputFiles: [file] } = await esbuild.build({
    ...OUTPUT,
    stdin: { contents, resolveDir: root, sourcefile: `${name}.js` },
    external: ['./index.js', `./lib/${name}.js`],
  });
  return file.text + names;
}

/** @param {string} output where the files go */
async function bundlePackage(output) {
  const chunks = await cutIntoChunks({
    roots: {
      index: 'index.js',
      lambda: 'lambda.js',
      opentelemetry: 'opentelemetry.js',
      bullmq: 'bullmq.js',
      remote: 'lib/carriers/remote-carrier.js',
      serve: 'lib/serve/host.js',
      'lambda-invoke': 'lambda-invoke.js',
      'lambda-worker': 'lib/serve/lambda-worker.js',
      events: 'lib/events/records.js',
      threads: 'lib/carriers/thread-carrier.js',
      inline: 'lib/carriers/inline-carrier.js',
      processes: 'lib/carriers/process-carrier.js',
      fallback: 'lib/fallback/fallback.js',
      'error-flattener': 'lib/codec/error-flattener.js',
      advice: 'lib/jobs/advisor.js',
      life: 'lib/jobs/pool-life.js',
      runs: 'lib/jobs/run-tracing.js',
      calls: 'lib/jobs/call-tracing.js',
      timeline: 'lib/jobs/trace-file.js',
      trace: 'lib/jobs/trace-events.js',
      metrics: 'lib/lambda/metrics.js',
      'platform-error': 'lib/native/platform-error.js',
    },
    first: [...FIRST, 'package.json'],
    next: NEXT,
    requireOf: (chunk) => (chunk === 'index' ? '../index.js' : `./${chunk}.js`),
    modules: INTERNALS,
    // An addon that lies beside the package, and what Node has to load itself.
    external: (file) => (file.endsWith('.node') ? fromLib(file) : file === IMPORTER ? `../lib/${path.basename(file)}.js` : null),
    contentsOf: (file) => (file === path.join(root, 'package.json') ? `module.exports = { version: '${version}' };` : null),
  });
  const lib = path.join(output, 'lib');
  fs.mkdirSync(lib, { recursive: true });
  for (const [chunk, text] of chunks) fs.writeFileSync(path.join(lib, `${chunk}.js`), text);
  fs.copyFileSync(`${IMPORTER}.js`, path.join(lib, path.basename(`${IMPORTER}.js`)));
  for (const name of ENTRIES) fs.writeFileSync(path.join(output, `${name}.js`), await textOf(name));
}

if (require.main === module) {
  const [output] = process.argv.slice(2);
  if (output === undefined) throw new Error('usage: node scripts/bundle-package.js DIRECTORY');
  bundlePackage(output);
}

module.exports = { FIRST, NEXT, bundlePackage };
