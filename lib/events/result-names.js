'use strict';

/**
 * The name by which the results of what is done travel with the error about the rest: none that an error of the user's
 * has.
 */
const RESULTS = '@parallelizer/node results';

module.exports = { RESULTS };
