'use strict';

/**
 * Objects that are kept for the sake of their hidden classes.
 *
 * V8 throws optimized code away at the first full collection that finds no object of a hidden class for which it was
 * made. Between two events of Lambda there is none of what an event is made of, so that each collection would make the
 * next events three times as slow. One object of each class is enough to prevent it. It has to be made as all others
 * are, by the same lines, or it has another hidden class; and it must be empty of whatever is the user's.
 *
 * Must not depend on anything else here.
 */

/** Kinds of records are few, and have few fields; whoever makes them up must not fill the memory. */
const MAX_NAMED = 256;
const MAX_NAME = 1000;

/** @type {object[]} */
const kept = [];
/** @type {Map<string, object>} */
const named = new Map();

/** @param {object} object */
function keep(object) {
  kept.push(object);
}

/**
 * Keeps an object of a kind that only the data show.
 * @param {string} name what the kind is known by @param {() => object} make
 */
function keepOnce(name, make) {
  if (named.size < MAX_NAMED && name.length <= MAX_NAME && !named.has(name)) named.set(name, make());
}

/**
 * An object with the same fields and nothing in them, of which none is read: it may be a getter.
 * @param {object} object
 */
function blankOf(object) {
  return Object.fromEntries(Object.keys(object).map((key) => [key, null]));
}

module.exports = { blankOf, keep, keepOnce };
