'use strict';

/** The programs here, each of which is there twice, and how to run one. */

const { execFile } = require('node:child_process');
const { existsSync } = require('node:fs');
const path = require('node:path');
const { promisify } = require('node:util');

const PYTHON = path.join(__dirname, '..', '.setup', 'venv', 'bin', 'python');

/** Those that print the same in both languages. */
const PROGRAMS = ['squares', 'methods'];

const LANGUAGES = { Node: { command: process.execPath, extension: 'js' }, Python: { command: PYTHON, extension: 'py' } };

/** Why there is no Python to run; `undefined` if there is. */
const missingPython = () => (
  existsSync(PYTHON) ? undefined : 'Python 3 is not there, or its set-up has not worked: see what `npm run prestart` says'
);

/**
 * @param {string} name
 * @param {keyof typeof LANGUAGES} language
 * @returns {Promise<{ stdout: string, stderr: string }>} rejects if the program fails
 */
function runProgram(name, language) {
  const { command, extension } = LANGUAGES[language];
  return promisify(execFile)(command, [path.join(__dirname, `${name}.${extension}`)]);
}

module.exports = { PROGRAMS, missingPython, runProgram };
