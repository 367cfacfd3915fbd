'use strict';

/**
 * Which of the parent's Node flags a worker inherits, and which flags express `resourceLimits`.
 *
 * A worker is started with its own script, so whatever tells Node what to run (`-e`, `--test`, `--run` …) would start
 * something else; two processes cannot share a debugger port; and heap flags claim the whole machine, which every
 * worker would repeat. Everything else is inherited: `--require`, `--import`, `--conditions`, source maps.
 *
 * Must not depend on options, or on how processes are started.
 */

const { mapOf, setOf } = require('../intrinsics/list');
const { currentDirectory } = require('./start-directory');
const { variable, variableName } = require('./variables');

// Most processes have no flags.
const relativeFlags = () => require('./relative-flags');

/** Short flags that say what to run. The value says whether the next argument belongs to the flag. */
const SHORT = mapOf([
  ['-e', true],
  ['-p', true],
  ['-pe', true],
  ['-i', false],
  ['-c', false],
  ['-', false],
]);

/** Long flags that are dropped, without their leading dashes. The value is as above. */
const LONG = mapOf([
  ['eval', true],
  ['print', true],
  ['interactive', false],
  ['check', false],
  ['run', true],
  // A program that was started from a snapshot would start again in each worker.
  ['snapshot-blob', true],
  ['build-snapshot', false],
  ['build-snapshot-config', true],
  // It says how to read the script after -e, and the worker's script has its own.
  ['input-type', true],
  ['debug-port', true],
  ['inspect-port', true],
  ['inspect-publish-uid', true],
  ['watch-path', true],
  ['watch-kill-signal', true],
  ['test-concurrency', true],
  ['test-coverage-branches', true],
  ['test-coverage-exclude', true],
  ['test-coverage-functions', true],
  ['test-coverage-include', true],
  ['test-coverage-lines', true],
  ['test-global-setup', true],
  ['test-isolation', true],
  ['test-name-pattern', true],
  ['test-random-seed', true],
  ['test-reporter', true],
  ['test-reporter-destination', true],
  ['test-rerun-failures', true],
  ['test-shard', true],
  ['test-skip-pattern', true],
  ['test-timeout', true],
]);

/** All other flags of these families take no separate argument. */
const FAMILY = /^(?:inspect|test|watch)(?:-|$)/;

/** Flags of the heap, without their leading dashes. */
const HEAP = setOf([
  'max-old-space-size',
  'max-old-space-size-percentage',
  'initial-old-space-size',
  'max-semi-space-size',
  'min-semi-space-size',
  'semi-space-growth-factor',
  'max-heap-size',
  'initial-heap-size',
  'huge-max-old-generation-size',
  'optimize-for-size',
]);

/**
 * Whether an argument is dropped, and the next one with it.
 * @param {string} argument
 * @param {string | undefined} next
 * @returns {0 | 1 | 2} how many arguments to drop
 */
function countDropped(argument, next) {
  // A value that begins with a dash can only be given with "=", so such an argument is never a value.
  const follows = next !== undefined && !next.startsWith('-');
  const short = SHORT.get(argument);
  if (short !== undefined) return short && follows ? 2 : 1;
  if (!argument.startsWith('--')) return 0;
  const equals = argument.indexOf('=');
  // Node accepts both dashes and underscores.
  const name = (equals === -1 ? argument.slice(2) : argument.slice(2, equals)).replaceAll('_', '-');
  if (HEAP.has(name.replace(/^no-?/, ''))) return equals === -1 && follows && /^\d+$/.test(next) ? 2 : 1;
  const takesValue = LONG.get(name);
  if (takesValue !== undefined) return takesValue && equals === -1 && follows ? 2 : 1;
  return FAMILY.test(name) ? 1 : 0;
}

/**
 * @template T
 * @param {readonly T[]} list @param {(element: T) => string} argumentOf
 * @returns {T[]}
 */
function withoutDropped(list, argumentOf) {
  const kept = [];
  for (let i = 0; i < list.length; ) {
    const next = i + 1 < list.length ? argumentOf(list[i + 1]) : undefined;
    const dropped = countDropped(argumentOf(list[i]), next);
    if (dropped === 0) kept.push(list[i]);
    i += dropped || 1;
  }
  return kept;
}

/**
 * The arguments that a worker inherits.
 * @param {readonly string[]} execArgv
 * @returns {string[]}
 */
function inheritedExecArgv(execArgv = process.execArgv) {
  if (execArgv.length === 0) return [];
  const args = relativeFlags().withoutRelativePaths(withoutDropped(execArgv, (argument) => argument));
  // This process has read its own files of variables.
  return execArgv === process.execArgv ? relativeFlags().withoutMissingEnvFiles(args) : args;
}

/**
 * The arguments that a pool was given, which are meant from where it was made.
 * @param {readonly string[]} execArgv
 * @returns {readonly string[]}
 */
function ownExecArgv(execArgv) {
  const here = currentDirectory();
  return here === null ? execArgv : Object.freeze(relativeFlags().withoutRelativePaths(execArgv, [here]));
}

/**
 * NODE_OPTIONS split into arguments as Node does it: at spaces outside double quotes, within which a backslash escapes
 * the next character.
 * @param {string} text
 * @returns {{ value: string, raw: string }[] | null} `null` for text that Node rejects
 */
