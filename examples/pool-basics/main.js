'use strict';

/**
 * Runs the programs of programs/ in Python, with lambda_multiprocessing, and in Node.js: shows side by side what they
 * print, and then what they take. Without Python only the latter.
 *
 * Exit code: 0; 1 if a program fails, or the two do not print the same.
 */

const Table = require('cli-table3');
const { figure, times } = require('../../benchmark/support/format.js');
const { alternate, ratios, summarize } = require('../../benchmark/support/rounds.js');
const { PROGRAMS, missingPython, runProgram } = require('./programs/index.js');

const ROUNDS = 5;

/** @typedef {'Node' | 'Python'} Language */

async function main() {
  const reason = missingPython();
  if (reason) console.log(`Without the originals: ${reason}`);
  /** @type {Language[]} */
  const languages = reason ? ['Node'] : ['Python', 'Node'];

  for (const program of PROGRAMS) {
    const printed = await Promise.all(languages.map(async (language) => (await runProgram(program, language)).stdout));
    console.log(`\n${program}`);
    console.log(sideBySide(languages, printed));
    if (printed.some((text) => text !== printed[0])) {
      console.error(`${program}: the two do not print the same`);
      process.exitCode = 1;
    }
  }
  console.log(`\nMilliseconds, the median of ${ROUNDS} rounds; ratios within a round, with their middle half`);
  console.log(await takeTimes(languages));
}

/** @param {Language[]} languages */
async function takeTimes(languages) {
  /** What was printed, by language and round. @type {Map<Language, Map<string, number>[]>} */
  const found = new Map(languages.map((language) => [language, []]));
  await alternate(languages.map((language) => ({
    name: language,
    run: () => runProgram('timings', language),
    after: ({ stdout }, round) => {
      if (round >= 0) found.get(language)?.push(new Map(lines(stdout).map((line) => parse(line))));
    },
  })), { rounds: ROUNDS });

  const table = new Table({
    head: ['', ...languages, ...(languages.length > 1 ? ['Python ÷ Node'] : [])],
    colAligns: ['left', 'right', 'right', 'right'],
    style: { head: [], border: [] },
  });
  const node = found.get('Node') ?? [];
  for (const name of node[0].keys()) {
    const samples = languages.map((language) => (found.get(language) ?? []).map((round) => round.get(name) ?? NaN));
    const medians = samples.map((values) => figure(summarize(values).median));
    table.push([name, ...medians, ...(samples.length > 1 ? [times(ratios(samples[0], samples[1]))] : [])]);
  }
  return table.toString();
}

/** @param {string} text */
const lines = (text) => text.trimEnd().split('\n');

/** @param {string} line @returns {[name: string, milliseconds: number]} */
function parse(line) {
  const [name, milliseconds] = line.split('\t');
  return [name, Number(milliseconds)];
}

/** @param {Language[]} languages @param {string[]} printed */
function sideBySide(languages, printed) {
  const table = new Table({ head: languages, style: { head: [], border: [], compact: true } });
  const columns = printed.map(lines);
  for (let line = 0; line < Math.max(...columns.map(({ length }) => length)); line += 1) {
    table.push(columns.map((column) => column[line] ?? ''));
  }
  return table.toString();
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
