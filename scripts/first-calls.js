'use strict';

/**
 * Has the code of worker processes answer its first calls, without an addon: in this very process, with an imitation of
 * the parent at the other end. `code-cache.js` has V8 keep what it compiled for that.
 *
 * 1. The core is evaluated in a context of its own for each kind of pool, since it marks the global object. V8 shares
 *    what it compiles between them.
 * 2. The parent sends `Init` and the first call through the socket, the second one through the ring, as it really does.
 * 3. The worker's answers are found in the ring.
 *
 * Must not depend on the addon, which is built with what this is for.
 */

const assert = require('node:assert/strict');
const vm = require('node:vm');

const { encodeValues } = require('../lib/codec/codec');
const { WATCHED, pushText } = require('../lib/codec/parts');
const { TaskRegistry, tagOf } = require('../lib/jobs/task-registry');
const {
  ARGUMENT_WORD, CALLS, INIT, MESSAGE_WORDS, PART_FIELDS, REPLY, RING_MESSAGE_RECORDS,
} = require('../lib/transport/constants');
const { passParts, receiveParts } = require('../lib/transport/registers');
const { Ring } = require('../lib/transport/ring');
const { WITH_PAGE } = require('../lib/worker/bootstrap');

/** How many turns of the event loop an answer may take. */
const MAX_TURNS = 1000;

/** @typedef {import('../lib/codec/parts').Parts} Parts */
/** @typedef {(id: string) => any} Require */

/** The user's functions. */
const echo = (/** @type {{ batch: unknown }} */ { batch }) => batch;
const negate = (/** @type {number} */ value) => -value;

/**
 * @typedef {object} Beginning
 * @property {object} init what is special about it
 * @property {() => Parts} call the parts of a frame with a call
 * @property {string} answer what the worker answers, as it travels
 */

/** @returns {Beginning[]} */
function beginnings() {
  const tasks = new TaskRegistry();
  const task = tasks.of({ filePath: __filename, name: 'negate' });
  return [
    {
      init: { filePath: __filename, functionName: 'echo' },
      call: () => encoded([], ['text', undefined, 0, undefined], 0),
      answer: '["text"]',
    },
    {
      init: { filePath: null, functionName: null },
      call() {
        /** @type {Parts} */
        const parts = [];
        tasks.sendDefinition(0, task, parts);
        return encoded(parts, [1], tagOf(task, true));
      },
      answer: '[-1]',
    },
  ];
}

/** @param {Parts} parts @param {unknown[]} args @param {number} tag */
function encoded(parts, args, tag) {
  encodeValues([args], 'auto', null, parts, (tag | WATCHED) >>> 0, (_index, error) => {
    throw error;
  });
  return parts;
}

/** A global object with all that this one has. @returns {vm.Context} */
function newContext() {
  const context = vm.createContext();
  const global = vm.runInContext('globalThis', context);
  for (const key of Reflect.ownKeys(globalThis)) {
    const property = /** @type {PropertyDescriptor} */ (Reflect.getOwnPropertyDescriptor(globalThis, key));
    if (!Object.hasOwn(global, key)) Object.defineProperty(global, key, property);
  }
  return context;
}

/** The parent's end. */
class Parent {
  /** @type {[kind: number, id: number, seq: number, parts: Parts][]} What is in the socket. */
  #posted = [];
  #ring;
  #page;
  /** @type {{ onFrame: (passed: any) => void, onShared: () => void, registers: Uint32Array } | null} */
  #worker = null;
  /** How many frames were posted to the worker, and by it. */
  #sent = 0;
  #received = 0;
  /** @type {Parts[]} */
  answers = [];

  /** @param {vm.Context} context of the worker */
  constructor(context) {
    const words = RING_MESSAGE_RECORDS + MESSAGE_WORDS;
    this.#page = vm.runInContext(`new ArrayBuffer(${words * Uint32Array.BYTES_PER_ELEMENT})`, context);
    this.#ring = new Ring(new Uint32Array(this.#page), true);
  }

