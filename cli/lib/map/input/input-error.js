'use strict';

/** The input cannot be read any further: it is not what it was said to be. */
class InputError extends Error {
  /** @override */
  name = 'InputError';
}

module.exports = { InputError };
