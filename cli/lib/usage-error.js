'use strict';

/**
 * A mistake on the command line, or in what it names: the message says which argument it is and what to do. The
 * command prints it without a stack trace, and exits with code 2.
 */
class UsageError extends Error {
  /** @override */
  name = 'UsageError';
}

module.exports = { UsageError };
