'use strict';

/**
 * Makes the files that are published of the package's JavaScript: what users require, and in `lib` what is not always
 * needed. The file system of a Lambda function makes each file dear, and a function loads them on a cold start.
 *
 * `scripts/pack.js` calls this; a clone runs `index.js` and `lib/` as they are.
 */

const fs = require('node:fs');
const path = require('node:path');
const { cutIntoChunks } = require('./chunks');

const root = path.join(__dirname, '..');

/** What users require. */
const ENTRIES = ['index', 'lambda', 'lambda-invoke', 'bullmq', 'opentelemetry'];

/** Where each chunk goes. @param {string} chunk */
const fileOf = (chunk) => (ENTRIES.includes(chunk) ? `${chunk}.js` : `lib/${chunk}.js`);

/**
 * What a file of one chunk requires to get at another file of the package.
 * @param {string} file @param {string} chunk
 */
function relative(file, chunk) {
  const found = path.posix.relative(path.posix.dirname(fileOf(chunk)), file);
  return found.startsWith('.') ? found : `./${found}`;
}

/**
 * What is loaded before the first worker is started. The rest is loaded while that starts: a caller waits for every
 * character that is compiled before. (A module that is missing here costs time, and nothing else.)
 */
const FIRST = [
  'index.js', 'lib/errors.js', 'lib/events/non-retryable.js', 'lib/host/busy-time.js', 'lib/host/cpus.js',
  'lib/host/exec-argv.js', 'lib/host/nesting.js', 'lib/host/program.js', 'lib/host/relative-flags.js',
  'lib/host/start-directory.js', 'lib/host/variables.js', 'lib/intrinsics/clock.js', 'lib/intrinsics/define.js',
  'lib/intrinsics/json.js', 'lib/intrinsics/list.js', 'lib/intrinsics/once.js', 'lib/jobs/carrier-for.js',
  'lib/jobs/cost-meter.js', 'lib/jobs/later-loads.js', 'lib/jobs/observers.js', 'lib/jobs/open-instances.js',
  'lib/jobs/run-id.js', 'lib/jobs/worker-config.js', 'lib/jobs/worker-pool.js', 'lib/native/native.js',
  'lib/options/option-checks.js', 'lib/options/options.js', 'lib/options/pool-options.js',
  'lib/parallelizer/parallelizer.js', 'lib/pool/arguments.js', 'lib/pool/pool.js', 'lib/transport/constants.js',
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
  'lib/jobs/moved-calls.js', 'lib/jobs/report.js', 'lib/jobs/task-registry.js', 'lib/parallelizer/plan.js',
  'lib/parallelizer/record-run.js', 'lib/parallelizer/run.js', 'lib/parallelizer/split.js', 'lib/pool/call-queue.js',
  'lib/pool/item-error.js', 'lib/pool/map-job.js', 'lib/transport/frame-channel.js', 'lib/transport/ports.js',
  'lib/transport/ring.js', 'lib/transport/time-slice.js',
];

/** Never runs. Node finds an ES module's named imports by reading the text of what is imported. */
const NAMED_EXPORTS = `0 && (module.exports = { ${Object.keys(require('..')).join(', ')} });\n`;

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
    first: FIRST,
    next: NEXT,
    requireOf: (chunk, from) => relative(fileOf(chunk), from),
    modules: '[Symbol.for("@parallelizer/node")]',
    // An addon that lies beside the package, and the package's own description.
    external: (file, from) => (/\.(?:node|json)$/.test(file) ? relative(path.relative(root, file), from) : null),
  });
  for (const [chunk, text] of chunks) {
    const file = path.join(output, fileOf(chunk));
    fs.mkdirSync(path.dirname(file), { recursive: true });
    fs.writeFileSync(file, chunk === 'index' ? text + NAMED_EXPORTS : text);
  }
}

if (require.main === module) {
  const [output] = process.argv.slice(2);
  if (output === undefined) throw new Error('usage: node scripts/bundle-package.js DIRECTORY');
  bundlePackage(output);
}

module.exports = { FIRST, NEXT, bundlePackage };
