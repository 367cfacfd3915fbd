'use strict';

/** What the exit codes of all commands mean. An interrupted command has 128 and the number of the signal, as usual. */
module.exports = { DONE: 0, FAILED: 1, USAGE: 2, SIGNALED: 128 };
