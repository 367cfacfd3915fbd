'use strict';

/**
 * Chooses what looks after the workers of a pool, where JavaScript does.
 *
 * Must not depend on jobs.
 */

const { spareableCpus } = require('../host/cpus');
const { PARALLELIZER_INLINE, PARALLELIZER_REMOTE } = require('../options/options');
const { heapLimits, initOf, initParts, initializerOf, processConfig, schedulerOf } = require('./worker-config');

/**
 * @param {import('./worker-config').PoolOptions} options
 * @param {import('../codec/codec').Clones | null} clones `null` where workers share no memory with this process
 * @param {() => import('../carriers/script-carrier').PoolSide} side
 * @param {any} native the addon, or what takes its place
 * @returns {InstanceType<typeof import('../carriers/script-carrier').ScriptCarrier<any>> | null} `null` where the
 *   addon looks after the workers itself
 */
function carrierFor(options, clones, side, native) {
  const parts = () => initParts(options, clones);
  if (options.type === PARALLELIZER_REMOTE) {
    if (schedulerOf(native) !== 'native') throw require('../remote/remote-errors').noAddonError(native.reason);
    const { RemoteCarrier } = require('../carriers/remote-carrier');
    return new RemoteCarrier(side(), options, initializerOf(options.initializer), parts);
  }
  if (clones === null && schedulerOf(native) === 'native') return null;
  if (clones === null) {
    const { ProcessCarrier } = require('../carriers/process-carrier');
    return new ProcessCarrier(side(), processConfig(options), parts, native);
  }
  if (options.type === PARALLELIZER_INLINE) {
    return new (require('../carriers/inline-carrier').InlineCarrier)(side(), initOf(options), parts);
  }
  const { ThreadCarrier } = require('../carriers/thread-carrier');
  return new ThreadCarrier(side(), options, initOf(options), parts, heapLimits(options), native);
}

/**
 * How many CPUs a pool and its workers may keep awake. With none, those that have the addon give way to each other.
 * @param {{ spin: 'auto' | false, type: string }} options @param {ReturnType<typeof carrierFor>} carrier
 * @returns {number | null} `null`: they sleep at once
 */
function spinCpus({ spin, type }, carrier) {
  if (spin !== 'auto' || type === PARALLELIZER_INLINE) return null;
  const cpus = spareableCpus();
  return cpus > 0 || (carrier?.mayGiveWay ?? true) ? cpus : null;
}

module.exports = { carrierFor, spinCpus };
