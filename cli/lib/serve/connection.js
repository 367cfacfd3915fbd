'use strict';

/**
 * Where the queue is, and the secret, from the environment: what is on a command line is there for everybody who lists
 * processes.
 */

const { UsageError } = require('../usage-error');

/** @typedef {Readonly<Record<string, string | undefined>>} Environment */

const EXAMPLE = 'PARALLELIZER_CONNECTION=redis://redis.example:6379';

/**
 * `redis://user:password@host:port/database` (`rediss:` with TLS), or options of ioredis as JSON.
 * @param {string} text
 * @returns {Record<string, unknown>}
 */
function connectionOf(text) {
  if (text.trim().startsWith('{')) {
    try {
      return JSON.parse(text);
    } catch {
      // Not with the text of it, which has a password.
      throw new UsageError(`PARALLELIZER_CONNECTION is neither a URL nor JSON: write it as ${EXAMPLE}`);
    }
  }
  let url;
  try {
    url = new URL(text);
  } catch {
    throw new UsageError(`PARALLELIZER_CONNECTION is no URL: write it as ${EXAMPLE}`);
  }
  if (!['redis:', 'rediss:'].includes(url.protocol)) {
    throw new UsageError(`PARALLELIZER_CONNECTION begins with ${url.protocol}//: write it as ${EXAMPLE}`);
  }
  const database = url.pathname.slice(1);
  if (!/^\d*$/.test(database)) {
    throw new UsageError('the path in PARALLELIZER_CONNECTION is the number of a database, as in /2');
  }
  return {
    host: url.hostname.replace(/^\[|\]$/g, ''),
    port: url.port === '' ? 6379 : Number(url.port),
    ...(url.username !== '' && { username: decodeURIComponent(url.username) }),
    ...(url.password !== '' && { password: decodeURIComponent(url.password) }),
    ...(database !== '' && { db: Number(database) }),
    ...(url.protocol === 'rediss:' && { tls: {} }),
  };
}

/** @param {string} text */
function clusterOf(text) {
  return text.split(',').map((node) => {
    const [, host, port] = /^\s*(.+):(\d+)\s*$/.exec(node) ?? [];
    if (host === undefined) throw new UsageError(`PARALLELIZER_CLUSTER has "${node}": write it as host:6379,host:6380`);
    return { host, port: Number(port) };
  });
}

/**
 * @param {Environment} env
 * @returns {{ connection?: Record<string, unknown>, cluster?: { host: string, port: number }[], secret?: string }}
 */
function fromEnvironment(env) {
  const { PARALLELIZER_CONNECTION: connection, PARALLELIZER_CLUSTER: cluster, PARALLELIZER_SECRET: secret } = env;
  return {
    ...(connection && { connection: connectionOf(connection) }),
    ...(cluster && { cluster: clusterOf(cluster) }),
    ...(secret && { secret }),
  };
}

module.exports = { fromEnvironment };
