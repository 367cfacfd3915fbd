'use strict';

/**
 * How long a warm invocation takes, and what it costs, at Lambda's memory sizes: for work that computes and for work
 * that waits, in one thread, with `Promise.all`, and with `@parallelizer/node`. See README.md.
 *
 *   npm start -- --quick             a fiftieth of the work, three sizes: to see that it works
 *   npm start                        all of it; goes on where an earlier run was interrupted
 *   npm start -- --sizes 1769,3538 --rounds 5 --out /tmp/sizing
 *
 * | option          | meaning                                                                          |
 * |-----------------|----------------------------------------------------------------------------------|
 * | `--quick`       | see above; writes no files unless `--out` is given                               |
 * | `--sizes LIST`  | memory sizes in MB, with commas                                                  |
 * | `--rounds N`    | how often each is measured (3); writes twice as often, keys below 512 MB once    |
 * | `--out DIR`     | where the results go, and what an interrupted run has measured (`results`)       |
 * | `--fresh`       | does not go on with an interrupted run                                           |
 *
 * Exit code: 0, also when this machine has no control groups, which is said; 1 when something failed.
 */

const fs = require('node:fs');
const path = require('node:path');
const { isDeepStrictEqual, parseArgs } = require('node:util');
const { describeMachine, machine } = require('../../benchmark/support/machine.js');
const { figure } = require('../../benchmark/support/format.js');
const { obstacle } = require('./box.js');
const { sizeChart } = require('./chart.js');
const { startDatabase } = require('./database.js');
const { measure } = require('./measure.js');
const { FULL, QUICK, WORKS, schedule } = require('./plan.js');
const { conclude, makeRows, markdownTable, noise, terminalTable } = require('./report.js');
const { PRICE, SIZES, divide } = require('./sizes.js');

const QUICK_SIZES = [512, 1769, 3538];

/** Of the function and of this process. dynalite takes any region and credentials; the SDK wants some. */
const ENVIRONMENT = {
  AWS_REGION: 'eu-west-1',
  AWS_ACCESS_KEY_ID: 'example',
  AWS_SECRET_ACCESS_KEY: 'example',
  // Once for each process would be too often.
  AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: 'true',
};

/** @param {string} option @param {string} text @param {number} least @param {number} most */
function wholeNumber(option, text, least, most) {
  const value = Number(text);
  if (!Number.isInteger(value) || value < least || value > most) {
    throw new RangeError(`--${option}: ${text} is no whole number from ${least} to ${most}`);
  }
  return value;
}

function readOptions() {
  const { values } = parseArgs({
    options: {
      quick: { type: 'boolean', default: false },
      fresh: { type: 'boolean', default: false },
      sizes: { type: 'string' },
      rounds: { type: 'string' },
      out: { type: 'string' },
    },
  });
  const sizes = values.sizes?.split(',').map((text) => wholeNumber('sizes', text, SIZES[0], SIZES[SIZES.length - 1])) ?? (values.quick ? QUICK_SIZES : SIZES);
  return {
    sizes: [...new Set(sizes)].sort((left, right) => left - right),
    rounds: values.rounds === undefined ? (values.quick ? 1 : 3) : wholeNumber('rounds', values.rounds, 1, 100),
    settings: values.quick ? QUICK : FULL,
    out: values.out ?? (values.quick ? undefined : path.join(__dirname, 'results')),
    fresh: values.fresh,
  };
}

/**
 * What was measured so far, kept in a file, so that a run can be interrupted.
 *
 * @param {string | undefined} file
 * @param {object} conditions samples that were taken under others are not used
 */
function openSamples(file, conditions) {
  const lines = file && fs.existsSync(file) ? fs.readFileSync(file, 'utf8').split('\n').filter(Boolean) : [];
  const [before, ...kept] = lines.map((line) => JSON.parse(line));
  const samples = isDeepStrictEqual(before, JSON.parse(JSON.stringify(conditions))) ? kept : [];
  const append = (/** @type {object} */ line) => file && fs.appendFileSync(file, `${JSON.stringify(line)}\n`);
  if (file) {
    fs.mkdirSync(path.dirname(file), { recursive: true });
    fs.rmSync(file, { force: true });
    for (const line of [conditions, ...samples]) append(line);
  }
  return {
    /** @type {(import('./measure.js').Sample & { round: number })[]} */
    samples,
    /** @param {import('./measure.js').Sample & { round: number }} sample */
    add(sample) {
      samples.push(sample);
      append(sample);
    },
    close: () => file && fs.rmSync(file),
  };
}

/** @param {string} name */
const version = (name) => JSON.parse(fs.readFileSync(path.join(__dirname, 'node_modules', name, 'package.json'), 'utf8')).version;

