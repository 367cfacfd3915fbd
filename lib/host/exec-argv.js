'use strict';

/**
 * Which of the parent's Node flags a worker inherits, and which flags stand for `resourceLimits`.
 *
 * A worker is started with a script of its own, so whatever tells Node what to run (`-e`, `--test`, `--run` …) would
 * start something else; two processes cannot share a debugger port; and heap flags are a claim on all of the machine
 * that every worker would repeat. The rest is kept: `--require`, `--import`, `--conditions`, source maps.
 *
 * May not know options or how processes are started.
 */

/** What to run instead of a script, and what goes with it. The value says whether another argument belongs to it. */
const SHORT = new Map([
  ['-e', true],
  ['-p', true],
  ['-pe', true],
  ['-i', false],
  ['-c', false],
  ['-', false],
]);

/** By their name without dashes in front. */
const LONG = new Map([
  ['eval', true],
  ['print', true],
  ['interactive', false],
  ['check', false],
  ['run', true],
  // How to take the text after -e: the worker's has a form of its own.
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

/** The rest of these families takes no argument of its own. */
const FAMILY = /^(?:inspect|test|watch)(?:-|$)/;

const HEAP = new Set([
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
 * Whether an argument is dropped, and whether the next one goes with it.
 * @param {string} argument
 * @param {string | undefined} next
 * @returns {0 | 1 | 2} how many arguments to drop
 */
function countDropped(argument, next) {
  // A value that begins with a dash can only be given with "=", so such an argument is never one.
  const follows = next !== undefined && !next.startsWith('-');
  const short = SHORT.get(argument);
  if (short !== undefined) return short && follows ? 2 : 1;
  if (!argument.startsWith('--')) return 0;
  const equals = argument.indexOf('=');
  // Node takes either spelling.
  const name = (equals === -1 ? argument.slice(2) : argument.slice(2, equals)).replaceAll('_', '-');
  if (HEAP.has(name.replace(/^no-?/, ''))) return equals === -1 && follows && /^\d+$/.test(next) ? 2 : 1;
  const takesValue = LONG.get(name);
  if (takesValue !== undefined) return takesValue && equals === -1 && follows ? 2 : 1;
  return FAMILY.test(name) ? 1 : 0;
}

/**
 * The arguments that a worker may have.
 * @param {readonly string[]} execArgv
 * @returns {string[]}
 */
function inheritedExecArgv(execArgv = process.execArgv) {
  const kept = [];
  for (let i = 0; i < execArgv.length; ) {
    const dropped = countDropped(execArgv[i], execArgv[i + 1]);
    if (dropped === 0) kept.push(execArgv[i]);
    i += dropped || 1;
  }
  return kept;
}

/**
 * NODE_OPTIONS cut into arguments as Node does it: at blanks outside of double quotes, inside of which a backslash
 * escapes what follows.
 * @param {string} text
 * @returns {{ value: string, raw: string }[] | null} `null` for text that Node refuses
 */
function splitNodeOptions(text) {
  const tokens = [];
  let value = '';
  let start = -1;
  let quoted = false;
  for (let i = 0; i <= text.length; i++) {
    const character = text[i];
    if (character === undefined || (character === ' ' && !quoted)) {
      // A pair of quotes with nothing in it makes no argument.
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

/**
 * A copy of the environment whose NODE_OPTIONS a worker may have.
 * @param {Readonly<Record<string, string | undefined>>} env
 * @returns {Record<string, string>}
 */
function inheritedEnv(env = process.env) {
  /** @type {Record<string, string>} */
  const copy = Object.create(null);
  for (const [name, value] of Object.entries(env)) {
    if (value !== undefined) copy[name] = value;
  }
  if (copy.NODE_OPTIONS === undefined) return copy;
  const tokens = splitNodeOptions(copy.NODE_OPTIONS);
  // Node will say better than we can what is wrong with it.
  if (tokens === null) return copy;
  const kept = [];
  for (let i = 0; i < tokens.length; ) {
    const dropped = countDropped(tokens[i].value, tokens[i + 1]?.value);
    if (dropped === 0) kept.push(tokens[i].raw);
    i += dropped || 1;
  }
  if (kept.length === 0) delete copy.NODE_OPTIONS;
  else copy.NODE_OPTIONS = kept.join(' ');
  return copy;
}

/**
 * What a worker thread gets as `resourceLimits`, as flags of a process. (There is none for `codeRangeSizeMb`.)
 * @param {Readonly<import('../options/option-checks').ResourceLimits> | null | undefined} resourceLimits
 * @returns {string[]}
 */
function resourceLimitFlags(resourceLimits) {
  const { maxOldGenerationSizeMb: old, maxYoungGenerationSizeMb: young, stackSizeMb: stack } = resourceLimits ?? {};
  const flags = [];
  if (old !== undefined) flags.push(`--max-old-space-size=${Math.max(1, Math.round(old))}`);
  // V8's young generation is two semi spaces and as much again for large objects.
  if (young !== undefined) flags.push(`--max-semi-space-size=${Math.max(1, Math.round(young / 3))}`);
  // In kilobytes, less what Node keeps for its own C++ frames in a thread, too.
  if (stack !== undefined) flags.push(`--stack-size=${Math.max(64, Math.round(stack * 1024) - 192)}`);
  return flags;
}

module.exports = { inheritedExecArgv, inheritedEnv, resourceLimitFlags };
