'use strict';

/**
 * The functions that run a pool's items: self-contained ones, which travel by their source, and those of modules.
 *
 * A task has a number, and a call carries nothing else of it. A worker is sent the definition of a task before its
 * first call, and keeps it; when it would keep too many, it is told which one to forget. (Its side:
 * `lib/worker/tasks.js`.) A worker may have run the tasks of another pool before: the first definition tells it to
 * forget their numbers.
 *
 * Must not depend on jobs or carriers.
 */

const path = require('node:path');
const { types } = require('node:util');
const vm = require('node:vm');
const { SPREAD, TASK, TASK_SHIFT, pushText } = require('../codec/parts');
const { optionError } = require('../errors');
const { toJson } = require('../intrinsics/json');
const { functionName, modulePath } = require('../options/option-checks');

/** How many tasks a worker keeps. */
const MAX_KEPT = 256;
/** How many tasks are remembered by their source or name, so that the same one gets the same number. */
const MAX_REMEMBERED = 1024;
/** As many as a tag has room for. A program that makes so many would send definitions without end. */
const MAX_TASKS = 2 ** (32 - TASK_SHIFT) - 1;

const EXPECTED = "a self-contained function, { filePath, name }, or a string 'path#name'";

/**
 * @typedef {object} Task
 * @property {number} id
 * @property {{ source: string } | { filePath: string, name: string }} definition
 * @property {number} bytes the latest size of an argument or a result, per call
 */

/** A task that has been read already, such as one that came from another machine. */
class ReadTask {
  /** @param {Task['definition']} definition */
  constructor(definition) {
    this.definition = definition;
  }
}

class TaskRegistry {
  /** @type {Map<string, Task>} By source, or by path and name, in the order of their last use. */
  #tasks = new Map();
  /** @type {WeakMap<Function, Task>} */
  #byFunction = new WeakMap();
  /** @type {WeakMap<Function, Task>} The same for generator functions. */
  #byGenerator = new WeakMap();
  /** @type {Map<string, Map<string, Task>>} By path and name, where these do not depend on the current directory. */
  #byPath = new Map();
  /** @type {Map<string, Task>} The same for texts 'path#name'. */
  #byText = new Map();
  /** How many are in these two. */
  #rememberedCount = 0;
  #count = 0;
  /** @type {Map<number, { last: number, ids: Map<number, true> }>} The tasks that workers keep, in order of use. */
  #kept = new Map();

  /**
   * @param {unknown} task @param {string} [name] its name in messages
   * @param {boolean} [mayYield] whether it may be a generator function
   * @returns {Task}
   */
  of(task, name = 'task', mayYield = false) {
    if (typeof task === 'function') {
      const plain = this.#byFunction.get(task);
      if (plain !== undefined) return plain;
      const isGenerator = types.isGeneratorFunction(task);
      if (isGenerator && !mayYield) throw generatorError(name);
      const functions = isGenerator ? this.#byGenerator : this.#byFunction;
      const known = functions.get(task);
      if (known !== undefined) return known;
      const source = textOf(task, name);
      // A function that is written in a loop is another one each time, with the same text.
      if (!this.#tasks.has(source)) judgeSource(source, name);
      const found = this.#find(source, { source });
      functions.set(task, found);
      return found;
    }
    if (task instanceof ReadTask) {
      const { definition } = task;
      const key = 'source' in definition ? definition.source : `${definition.filePath}#${definition.name}`;
      return this.#find(key, definition);
    }
    const remembered = this.#remembered(task);
    if (remembered !== undefined) return remembered;
    const { filePath, exportName, given } = referenceOf(task, name);
    const found = this.#find(`${filePath}#${exportName}`, { filePath, name: exportName });
    this.#remember(given, typeof task === 'string' ? null : exportName, found);
    return found;
  }

  /**
   * The task that was named just like this before: to check a reference takes longer than to submit a call, and many
   * programs write one anew for each.
   * @param {unknown} task
   */
  #remembered(task) {
    if (typeof task === 'string') return this.#byText.get(task);
    if (typeof task !== 'object' || task === null || Array.isArray(task)) return undefined;
    const { filePath, name } = /** @type {{ filePath?: any, name?: any }} */ (task);
    const found = this.#byPath.get(filePath)?.get(name);
    return found !== undefined && hasOnly(task, 'filePath', 'name') ? found : undefined;
  }

