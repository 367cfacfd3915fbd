'use strict';

/**
 * The command: finds out which of its commands is meant, runs it, and exits with its code.
 */

const { closest } = require('./closest');
const { isClosed } = require('./closed-output');
const { helpPage, parseCommandLine } = require('./command-line');
const { FAILED, USAGE } = require('./exit-codes');
const { UsageError } = require('./usage-error');

/** @typedef {import('./command-line').Command} Command */

/** Loaded when they are asked for. @type {Record<string, () => Command>} */
const COMMANDS = {
  map: () => require('./map/command').command,
  doctor: () => require('./doctor/command').command,
  serve: () => require('./serve/command').command,
  trace: () => require('./trace/command').command,
};

function overview() {
  const lines = Object.entries(COMMANDS).map(([name, load]) => `  ${name.padEnd(10)}${load().summary}`);
  return `Usage: parallelizer COMMAND …

Runs a function of yours on every core of this machine.

Commands:
${lines.join('\n')}

"parallelizer COMMAND --help" has everything about one of them.
`;
}

/**
 * @param {string[]} args
 * @returns {Promise<number>} the exit code
 */
async function run(args) {
  const [name, ...rest] = args;
  if (name === undefined) {
    throw new UsageError(`say what to do: parallelizer ${Object.keys(COMMANDS).join('|')} …, or parallelizer --help`);
  }
  if (name === '--help' || name === '-h' || (name === 'help' && rest.length === 0)) {
    process.stdout.write(overview());
    return 0;
  }
  if (name === '--version' || name === '-v') {
    process.stdout.write(`${require('../package.json').version}\n`);
    return 0;
  }
  const wanted = name === 'help' ? rest[0] : name;
  if (!Object.hasOwn(COMMANDS, wanted)) {
    const meant = closest(wanted, Object.keys(COMMANDS));
    const guess = meant === null ? `There are ${Object.keys(COMMANDS).join(', ')}.` : `Did you mean "${meant}"?`;
    throw new UsageError(`there is no command "${wanted}". ${guess}`);
  }
  const command = COMMANDS[wanted]();
  // Asked for anywhere, even beside mistakes.
  const isHelp = name === 'help' || rest.slice(0, endOfFlags(rest)).some((arg) => arg === '--help' || arg === '-h');
  if (isHelp) {
    process.stdout.write(helpPage(command));
    return 0;
  }
  return command.run(parseCommandLine(command, rest));
}

/** @param {string[]} args */
function endOfFlags(args) {
  const at = args.indexOf('--');
  return at < 0 ? args.length : at;
}

/** @param {string[]} args */
async function main(args) {
  // Nobody is left to be told: not even that stderr is closed.
  process.stderr.on('error', () => {});
  process.stdout.on('error', (error) => {
    // Whoever read it has had enough. A command that goes on after that has to listen for it, too.
    if (isClosed(error)) return;
    process.stderr.write(`parallelizer: stdout cannot be written: ${error.message}\n`);
    process.exit(FAILED);
  });
  let code;
  try {
    code = await run(args);
  } catch (error) {
    if (error instanceof UsageError) {
      process.stderr.write(`parallelizer: ${error.message}\n`);
      code = USAGE;
    } else {
      const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
      process.stderr.write(`parallelizer: ${text}\n`);
      code = FAILED;
    }
  }
  // What stdout could not take is told in the next turn.
  await new Promise(setImmediate);
  // Not by waiting until nothing is left to do: a terminal that is still being read from would keep the process.
  process.exit(code);
}

module.exports = { main };
