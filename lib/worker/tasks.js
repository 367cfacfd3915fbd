'use strict';

/**
 * The functions that a pool's items are run by, as a worker has them: from a module, or from their own source. The parent
 * says what a task is before its first call, and which one to forget for it (lib/tasks.js counts for both).
 *
 * A function by source is evaluated in strict mode, and sees what a module at the working directory would: globals and a
 * `require`, but none of the variables around it.
 */

const { SPREAD, TASK_SHIFT } = require('../codec');
const { findFunction, loadModule } = require('./module-loader');

/** The name of scripts that functions by source are evaluated in, so that their errors can be told. */
const SCRIPT = 'parallelizer:task';

/** @typedef {import('./runner').Callee} Callee */

/**
 * @typedef {object} Definition
 * @property {number} id
 * @property {number} [forget] the number of another one
 * @property {string} [source]
 * @property {string} [filePath]
 * @property {string} [name]
 */

/** @typedef {{ spread: Callee, single: Callee }} Task */

class Tasks {
  /** @type {Map<number, Definition>} */
  #definitions = new Map();
  /** @type {Map<number, Task>} */
  #tasks = new Map();
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
    if (definition.forget !== undefined) {
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
    const task = this.#make(/** @type {Definition} */ (this.#definitions.get(id)));
    if (task instanceof Promise) return task.then((made) => this.#keep(id, made)[how]);
    return this.#keep(id, task)[how];
  }

  /** @param {number} id @param {Task} task */
  #keep(id, task) {
    // A module that does not load is tried again by the next call.
    if (this.#definitions.has(id)) this.#tasks.set(id, task);
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