function splitNodeOptions(text) {
  const tokens = [];
  let value = '';
  let start = -1;
  let quoted = false;
  for (let i = 0; i <= text.length; i++) {
    const character = text[i];
    if (character === undefined || (character === ' ' && !quoted)) {
      // An empty pair of quotes is not an argument.
      if (start !== -1 && value !== '') tokens.push({ value, raw: text.slice(start, i) });
      value = '';
      start = -1;
      continue;
    }
    if (start === -1) start = i;
    if (character === '"') {
      quoted = !quoted;
    } else if (character === '\\' && quoted) {
      i++;
      if (i === text.length) return null;
      value += text[i];
    } else {
      value += character;
    }
  }
  return quoted ? null : tokens;
}

/** @param {string} value as `splitNodeOptions` reads it back */
function quoted(value) {
  return `"${value.replace(/[\\"]/g, '\\$&')}"`;
}

/**
 * A copy of the environment, with those NODE_OPTIONS that a worker inherits.
 * @param {Readonly<Record<string, string | undefined>>} env
 * @returns {Record<string, string>}
 */
function inheritedEnv(env = process.env) {
  /** @type {Record<string, string>} */
  const copy = Object.create(null);
  Object.entries(env).forEach(({ 0: name, 1: value }) => {
    if (value !== undefined) copy[name] = value;
  });
  const own = variableName(copy, 'NODE_OPTIONS');
  if (copy[own] === undefined) return copy;
  const tokens = splitNodeOptions(copy[own]);
  // Node itself reports best what is wrong with it.
  if (tokens === null) return copy;
  const kept = withoutDropped(tokens, ({ value }) => value);
  const values = relativeFlags().withoutRelativePaths(kept.map(({ value }) => value));
  const texts = kept.map(({ value, raw }, i) => (values[i] === value ? raw : quoted(values[i])));
  if (kept.length === 0) delete copy[own];
  else copy[own] = texts.join(' ');
  return copy;
}

/**
 * What a thread has to be given, because it would look for what is preloaded in the wrong place.
 * @param {Readonly<Record<string, string | undefined>>} env the thread's, or this process's
 * @returns {{ execArgv: string[], env: Record<string, string> } | null} `null`: it may inherit this process's flags
 */
function threadFlags(env = process.env, execArgv = process.execArgv) {
  const options = (splitNodeOptions(variable(env, 'NODE_OPTIONS') ?? '') ?? []).map(({ value }) => value);
  const args = options.concat(execArgv);
  if (args.length === 0) return null;
  const absolute = relativeFlags().withoutRelativePaths(args);
  if (absolute.every((argument, i) => argument === args[i])) return null;
  return { execArgv: relativeFlags().forThreads(absolute.slice(options.length)), env: inheritedEnv(env) };
}

/**
 * What `--import` names: Node does not import it in a thread that is given its script as text.
 * @param {readonly string[]} execArgv the thread's, or this process's
 * @param {Readonly<Record<string, string | undefined>>} env the same
 * @returns {string[]}
 */
function importedModules(execArgv, env) {
  const options = splitNodeOptions(variable(env, 'NODE_OPTIONS') ?? '') ?? [];
  const all = options.map(({ value }) => value).concat(execArgv);
  if (all.length === 0) return [];
  const args = relativeFlags().withoutRelativePaths(all);
  const found = [];
  for (let i = 0; i < args.length; i++) {
    if (args[i].startsWith('--import=')) found.push(args[i].slice('--import='.length));
    else if (args[i] === '--import' && i + 1 < args.length) found.push(args[++i]);
  }
  return found;
}

/**
 * What a thread is given as `resourceLimits`, as flags for a process. (There is none for `codeRangeSizeMb`.)
 * @param {Readonly<import('../options/option-checks').ResourceLimits> | null | undefined} resourceLimits
 * @returns {string[]}
 */
function resourceLimitFlags(resourceLimits) {
  if (!resourceLimits) return [];
  const { maxOldGenerationSizeMb: old, maxYoungGenerationSizeMb: young, stackSizeMb: stack } = resourceLimits;
  const flags = [];
  if (old !== undefined) flags.push(`--max-old-space-size=${Math.max(1, Math.round(old))}`);
  // V8's young generation is two semi-spaces and one more for large objects.
  if (young !== undefined) flags.push(`--max-semi-space-size=${Math.max(1, Math.round(young / 3))}`);
  // In kilobytes, without what Node reserves for its own C++ frames, as it does in a thread.
  if (stack !== undefined) flags.push(`--stack-size=${Math.max(64, Math.round(stack * 1024) - 192)}`);
  return flags;
}

/**
 * Whether a process with these arguments, and NODE_OPTIONS in its environment, waits for a debugger before it runs
 * anything.
 * @param {readonly string[]} execArgv
 * @param {string} [nodeOptions]
 */
function waitsForDebugger(execArgv, nodeOptions = '') {
  const all = execArgv.concat((splitNodeOptions(nodeOptions) ?? []).map(({ value }) => value));
  return all.some((argument) => /^--inspect-(?:brk(?:-node)?|wait)(?:=|$)/.test(argument.replaceAll('_', '-')));
}

module.exports = {
  importedModules, threadFlags, inheritedExecArgv, inheritedEnv, ownExecArgv, resourceLimitFlags, splitNodeOptions,
  waitsForDebugger,
};
