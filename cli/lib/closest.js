'use strict';

/** More changes than this make another word. */
const MAX_CHANGES = 3;

/**
 * How many letters have to be changed, added or removed to make one word of another.
 * @param {string} a @param {string} b
 */
function distance(a, b) {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next.push(Math.min(row[j] + 1, next[j - 1] + 1, row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1)));
    }
    row = next;
  }
  return row[b.length];
}

/**
 * The word that was probably meant; `null` if none is near.
 * @param {string} word @param {readonly string[]} known
 */
function closest(word, known) {
  let best = null;
  let least = Math.min(MAX_CHANGES, Math.ceil(word.length / 2)) + 1;
  for (const each of known) {
    // What was written may be the beginning of a longer name.
    const changes = word.length > 2 && each.startsWith(word) ? 1 : distance(word, each);
    if (changes < least) {
      least = changes;
      best = each;
    }
  }
  return best;
}

module.exports = { closest };
