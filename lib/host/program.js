'use strict';

/**
 * The program that worker processes run, and whether this process may start them at all.
 *
 * A worker process is this very program again, with arguments for Node. A program that takes no such arguments (a
 * single executable, a packed one, Electron) would run the application instead, which would start workers in turn. Each
 * worker process has a mark in its environment until it runs the code of this library, so that such an application
 * recognizes itself, whatever the program is.
 *
 * Must not depend on options other than those that it is given, or on how processes are started.
 */

const path = require('node:path');
const { WORKER_VARIABLE } = require('../worker/boot-script');
const { variable } = require('./variables');

/** @typedef {import('./variables').Environment} Environment */

/** What is said of programs that are known to be no plain Node. */
const PACKED = 'this program has been packed into one file';

/**
 * What this program is, if it is known not to take Node's arguments.
 * @param {Environment} env that of the workers
 * @returns {string | null}
 */
function unlikeNode(env) {
  const { versions } = process;
  if (Object.hasOwn(versions, 'electron') && !variable(env, 'ELECTRON_RUN_AS_NODE')) {
    return 'this is Electron, which runs as Node.js only with ELECTRON_RUN_AS_NODE=1 in the environment of workers';
  }
  if (Object.hasOwn(versions, 'nw')) return 'this is NW.js';
  if (Object.hasOwn(process, 'pkg')) return `${PACKED}, by pkg`;
  if (Object.hasOwn(process, '__nexe')) return `${PACKED}, by nexe`;
  if (Object.hasOwn(process, 'boxednode')) return `${PACKED}, by boxednode`;
  if (isSingleExecutable()) return 'this program is a single executable application';
  return null;
}

/** @param {string} program */
function isCalledNode(program) {
  return /^node(?:js)?(?:\.exe)?$/i.test(path.basename(program));
}

/**
 * Whether a program is given by where it is, and not by a name to be looked up.
 * @param {string} program
 */
function isProgramPath(program) {
  return process.platform === 'win32' ? /[\\/]|^[a-z]:/i.test(program) : program.includes('/');
}

function isSingleExecutable() {
  // Loading the module to ask costs a tenth of a millisecond at a cold start.
  if (isCalledNode(process.execPath)) return false;
  try {
    return require('node:sea').isSea();
  } catch {
    return false; // Node before 20.12.
  }
}

/**
 * Why this process cannot start workers.
 * @param {{ hasProcesses: boolean, execPath: string | null, env: Environment }} workers
 * @returns {{ problem: string, remedy?: string } | null} without a remedy it is another program that is needed
 */
function startObstacle({ hasProcesses, execPath, env }) {
  const permission = Object.hasOwn(process, 'permission') ? /** @type {any} */ (process).permission : undefined;
  const scope = hasProcesses ? 'child' : 'worker';
  const flag = hasProcesses ? '--allow-child-process' : '--allow-worker';
  if (permission !== undefined && !permission.has(scope)) {
    return {
      problem: `Node.js was started with the permission model and without ${flag}`,
      remedy: `Add that flag, or use ${hasProcesses ? 'threads (PARALLELIZER_THREADS, --allow-worker)' : 'processes'}`,
    };
  }
  if (process.env[WORKER_VARIABLE] !== undefined) {
    return {
      problem:
        `this process was itself started as a worker, and runs something else than a worker (${WORKER_VARIABLE} is ` +
        `in its environment): ${process.execPath} does not take the arguments of Node.js, or a module that is ` +
        'preloaded makes an instance',
    };
  }
  const problem = hasProcesses && execPath === null ? unlikeNode(env) : null;
  return problem === null ? null : { problem };
}

/**
 * The file of a program that is given by its name alone, as `fork` finds it: by the workers' PATH.
 * @param {string} program @param {Environment} env
 */
function findProgram(program, env) {
  if (isProgramPath(program)) return program;
  const { accessSync, constants } = require('node:fs');
  const folders = (variable(env, 'PATH') ?? '').split(path.delimiter);
  // On Windows programs are named without their ending.
  const names = process.platform === 'win32' && path.extname(program) === '' ? [`${program}.com`, `${program}.exe`]
    : [program];
  const files = folders.flatMap((folder) => names.map((name) => path.resolve(folder, name)));
  const found = files.find((file) => {
    try {
      accessSync(file, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
  // Starting it says that there is none.
  return found ?? program;
}

module.exports = { findProgram, isCalledNode, isProgramPath, startObstacle };
