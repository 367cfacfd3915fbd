'use strict';

/**
 * `parallelizer map` over a file of records, against what people write in a shell for it: `xargs -P` and GNU parallel,
 * which start a script for each line or for many, and one `node` process that reads the file.
 *
 *   node benchmark/command.js [--rounds 9] [--quick] [--part a-start-each|many-a-start|cheap]
 */

const assert = require('node:assert/strict');
const { execFile, spawnSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { promisify } = require('node:util');
const { runSuite } = require('./support/contest.js');
const { optionsFromArgv } = require('./support/options.js');
const { alternate } = require('./support/rounds.js');
const { rowWhere, Suite } = require('./support/suite.js');
const { price } = require('./support/command-work.js');
const { stepsPerMillisecond } = require('./support/work.js');

/** @typedef {import('./support/suite.js').Row} Row */
/** @typedef {{ name: string, kind: Row['kind'], command: string }} Contender */

const COMMAND = path.join(__dirname, '../cli/bin/parallelizer.js');
const SCRIPT = require.resolve('./support/command-lines.js');
const OWN = 'parallelizer map';

const shell = promisify(execFile);
const quoted = (/** @type {string} */ text) => `'${text}'`;
const node = quoted(process.execPath);

/** Whether there is such a program here. @param {string} program */
function isThere(program) {
  const found = spawnSync(program, ['--version']).status === 0;
  if (!found) console.log(`${program} is not here and left out (apt-get install ${program})`);
  return found;
}

/** @param {number} workers @returns {Contender[]} */
function always(workers) {
  const work = quoted(`${require.resolve('./support/command-work.js')}#price`);
  return [
    { name: OWN, kind: 'own', command: `${node} ${quoted(COMMAND)} map ${work} --workers ${workers} --quiet` },
    { name: 'one node process', kind: 'base', command: `${node} ${quoted(SCRIPT)}` },
  ];
}

/**
 * @param {number} workers @param {number} lines how many records each start gets
 * @returns {Contender[]}
 */
function ofTheShell(workers, lines) {
  const xargs = `xargs -d '\\n' -P ${workers} -n ${lines} ${node} ${quoted(SCRIPT)}`;
  const how = lines === 1 ? '{}' : '';
  const pipe = lines === 1 ? '' : `--pipe -N ${lines} `;
  const parallel = `parallel --will-cite ${pipe}-j ${workers} ${node} ${SCRIPT} ${how}`;
  /** @type {Contender[]} */
  const all = [
    { name: `xargs -P, ${lines} per start`, kind: 'handwritten', command: xargs },
    { name: `GNU parallel, ${lines} per start`, kind: 'handwritten', command: parallel },
  ];
  return all.filter(({ command }) => isThere(command.split(' ')[0]));
}

async function main() {
  const { rounds, quick, workers, part } = optionsFromArgv({ rounds: 9 });
  const suite = new Suite(part === undefined ? 'command' : `command-${part}`, { workers });
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'parallelizer-command-'));
  process.on('exit', () => fs.rmSync(folder, { recursive: true, force: true }));
  const perMillisecond = stepsPerMillisecond();

  /**
   * @param {string} id @param {string} title @param {number} count @param {number} milliseconds
   * @param {Contender[]} contenders
   */
  async function section(id, title, count, milliseconds, contenders) {
    if (part !== undefined && part !== id) return;
    const steps = Math.round(perMillisecond * milliseconds);
    const records = Array.from({ length: count }, (_, index) => ({ id: index, steps: steps + (index % 7) }));
    const input = path.join(folder, `${id}.ndjson`);
    fs.writeFileSync(input, records.map((record) => `${JSON.stringify(record)}\n`).join(''));
    const expected = records.map((record) => JSON.stringify(price(record))).sort();
    const output = path.join(folder, `${id}.out`);
    const samples = await alternate(
      contenders.map(({ name, command }) => ({
        name,
        run: () => shell('sh', ['-c', `${command} < ${quoted(input)} > ${quoted(output)}`]),
        // Only one of them keeps the order.
        after: () => assert.deepEqual(fs.readFileSync(output, 'utf8').trimEnd().split('\n').sort(), expected, name),
        sample: (/** @type {number} */ took) => (count * 1000) / took,
      })),
      { rounds, warmups: 1 },
    );
    suite.section({
      id,
      title,
      unit: 'records/s',
      better: 'higher',
      rows: contenders.map(({ name, kind }) => ({ name, mode: 'command', kind, samples: samples.get(name) ?? [] })),
      against: [
        { head: '÷ one process', other: rowWhere(({ kind }) => kind === 'base') },
        { head: `÷ ${OWN}`, other: rowWhere(({ kind }) => kind === 'own') },
      ],
    });
  }

  const each = quick ? 40 : 200;
  await section('a-start-each', `${each} records of 1 ms, a start of node for each in the shell`, each, 1,
    [...always(workers), ...ofTheShell(workers, 1)]);
  const some = quick ? 2000 : 10_000;
  await section('many-a-start', `${some.toLocaleString('en')} records of 0.2 ms`, some, 0.2,
    [...always(workers), ...ofTheShell(workers, 500)]);
  const cheap = quick ? 20_000 : 200_000;
  await section('cheap', `${cheap.toLocaleString('en')} records that cost nothing`, cheap, 0,
    [...always(workers), ...ofTheShell(workers, 1000)]);
  suite.save();
}

runSuite(main);