  /** What the worker finds of the addon. */
  get addon() {
    const parent = this;
    const WorkerChannel = class {
      /** @param {(passed: any) => void} onFrame @param {() => void} onShared @param {Uint32Array} registers */
      constructor(onFrame, onShared, registers) {
        parent.#worker = { onFrame, onShared, registers };
      }

      sender() {
        const { registers } = parent.#connected;
        return (/** @type {any} */ passed) => {
          parent.#received++;
          parent.#receive(registers[ARGUMENT_WORD], receiveParts(registers, passed));
        };
      }

      receiveAll() {
        parent.#deliver();
      }

      sharedPage() {
        return parent.#page;
      }

      hold() {}
      drain() {}
      ignoreSignal() {}
    };
    return { WorkerChannel };
  }

  get #connected() {
    if (this.#worker === null) throw new Error('the worker has not connected');
    return this.#worker;
  }

  /** @param {number} kind @param {Parts} parts */
  #receive(kind, parts) {
    if (kind === REPLY) this.answers.push(parts);
  }

  /**
   * Sends a frame through the socket, in which the worker looks for it.
   * @param {number} kind @param {number} id @param {number} seq @param {Parts} parts
   */
  post(kind, id, seq, parts) {
    this.#sent++;
    this.#posted.push([kind, id, seq, parts]);
  }

  /** The worker receives what is in the socket. */
  #deliver() {
    const { onFrame, registers } = this.#connected;
    for (let frame = this.#posted.shift(); frame !== undefined; frame = this.#posted.shift()) {
      const [kind, id, seq, parts] = frame;
      const passed = passParts(registers, parts);
      registers.set([kind, id, seq, 0], ARGUMENT_WORD);
      onFrame(passed);
    }
  }

  /** Sends a frame through the ring. @param {number} kind @param {number} id @param {number} seq @param {Parts} parts */
  send(kind, id, seq, parts) {
    assert.ok(this.#ring.send(kind, id, seq, 0, parts, this.#sent));
    this.#connected.onShared();
  }

  /** @param {number} count of answers */
  async answered(count) {
    for (let turn = 0; turn < MAX_TURNS && this.answers.length < count; turn++) {
      await new Promise(setImmediate);
      for (;;) {
        const frame = this.#ring.take(this.#received);
        if (frame === null) break;
        this.#receive(frame[0], frame[4]);
      }
    }
    assert.equal(this.answers.length, count, 'the worker has not answered');
  }
}

/**
 * @param {vm.Script} core
 * @param {(name: string) => vm.Script} scriptOf the other chunks
 */
async function answerFirstCalls(core, scriptOf) {
  for (const { init, call, answer } of beginnings()) {
    const context = newContext();
    /** @type {Map<string, { exports: any }>} */
    const chunks = new Map();
    /** @type {Require} */
    const requireHere = (id) => {
      if (!id.startsWith('parallelizer:')) return require(id);
      const name = id.slice('parallelizer:'.length);
      const known = chunks.get(name);
      if (known !== undefined) return known.exports;
      const chunk = { exports: /** @type {any} */ ({}) };
      chunks.set(name, chunk);
      (name === 'core' ? core : scriptOf(name)).runInContext(context)(requireHere, chunk);
      return chunk.exports;
    };
    const parent = new Parent(context);
    /** @type {Parts} */
    const text = [];
    pushText(text, 0, 0, 0, 0, JSON.stringify({
      initializer: null, concurrency: 1, serialization: 'auto', forward: false, structured: false, reportMemory: false,
      depth: 1, ancestry: [], sharesEnv: false, ...init,
    }));
    parent.post(INIT, 0, WITH_PAGE, text);
    parent.post(CALLS, 1, 1, call());
    const loaders = { require, Module: module.constructor, import: (/** @type {string} */ url) => import(url) };
    requireHere('parallelizer:core').boot(parent.addon, loaders, false);
    await parent.answered(1);
    parent.send(CALLS, 2, 2, call());
    await parent.answered(2);
    for (const parts of parent.answers) assert.equal(String(parts[PART_FIELDS - 1]), answer);
  }
}

module.exports = { answerFirstCalls, echo, negate };
