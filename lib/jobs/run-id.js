'use strict';

/**
 * The names of runs: what `run`, `map`, `apply` and the others are called once. A name is a UUID of version 7, so that
 * names sort by the time of submission, whenever they are made.
 *
 * Most runs are never named, so the addon makes a name when somebody asks for it; until then there is only the time.
 *
 * Must not depend on what is run.
 */

const { ParallelizerError } = require('../errors');
const { wallTime } = require('../intrinsics/clock');
const { define } = require('../intrinsics/define');

/** How many submissions of one millisecond have a place of their own; what comes after them takes one of the next. */
const PLACES_PER_MILLISECOND = 2048;

/** The last place that was taken: places are in the order of submission even if the clock is set back. */
let lastPlace = 0;

function nextPlace() {
  const place = wallTime() * PLACES_PER_MILLISECOND;
  return (lastPlace = place > lastPlace ? place : lastPlace + 1);
}

/** (Its properties are not private, as those take longer to make; there is one of these for every run.) */
class RunId {
  constructor() {
    this.place = nextPlace();
    /** @type {string | null} */
    this.made = null;
    /** @type {InstanceType<typeof import('./run-tracing').RunTrace> | null} What those are told who watch it. */
    this.trace = null;
  }

  /** The name of the run, or of the first of the runs that were submitted together. */
  get text() {
    return (this.made ??= native().runId(
      Math.floor(this.place / PLACES_PER_MILLISECOND), this.place % PLACES_PER_MILLISECOND,
    ));
  }

  /**
   * The name of one of the runs that were submitted together.
   * @param {number} index
   */
  textOf(index) {
    return index === 0 ? this.text : native().laterRunId(this.text, index);
  }
}

/**
 * Who watches the run that the caller is submitting right now.
 * @type {InstanceType<typeof import('./run-tracing').RunTrace> | null}
 */
let submitting = null;

/** A run that is being submitted. */
function newRun() {
  if (submitting !== null) return submitting.run();
  return new RunId();
}

/** Who watches the run that is being submitted. */
function submittedTrace() {
  return submitting;
}

/**
 * Submits runs that are watched: all that `act` submits before it returns.
 * @template T
 * @param {InstanceType<typeof import('./run-tracing').RunTrace>} trace @param {() => T} act
 * @returns {T}
 */
function submitWatched(trace, act) {
  const before = submitting;
  submitting = trace;
  try {
    return act();
  } finally {
    submitting = before;
  }
}

/**
 * The name of the run that a call of a job belongs to.
 * @param {{ run: RunId, isRunEach?: boolean }} job @param {number} call
 */
function runIdOf({ run, isRunEach }, call) {
  return isRunEach === true ? run.textOf(call) : run.text;
}

/** The addon, which is there wherever something runs. */
function native() {
  return require('../native/native');
}

/**
 * Notes in an error of this library which run it is about, unless it already says so.
 * @template T
 * @param {T} error @param {() => string} nameOf
 * @returns {T}
 */
function nameRun(error, nameOf) {
  if (error instanceof ParallelizerError && !Object.hasOwn(error, 'runId')) {
    define(error, 'runId', { value: nameOf(), writable: true, configurable: true, enumerable: true });
  }
  return error;
}

module.exports = { RunId, nameRun, newRun, runIdOf, submitWatched, submittedTrace };
