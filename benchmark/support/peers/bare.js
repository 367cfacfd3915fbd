'use strict';

/** Bare `node` processes with one line of JSON each way: not a pool, but what the cores can do. */

const { spawn } = require('node:child_process');
const { once } = require('node:events');
const path = require('node:path');
const { createInterface } = require('node:readline');
const { split } = require('../../../examples/kafka-lambda/fork-pool.js');

/** @typedef {import('./index.js').Task} Task */

class Bare {
  /** @param {Task} task */
  constructor(task) {
    this.task = task;
    /**
     * @type {{ child: import('node:child_process').ChildProcessByStdio<import('node:stream').Writable,
     *   import('node:stream').Readable, null>, lines: import('node:readline').Interface }[]}
     */
    this.workers = [];
  }

  /** @param {number} workers */
  async start(workers) {
    const { filePath, name, probe = 0 } = this.task;
    this.workers = Array.from({ length: workers }, () => {
      const args = [path.join(__dirname, 'bare-worker.js'), filePath, name];
      const child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] });
      return { child, lines: createInterface({ input: child.stdout }) };
    });
    await this.run(Array(workers).fill(probe));
  }

  /** @param {any} item */
  async call(item) {
    return (await this.run([item]))[0];
  }

  /** @param {any[]} list */
  async run(list) {
    const parts = await Promise.all(split(list, this.workers.length).map(async (part, index) => {
      const { child, lines } = this.workers[index];
      const answer = once(lines, 'line');
      child.stdin.write(`${JSON.stringify(part)}\n`);
      return JSON.parse((await answer)[0]);
    }));
    return parts.flat();
  }

  async stop() {
    await Promise.all(this.workers.map(({ child }) => {
      const exit = once(child, 'exit');
      child.stdin.end();
      return exit;
    }));
  }
}

module.exports = { Bare };
