'use strict';

/**
 * The calls of jobs that transfer something. They are encoded when the job is submitted, so that what they transfer is
 * detached at once, and wait here until they are sent; each can be sent only once.
 *
 * Only for workers that share this process's memory. Must not depend on how calls are sent or settled.
 */

const { isMap, isSet } = require('node:util').types;
const { pushClone } = require('../codec/codec');
const { WATCHED } = require('../codec/parts');
const { serializationError } = require('../errors');
const { VALUE_FIELD } = require('../transport/constants');

/** @typedef {import('../codec/parts').Parts} Parts */

class MovedCalls {
  #clones;
  #serialization;
  /** @type {Map<string, Parts | Error>} By job and call. */
  #waiting = new Map();
  /** @type {Map<number, (() => void)[]>} The jobs that are being encoded, and what is to be done once they are. */
  #encoding = new Map();

  /** @param {import('../codec/codec').Clones} clones @param {import('../codec/codec').Serialization} serialization */
  constructor(clones, serialization) {
    this.#clones = clones;
    this.#serialization = serialization;
  }

  /**
   * Encodes the calls of a job. A getter in one of them may have a worker ask for it before it is done.
   * @param {number} jobId @param {number} tag
   * @param {{ calls: number, argument: (call: number) => unknown }} job
   * @param {readonly object[]} transferList
   * @param {() => boolean} isWanted whether it has not been cancelled
   */
  add(jobId, tag, job, transferList, isWanted) {
    /** @type {Set<object>} */
    const left = new Set();
    transferList.forEach((object) => left.add(object));
    /** @type {(() => void)[]} */
    const asked = [];
    this.#encoding.set(jobId, asked);
    for (let call = 0; call < job.calls; call++) {
      /** @type {Parts} */
      const parts = [];
      const failed = (/** @type {Error} */ error) => this.#waiting.set(keyOf(jobId, call), error);
      const value = job.argument(call);
      try {
        const list = takeReferenced(value, left, call === job.calls - 1);
        pushClone(value, list, this.#serialization, this.#clones, parts, tag | WATCHED, failed);
      } catch (cause) {
        // A getter or a Proxy of the user's threw, or the data is deeper than the stack.
        failed(serializationError('the value', value, cause));
      }
      if (parts.length > 0) this.#waiting.set(keyOf(jobId, call), parts);
    }
    this.#encoding.delete(jobId);
    if (!isWanted()) this.drop(jobId, 0, job.calls);
    asked.forEach((act) => act());
  }

  /**
   * Has something done once a job is encoded, if it is not yet.
   * @param {number} jobId @param {() => void} act
   * @returns {boolean} whether it is to be waited for
   */
  whenEncoded(jobId, act) {
    const asked = this.#encoding.get(jobId);
    asked?.push(act);
    return asked !== undefined;
  }

  /**
   * @param {number} jobId @param {number} call
   * @returns {Parts | Error | undefined} `undefined`: it has been sent before
   */
  take(jobId, call) {
    const key = keyOf(jobId, call);
    const found = this.#waiting.get(key);
    this.#waiting.delete(key);
    return found;
  }

  /**
   * These calls have settled.
   * @param {number} jobId @param {number} first @param {number} end
   */
  drop(jobId, first, end) {
    for (let call = first; call < end; call++) {
      const unsent = this.take(jobId, call);
      if (Array.isArray(unsent)) this.#clones.discard(unsent[VALUE_FIELD]);
    }
  }
}

/** @param {number} jobId @param {number} call */
function keyOf(jobId, call) {
  return `${jobId} ${call}`;
}

/**
 * Takes the objects to be transferred that a value refers to; the last value takes the rest.
 * @param {unknown} value @param {Set<object>} left @param {boolean} isLast
 * @returns {object[]}
 */
function takeReferenced(value, left, isLast) {
  /** @type {object[]} */
  const taken = [];
  visit(value, new Set(), (found) => {
    if (left.delete(found)) taken.push(found);
  });
  if (isLast) left.forEach((object) => taken.push(object));
  return taken;
}

/**
 * Calls `act` with every object in a value.
 * @param {unknown} value @param {Set<unknown>} seen @param {(found: object) => void} act
 */
function visit(value, seen, act) {
  if (typeof value !== 'object' || value === null || seen.has(value)) return;
  seen.add(value);
  act(value);
  if (ArrayBuffer.isView(value)) act(value.buffer);
  else if (isMap(value)) for (const pair of Map.prototype.entries.call(value)) visit(pair, seen, act);
  else if (isSet(value)) for (const item of Set.prototype.values.call(value)) visit(item, seen, act);
  else Object.values(value).forEach((item) => visit(item, seen, act));
}

module.exports = { MovedCalls };
