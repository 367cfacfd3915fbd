'use strict';

/**
 * Streams as their consumers see them: asynchronous iterators like those of the language.
 *
 * Must not depend on where values come from.
 */

/** The prototype of the language's own asynchronous iterators. */
const AsyncIteratorPrototype = Object.getPrototypeOf(
  Object.getPrototypeOf(Object.getPrototypeOf((async function* () {})())),
);

/**
 * What is handed out one by one.
 * @typedef {object} Stream
 * @property {() => Promise<IteratorResult<any>>} next
 * @property {(value?: unknown) => Promise<IteratorResult<any>>} return
 * @property {() => void} drain reads it to its end, whether or not anybody takes what comes
 * @property {(error: unknown) => void} fail ends it with an error
 */

/**
 * The stream as its consumer sees it.
 * @param {Stream} stream
 * @returns {AsyncIterableIterator<any>}
 */
function iteratorOf(stream) {
  const leave = () => stream.return();
  const methods = {
    next: () => stream.next(),
    return: (/** @type {unknown} */ value) => stream.return(value),
    /** @param {unknown} error */
    async throw(error) {
      await leave();
      throw error;
    },
    ...(Symbol.asyncDispose === undefined ? {} : { [Symbol.asyncDispose]: async () => void (await leave()) }),
  };
  return Object.assign(Object.create(AsyncIteratorPrototype), methods);
}

module.exports = { iteratorOf };
