'use strict';

/**
 * The functions that process a pool's items, on the worker's side: exports of modules, or functions made from their
 * source. The parent defines a task before its first call, and says which one to forget in its place
 * (lib/jobs/task-registry.js keeps count for both sides). Another pool that takes over this worker starts its own
 * numbering; a function that both use is made once and stays warm.
 *
 * Must not depend on how calls are scheduled.
 */

const { isPromise } = require('node:util').types;
const { SPREAD, TASK_SHIFT } = require('../codec/parts');
const { fromJson } = require('../intrinsics/json');
const { trackCalls } = require('./current-call');
const { unsettledModule } = require('./settling');
const { callUser } = require('./user-function');
const { findFunction, loadModule } = require('./module-loader');

// Not needed for exports of modules.
const functionSource = () => require('./function-source');

/** @typedef {import('./runner').Callee} Callee */

/**
 * @typedef {object} Definition
 * @property {number} id
 * @property {number} [forget] the number of the task to forget
 * @property {boolean} [isFirst] whether all numbers so far were another pool's
 * @property {string} [source]
 * @property {string} [filePath]
 * @property {string} [name]
 */

/** @typedef {{ spread: Callee, single: Callee }} Task */

/** Matches what loads a module, which may be this library. */
const MAY_LOAD = /\b(?:require|import)\b/;
/** How many functions are kept. */
const MAX_MADE = 256;

class Tasks {
  /** @type {Map<number, Definition>} */
  #definitions = new Map();
  /** @type {Map<number, Task>} */
  #tasks = new Map();
  /** @type {Map<string, Task>} By source, or by path and name, the oldest first. */
  #made = new Map();
  #loaders;
  #settling;

  /**
   * @param {import('./module-loader').Loaders} loaders
   * @param {import('./settling').Watcher} settling
   */
  constructor(loaders, settling) {
    this.#loaders = loaders;
    this.#settling = settling;
  }

  /** @param {string} text a `Definition` */
  define(text) {
    /** @type {Definition} */
    const definition = fromJson(text);
    if (definition.isFirst) {
      this.#definitions.clear();
      this.#tasks.clear();
    }
    if (definition.forget !== undefined) {
      const forgotten = this.#definitions.get(definition.forget);
      if (forgotten !== undefined) this.#made.delete(keyOf(forgotten));
      this.#definitions.delete(definition.forget);
      this.#tasks.delete(definition.forget);
    }
    this.#definitions.set(definition.id, definition);
  }

  /**
   * @param {number} tag
   * @returns {Callee | Promise<Callee>}
   */
  of(tag) {
    const id = tag >>> TASK_SHIFT;
    const known = this.#tasks.get(id);
    const how = (tag & SPREAD) !== 0 ? 'spread' : 'single';
    if (known !== undefined) return known[how];
    const definition = /** @type {Definition} */ (this.#definitions.get(id));
    const task = this.#made.get(keyOf(definition)) ?? this.#make(definition);
    if (isPromise(task)) return task.then((made) => this.#keep(definition, made)[how]);
    return this.#keep(definition, task)[how];
  }

  /** @param {Definition} definition @param {Task} task */
  #keep(definition, task) {
    // A module that failed to load is tried again by the next call.
    if (this.#definitions.get(definition.id) === definition) {
      this.#tasks.set(definition.id, task);
      this.#made.set(keyOf(definition), task);
      if (this.#made.size > MAX_MADE) this.#made.delete(/** @type {string} */ (this.#made.keys().next().value));
    }
    return task;
  }

  /** @param {Definition} definition @returns {Task | Promise<Task>} */
  #make({ source, filePath = '', name = '' }) {
    if (source !== undefined) {
      // It may ask for the call that runs long after that has begun.
      if (MAY_LOAD.test(source)) trackCalls();
      return bySource(functionSource().functionOf(source, this.#loaders), source);
    }
    const failed = (/** @type {unknown} */ cause) => {
      throw require('../errors').moduleError(filePath, { cause });
    };
    const found = (/** @type {unknown} */ loaded) => byReference(findFunction(filePath, name, loaded));
    let loaded;
    try {
      loaded = loadModule(filePath, this.#loaders);
    } catch (error) {
      return failed(error);
    }
    if (!isPromise(loaded)) return found(loaded);
    return this.#settling.watch(loaded, unsettledModule).then(found, failed);
  }
}

/** @param {Definition} definition */
function keyOf({ source, filePath, name }) {
  return source ?? `${filePath}#${name}`;
}

/** @param {Function} fn @returns {Task} */
function byReference(fn) {
  // A variable that never changes is as good as a constant to V8, see user-function.js.
  const held = [fn];
  return {
    spread: (args, call) => Reflect.apply(held[0], call, args),
    single: (item, call) => callUser(held[0], call, item),
  };
}

/** @param {Function} fn @param {string} source @returns {Task} */
function bySource(fn, source) {
  const { spread, single } = byReference(fn);
  const explained = (/** @type {unknown} */ error) => functionSource().rethrow(error, source);
  return { spread: explaining(spread, explained), single: explaining(single, explained) };
}

/** @param {Callee} callee @param {(error: unknown) => never} explained @returns {Callee} */
function explaining(callee, explained) {
  return (value, call) => {
    try {
      const result = callee(value, call);
      return isPromise(result) ? result.catch(explained) : result;
    } catch (error) {
      return explained(error);
    }
  };
}

module.exports = { Tasks };
