'use strict';

/**
 * The errors of work that goes to other machines. The others are in lib/errors.js, which every worker loads.
 *
 * Must not depend on options, pools or engines.
 */

const { ParallelizerError, withFields } = require('../errors');

/** @param {string} detail what was received @param {unknown} [cause] */
function remoteProtocolError(detail, cause) {
  return new ParallelizerError(
    'ERR_PARALLELIZER_PROTOCOL',
    `what came through the engine is not to be used (${detail}); see who else writes to it`,
    cause === undefined ? undefined : { cause },
  );
}

/** @typedef {{ major: number, minor: number }} Format */

/** @param {Format} ours @param {Format} theirs */
function versionError(ours, theirs) {
  const [own, other] = [ours, theirs].map(({ major, minor }) => `${major}.${minor}`);
  return new ParallelizerError(
    'ERR_PARALLELIZER_PROTOCOL',
    `this side speaks version ${own} of the format for other machines, and the other one version ${other}; ` +
      'install the same version of this package on both',
  );
}

/**
 * A host is lost, or the chunk that it had.
 * @param {{ host?: string | null, lost: string }} details `lost` completes "the chunk …"
 */
function hostLostError({ host = null, lost }) {
  const error = new ParallelizerError(
    'ERR_PARALLELIZER_WORKER_EXITED',
    `${host === null ? 'a host' : `the host ${host}`} has not finished what it had begun: the chunk ${lost}; ` +
      'set "retries" if its work may be run again',
  );
  return withFields(error, { pid: undefined, exitCode: null, signal: undefined, stderr: '', host: host ?? undefined });
}

/**
 * @param {{ waited: number, engine: string, seen: number, lastSeen: number | null, others: Format | null, ours: Format,
 *   problem: string | null }} details `seen`: hosts so far; `lastSeen`: milliseconds ago; `others`: the version of
 *   hosts that are there and understand another one
 */
function noHostError({ waited, engine, seen, lastSeen, others, ours, problem }) {
  const history =
    seen === 0 ? 'none has ever been seen'
    : `${seen} ${seen === 1 ? 'was' : 'were'} seen, the last one ${Math.round((lastSeen ?? 0) / 1000)} s ago`;
  const cause = others !== null ? versionError(ours, others) : problem === null ? undefined : new Error(problem);
  const code = others !== null ? 'ERR_PARALLELIZER_PROTOCOL' : 'ERR_PARALLELIZER_NO_HOST';
  return new ParallelizerError(
    code,
    `no host of ${engine} was there for ${waited} ms (${history})${cause === undefined ? '' : `: ${cause.message}`}; ` +
      'start hosts with serve(), on the same queue, or raise "hostTimeout"',
    cause === undefined ? undefined : { cause },
  );
}

/**
 * Chunks are packed by the addon, and this system has none.
 * @param {string} reason why not
 */
function noAddonError(reason) {
  return new ParallelizerError(
    'ERR_PARALLELIZER_PLATFORM',
    `work that goes to other machines needs the native part of @parallelizer/node, which is not in use here: ${reason}`,
  );
}

module.exports = { noAddonError, remoteProtocolError, versionError, hostLostError, noHostError };
