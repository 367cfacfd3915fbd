'use strict';

/**
 * The error for the calls of a worker that is gone, also where nothing can be loaded any more: what makes it is loaded
 * with the first such end, which may be that of a worker for which no descriptor was left.
 *
 * Must not depend on jobs.
 */

const { spawnFailedError, workerExited } = require('../errors');
const { once } = require('../intrinsics/once');

const exitErrors = once(() => require('./exit-error'));

/**
 * @param {import('./exit-error').ExitReport} report
 * @param {Parameters<typeof import('./exit-error').exitError>[1]} context
 * @returns {unknown}
 */
function explainExit(report, context) {
  let known;
  try {
    known = exitErrors();
  } catch (cause) {
    const { duringBoot, lastError } = context;
    const error = report.errno !== undefined ? spawnFailedError({ ...report, program: context.program() })
      : workerExited({ ...report, duringBoot });
    error.cause = lastError ?? cause;
    return error;
  }
  return known.exitError(report, context);
}

module.exports = { exitErrors, explainExit };
