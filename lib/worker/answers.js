'use strict';

/**
 * The answers to calls until they are written out: gathered, so that many go out together.
 *
 * The parent is told of them at the end of a frame, on the next turn of the event loop while a call is pending, and at
 * the first call boundary after a millisecond; after five, where nobody is in a hurry for single answers. (It has sent
 * what comes next, and where it shares the CPU it takes some 70 microseconds of it when it is woken.) The answer to a
 * call that must not be lost is published before.
 *
 * Must not depend on what calls run, nor on how an answer reaches the parent.
 */

const { now, setImmediate } = require('../intrinsics/clock');
const { encodeResult, groupOf, isShort, writeReplies } = require('./replies');

/** How long results are held back so that they can be sent together, in milliseconds. */
const FLUSH_AFTER = 1;
/** The same where nobody is in a hurry. */
const FLUSH_PATIENT_AFTER = 5;
/** But no more than so many: they have to fit into the ring. */
const MAX_HELD_BACK = 64;

/** @typedef {import('./replies').Port} Port */
/** @typedef {import('./replies').Reply} Reply */

class Answers {
  #port;
  /** @type {Reply | null} */ #publish;
  /** @type {Port['publishShort']} */ #publishShort;
  #serialization;
  #clones;
  /** @type {import('./replies').Group[]} Those that have not been written out. */ #groups = [];
  /** When the last call ended, if nothing has happened since; else 0. Saves reading the clock twice between calls. */
  now = 0;
  /** Less than a microsecond by which calls took longer than was reported: many short ones would seem to take none. */
  #unreported = 0;
  #lastFlush = 0;
  #flushDue = false;
  /** How many calls have begun since the parent was told. */
  #begun = 0;
  /** Whether nobody is in a hurry for the answers to the calls that run now. */
  isPatient = false;

  /**
   * @param {Port} port
   * @param {import('../codec/codec').Serialization} serialization
   * @param {import('../codec/codec').Clones | null} clones
   */
  constructor(port, serialization, clones) {
    this.#port = port;
    this.#publish = port.publish;
    this.#publishShort = port.publishShort;
    this.#serialization = serialization;
    this.#clones = clones;
  }

  /**
   * The time at which the next call begins, before which what is due is written out.
   * @param {boolean} watched whether that call must not cost the answers before it
   */
  beforeCall(watched) {
    const started = this.now === 0 ? now() : this.now;
    const waited = started - this.#lastFlush;
    this.#begun++;
    const isDue = waited >= FLUSH_AFTER;
    const isHeldBack = this.isPatient && waited < FLUSH_PATIENT_AFTER && this.#begun <= MAX_HELD_BACK;
    if (isDue && !isHeldBack) {
      this.flush();
      return now();
    }
    // However patient the caller is, no answer is at risk for longer.
    if ((watched || isDue) && this.#groups.length > 0) {
      this.secure();
      return now();
    }
    return started;
  }

  /**
   * A call was not run.
   * @param {number} frame @param {number} offset
   */
  skip(frame, offset) {
    groupOf(this.#groups, frame, offset, 0).answers.push({ kind: 'skipped', skipped: 1 });
  }

  /**
   * A recalled call was not run. It shares an answer with the one before it if that is about a recalled one as well.
   * @param {number} frame @param {number} offset
   */
  skipRecalled(frame, offset) {
    const { answers } = groupOf(this.#groups, frame, offset, 0);
    const last = answers[answers.length - 1];
    if (last?.kind === 'skipped') last.skipped++;
    else answers.push({ kind: 'skipped', skipped: 1 });
    // Makes the next call flush before it begins.
    this.#lastFlush = 0;
  }

  /**
   * A call could not begin.
   * @param {number} frame @param {number} offset @param {unknown} error
   */
  refuse(frame, offset, error) {
    groupOf(this.#groups, frame, offset, 0).answers.push({ kind: 'thrown', thrown: error });
  }

  /**
   * A call has ended.
   * @param {number} frame @param {number} offset @param {number} started
   * @param {unknown} outcome @param {boolean} [failed]
   */
  finish(frame, offset, started, outcome, failed = false) {
    this.now = now();
    this.#add(frame, offset, this.now - started, outcome, failed);
  }

  /**
   * @param {number} frame @param {number} offset @param {number} ranFor @param {unknown} outcome
   * @param {boolean} failed
   */
  #add(frame, offset, ranFor, outcome, failed) {
    const { answers } = groupOf(this.#groups, frame, offset, ranFor);
    const last = answers[answers.length - 1];
    if (failed) answers.push({ kind: 'thrown', thrown: outcome });
    else if (last?.kind === 'values') last.values.push(outcome);
    else answers.push({ kind: 'values', values: [outcome] });
  }

  /**
   * The same for a result that is to be published at once, where that is possible.
   * @param {number} frame @param {number} offset @param {number} started @param {unknown} result
   */
  publish(frame, offset, started, result) {
    if (this.#publishShort === null || this.#groups.length > 0) {
      this.finish(frame, offset, started, result);
      return;
    }
    const ended = now();
    const answer = encodeResult(result, this.#serialization);
    // To encode a result takes time that is neither this call's nor the next one's.
    this.now = typeof result === 'number' || result === undefined ? ended : 0;
    if (answer === undefined) {
      this.#add(frame, offset, ended - started, result, false);
    } else if (isShort(answer)) {
      const exact = (ended - started) * 1000 + this.#unreported;
      const micros = Math.round(exact);
      this.#unreported = exact - micros;
      this.#publishShort(frame, offset, micros, answer);
    } else {
      groupOf(this.#groups, frame, offset, ended - started).answers.push({ kind: 'encoded', answer });
    }
  }

  /** Writes them out on the next turn of the event loop, even if calls are still running by then. */
  flushSoon() {
    if (this.#flushDue) return;
    this.#flushDue = true;
    setImmediate(() => {
      this.#flushDue = false;
      this.flush();
    });
  }

  /** Sees to it that they arrive, whatever becomes of this worker. */
  secure() {
    if (this.#publish === null) this.flush();
    else if (this.#groups.length > 0) this.#write(this.#publish);
  }

  /** Writes them out, and tells the parent. */
  flush() {
    this.#lastFlush = now();
    this.#begun = 0;
    this.now = 0;
    this.#write(this.#port.reply);
    this.#port.told();
  }

  /** @param {Reply} reply */
  #write(reply) {
    if (this.#groups.length === 0) return;
    const groups = this.#groups;
    this.#groups = [];
    for (let i = 0; i < groups.length; i++) writeReplies(groups[i], reply, this.#serialization, this.#clones);
  }
}

module.exports = { Answers };
