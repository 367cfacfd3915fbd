'use strict';

/**
 * Turns what is known about the end of a worker into the error that its calls fail with.
 *
 * Must not depend on jobs, nor on how a worker was started.
 */

const {
  ParallelizerError, moduleError, protocolError, spawnFailedError, workerExited, workersOutliveError,
} = require('../errors');
const { thrownError } = require('./answer-error');
const { isCalledNode } = require('../host/program');

// Not needed where workers are on this machine.
const remoteErrors = () => require('../remote/remote-errors');

/**
 * What the native side knows about a worker that is gone.
 * @typedef {object} ExitReport
 * @property {number} worker
 * @property {number | null} pid
 * @property {number | null} [exitCode]
 * @property {string | null} [signal]
 * @property {string} [stderr] the end of what it wrote there
 * @property {number | null} [errno] set where it could not even be started
 * @property {string} [message]
 * @property {string | null} [loadError] a flattened error: the user's module did not load
 * @property {string | null} [protocol] what it sent that is not a frame
 * @property {boolean} [outlives] whether it was killed and has not ended
 * @property {string | null} [killError] why it could not be killed
 * @property {string} [lost] what became of the chunk that a host had, where it is on another machine
 * @property {string | null} [host] which one that was
 * @property {any} [noHost] why there is none, see `absence` of lib/remote/host-watch.js
 * @property {boolean} [silent] whether it was killed because it never began to run
 */

/**
 * @param {ExitReport} report
 * @param {object} context
 * @param {boolean} context.duringBoot whether the worker was not ready yet
 * @param {string | null} context.filePath the module of all calls, if there is one
 * @param {() => string} context.program what a worker process runs
 * @param {string | undefined} context.lastWords what the worker printed as errors through its parent
 * @param {Error | undefined} context.lastError what ended it, where that is known: a thread's uncaught exception
 * @returns {unknown} an error, or whatever the initializer threw
 */
function exitError(report, { duringBoot, filePath, program, lastWords, lastError }) {
  if (typeof report.loadError === 'string') return loadError(report.loadError, filePath);
  if (report.noHost !== undefined) return remoteErrors().noHostError(report.noHost);
  if (typeof report.lost === 'string') {
    const lost = remoteErrors().hostLostError({ host: report.host, lost: report.lost });
    if (typeof report.protocol === 'string') {
      lost.cause = new ParallelizerError('ERR_PARALLELIZER_PROTOCOL', report.protocol);
    }
    return lost;
  }
  const stderr = lastWords === undefined ? report.stderr : lastWords + (report.stderr ?? '');
  const error = report.errno !== undefined ? spawnFailedError({ ...report, program: program() })
    : workerExited({ ...report, stderr, duringBoot, otherProgram: otherProgram(report, duringBoot, program) });
  if (typeof report.protocol === 'string') error.cause = protocolError(report.protocol);
  else if (report.outlives === true) error.cause = workersOutliveError([report]);
  else if (lastError !== undefined) error.cause = lastError;
  return error;
}

/**
 * What a worker process ran, if that may not have been a Node.
 * @param {ExitReport} report @param {boolean} duringBoot @param {() => string} program
 */
function otherProgram({ pid, stderr }, duringBoot, program) {
  if (!duringBoot || pid === null) return undefined;
  // An application that was started instead of Node, and has been refused workers of its own.
  const hasRunItself = stderr?.includes('ERR_PARALLELIZER_PLATFORM');
  return hasRunItself || !isCalledNode(program()) ? program() : undefined;
}

/** @param {string} tree @param {string | null} filePath */
function loadError(tree, filePath) {
  const { error } = thrownError(tree);
  // The library's own error says everything; without a module it was the initializer that threw.
  return error instanceof ParallelizerError || filePath === null ? error : moduleError(filePath, { cause: error });
}

module.exports = { exitError };
