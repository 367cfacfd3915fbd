'use strict';

/**
 * Prints here what a worker has printed, as if it had been printed in this process, a message at a time:
 *
 * 1. A call of a `console` method is a call of the same method here. Where AWS Lambda writes its logs as JSON, objects
 *    and errors stay what they are.
 * 2. What was written to stdout is written to stdout, as it was. Loggers and metrics that write JSON by themselves rely
 *    on that: a console that adds a timestamp would make their lines unreadable.
 * 3. What was written to stderr goes through `console.error`, but for lines that are JSON: it may be a worker's last
 *    words, which belong to a request, and a stack trace has to stay one message.
 * 4. A message of form `watch` is for Node's watch mode and is not printed.
 *
 * Must not depend on workers, nor on whom a message belongs to.
 */

const { inspect } = require('node:util');
const { logsJson } = require('../host/cpus');
const { parse } = require('../intrinsics/json');

/**
 * What a message is besides its text. `object`: the text is an object as JSON. `written`: it was written to stdout or
 * stderr, in whole lines. `watch`: names of files. A list: the arguments of the method.
 * @typedef {'object' | 'written' | 'watch' | { value?: unknown, shown?: string, error?: any }[]} Form
 */

/**
 * @param {string} level as the worker calls it @param {string} text @param {Form} [form]
 */
function print(level, text, form) {
  if (form === 'watch') report(text);
  else if (form === 'written' && level !== 'error') process.stdout.write(`${text}\n`);
  else if (form === 'written') printLines(text);
  else if (form === undefined || !logsJson()) call(level, [text]);
  else if (form === 'object') call(level, [parsed(text) ?? text]);
  else call(level, argumentsIn(form) ?? [text]);
}

/**
 * @param {unknown} form
 * @returns {unknown[] | null} `null`: not something that this library has sent
 */
function argumentsIn(form) {
  try {
    return Array.isArray(form) ? form.map(restored) : null;
  } catch {
    return null;
  }
}

/** @param {string} level @param {unknown[]} args */
function call(level, args) {
  const methods = /** @type {Record<string, unknown>} */ (/** @type {unknown} */ (console));
  // A console of a test runner's has them on its prototype.
  const method = level in Object.prototype ? undefined : methods[level];
  try {
    if (typeof method === 'function') method.apply(console, args);
    else Reflect.apply(console.log, console, args);
  } catch {
    // The name may be that of `Console`, and a console may be patched; the message must come out all the same.
    process.stdout.write(`${args.map(String).join(' ')}\n`);
  }
}

/**
 * Tells `node --watch`, if this process runs under it, which files a worker has loaded.
 * @param {string} text
 */
function report(text) {
  if (process.env.WATCH_REPORT_DEPENDENCIES !== undefined && process.connected) process.send?.(parsed(text));
}

/**
 * Prints what was written to stderr. Lines that are JSON are a logger's, and are written as they are.
 * @param {string} text
 */
function printLines(text) {
  /** @type {string[]} */
  let message = [];
  const flush = () => {
    if (message.length > 0) call('error', [message.join('\n')]);
    message = [];
  };
  text.split('\n').forEach((line) => {
    if (parsed(line) === null) {
      message.push(line);
    } else {
      flush();
      process.stderr.write(`${line}\n`);
    }
  });
  flush();
}

/**
 * The object that a text represents, or `null`.
 * @param {string} text
 */
function parsed(text) {
  if (!/^\s*\{[^]*\}\s*$/.test(text)) return null;
  try {
    return parse(text);
  } catch {
    return null;
  }
}

/** @param {{ value?: unknown, shown?: string, error?: any }} argument */
function restored({ value, shown, error }) {
  if (error !== undefined) return require('../codec/error-restorer').restoreError(error);
  return shown === undefined ? value : { [inspect.custom]: () => shown };
}

module.exports = { print };
