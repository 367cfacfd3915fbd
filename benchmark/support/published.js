'use strict';

/** The package as users install it: its JavaScript in few files, and the addon in the package of this platform. */

const fs = require('node:fs');
const path = require('node:path');
const { bundlePackage } = require('../../scripts/bundle-package');
const { compilePackage } = require('../../scripts/compile-package');
const { addonPath } = require('../../lib/native/native');
const manifest = require('../../package.json');

/** @param {string} folder @param {object} description */
function describe(folder, description) {
  fs.mkdirSync(folder, { recursive: true });
  fs.writeFileSync(path.join(folder, 'package.json'), JSON.stringify(description));
}

/**
 * @param {string} into a directory that is there
 * @returns {Promise<string>} what to require
 */
async function publish(into) {
  const scope = path.join(into, 'node_modules', '@parallelizer');
  const addon = path.basename(addonPath());
  const platform = /^parallelizer\.(.+)\.node$/.exec(addon)?.[1];
  const { name, version, type, main, exports } = manifest;
  describe(path.join(scope, 'node'), { name, version, type, main, exports });
  await bundlePackage(path.join(scope, 'node'));
  describe(path.join(scope, `node-${platform}`), { name: `@parallelizer/node-${platform}`, version, main: addon });
  fs.copyFileSync(addonPath(), path.join(scope, `node-${platform}`, addon));
  const compiled = path.join(scope, `node-${platform}`, 'compiled');
  const failures = compilePackage(compiled, { root: path.join(scope, 'node'), addon: addonPath() });
  if (failures.length > 0) throw new Error(failures.join('\n'));
  return path.join(scope, 'node');
}

module.exports = { publish };
