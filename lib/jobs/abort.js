'use strict';

/**
 * Listens to signals that many runs share, with one listener per signal: Node warns of a leak above ten.
 *
 * Must not depend on what is aborted.
 */

/** @type {WeakMap<AbortSignal, { actions: Set<() => void>, fire: () => void }>} */
const waiting = new WeakMap();

/**
 * @param {AbortSignal} signal one that has not fired
 * @param {() => void} act called once, when it fires
 * @returns {() => void} stops listening
 */
function onAbort(signal, act) {
  const shared = waiting.get(signal) ?? listen(signal);
  shared.actions.add(act);
  return () => {
    shared.actions.delete(act);
    if (shared.actions.size === 0 && waiting.get(signal) === shared) {
      waiting.delete(signal);
      signal.removeEventListener('abort', shared.fire);
    }
  };
}

/** @param {AbortSignal} signal */
function listen(signal) {
  /** @type {Set<() => void>} */
  const actions = new Set();
  const fire = () => {
    waiting.delete(signal);
    for (const act of actions) act();
  };
  const shared = { actions, fire };
  waiting.set(signal, shared);
  signal.addEventListener('abort', fire, { once: true });
  return shared;
}

module.exports = { onAbort };
