'use strict';

/**
 * Listens to abort signals, with one listener per signal however many runs wait for it, since Node warns of a leak
 * above ten. It is called even if a listener before it stops the event (`addAbortListener`, since Node 20.5).
 */

const events = require('node:events');

/** @type {WeakMap<AbortSignal, { actions: Set<() => void>, fire: () => void }>} */
const listeners = new WeakMap();

/**
 * @param {AbortSignal} signal
 * @param {() => void} act called once, when it fires; at once if it has fired already
 * @returns {() => void} stops listening
 */
function onAbort(signal, act) {
  if (signal.aborted) {
    act();
    return () => {};
  }
  const listener = listeners.get(signal) ?? listen(signal);
  listener.actions.add(act);
  return () => {
    listener.actions.delete(act);
    if (listener.actions.size === 0 && listeners.get(signal) === listener) {
      listeners.delete(signal);
      signal.removeEventListener('abort', listener.fire);
    }
  };
}

/** @param {AbortSignal} signal @param {() => void} fire */
function addListener(signal, fire) {
  try {
    events.addAbortListener(signal, fire);
  } catch {
    // There is none here, or the signal is another library's.
    signal.addEventListener('abort', fire, { once: true });
  }
}

/** Adds the only listener of a signal. @param {AbortSignal} signal */
function listen(signal) {
  /** @type {Set<() => void>} */
  const actions = new Set();
  const fire = () => {
    listeners.delete(signal);
    for (const act of actions) act();
  };
  const listener = { actions, fire };
  listeners.set(signal, listener);
  addListener(signal, fire);
  return listener;
}

module.exports = { onAbort };
