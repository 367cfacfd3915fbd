'use strict';

/**
 * Whether a worker process can have the addon as its main module, with which it starts sooner; see
 * `lib/worker/main-script.js`.
 *
 * Whatever might have Node load its main module in another way means no, and what is not known might. Such a worker is
 * given a script (`node -e`), which works everywhere. Must not depend on options.
 */

const { isInEsPackage } = require('../package/package-type');
const { splitNodeOptions } = require('./exec-argv');
const { variable } = require('./variables');

/**
 * Flags without a value, or with one behind an equals sign, that have nothing to do with main modules: of memory, of
 * what is printed and reported, of the network, and of how JavaScript is found and read.
 */
const HARMLESS = new RegExp(`^--(?:no-)?(?:${[
  '(?:max|min|initial)-[a-z-]*(?:space|heap)-size', 'stack-(?:size|trace-limit)', 'expose-gc', 'optimize-for-size',
  'trace-[a-z-]+', 'warnings', 'deprecation', '(?:pending|throw)-deprecation', 'disable-warning', 'title',
  'unhandled-rejections', 'abort-on-uncaught-exception', 'enable-source-maps', 'report-[a-z-]+', 'heapsnapshot-[a-z-]+',
  '(?:cpu|heap)-prof(?:-[a-z]+)?', 'inspect', 'dns-result-order', 'network-family-autoselection(?:-[a-z-]+)?',
  'max-http-header-size', 'insecure-http-parser', 'tls-[a-z0-9.-]+', 'use-(?:openssl|bundled|system)-ca',
  'conditions', 'experimental-(?:require-module|detect-module|strip-types|transform-types|global-[a-z-]+)',
  'experimental-(?:fetch|websocket|eventsource|webstorage|sqlite|worker|repl-await|print-required-tla)', 'strip-types',
].join('|')})(?:=|$)`);

/**
 * @param {string} addonPath
 * @param {string} program that the workers run
 * @param {readonly string[]} execArgv their flags
 * @param {import('./variables').Environment} env theirs
 */
function canBeMainModule(addonPath, program, execArgv, env) {
  // Another program may be another version of Node, or none.
  if (program !== process.execPath || process.versions.electron !== undefined) return false;
  const inherited = splitNodeOptions(variable(env, 'NODE_OPTIONS') ?? '');
  const isHarmless = (/** @type {string} */ flag) => HARMLESS.test(flag.replaceAll('_', '-'));
  if (inherited === null || !inherited.every(({ value }) => isHarmless(value)) || !execArgv.every(isHarmless)) {
    return false;
  }
  // A bundler may have put it elsewhere, under another name. `import` does not load it.
  return addonPath.endsWith('.node') && !isInEsPackage(addonPath);
}

module.exports = { canBeMainModule };
