'use strict';

/**
 * From the words after a command's name to its settings, by the list of its flags, from which its help page is made as
 * well. Whatever is wrong is a `UsageError` that names the flag and says what to do.
 *
 * Must not depend on which commands there are.
 */

const { parseArgs } = require('node:util');
const { closest } = require('./closest');
const { UsageError } = require('./usage-error');

/**
 * @typedef {object} Flag
 * @property {string} help one or more sentences
 * @property {string} [value] what its value is called on the help page; a flag without one is a switch
 * @property {string} [short] its one-letter form
 * @property {string} [example] a value that is right, for messages
 * @property {(text: string) => unknown} [parse] makes the setting of the text; throws an `Error` that completes
 *   `--name TEXT …` if it is not one, such as "is no number"
 */

/** @typedef {Record<string, Flag>} Flags by their names, without dashes */

/**
 * @typedef {object} Command
 * @property {string} name
 * @property {string} summary for the list of commands
 * @property {string} usage what follows the command's name
 * @property {string} about the first paragraphs of the help page
 * @property {{ title: string, flags: Flags }[]} groups
 * @property {Record<string, string>} [refused] flags that somebody may expect, and what completes "--name …"
 * @property {string} [more] the last paragraphs of the help page
 * @property {(input: Input) => Promise<number>} run resolves with the exit code
 */

/** @typedef {{ values: Record<string, any>, positionals: string[] }} Input */

/** How wide a help page is. */
const COLUMNS = 80;
const INDENT = 26;

/** The flags that every command has. @type {Flags} */
const COMMON = { help: { short: 'h', help: 'Shows this page.' } };

/** @param {Command} command @returns {Flags} */
function flagsOf({ groups }) {
  return Object.assign({}, ...groups.map(({ flags }) => flags), COMMON);
}

/**
 * @param {Command} command @param {string[]} args
 * @returns {Input}
 */
function parseCommandLine(command, args) {
  const flags = flagsOf(command);
  /** @type {import('node:util').ParseArgsConfig['options']} */
  const options = {};
  for (const [name, { value, short }] of Object.entries(flags)) {
    options[name] = { type: value === undefined ? 'boolean' : 'string', ...(short !== undefined && { short }) };
  }
  const { tokens = [] } = parseArgs({ args, options, strict: false, allowPositionals: true, tokens: true });
  /** @type {Record<string, any>} */
  const values = {};
  const positionals = [];
  for (const token of tokens) {
    if (token.kind === 'positional') positionals.push(token.value);
    if (token.kind !== 'option') continue;
    const { name, rawName, value: text, inlineValue: isInline } = token;
    const flag = Object.hasOwn(flags, name) ? flags[name] : undefined;
    if (flag === undefined) throw unknownFlag(command, rawName, Object.keys(flags));
    if (flag.value === undefined) {
      if (text !== undefined) throw new UsageError(`${rawName} is a switch and takes no value: leave out "=${text}"`);
      values[name] = true;
      continue;
    }
    const isMissing = text === undefined || text === '' || (!isInline && /^-./.test(text));
    if (isMissing) throw new UsageError(`${rawName} needs a value: ${usageOf(name, flag)}`);
    try {
      values[name] = flag.parse === undefined ? text : flag.parse(text);
    } catch (error) {
      const { message } = /** @type {Error} */ (error);
      throw new UsageError(`${rawName} ${text} ${message}: ${usageOf(name, flag)}`, { cause: error });
    }
  }
  return { values, positionals };
}

/** @param {string} name @param {Flag} flag */
const usageOf = (name, { value, example }) => `write it as --${name} ${example ?? value}`;

/** @param {Command} command @param {string} rawName @param {string[]} known */
function unknownFlag(command, rawName, known) {
  const reason = command.refused?.[rawName.replace(/^-+/, '')];
  if (reason !== undefined) return new UsageError(`${rawName} ${reason}`);
  const meant = closest(rawName.replace(/^-+/, ''), known);
  const guess = meant === null ? '' : ` Did you mean --${meant}?`;
  return new UsageError(
    `${rawName} is no flag of "parallelizer ${command.name}".${guess} All flags: parallelizer ${command.name} --help`,
  );
}

/** @param {string} text @param {number} width @returns {string[]} */
function wrapped(text, width) {
  const lines = [''];
  for (const word of text.split(/\s+/)) {
    const last = lines[lines.length - 1];
    if (last === '') lines[lines.length - 1] = word;
    else if (last.length + 1 + word.length <= width) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines;
}

/** @param {string} text paragraphs; lines that begin with a blank stay as they are */
function paragraphs(text) {
  return text
    .split('\n\n')
    .map((each) => (/^ /.test(each) ? each.trimEnd() : wrapped(each.trim(), COLUMNS).join('\n')))
    .join('\n\n');
}

/** The help page. @param {Command} command */
function helpPage(command) {
  const { name, usage, about, groups, more } = command;
  const parts = [`Usage: parallelizer ${name} ${usage}`, paragraphs(about)];
  for (const { title, flags } of [...groups, { title: 'Other', flags: COMMON }]) {
    const lines = Object.entries(flags).flatMap(([flag, { value, short, help }]) => {
      const left = `  ${short === undefined ? '' : `-${short}, `}--${flag}${value === undefined ? '' : ` ${value}`}`;
      const right = wrapped(help, COLUMNS - INDENT);
      if (left.length > INDENT - 2) right.unshift('');
      return right.map((line, i) => ((i === 0 ? left : '').padEnd(INDENT) + line).trimEnd());
    });
    parts.push([`${title}:`, ...lines].join('\n'));
  }
  if (more !== undefined) parts.push(paragraphs(more));
  return `${parts.join('\n\n')}\n`;
}

/** @param {{ min: number, max: number }} range @returns {(text: string) => number} */
function integer({ min, max }) {
  return (text) => {
    const number = /^[+-]?\d+$/.test(text) ? Number(text) : NaN;
    if (Number.isNaN(number)) throw new Error('is no whole number');
    if (number < min || number > max) throw new Error(`is not within ${min} and ${max}`);
    return number;
  };
}

const UNITS = /** @type {Record<string, number>} */ ({ '': 1, ms: 1, s: 1000, m: 60_000, h: 3_600_000 });

/** Milliseconds: `500`, `500ms`, `2.5s`, `5m` or `1h`. @param {string} text */
function duration(text) {
  const [, digits, unit] = /^(\d+(?:\.\d+)?)(ms|s|m|h|)$/.exec(text) ?? [];
  if (digits === undefined) throw new Error('is no duration');
  const millis = Number(digits) * UNITS[unit];
  if (millis <= 0) throw new Error('is no time at all');
  if (millis >= 2 ** 31) throw new Error('is longer than timers can measure, which is 24 days');
  return Math.ceil(millis);
}

/**
 * @param {Record<string, string>} names the settings, by what may be written for them
 * @returns {(text: string) => string}
 */
function oneOf(names) {
  return (text) => {
    if (!Object.hasOwn(names, text)) throw new Error(`is none of ${Object.keys(names).join(', ')}`);
    return names[text];
  };
}

module.exports = { duration, helpPage, integer, oneOf, parseCommandLine };
