'use strict';

/**
 * Prints on this process's console what a worker has printed, as if it had been printed here: at its level, a message at a
 * time. Where AWS Lambda writes its logs as JSON, objects and errors stay what they are, and lines that are JSON already
 * are not wrapped once more.
 *
 * May not know workers, or whom a message belongs to.
 */

const { inspect } = require('node:util');

/**
 * What a message is, besides its text: `object`: the text is an object as JSON; `written`: what was written to a stream,
 * of whole lines; a list: the arguments of the method.
 * @typedef {'object' | 'written' | { value?: unknown, shown?: string, error?: any }[]} Form
 */

/** Whether the runtime of AWS Lambda writes each message as JSON. */
function logsJson(env = process.env) {
  return env.AWS_LAMBDA_LOG_FORMAT?.toUpperCase() === 'JSON';
}

/**
 * @param {string} level whatever the worker calls it @param {string} text @param {Form} [form]
 */
function print(level, text, form) {
  if (form === undefined || !logsJson()) call(level, text);
  else if (form === 'object') call(level, parsed(text) ?? text);
  else if (form === 'written') printLines(level, text);
  else call(level, ...(argumentsIn(form) ?? [text]));
}

/**
 * @param {unknown} form
 * @returns {unknown[] | null} `null`: it is nothing that this library has sent
 */
function argumentsIn(form) {
  try {
    return Array.isArray(form) ? form.map(restored) : null;
  } catch {
    return null;
  }
}

/** @param {string} level @param {unknown[]} args */
function call(level, ...args) {
  const methods = /** @type {Record<string, unknown>} */ (/** @type {unknown} */ (console));
  const method = Object.hasOwn(methods, level) ? methods[level] : undefined;
  try {
    if (typeof method === 'function') method.apply(console, args);
    else console.log(...args);
  } catch {
    // `Console` is no method that prints, and a console may be patched; the message must come out all the same.
    process.stdout.write(`${args.map(String).join(' ')}\n`);
  }
}

/**
 * Loggers that write JSON do so line by line, on a stream: so they would in this process.
 * @param {string} level @param {string} text
 */
function printLines(level, text) {
  const stream = level === 'error' ? process.stderr : process.stdout;
  /** @type {string[]} */
  let message = [];
  const flush = () => {
    if (message.length > 0) call(level, message.join('\n'));
    message = [];
  };
  for (const line of text.split('\n')) {
    if (parsed(line) === null) {
      message.push(line);
    } else {
      flush();
      stream.write(`${line}\n`);
    }
  }
  flush();
}

/**
 * The object that a text is, if it is one.
 * @param {string} text
 */
function parsed(text) {
  if (!/^\s*\{[^]*\}\s*$/.test(text)) return null;
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** @param {{ value?: unknown, shown?: string, error?: any }} argument */
function restored({ value, shown, error }) {
  if (error !== undefined) return require('../codec/error-restorer').restoreError(error);
  return shown === undefined ? value : { [inspect.custom]: () => shown };
}

module.exports = { print, logsJson };
