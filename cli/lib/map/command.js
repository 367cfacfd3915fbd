'use strict';

/**
 * `parallelizer map`: its flags, its help page, and the order in which a run is put together.
 */

const { duration, integer, oneOf } = require('../command-line');
const { DONE, FAILED, SIGNALED } = require('../exit-codes');
const { UsageError } = require('../usage-error');

/** @typedef {import('./settings').MapSettings} MapSettings */
/** @typedef {import('./earlier-run').Start} Start */
/** @typedef {import('../../..').Pool} Pool */

const TYPES = {
  processes: 'child-process',
  threads: 'worker-threads',
  inline: 'inline',
  'child-process': 'child-process',
  'worker-threads': 'worker-threads',
};

/** @param {string} text */
function delimiter(text) {
  if (text === '\\t' || text === 'tab') return '\t';
  if ([...text].length !== 1 || /["\r\n]/.test(text)) throw new Error('is not one character');
  return text;
}

/** @type {import('../command-line').Command} */
const command = {
  name: 'map',
  summary: 'A function of yours for each record of a file or pipe, on every core',
  usage: 'FILE#export [--in FILE] [--out FILE] [flags]',
  about: `
Calls the export of a module for each record of the input, in worker processes, and writes what it returns. The
function may be asynchronous. FILE is a CommonJS or ES module, or TypeScript if this Node runs it.

  parallelizer map ./work.js#enrich --in orders.ndjson --out enriched.ndjson --failed failed.ndjson

Without --in records come from stdin, without --out results go to stdout. Everything else, and what your code prints,
goes to stderr.
`,
  groups: [
    {
      title: 'Input and output',
      flags: {
        in: { short: 'i', value: 'FILE', example: 'orders.ndjson', help: 'Where records come from. Default: stdin.' },
        out: { short: 'o', value: 'FILE', example: 'enriched.ndjson', help: 'Where results go. Default: stdout.' },
        failed: {
          value: 'FILE',
          example: 'failed.ndjson',
          help: 'Where records go that have no result: a line of JSON each, with "line", "error" and "record".',
        },
        lines: { help: 'Each line is a record, a string. Results that are strings are written as they are.' },
        json: { help: 'The input is one array of JSON, and so is the output. It is never in memory as a whole.' },
        csv: {
          help: 'The input is CSV with names in its first row; a record is an object of strings, and a result a line '
            + 'of JSON. Files named .csv and .tsv are taken as that.',
        },
        delimiter: {
          value: 'CHARACTER',
          example: "';'",
          help: 'What separates the fields of CSV. Default: a comma.',
          parse: delimiter,
        },
        to: {
          value: 'FORMAT',
          example: 'ndjson',
          help: 'The format of the output: ndjson, lines or json. Default: that of the input, and ndjson for CSV.',
          parse: oneOf({ ndjson: 'ndjson', lines: 'lines', json: 'json' }),
        },
        unordered: { help: 'Writes results as they come, not in the order of the records.' },
      },
    },
    {
      title: 'Work',
      flags: {
        type: {
          value: 'TYPE',
          example: 'processes',
          help: 'What workers are: processes (the default), threads, or inline, which is none.',
          parse: oneOf(TYPES),
        },
        workers: {
          short: 'w',
          value: 'N',
          example: '4',
          help: 'How many workers. Default: one for each CPU that this process may use.',
          parse: integer({ min: 0, max: 1024 }),
        },
        concurrency: {
          value: 'N',
          example: '8',
          help: 'How many records one worker has in progress, for functions that mostly wait. Default: 1.',
          parse: integer({ min: 1, max: 1_000_000 }),
        },
        'chunk-size': {
          value: 'N',
          example: '100',
          help: 'How many records go to a worker together. Default: adapts to what they cost.',
          parse: integer({ min: 1, max: 1_000_000 }),
        },
        timeout: {
          value: 'TIME',
          example: '30s',
          help: 'How long one record may take: 500 (milliseconds), 2.5s, 5m. Default: no limit.',
          parse: duration,
        },
        retries: {
          value: 'N',
          example: '2',
          help: 'How many times a record is tried again after its worker died. Default: 0.',
          parse: integer({ min: 0, max: 1_000_000 }),
        },
        'stop-on-error': { help: 'Ends with the first record that fails.' },
      },
    },
    {
      title: 'Going on',
      flags: {
        resume: {
          help: 'Goes on where an earlier run with the same --in and --out has ended, be it by a crash; begins if '
            + 'there was none, and does nothing if it was complete. Refused if the input has changed.',
        },
        'no-journal': { help: 'Keeps no OUT.journal beside the output, without which nothing can be resumed.' },
      },
    },
    { title: 'Progress', flags: { quiet: { short: 'q', help: 'Says nothing but errors that end the run.' } } },
  ],
  more: `
Ctrl-C lets what has begun finish, and writes it; a second Ctrl-C stops at once.

Exit codes: 0 all records have a result; 1 some failed, or the run could not go on; 2 the command line is wrong, or the
module does not load; 130 and 143 after SIGINT and SIGTERM.
`,
  run: async (input) => {
    const settings = require('./settings').settingsOf(input);
    // What code of the user's prints must not come to stand among the results.
    const { write } = process.stdout;
    process.stdout.write = /** @type {typeof write} */ (
      (/** @type {any[]} */ ...args) => Reflect.apply(process.stderr.write, process.stderr, args)
    );
    return map(settings, write);
  },
};

/** @param {MapSettings} settings @returns {Pool} */
function startPool({ filePath, name, format, delimiter, to, stopsOnError, chunkSize, pool }) {
  const { Pool, ParallelizerError } = require('../library');
  const { LONGEST, separatorOf } = require('./parts');
  try {
    return new Pool({
      ...pool,
      // The workers' stdout must not be this one.
      stdio: 'forward',
      initializer: { filePath: require.resolve('./worker'), name: 'start' },
      initArgs: [{
        ...{ filePath, name, format, delimiter, stopsOnError, isText: to === 'lines' },
        separator: separatorOf(to),
        longest: chunkSize === undefined ? LONGEST : Infinity,
      }],
    });
  } catch (error) {
    if (error instanceof ParallelizerError && error.code === 'ERR_PARALLELIZER_OPTION') {
      throw new UsageError(error.message, { cause: error });
    }
    throw error;
  }
}

/** Waits until the user's function is loaded. @param {Pool} pool @param {MapSettings} settings */
async function loaded(pool, { task }) {
  try {
    await pool.ready();
  } catch (error) {
    const { message, cause } = /** @type {Error} */ (error);
    const detail = cause instanceof Error ? `\n${cause.stack ?? cause.message}` : '';
    throw new UsageError(`${task} cannot be called: ${message}${detail}`, { cause: error });
  }
}

/**
 * @param {MapSettings} settings
 * @param {NodeJS.WriteStream['write']} write that of stdout
 * @returns {Promise<number>} the exit code
 */
async function map(settings, write) {
  const { lockOutputs } = require('./output-locks');
  // Before anything of the user's is loaded, for a run that may be refused.
  const unlock = await lockOutputs([settings.output, settings.failedFile]);
  try {
    return await mapLocked(settings, write);
  } finally {
    unlock();
  }
}

/**
 * @param {MapSettings} settings
 * @param {NodeJS.WriteStream['write']} write that of stdout
 * @returns {Promise<number>} the exit code
 */
async function mapLocked(settings, write) {
  const { findStart } = require('./earlier-run');
  const { NOTHING } = require('./journal');
  const { input, output, journal } = settings;
  const pool = startPool(settings);
  try {
    const isLoaded = loaded(pool, settings);
    isLoaded.catch(() => {});
    const start = journal !== null && input !== null && output !== null
      ? await findStart(settings, journal, input, output)
      : null;
    const note = start?.note ?? null;
    if (note !== null && !settings.isQuiet) process.stderr.write(`${note}\n`);
    if (start?.isComplete) {
      const { records, failures } = start.state;
      if (!settings.isQuiet) process.stderr.write(`nothing is left to do: all ${records} records were done before\n`);
      return failures > 0 ? FAILED : DONE;
    }
    await isLoaded;
    return await runJob(settings, pool, start?.state ?? NOTHING, start, write);
  } finally {
    // Its workers end with this process in any case.
    pool.terminate().catch(() => {});
  }
}

/**
 * @param {MapSettings} settings @param {Pool} pool
 * @param {import('./journal').Snapshot} state @param {Start | null} start
 * @param {NodeJS.WriteStream['write']} write
 * @returns {Promise<number>}
 */
async function runJob(settings, pool, state, start, write) {
  const { startHash } = require('./hash');
  const { Interrupts } = require('./interrupts');
  const { Job } = require('./job');
  const { Journal } = require('./journal');
  const { ClosedOutput, FileOutput, StdoutOutput } = require('./output');
  const { Progress, counted } = require('./progress');
  const { Records } = require('./input/records');
  const { input, inputSize, output, failedFile, format, delimiter, isQuiet } = settings;

  const records = await Records.open(input, { format, delimiter }, state.place);
  // First the journal, which says that the output is as long as it should be: what it has beyond that is cut off then.
  // One that is left over would be about another output.
  if (start === null && output !== null) require('node:fs').rmSync(`${output}.journal`, { force: true });
  const journal = start === null ? null : new Journal(/** @type {string} */ (settings.journal), start.about, state);
  const hash = start !== null && start.about.hash === null ? startHash(/** @type {string} */ (input)) : null;
  // If it cannot be read twice, that is no reason not to go on.
  hash?.hash.then((found) => journal?.setHash(found), () => {});
  const out = output === null ? new StdoutOutput(process.stdout, write) : new FileOutput(output, state.out);
  const failedOutput = failedFile === null ? null : new FileOutput(failedFile, state.failed);
  const say = (/** @type {string} */ text) => void (isQuiet || process.stderr.write(`${text}\n`));
  const job = new Job({ settings, pool, records, output: out, failedOutput, journal, state, say });
  const progress = new Progress({
    stream: process.stderr,
    isQuiet,
    total: inputSize,
    read: () => job.counts,
    workers: () => {
      const { workers } = pool.stats();
      return { busy: workers.filter(({ state: each }) => each === 'busy').length, all: workers.length };
    },
  });
  const interrupts = new Interrupts({
    first: (signal) => {
      job.drain();
      const again = signal === 'SIGINT' ? 'Ctrl-C' : signal;
      say(`${signal}: ${counted(job.unfinished, 'record')} in progress will be finished; ${again} again stops at once`);
    },
    second: () => job.abort(),
  });
  // Without workers the user's code can end this process in the middle of a run, as if all was well.
  const broken = (/** @type {number} */ code) => {
    if (code !== 0) return;
    const hint = 'with --type processes it would end a worker';
    process.stderr.write(`parallelizer: the function has ended this process; ${hint}\n`);
    process.exitCode = FAILED;
  };
  process.once('exit', broken);
  progress.start();
  /** @type {string | null} */
  let last = null;
  try {
    await job.run();
    last = job.conclusion(progress.summary());
    if (interrupts.signal !== null && !job.isComplete) {
      last += journal === null ? '; interrupted' : '; interrupted: --resume goes on from here';
    }
  } catch (error) {
    if (job.isUnreadable) last = job.conclusion(progress.summary());
    if (!(error instanceof ClosedOutput)) throw explained(error, journal !== null);
  } finally {
    process.off('exit', broken);
    interrupts.stop();
    hash?.stop();
    progress.stop(last);
  }
  if (job.stoppedBy !== null && isQuiet) process.stderr.write(`parallelizer: stopped by ${job.stoppedBy}\n`);
  if (interrupts.signal !== null && !job.isComplete) return SIGNALED + interrupts.number;
  return job.counts.failures > 0 ? FAILED : DONE;
}

/** Errors of the system and of the input need no stack trace. @param {unknown} error @param {boolean} canResume */
function explained(error, canResume) {
  const { InputError } = require('./input/input-error');
  const isOfSystem = typeof (/** @type {any} */ (error)?.syscall) === 'string';
  if (!isOfSystem && !(error instanceof InputError)) return error;
  const failure = /** @type {Error} */ (error);
  failure.stack = failure.message + (isOfSystem && canResume ? '; --resume goes on from here once it can' : '');
  return failure;
}

module.exports = { command };
