'use strict';

/**
 * Has V8 compile what the package's files run until the first results, for `lib/package/compiled-files.js` to find.
 *
 * 1. A code cache has the functions that were compiled when it was made. All of them would be twice as much, which takes
 *    time to read: so they are those that have run.
 * 2. The package is laid out as it is installed, and each of its files gets an empty code cache, so that it loads them
 *    as it does with full ones.
 * 3. A process of its own does what users begin with (`beginnings.js`), and writes the code caches of what it has
 *    loaded. A file that it has not loaded gets none.
 *
 * PARALLELIZER_CODE_CACHE_NODES names the Nodes for which that is done, separated as in PATH, by default this one.
 */

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const vm = require('node:vm');

const { EXTENSION, begin, encode, textIn } = require('../lib/package/compiled-files');

/** Does what users begin with, in a process whose `vm.Script` was replaced. */
const BEGINNINGS = path.join(__dirname, 'beginnings.js');

/**
 * Runs in a process of the Node that the code caches are for.
 * @param {string} root the folder of the package @param {string} output where its code caches go
 */
async function compileHere(root, output) {
  const lib = path.join(root, 'lib');
  fs.mkdirSync(output, { recursive: true });
  const names = fs.readdirSync(lib).filter((name) => name.endsWith('.js'));
  const texts = new Map(names.map((name) => [name, fs.readFileSync(path.join(lib, name))]));
  const fileOf = (/** @type {string} */ name) => path.join(output, name + EXTENSION);
  for (const [name, text] of texts) fs.writeFileSync(fileOf(name), begin(name, text));
  /** @type {Map<string, vm.Script>} */
  const loaded = new Map();
  vm.Script = class extends vm.Script {
    /** @param {string} text @param {any} options */
    constructor(text, options) {
      super(text, options);
      if (options?.filename !== undefined) loaded.set(options.filename, this);
    }
  };
  await require(BEGINNINGS).begin(root);
  for (const [name, text] of texts) {
    const script = loaded.get(path.join(lib, name));
    if (script === undefined) fs.rmSync(fileOf(name));
    else fs.writeFileSync(fileOf(name), encode(script.createCachedData(), text));
  }
}

/** @param {string} folder @param {string} name @param {string} main */
function describe(folder, name, main) {
  fs.mkdirSync(folder, { recursive: true });
  fs.writeFileSync(path.join(folder, 'package.json'), JSON.stringify({ name: `@parallelizer/${name}`, main }));
}

/**
 * @param {string} output a folder that gets one for each version of V8
 * @param {{ root: string, addon: string }} from the folder of the package (`bundle-package.js`), and an addon for it
 *   that this machine can load
 * @returns {string[]} what could not be done, and why
 */
function compilePackage(output, { root, addon }) {
  const stage = fs.mkdtempSync(path.join(os.tmpdir(), 'parallelizer-compile-'));
  try {
    const scope = path.join(stage, 'node_modules', '@parallelizer');
    const file = path.basename(addon);
    const platform = file.replace(/^parallelizer\./, 'node-').replace(/\.node$/, '');
    const { NODE_OPTIONS, PARALLELIZER_CODE_CACHE_NODES: nodes = process.execPath, ...env } = process.env;
    describe(path.join(scope, platform), platform, file);
    fs.copyFileSync(addon, path.join(scope, platform, file));
    describe(path.join(scope, 'node'), 'node', 'index.js');
    fs.cpSync(root, path.join(scope, 'node'), { recursive: true });
    const compiled = path.join(scope, platform, 'compiled');
    fs.rmSync(output, { recursive: true, force: true });
    return nodes.split(path.delimiter).filter((node) => node !== '').flatMap((node) => {
      const args = [__filename, path.join(scope, 'node'), compiled];
      const { status, stderr } = spawnSync(node, args, { env, encoding: 'utf8' });
      // What one that has failed leaves behind are empty ones.
      if (status === 0) fs.cpSync(compiled, output, { recursive: true });
      fs.rmSync(compiled, { recursive: true, force: true });
      return status === 0 ? [] : [`${node} has compiled nothing in advance: ${stderr}`];
    });
  } finally {
    fs.rmSync(stage, { recursive: true, force: true });
  }
}

/**
 * Where the code caches are that were made with an addon: those of one processor are good for every C library.
 * @param {string} addon
 */
function compiledBeside(addon) {
  return addon.replace(/(?:-gnu|-musl)?\.node$/, '.compiled');
}

/**
 * Whether code caches are of the files that a package has. Others would never be taken, and nobody would notice.
 * @param {string} compiled @param {string} root the folder of the package
 */
function isOf(compiled, root) {
  const files = fs.readdirSync(compiled, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.jsc'));
  return files.length > 0 && files.every((file) => {
    const text = path.join(root, 'lib', path.basename(file).slice(0, -EXTENSION.length));
    return fs.existsSync(text) && textIn(fs.readFileSync(path.join(compiled, file))).equals(fs.readFileSync(text));
  });
}

/** @param {string} addon */
function canLoad(addon) {
  return spawnSync(process.execPath, ['-e', 'require(process.argv[1])', path.resolve(addon)]).status === 0;
}

if (require.main === module) {
  const [root, compiled] = process.argv.slice(2);
  // Its workers are not waited for.
  compileHere(root, path.join(compiled, process.versions.v8)).then(() => process.exit());
}

module.exports = { canLoad, compilePackage, compiledBeside, isOf };
