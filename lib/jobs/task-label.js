'use strict';

/**
 * What people know a function by.
 *
 * Must not depend on where that is shown.
 */

/** So many characters of the source of a function without a name. */
const MAX_SOURCE = 40;

/**
 * @param {unknown} task as users give it, or the definition of a task
 * @returns {string | null} null: it is no task
 */
function taskLabel(task) {
  if (typeof task === 'function') return task.name || sourceLabel(Function.prototype.toString.call(task));
  if (typeof task === 'string') return task.slice(task.lastIndexOf('#') + 1);
  if (typeof task !== 'object' || task === null) return null;
  const { name, source } = /** @type {{ name?: unknown, source?: unknown }} */ (task);
  if (typeof name === 'string') return name;
  return typeof source === 'string' ? sourceLabel(source) : null;
}

/** @param {string} source */
function sourceLabel(source) {
  const named = /^(?:async\s+)?function\b\s*\*?\s*([\p{ID_Start}$_][\p{ID_Continue}$]*)/u.exec(source);
  if (named !== null) return named[1];
  const line = source.replace(/\s+/g, ' ');
  return line.length <= MAX_SOURCE ? line : `${line.slice(0, MAX_SOURCE - 1)}…`;
}

/**
 * What the function of a job's calls is known by.
 * @param {import('./job-table').Job} job @param {string | null} functionName that of the pool
 */
function jobLabel({ task }, functionName) {
  return task === null ? functionName : taskLabel(task.definition);
}

module.exports = { jobLabel, taskLabel };
