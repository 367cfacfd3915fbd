'use strict';

/**
 * Variables of an environment by their names, in which case does not matter on Windows: `process.env` knows that there,
 * and copies of it and what users pass do not.
 *
 * Must not depend on what a variable is for.
 */

/** @typedef {Readonly<Record<string, string | undefined>>} Environment */

/**
 * The name that an environment itself has for a variable.
 * @param {Environment} env @param {string} name
 * @returns {string} the same where there is no such variable
 */
function variableName(env, name, platform = process.platform) {
  if (platform !== 'win32' || Object.hasOwn(env, name)) return name;
  const upper = name.toUpperCase();
  return Object.keys(env).find((each) => each.toUpperCase() === upper) ?? name;
}

/**
 * @param {Environment} env @param {string} name
 * @returns {string | undefined}
 */
function variable(env, name, platform = process.platform) {
  return env[variableName(env, name, platform)];
}

module.exports = { variable, variableName };
