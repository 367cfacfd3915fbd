'use strict';

/**
 * What the workers of one pool print: whole messages that they send through the library, and what is written to their
 * stdout and stderr. Each comes out in the async context of the job that it was printed for, as far as that is known.
 *
 * Must not depend on jobs or on the native pool.
 */

const { StringDecoder } = require('node:string_decoder');
const { STDERR_TAIL } = require('../transport/constants');
const { print } = require('./print');
const { parse } = require('../intrinsics/json');

/** @typedef {import('node:async_hooks').AsyncResource} AsyncResource */
/** @typedef {import('../codec/parts').Parts} Parts */
/** @typedef {'stdout' | 'stderr'} Stream */
/** @typedef {{ decoder: StringDecoder, rest: string }} Line an unfinished one */

/** How many jobs are remembered for what is still printed for them, and workers for what they printed. */
const MAX_REMEMBERED = 16;
/** Levels that would have gone to the worker's stderr. */
const ON_STDERR = ['error', 'warn'];

class WorkerOutput {
  /** @type {Map<number, AsyncResource>} The contexts of jobs that settled while their calls ran, by job: the latest. */
  #contexts = new Map();
  /** @type {Map<number, string>} The end of what workers printed as errors through the library, by worker. */
  #lastWords = new Map();
  /** @type {Map<string, Line>} By worker and stream. */
  #lines = new Map();

  /**
   * Keeps the context of a job that settles while workers still run its calls: what they print until they stop is its.
   * @param {number} jobId @param {AsyncResource} context
   */
  keepContext(jobId, context) {
    keepLatest(this.#contexts, jobId, context);
  }

  /**
   * A worker sent a message to be printed.
   * @param {number} jobId @param {AsyncResource | undefined} context the job's, while it is in progress
   * @param {Parts} parts @param {number} [worker] one whose stderr does not show it
   */
  message(jobId, context, parts, worker) {
    const message = messageIn(parts);
    if (message === null) return;
    if (worker !== undefined && ON_STDERR.includes(message[0])) this.#rememberWords(worker, message[1]);
    const found = context ?? this.#contexts.get(jobId);
    const { 0: level, 1: text, 2: form } = message;
    if (found === undefined) print(level, text, form);
    else found.runInAsyncScope(print, null, level, text, form);
  }

  /**
   * The end of what a worker printed as errors through the library. It never reached the worker's stderr, whose end is
   * reported with its death.
   * @param {number} worker
   */
  lastWords(worker) {
    return this.#lastWords.get(worker);
  }

  /** @param {number} worker @param {string} text */
  #rememberWords(worker, text) {
    keepLatest(this.#lastWords, worker, `${this.lastWords(worker) ?? ''}${text}\n`.slice(-STDERR_TAIL));
  }

  /**
   * A worker wrote to one of its streams.
   * @param {number} worker @param {Stream} stream @param {Buffer} bytes
   */
  written(worker, stream, bytes) {
    const key = `${worker} ${stream}`;
    let line = this.#lines.get(key);
    if (line === undefined) this.#lines.set(key, (line = { decoder: new StringDecoder('utf8'), rest: '' }));
    const text = line.rest + line.decoder.write(bytes);
    // What arrives together is one message, however many lines it has: a stack trace stays whole.
    const end = text.lastIndexOf('\n');
    line.rest = text.slice(end + 1);
    if (end >= 0) print(levelOf(stream), text.slice(0, end), 'written');
  }

  /**
   * A worker is gone: prints the lines that it did not finish.
   * @param {number} worker
   */
  finishLines(worker) {
    /** @type {const} */ (['stdout', 'stderr']).forEach((stream) => {
      const key = `${worker} ${stream}`;
      const rest = this.#lines.get(key)?.rest ?? '';
      this.#lines.delete(key);
      if (rest !== '') print(levelOf(stream), rest, 'written');
    });
  }
}

/** @param {Stream} stream */
function levelOf(stream) {
  return stream === 'stdout' ? 'log' : 'error';
}

/**
 * Sets an entry, and drops the one that was set longest ago.
 * @template V
 * @param {Map<number, V>} map @param {number} key @param {V} value
 */
function keepLatest(map, key, value) {
  map.delete(key);
  map.set(key, value);
  if (map.size > MAX_REMEMBERED) map.delete(/** @type {number} */ (map.keys().next().value));
}

/**
 * The arguments for `print` that a worker sent.
 * @param {Parts} parts
 * @returns {[level: string, text: string, form?: import('./print').Form] | null} `null`: this library does not send it
 */
function messageIn(parts) {
  try {
    const { 0: level, 1: text, 2: form } = parse(/** @type {string} */ (parts[parts.length - 1]));
    return typeof level === 'string' && typeof text === 'string' ? [level, text, form] : null;
  } catch {
    return null;
  }
}

module.exports = { WorkerOutput };
