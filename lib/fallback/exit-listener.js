'use strict';

/**
 * Has the pools of this thread told when it is about to end in an orderly way: when `process` emits 'exit', of which
 * there is nothing if it is killed or crashes. It listens once, for any number of pools.
 *
 * Must not depend on what is done then.
 */

/** @type {Set<WeakRef<any>>} What nobody else refers to need not be told. */
const targets = new Set();
let listens = false;

/**
 * @template {object} T
 * @param {T} target @param {(target: T) => void} act
 */
function atExit(target, act) {
  for (const other of targets) if (other.deref() === undefined) targets.delete(other);
  const own = /** @type {WeakRef<any> & { act?: (target: any) => void }} */ (new WeakRef(target));
  own.act = act;
  targets.add(own);
  if (listens) return;
  listens = true;
  // The first of all: a listener of the user's that calls `process.exit` again would be the last.
  process.prependListener('exit', function parallelizerExit() {
    // Some programs emit the event themselves, and go on.
    if (/** @type {any} */ (process)._exiting === false) return;
    for (const each of targets) {
      const found = each.deref();
      if (found !== undefined) /** @type {any} */ (each).act(found);
    }
  });
}

module.exports = { atExit };
