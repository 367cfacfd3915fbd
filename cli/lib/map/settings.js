'use strict';

/**
 * What `map` is to do, from its command line: everything that can be wrong with it is found here, before anything is
 * read, written or started.
 */

const fs = require('node:fs');
const path = require('node:path');
const { fileURLToPath } = require('node:url');
const { UsageError } = require('../usage-error');

/** @typedef {import('./input/records').Format} Format */

/**
 * @typedef {object} MapSettings
 * @property {string} filePath absolute @property {string} name the user's function
 * @property {string} task as it was written
 * @property {string | null} input `null`: stdin @property {number | null} inputSize of a regular file
 * @property {string | null} output `null`: stdout
 * @property {string | null} failedFile
 * @property {Format} format @property {string} delimiter
 * @property {'ndjson' | 'lines' | 'json'} to
 * @property {boolean} isOrdered @property {boolean} stopsOnError @property {boolean} isQuiet
 * @property {boolean} isResumed
 * @property {string | null} journal
 * @property {{ [option: string]: any }} pool options of the `Pool`
 * @property {number | undefined} chunkSize @property {number} retries
 */

/** Names of files that say what is in them. @type {Record<string, { format: Format, delimiter?: string }>} */
const EXTENSIONS = { '.csv': { format: 'csv' }, '.tsv': { format: 'csv', delimiter: '\t' } };
const FORMATS = /** @type {const} */ (['lines', 'json', 'csv']);

/** @param {string} text `FILE#export` */
function taskOf(text) {
  const at = text.lastIndexOf('#');
  const [place, name] = at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)];
  if (name === '' || place === '') {
    const file = place === '' ? './work.js' : place;
    throw new UsageError(`"${text}" does not say which function: write it as ${file}#NAME, or ${file}#default`);
  }
  let file;
  try {
    file = path.resolve(place.startsWith('file:') ? fileURLToPath(place) : place);
  } catch {
    throw new UsageError(`"${place}" is no file: URL that names a file here`);
  }
  if (!isFile(file)) {
    try {
      // Without its extension, as `require` has it.
      file = require.resolve(file);
    } catch {
      throw new UsageError(`there is no file ${file}: FILE#export names a module, relative to this directory`);
    }
  }
  return { filePath: file, name };
}

/** @param {string} file */
const isFile = (file) => fs.statSync(file, { throwIfNoEntry: false })?.isFile() === true;

/** @param {string} file */
function kindOf(file) {
  try {
    return fs.statSync(file, { throwIfNoEntry: false });
  } catch {
    return undefined;
  }
}

/** @param {string | undefined} file @param {string} standard the device that is meant by `-` and by nothing */
const named = (file, standard) => (file === undefined || file === '-' || file === standard ? null : path.resolve(file));

