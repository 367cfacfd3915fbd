'use strict';

/**
 * A pool on `child_process.fork` as one writes it by hand: the children are reused, each run
 * sends every child one JSON message with its part of the batch and waits for one JSON answer.
 *
 * It is here to be compared with. What it does not do (an answer for what a dead child had,
 * time limits, values that JSON loses, logs, a second run under way) is what one comes to miss.
 */

const { fork } = require('node:child_process');
const { once } = require('node:events');
const path = require('node:path');

class ForkPool {
  /**
   * @param {object} options
   * @param {string} options.filePath absolute
   * @param {string} options.functionName an export of that module
   * @param {number} options.size
   */
  constructor({ filePath, functionName, size }) {
    this.children = Array.from(
      { length: size },
      () => fork(path.join(__dirname, 'fork-worker.js'), [filePath, functionName]),
    );
    /** @type {Promise<unknown> | undefined} */
    this.closing = undefined;
  }

  /**
   * @param {any[]} batch
   * @param {object} [params]
   * @returns {Promise<any[]>} one answer per child, in the order of the batch
   */
  async run(batch, params) {
    const parts = split(batch, this.children.length);
    return Promise.all(parts.map((part, index) => ask(this.children[index], { batch: part, params })));
  }

  /** Kills the children, at once. */
  close() {
    this.closing ??= Promise.all(this.children.map(async (child) => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill('SIGKILL');
      await once(child, 'exit');
    }));
    return this.closing;
  }
}

/**
 * @param {import('node:child_process').ChildProcess} child
 * @param {{ batch: any[], params?: object }} message
 */
function ask(child, message) {
  return new Promise((resolve, reject) => {
    const settle = () => {
      child.off('message', onMessage);
      child.off('exit', onExit);
    };
    const fail = (/** @type {Error} */ error) => {
      settle();
      reject(error);
    };
    const onMessage = ({ result, error }) => {
      if (error) {
        fail(Object.assign(new Error(error.message), { stack: error.stack }));
      } else {
        settle();
        resolve(result);
      }
    };
    const onExit = (code, signal) => fail(new Error(`child ${child.pid} ended with ${signal ?? code}`));

    child.on('message', onMessage);
    child.on('exit', onExit);
    child.send(message, (error) => {
      if (error) fail(error);
    });
  });
}

/**
 * Contiguous parts whose sizes differ by at most one; fewer parts than asked for when there are
 * fewer items.
 *
 * @template T
 * @param {T[]} items
 * @param {number} count
 * @returns {T[][]}
 */
function split(items, count) {
  const parts = Math.min(count, items.length);
  const at = (/** @type {number} */ index) => Math.floor((index * items.length) / parts);
  return Array.from({ length: parts }, (_, index) => items.slice(at(index), at(index + 1)));
}

module.exports = { ForkPool, split };