  /**
   * @param {unknown} given the path or the text that was read: a getter may say something else the next time
   * @param {string | null} name `null`: it is a text that has the name as well
   * @param {Task} task
   */
  #remember(given, name, task) {
    if (typeof given !== 'string' || !(path.isAbsolute(given) || given.startsWith('file:'))) return;
    if (++this.#rememberedCount > MAX_REMEMBERED) {
      this.#byPath.clear();
      this.#byText.clear();
      this.#rememberedCount = 1;
    }
    if (name === null) this.#byText.set(given, task);
    else this.#byPath.set(given, (this.#byPath.get(given) ?? new Map()).set(name, task));
  }

  /** @param {string} key @param {Task['definition']} definition */
  #find(key, definition) {
    let task = this.#tasks.get(key);
    if (task === undefined) {
      if (this.#count === MAX_TASKS) {
        throw optionError('task', undefined, 'is one too many for this pool: make a new pool');
      }
      task = { id: ++this.#count, definition, bytes: 0 };
    }
    this.#tasks.delete(key);
    this.#tasks.set(key, task);
    if (this.#tasks.size > MAX_REMEMBERED) {
      this.#tasks.delete(/** @type {string} */ (this.#tasks.keys().next().value));
    }
    return task;
  }

  /**
   * Appends the definition of a task for a worker that does not keep it.
   * @param {number} worker @param {Task} task @param {import('../codec/parts').Parts} parts
   */
  sendDefinition(worker, task, parts) {
    let kept = this.#kept.get(worker);
    const isFirst = kept === undefined;
    if (kept === undefined) this.#kept.set(worker, (kept = { last: 0, ids: new Map() }));
    if (kept.last === task.id) return;
    kept.last = task.id;
    const { ids } = kept;
    const isKnown = ids.delete(task.id);
    ids.set(task.id, true);
    if (isKnown) return;
    let forget;
    if (ids.size > MAX_KEPT) {
      forget = /** @type {number} */ (ids.keys().next().value);
      ids.delete(forget);
    }
    pushText(parts, TASK, 0, 0, 0, definitionText(task, forget, isFirst));
  }

  /** @param {number} worker one that is gone, or belongs to another pool now */
  forget(worker) {
    this.#kept.delete(worker);
  }
}

/** @param {object} object @param {string} one @param {string} two */
function hasOnly(object, one, two) {
  // `Object.keys` would make a list for each of a million calls a second.
  for (const key in object) if (key !== one && key !== two) return false;
  return true;
}

/** @param {Task} task @param {number} [forget] @param {boolean} [isFirst] */
function definitionText({ id, definition }, forget, isFirst) {
  return toJson({ id, forget, isFirst, ...definition });
}

/**
 * The tag of calls of a task.
 * @param {Task} task @param {boolean} spread whether an argument is a list of them
 */
function tagOf(task, spread) {
  return ((task.id << TASK_SHIFT) | (spread ? SPREAD : 0)) >>> 0;
}

/** @param {Function} fn @param {string} name */
function textOf(fn, name) {
  try {
    return Function.prototype.toString.call(fn);
  } catch {
    throw optionError(name, fn, EXPECTED); // A callable Proxy has no text.
  }
}

/** @param {string} name */
function generatorError(name) {
  return optionError(
    name, undefined, 'is a generator function, whose result cannot travel: return an array, or use pool.stream()',
  );
}

/**
 * Refuses a text that a worker cannot make the same function of.
 * @param {string} source @param {string} name
 */
function judgeSource(source, name) {
  const advice = `name a function of a module instead: { filePath, name }`;
  if (/\{\s*\[native code\]\s*\}\s*$/.test(source)) {
    throw optionError(name, undefined, `is a function without a text of its own (a native or a bound one); ${advice}`);
  }
  if (/^class\b/.test(source)) throw optionError(name, undefined, 'is a class, and cannot be called without "new"');
  try {
    // Compiled, not run. A text that is not an expression belongs to a method or an accessor, or uses `super`.
    // Node would take options that are not given from `Object.prototype`.
    const options = Object.assign(Object.create(null), { filename: 'task' });
    new vm.Script(`(function () { 'use strict'; return (${source}\n); })`, options);
  } catch (cause) {
    const problem =
      `cannot be read again from its text, as a method's or an accessor's: use an arrow function, or ${advice}`;
    throw optionError(name, undefined, problem, { cause });
  }
}

/**
 * @param {unknown} task @param {string} name
 * @returns {{ filePath: string, exportName: string, given: unknown }} `given`: what was read, as it was
 */
function referenceOf(task, name) {
  if (typeof task === 'string') {
    const at = task.lastIndexOf('#');
    if (at <= 0 || at === task.length - 1) throw optionError(name, task, EXPECTED);
    return { filePath: modulePath({ name, value: task.slice(0, at) }), exportName: task.slice(at + 1), given: task };
  }
  if (typeof task !== 'object' || task === null || Array.isArray(task)) throw optionError(name, task, EXPECTED);
  const unknown = Object.keys(task).find((key) => key !== 'filePath' && key !== 'name');
  if (unknown !== undefined) {
    throw optionError(`${name}.${unknown}`, undefined, 'is not known: a task is { filePath, name }');
  }
  const { filePath, name: exportName } = /** @type {Record<string, unknown>} */ (task);
  if (typeof exportName !== 'string' || exportName === '') {
    throw optionError(`${name}.name`, exportName, 'the name of an exported function');
  }
  return { filePath: modulePath({ name: `${name}.filePath`, value: filePath }), exportName, given: filePath };
}

/**
 * A reference that means the same wherever it is used: checked, absolute, frozen.
 * @param {unknown} filePath @param {unknown} name
 * @returns {Readonly<{ filePath: string, name: string }>}
 */
function task(filePath, name) {
  return Object.freeze({
    filePath: modulePath({ name: 'filePath', value: filePath }),
    name: functionName({ name: 'name', value: name }),
  });
}

module.exports = { ReadTask, TaskRegistry, definitionText, tagOf, task };
