'use strict';

/**
 * Has a worker process ignore what terminals, process managers and container runtimes send to all processes of a group
 * or of a service: what follows is for the parent to decide. The addon has workers started so; without it, a listener
 * that does nothing takes its place.
 *
 * 1. A listener of the user's is called as always, and when the last one is gone, the signal is ignored again.
 * 2. What the worker starts has the defaults, since Node resets them for it.
 *
 * Must not depend on what the worker does.
 */

/** On Windows these are what Node makes of Ctrl+C and Ctrl+Break. */
const GROUP_SIGNALS = process.platform === 'win32' ? ['SIGINT', 'SIGBREAK'] : ['SIGINT', 'SIGTERM', 'SIGHUP'];

function ignoreGroupSignals() {
  const ignore = () => {};
  GROUP_SIGNALS.forEach((signal) => process.on(signal, ignore));
  process.on('removeListener', (/** @type {string} */ name) => {
    if (GROUP_SIGNALS.includes(name) && process.listenerCount(name) === 0) process.on(name, ignore);
  });
}

module.exports = { ignoreGroupSignals };
