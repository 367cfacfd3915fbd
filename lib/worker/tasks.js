'use strict';

/**
 * The functions that a pool's items are run by, as a worker has them: from a module, or from their own source. The parent
 * says what a task is before its first call, and which one to forget for it (lib/jobs/task-registry.js counts for both). Another pool
 * that goes on with this worker numbers anew; a function that both run is made once, and stays warm.
 *
 * A function by source is evaluated in strict mode, and sees what a module at the working directory would: globals and a
 * `require`, but none of the variables around it.
 */

const { SPREAD, TASK_SHIFT } = require('../codec/parts');
const { findFunction, loadModule } = require('./module-loader');

/** The name of scripts that functions by source are evaluated in, so that their errors can be told. */
const SCRIPT = 'parallelizer:task';

/** @typedef {import('./runner').Callee} Callee */

/**
 * @typedef {object} Definition
 * @property {number} id
 * @property {number} [forget] the number of another one
 * @property {boolean} [isFirst] whether the numbers of all others are somebody else's
 * @property {string} [source]
 * @property {string} [filePath]
 * @property {string} [name]
 */

/** @typedef {{ spread: Callee, single: Callee }} Task */

/** Functions that are kept, by what they were made of. */
const MAX_MADE = 256;

class Tasks {
  /** @type {Map<number, Definition>} */
  #definitions = new Map();
  /** @type {Map<number, Task>} */
  #tasks = new Map();
  /** @type {Map<string, Task>} By source, or by path and name, in the order made. */
  #made = new Map();
  #require;
  #load;

  /**
   * @param {NodeRequire} nodeRequire
   * @param {(url: string) => Promise<Record<string, unknown>>} load the dynamic `import`
   */
  constructor(nodeRequire, load) {
    this.#require = nodeRequire;
    this.#load = load;
  }

  /** @param {string} text a `Definition` */
  define(text) {
    /** @type {Definition} */
    const definition = JSON.parse(text);
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
    if (task instanceof Promise) return task.then((made) => this.#keep(definition, made)[how]);
    return this.#keep(definition, task)[how];
  }

  /** @param {Definition} definition @param {Task} task */
  #keep(definition, task) {
    // A module that does not load is tried again by the next call.
    if (this.#definitions.get(definition.id) === definition) {
      this.#tasks.set(definition.id, task);
      this.#made.set(keyOf(definition), task);
      if (this.#made.size > MAX_MADE) this.#made.delete(/** @type {string} */ (this.#made.keys().next().value));
    }
    return task;
  }

  /** @param {Definition} definition @returns {Task | Promise<Task>} */
  #make({ source, filePath = '', name = '' }) {
    if (source !== undefined) return bySource(this.#compile(source));
    const failed = (/** @type {unknown} */ cause) => {
      throw require('../errors').moduleError(filePath, { cause });
    };
    const found = (/** @type {unknown} */ loaded) => byReference(findFunction(filePath, name, loaded));
    let loaded;
    try {
      loaded = loadModule(filePath, this.#require, this.#load);
    } catch (error) {
      return failed(error);
    }
    return loaded instanceof Promise ? loaded.then(found, failed) : found(loaded);
  }

  /** @param {string} source */
  #compile(source) {
    const vm = this.#require('node:vm');
    const { join } = this.#require('node:path');
    /** @type {Record<string, any>} */
    const constants = vm.constants ?? {};
    const factory = vm.runInThisContext(`(function (require, __name) { 'use strict'; return (${source}\n); })`, {
      filename: SCRIPT,
      // Where Node has it: `import()` within the function, from the working directory.
      importModuleDynamically: constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
    });
    return factory(this.#require('node:module').createRequire(join(process.cwd(), 'task.js')), named);
  }
}

/** @param {Definition} definition */
function keyOf({ source, filePath, name }) {
  return source ?? `${filePath}#${name}`;
}

/**
 * What bundlers call to keep a function's name.
 * @template {Function} F
 * @param {F} fn @param {string} value
 */
function named(fn, value) {
  return Object.defineProperty(fn, 'name', { value, configurable: true });
}

/** @param {Function} fn @returns {Task} */
function byReference(fn) {
  return {
    spread: (args, call) => Reflect.apply(fn, call, args),
    single: (item, call) => fn.call(call, item),
  };
}

/** @param {Function} fn @returns {Task} */
function bySource(fn) {
  const { spread, single } = byReference(fn);
  return { spread: explaining(spread), single: explaining(single) };
}

/** @param {Callee} callee @returns {Callee} */
function explaining(callee) {
  return (value, call) => {
    try {
      const result = callee(value, call);
      return result instanceof Promise ? result.catch(rethrow) : result;
    } catch (error) {
      return rethrow(error);
    }
  };
}

/**
 * Says of a variable that is not there why it is not.
 * @param {unknown} error
 * @returns {never}
 */
function rethrow(error) {
  if (error instanceof ReferenceError && / is not defined$/.test(error.message)) {
    const [head, first = ''] = String(error.stack).split('\n    at ', 2);
    if (first.includes(SCRIPT)) {
      const message =
        `${error.message} in a worker: a function travels by its source, without its closure. ` +
        'Pass the value as an argument, require it within the function, or name a function of a module';
      const stack = String(error.stack).replace(head, () => `${error.name}: ${message}`);
      Object.defineProperties(error, {
        message: { value: message, writable: true, configurable: true },
        stack: { value: stack, writable: true, configurable: true },
      });
    }
  }
  throw error;
}

module.exports = { Tasks };