/** @param {string} file */
function isWritable(file) {
  try {
    fs.accessSync(file, fs.constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/** @param {string | null} input */
function checkInput(input) {
  if (input === null) {
    if (process.stdin.isTTY) {
      throw new UsageError('there is no input: name a file by --in orders.ndjson, or pipe records to this command');
    }
    return null;
  }
  const kind = kindOf(input);
  if (kind === undefined) throw new UsageError(`--in: there is no file ${input}`);
  if (kind.isDirectory()) throw new UsageError(`--in: ${input} is a directory; name a file in it`);
  try {
    fs.accessSync(input, fs.constants.R_OK);
  } catch {
    throw new UsageError(`--in: ${input} cannot be read by this user: see its permissions`);
  }
  return kind.isFile() ? kind.size : null;
}

/** @param {string | null} file @param {string} flag */
function checkOutput(file, flag) {
  if (file === null) return false;
  const kind = kindOf(file);
  if (kind?.isDirectory()) throw new UsageError(`${flag}: ${file} is a directory; name a file in it`);
  const folder = path.dirname(file);
  if (kindOf(folder)?.isDirectory() !== true) {
    throw new UsageError(`${flag}: there is no directory ${folder}: make it first (mkdir -p ${folder})`);
  }
  if (!isWritable(kind === undefined ? folder : file)) {
    throw new UsageError(`${flag}: ${file} cannot be written to by this user: see the permissions`);
  }
  return kind === undefined || kind.isFile();
}

/** @param {[flag: string, file: string | null][]} files */
function checkDistinct(files) {
  /** @type {Map<string, string>} */
  const seen = new Map();
  for (const [flag, file] of files) {
    if (file === null) continue;
    const kind = kindOf(file);
    if (kind !== undefined && !kind.isFile()) continue;
    // One file may have several names.
    const key = kind === undefined ? file : `${kind.dev}:${kind.ino}`;
    const other = seen.get(key);
    if (other !== undefined) throw new UsageError(`${other} and ${flag} name the same file: take another than ${file}`);
    seen.set(key, flag);
  }
}

/** What is there under a journal's name is replaced or removed: it has to be one. @param {string} file */
function checkJournal(file) {
  const kind = kindOf(file);
  if (kind === undefined || !kind.isFile() || kind.size === 0) return;
  if (require('./journal-file').JournalFile.read(file)?.length !== 0) return;
  throw new UsageError(`--out: ${file} is not a journal, and one would take its place: move it, or name another --out`);
}

/** @param {Record<string, any>} values @param {string | null} input */
function formatOf(values, input) {
  const given = FORMATS.filter((format) => values[format]);
  if (given.length > 1) throw new UsageError(`--${given.join(' and --')} exclude each other: the input has one format`);
  const byName = given.length > 0 || input === null ? undefined : EXTENSIONS[path.extname(input).toLowerCase()];
  /** @type {Format} */
  const format = given[0] ?? byName?.format ?? 'ndjson';
  if (values.delimiter !== undefined && format !== 'csv') {
    throw new UsageError('--delimiter is for CSV: add --csv, or leave it out');
  }
  const isTabbed = input !== null && path.extname(input).toLowerCase() === '.tsv';
  return { format, delimiter: values.delimiter ?? (isTabbed ? '\t' : ',') };
}

/**
 * @param {import('../command-line').Input} input
 * @returns {MapSettings}
 */
function settingsOf({ values, positionals }) {
  const [task, ...more] = positionals;
  if (task === undefined) {
    const example = './work.js#enrich --in orders.ndjson --out enriched.ndjson';
    throw new UsageError(`say which function: parallelizer map ${example}`);
  }
  if (more.length > 0) {
    throw new UsageError(`"${more[0]}" is one argument too many: the input is named by --in, the output by --out`);
  }
  const { filePath, name } = taskOf(task);
  const input = named(values.in, '/dev/stdin');
  const output = named(values.out, '/dev/stdout');
  const failedFile = values.failed === undefined ? null : path.resolve(values.failed);
  const { format, delimiter } = formatOf(values, input);
  const inputSize = checkInput(input);
  const isRegular = checkOutput(output, '--out');
  checkOutput(failedFile, '--failed');
  const journalFile = output !== null && isRegular ? `${output}.journal` : null;
  checkDistinct([['--in', input], ['--out', output], ['--failed', failedFile], ['the journal of --out', journalFile]]);
  // One that is to be gone on with is looked at then.
  if (journalFile !== null && !values.resume) checkJournal(journalFile);
  const canResume = inputSize !== null && isRegular;
  if (values.resume) {
    if (input === null) throw new UsageError('--resume needs a file to go on with: name the input by --in FILE');
    if (output === null) throw new UsageError('--resume needs a file to go on with: name the output by --out FILE');
    if (!canResume) throw new UsageError('--resume needs regular files: pipes and devices do not keep what was there');
    if (values['no-journal']) throw new UsageError('--resume goes by the journal: leave out --no-journal');
  }
  const isJournaled = canResume && !values['no-journal'];
  if (isJournaled && output !== null && !isWritable(path.dirname(output))) {
    throw new UsageError(`--out: the journal beside ${output} cannot be written by this user: add --no-journal`);
  }
  return {
    ...{ task, filePath, name, input, inputSize, output, failedFile, format, delimiter },
    to: values.to ?? (format === 'csv' ? 'ndjson' : format),
    isOrdered: !values.unordered,
    stopsOnError: Boolean(values['stop-on-error']),
    isQuiet: Boolean(values.quiet),
    isResumed: Boolean(values.resume),
    journal: isJournaled && output !== null ? `${output}.journal` : null,
    chunkSize: values['chunk-size'],
    retries: values.retries ?? 0,
    pool: {
      processes: values.workers,
      type: values.type,
      timeout: values.timeout,
      concurrency: values.concurrency,
    },
  };
}

module.exports = { settingsOf };
