'use strict';

/**
 * The answers to the calls of one chunk, gathered so that few frames carry them.
 *
 * What is next to each other travels together. Answers wait for company for a few milliseconds at most, and never when
 * nothing else of their chunk is being run. An error of this library says which host it is from.
 *
 * Must not depend on where frames go, nor on what runs the calls.
 */

const { ENDING, ERROR_TREE, FAILED, pushText } = require('../codec/parts');
const { flattenError } = require('../codec/error-flattener');
const { ParallelizerError, withFields } = require('../errors');
const { setTimeout } = require('../intrinsics/clock');
const { toJson } = require('../intrinsics/json');
const { PART_DIED } = require('../transport/constants');
const { writeReplies } = require('../worker/replies');

/** How long answers wait for others, in milliseconds. */
const FLUSH_AFTER = 5;

/** @typedef {import('../codec/parts').Parts} Parts */
/** @typedef {import('../worker/replies').Group} Group */
/** @typedef {import('../worker/replies').Answer} Answer */

class Answers {
  #send;
  #host;
  #serialization;
  /** @type {Group[]} That were not sent. */
  #groups = [];
  #isFlushDue = false;

  /**
   * @param {(offset: number, micros: number, parts: Parts) => void} send sends a reply
   * @param {string} host its name
   * @param {import('../codec/codec').Serialization} serialization
   */
  constructor(send, host, serialization) {
    this.#send = send;
    this.#host = host;
    this.#serialization = serialization;
  }

  /** @param {number} first @param {readonly unknown[]} values of consecutive calls @param {number} ranFor in all */
  returned(first, values, ranFor) {
    this.#add(first, values.length, ranFor, { kind: 'values', values: values.slice() });
  }

  /**
   * @param {number} call @param {unknown} thrown
   * @param {string} text what it said of itself where it was thrown: what is restored may say something else
   * @param {number} ranFor
   */
  thrown(call, thrown, text, ranFor) {
    const error = this.#ofHost(thrown);
    const tree = flattenError(error);
    if (tree.text === text) {
      this.#add(call, 1, ranFor, { kind: 'thrown', thrown: error });
      return;
    }
    this.flush();
    /** @type {Parts} */
    const parts = [];
    pushText(parts, ERROR_TREE, FAILED, 1, 0, toJson({ ...tree, text }));
    this.#send(call, Math.round(ranFor * 1000), parts);
  }

  /** Calls that were not run, or whose result nobody wants. @param {number} first @param {number} end */
  skipped(first, end) {
    this.#add(first, end - first, 0, { kind: 'skipped', skipped: end - first });
  }

  /**
   * Calls that ended without an answer: their producer says what that means.
   * @param {number} first @param {number} end @param {'timedOut' | 'exited' | 'bootFailed'} ending
   * @param {unknown} error
   */
  ended(first, end, ending, error) {
    this.flush();
    const tree = error === null ? null : flattenError(this.#ofHost(error));
    const flags = ending === 'exited' ? FAILED | PART_DIED : FAILED;
    /** @type {Parts} */
    const parts = [];
    pushText(parts, ENDING, flags, end - first, 0, toJson({ ending, tree, host: this.#host }));
    this.#send(first, 0, parts);
  }

  /** Sends what there is. */
  flush() {
    if (this.#groups.length === 0) return;
    const groups = this.#groups.sort((one, other) => one.offset - other.offset);
    this.#groups = [];
    const reply = (/** @type {number} */ _frame, /** @type {number} */ offset, /** @type {number} */ micros,
      /** @type {Parts} */ parts) => this.#send(offset, micros, parts);
    for (let at = 0; at < groups.length; ) {
      const group = groups[at++];
      while (at < groups.length && groups[at].offset === group.offset + group.count) {
        const next = groups[at++];
        group.count += next.count;
        group.ranFor += next.ranFor;
        group.answers.push(...next.answers);
      }
      writeReplies(group, reply, this.#serialization, null, (error) => this.#ofHost(error));
    }
  }

  /** @param {number} offset @param {number} count @param {number} ranFor @param {Answer} answer */
  #add(offset, count, ranFor, answer) {
    this.#groups.push({ frame: 0, offset, count, ranFor, answers: [answer] });
    if (this.#isFlushDue) return;
    this.#isFlushDue = true;
    setTimeout(() => {
      this.#isFlushDue = false;
      this.flush();
    }, FLUSH_AFTER);
  }

  /** @param {unknown} error */
  #ofHost(error) {
    return error instanceof ParallelizerError ? withFields(error, { host: this.#host }) : error;
  }
}

module.exports = { Answers };