const versions = () => Object.fromEntries(
  ['@parallelizer/node', '@aws-sdk/client-dynamodb', 'dynalite'].map((name) => [name, version(name)]),
);

/**
 * @param {string} directory
 * @param {object} results
 * @param {ReturnType<typeof machine>} results.machine
 * @param {import('./plan.js').Settings} results.settings
 * @param {import('./report.js').Row[]} results.rows
 * @param {string | undefined} results.warning
 */
function writeResults(directory, { machine: where, settings, rows, warning }) {
  const { versions: _, ...rest } = where;
  const text = [
    '# Results',
    '',
    `${describeMachine(where)}. Median duration of a warm invocation, and US dollars per million of them at $${PRICE} per GB-second `
      + '(x86). ≈: modelled.',
    ...(warning ? ['', warning] : []),
  ];
  for (const [work, { title }] of Object.entries(WORKS)) {
    const svg = `${work}.svg`;
    const name = title(settings);
    fs.writeFileSync(path.join(directory, svg), sizeChart({ title: name, rows: rows.filter((row) => row.work === work) }));
    text.push('', `## ${name}`, '', `![duration and cost by memory size](${svg})`, '', markdownTable(rows, work), '');
    if (settings === FULL) text.push(...conclude(rows, work, where.availableParallelism).map((sentence) => `- ${sentence}`));
  }
  fs.writeFileSync(path.join(directory, 'README.md'), `${text.join('\n')}\n`);
  const json = { taken: new Date().toISOString(), machine: rest, versions: versions(), settings, warning, rows };
  fs.writeFileSync(path.join(directory, 'results.json'), `${JSON.stringify(json, null, 2)}\n`);
}

async function main() {
  const { sizes, rounds, settings, out, fresh } = readOptions();
  const missing = await obstacle();
  if (missing) {
    console.log(`Nothing measured: ${missing}.`);
    return;
  }

  const where = machine();
  const { measured, modelled } = divide(sizes, where.availableParallelism);
  if (measured.length === 0) {
    throw new RangeError(`--sizes: this machine's ${where.availableParallelism} cores cannot play any of ${sizes.join(', ')} MB; add a smaller one`);
  }
  console.log(describeMachine(where));
  if (modelled.length > 0) console.log(`Modelled, as they have more vCPUs than this machine has cores: ${modelled.join(', ')} MB`);

  const file = out && path.join(out, 'unfinished.jsonl');
  if (file && fresh) fs.rmSync(file, { force: true });
  const kept = openSamples(file, { settings, node: where.node, model: where.model, versions: versions() });

  const interruption = new AbortController();
  for (const name of /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP'])) process.once(name, () => interruption.abort(name));
  const { signal } = interruption;

  Object.assign(process.env, ENVIRONMENT);
  const database = await startDatabase({ latency: settings.latency });
  try {
    const plan = schedule(measured, rounds);
    for (const [index, { round, ...what }] of plan.entries()) {
      const known = kept.samples.find((sample) => isDeepStrictEqual(what, {
        size: sample.size, work: sample.work, way: sample.way,
      }) && sample.round === round);
      const sample = known ?? { ...await measure(what, { settings, database, env: ENVIRONMENT, signal }), round };
      if (!known) kept.add(sample);
      const took = sample.duration === null ? 'out of memory' : `${figure(sample.duration)} ms`;
      console.log(`${index + 1}/${plan.length}: ${what.size} MB, ${what.work}, ${what.way}: ${took}${known ? ' (before)' : ''}`);
    }

    const samples = kept.samples.filter((sample) => measured.includes(sample.size));
    const rows = makeRows({ samples, modelled, settings });
    const warning = noise(samples);
    for (const [work, { title }] of Object.entries(WORKS)) {
      console.log(`\n${title(settings)}: median duration of a warm invocation, US dollars per million of them`);
      console.log(terminalTable(rows, work));
      if (settings === FULL) for (const sentence of conclude(rows, work, where.availableParallelism)) console.log(`- ${sentence}`);
    }
    if (settings !== FULL) console.log('\nThis was too little work to tell ways apart: less than a period of the CPU quota has.');
    if (warning) console.log(`\n${warning}`);
    if (out) {
      writeResults(out, { machine: where, settings, rows, warning });
      kept.close();
      console.log(`\nTables and charts: ${path.join(out, 'README.md')}`);
    }
  } catch (error) {
    if (!signal.aborted) throw error;
    if (file) console.log(`\nInterrupted; the same command goes on from here (${file}).`);
  } finally {
    await database.close();
  }
  // The handler was for once: now the signal does what it would have done.
  if (signal.aborted) process.kill(process.pid, signal.reason);
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
