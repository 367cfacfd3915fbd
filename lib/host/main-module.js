'use strict';

/**
 * Whether a worker process can have the addon as its main module, with which it starts sooner; see
 * `lib/worker/main-script.js`.
 *
 * Whatever might have Node load its main module in another way means no, and what is not known might. Such a worker is
 * given a script (`node -e`), which works everywhere. Must not depend on options.
 */

const { packageType } = require('../package/package-type');
const { splitNodeOptions } = require('./exec-argv');
const { variable } = require('./variables');

/**
 * Flags without a value, or with one behind an equals sign, that have nothing to do with main modules: of memory, of
 * what is printed and reported, of the network, and of how JavaScript is found and read. Names are looked up, since to
 * compile a regular expression of all of them would take half a millisecond of the start.
 */
const HARMLESS = new Set([
  'max-old-space-size', 'max-old-space-size-percentage', 'max-semi-space-size', 'max-heap-size', 'min-semi-space-size',
  'initial-heap-size', 'initial-old-space-size', 'stack-size', 'stack-trace-limit', 'expose-gc', 'optimize-for-size',
  'warnings', 'deprecation', 'pending-deprecation', 'throw-deprecation', 'disable-warning', 'title',
  'unhandled-rejections', 'abort-on-uncaught-exception', 'enable-source-maps', 'inspect', 'dns-result-order',
  'max-http-header-size', 'insecure-http-parser', 'use-openssl-ca', 'use-bundled-ca', 'use-system-ca', 'conditions',
  'strip-types', 'experimental-require-module', 'experimental-detect-module', 'experimental-strip-types',
  'experimental-transform-types', 'experimental-fetch', 'experimental-websocket', 'experimental-eventsource',
  'experimental-webstorage', 'experimental-sqlite', 'experimental-worker', 'experimental-repl-await',
  'experimental-print-required-tla', 'cpu-prof', 'heap-prof', 'network-family-autoselection',
]);
/** How the names of others of them begin. */
const FAMILIES = [
  'trace-', 'report-', 'heapsnapshot-', 'cpu-prof-', 'heap-prof-', 'tls-', 'network-family-autoselection-',
  'experimental-global-',
];

/** @param {string} flag */
function isHarmless(flag) {
  if (!flag.startsWith('--')) return false;
  const name = flag.slice(flag.startsWith('--no-') ? 5 : 2).replaceAll('_', '-').split('=', 1)[0];
  return HARMLESS.has(name) || FAMILIES.some((family) => name.startsWith(family));
}

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
  if (inherited === null || !inherited.every(({ value }) => isHarmless(value)) || !execArgv.every(isHarmless)) {
    return false;
  }
  // A bundler may have put it elsewhere, under another name. `import` does not load it.
  return addonPath.endsWith('.node') && packageType(addonPath) === 'commonjs';
}

module.exports = { canBeMainModule };
