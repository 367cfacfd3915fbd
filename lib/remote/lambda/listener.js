'use strict';

/**
 * A host that Lambda starts: what a function's handler is given becomes chunks that are delivered, and what they answer
 * the response.
 *
 * An environment has one invocation at a time (Managed Instances: several), is frozen between two, and ends without a
 * word. So this host announces itself to nobody, has no lease, and never closes. What it has is a deadline: shortly
 * before Lambda would end the whole environment, the processes that still run something are killed, and the answer says
 * so. The environment and what the others have loaded live on.
 *
 * Must not depend on what is in a chunk.
 */

const { DONE, FRAME, HELLO, LOST, RETURNED, chunkOf, record, responsePrefix } = require('./records');

/** @typedef {import('../engine').HostSide} HostSide */
/** @typedef {import('../engine').HostLink} HostLink */
/** @typedef {import('node:stream').Writable} Writable */

/** How long before Lambda's deadline a chunk is given up: to kill, and to say so. */
const MARGIN = 500;
/** A deadline this near is taken for none: an invocation of a test, or one that has no time left in any case. */
const MIN_TIME = 50;

/**
 * @typedef {object} LambdaContext
 * @property {() => number} [getRemainingTimeInMillis]
 * @property {string} [logStreamName]
 * @property {string} [functionName]
 */

class LambdaListener {
  /** @type {HostSide | null} */
  #side = null;
  #isDead = false;

  /** What `Engine.listen` is. @param {HostSide} side @returns {HostLink} */
  listen(side) {
    this.#side = side;
    return {
      ready: async () => {},
      pause() {},
      close: async () => {},
      terminate: () => {
        this.#isDead = true;
      },
    };
  }

  /**
   * Runs the chunk of an event, and resolves once all was written.
   * @param {unknown} event @param {Writable} output @param {LambdaContext} [context]
   * @returns {Promise<void>}
   */
  async handle(event, output, context = {}) {
    const { id, bytes } = chunkOf(event);
    const side = this.#side;
    if (side === null || this.#isDead) throw new Error('this host does not serve');
    const write = (/** @type {Uint8Array} */ data) =>
      new Promise((/** @type {(value: void) => void} */ resolve, reject) => {
        output.write(data, (error) => (error ? reject(error) : resolve()));
      });
    output.on('error', () => {}); // Each write has its own.
    await new Promise((/** @type {(value: void) => void} */ resolve) => {
      let isOver = false;
      const finish = (/** @type {number} */ kind, /** @type {string} */ why) => {
        if (isOver) return Promise.reject(new Error('the chunk has ended'));
        isOver = true;
        clearTimeout(timer);
        const written = write(record(kind, why));
        output.end(() => resolve());
        output.once('close', () => resolve());
        return written;
      };
      const timer = this.#watch(context, () => {
        const why = "was given up shortly before the function's timeout";
        finish(LOST, why).catch(() => {});
        side.leaseLost(why);
      });
      output.write(Buffer.concat([responsePrefix(), record(HELLO, side.host.name)]));
      side.deliver({
        id,
        bytes,
        reply: (frame) => (isOver ? Promise.reject(new Error('the chunk has ended')) : write(record(FRAME, frame))),
        end: (end) => (end.kind === 'done' ? finish(DONE, '') : finish(RETURNED, end.why)),
      });
    });
  }

  /** @param {LambdaContext} context @param {() => void} act */
  #watch(context, act) {
    const left = context.getRemainingTimeInMillis?.();
    if (left === undefined || left - MARGIN < MIN_TIME) return undefined;
    // It holds the event loop, as the invocation does.
    return setTimeout(act, left - MARGIN);
  }
}

module.exports = { LambdaListener };
