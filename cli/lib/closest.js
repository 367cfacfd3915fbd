'use strict';

const { distance } = require('fastest-levenshtein');

/** Words that differ by more letters than this are not mistaken for each other. */
const MAX_CHANGES = 3;

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
