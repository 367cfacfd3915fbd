'use strict';

/**
 * What travels with calls that came from another machine: the trace that their caller was in, for the worker that runs
 * them. Whoever watches calls is told of them over there.
 *
 * Must not depend on what a trace is.
 */

class GivenCarrier {
  #text;
  isEach = false;

  /** @param {string} text */
  constructor(text) {
    this.#text = text;
  }

  sending() {
    return this.#text;
  }

  encoded() {}

  answered() {}

  settled() {}
}

module.exports = { GivenCarrier };
