'use strict';

/**
 * How the published package loads its files: as V8 compiled them when the package was made. A cold start is shorter for
 * it by what V8 would need to compile them once more.
 *
 * 1. What users require (`index.js`, `lambda.js`…) is a few lines that ask for their own file in `lib/` here, and
 *    require it where they are given nothing.
 * 2. The package of this platform, which lies beside this one, has a file for each version of V8 and file of `lib/`:
 *    the length of the code cache and that of the file's text, in words of four bytes; the code cache; the text of
 *    which it was made. That is the file's with what surrounds it as Node has it, and blanks, if need be, up to a size
 *    of which V8 does not copy strings when it collects garbage: otherwise these few would have it collect some at
 *    each start.
 * 3. If that text is no longer the one of `lib/`, because somebody has mended it there, it does not count: V8 itself
 *    would only compare the lengths. The code cache is trusted as the addon is, which lies beside it.
 * 4. All files of `lib/` are loaded here, or none: each module has to be there once.
 * 5. The addon is in that package too, and is loaded from there, without `require` looking for it once more. If that
 *    fails, `require` says why.
 *
 * Nothing is given where there is nothing for this version of V8; in a bundle, since nothing lies beside it; and in a
 * context of its own, such as that of Jest, whose objects are of other classes than those of the main context.
 *
 * Must not depend on anything but Node: it is loaded before everything else.
 */

const fs = require('node:fs');
const path = require('node:path');
const vm = require('node:vm');

const { FLAGS_AT, FLAGS_END, NAMES } = require('./code-cache');

/** What surrounds the text of a file, as Node has it. */
const HEAD = '(function (exports, require, module, __filename, __dirname) {';
const TAIL = '\n})';
/** Where the code cache begins in a compiled file: V8 copies what is not aligned. */
const START = 8;
/** What V8 keeps among its large objects (`kMaxRegularHeapObjectSize`). */
const UNCOPIED = 2 ** 17;
/** The file that is loaded before all others, whatever was required. */
const FIRST = 'index.js';
/** Added to a file's name. */
const EXTENSION = 'c';

/**
 * @typedef {object} Beside
 * @property {string} name
 * @property {string} addon its file
 * @property {string} compiled how the names of its compiled files begin
 */

/**
 * How Node calls a file.
 * @typedef {(exports: any, require: any, module: any, file: string, folder: string) => void} Body
 */

/** An empty code cache, for V8 to fill. @param {string} name @param {Buffer} text @returns {Buffer} */
function begin(name, text) {
  const script = new vm.Script(wrap(text).toString('latin1'), { filename: NAMES + name });
  return encode(script.createCachedData(), text);
}

/** @param {Buffer} text of a file as it is published: all of it ASCII @returns {Buffer} */
function wrap(text) {
  const wrapped = Buffer.concat([Buffer.from(HEAD), text, Buffer.from(TAIL)]);
  return Buffer.concat([wrapped, Buffer.alloc(Math.max(0, UNCOPIED - wrapped.length), ' ')]);
}

/** @param {Uint8Array} codeCache @param {Buffer} text @returns {Buffer} what a compiled file has */
function encode(codeCache, text) {
  const start = Buffer.alloc(START);
  start.writeUInt32LE(codeCache.length);
  start.writeUInt32LE(text.length, 4);
  return Buffer.concat([start, codeCache, wrap(text)]);
}

/** The text in a compiled file. @param {Buffer} bytes @returns {Buffer} */
function textIn(bytes) {
  const from = START + bytes.readUInt32LE() + HEAD.length;
  return bytes.subarray(from, from + bytes.readUInt32LE(4));
}

/** The packages of this platform that may lie beside this one. @param {string} root @returns {Beside[]} */
function packagesBeside(root) {
  const { platform, arch, versions } = process;
  // Linux has two C libraries, and to find out which one is here takes longer than to look.
  const libraries = platform === 'linux' ? ['-gnu', '-musl'] : [''];
  return libraries.map((library) => {
    const target = `${platform}-${arch}${library}`;
    const folder = path.join(root, '..', `node-${target}`);
    return {
      name: `@parallelizer/node-${target}`,
      addon: `${folder}/parallelizer.${target}.node`,
      compiled: `${folder}/compiled/${versions.v8}/`,
    };
  });
}

/**
 * That of them with compiled files for this V8, of which the first one is read at once; `null` if files are to be
 * loaded as ever.
 * @param {string | null} root
 */
function find(root) {
  if (root === null || !(vm.Script instanceof Function)) return null;
  const packages = packagesBeside(root);
  for (let i = 0; i < packages.length; i++) {
    const first = readIfThere(packages[i].compiled + FIRST + EXTENSION);
    if (first !== null) return { ...packages[i], first, flags: flagsHere() };
  }
  return null;
}

/** @param {string} file */
function readIfThere(file) {
  try {
    return fs.readFileSync(file);
  } catch {
    return null; // Or it may not be looked at: Node's permissions.
  }
}

/** The hash of V8's flags; `null` if they are those that Node starts with. */
function flagsHere() {
  if (process.execArgv.length === 0 && process.env.NODE_OPTIONS === undefined) return null;
  return new vm.Script('').createCachedData().subarray(FLAGS_AT, FLAGS_END);
}

/**
 * @param {string | null} root the directory of the package, if that is known
 * @param {any} owner the `module` of `index.js`
 * @returns {(name: string) => any} what the file of that name in `lib/` exports; `undefined` if it is to be required
 */
function compiledFiles(root, owner) {
  const found = find(root);
  if (root === null || found === null) return () => undefined;
  const { name: packageName, addon, compiled, flags } = found;
  /** What was read of the first file, until that is loaded. @type {Buffer | null} */
  let first = found.first;
  const lib = path.join(root, 'lib');
  // Node's class, without loading `node:module`.
  const nodeRequire = owner.constructor.createRequire(path.join(lib, 'index.js'));
  /** @type {Map<string, { exports: any }>} */
  const modules = new Map();

  /**
   * @param {string} name @param {Buffer} text
   * @returns {{ cachedData?: Buffer, wrapped: string }}
   */
  function compiledOf(name, text) {
    try {
      const bytes = first ?? fs.readFileSync(compiled + name + EXTENSION);
      first = null;
      if (textIn(bytes).equals(text)) {
        const end = START + bytes.readUInt32LE();
        const cachedData = bytes.subarray(START, end);
        if (flags !== null) cachedData.set(flags, FLAGS_AT);
        return { cachedData, wrapped: bytes.toString('latin1', end) };
      }
    } catch {
      // Not there, or cut off.
    }
    // Somebody may have mended it in a language of theirs.
    return { wrapped: HEAD + text.toString() + TAIL };
  }

  /** @param {string} name */
  function compile(name) {
    const filename = path.join(lib, name);
    const { cachedData, wrapped } = compiledOf(name, fs.readFileSync(filename));
    const options = { __proto__: null, filename, columnOffset: -HEAD.length, cachedData };
    const script = new vm.Script(wrapped, /** @type {any} */ (options));
    return { filename, body: /** @type {Body} */ (script.runInThisContext()) };
  }

  /** `null` if it cannot be loaded. @returns {any} */
  function loadAddon() {
    try {
      const module = { exports: {} };
      process.dlopen(module, addon);
      return module.exports;
    } catch {
      return null;
    }
  }

  /** @param {string} id */
  function requireHere(id) {
    if (id.startsWith('./')) return load(id.slice(2));
    return (id === packageName ? loadAddon() : null) ?? nodeRequire(id);
  }
  Object.assign(requireHere, nodeRequire);

  /** @param {string} name */
  function load(name) {
    const known = modules.get(name);
    if (known !== undefined) return known.exports;
    const { filename, body } = compile(name);
    const module = { exports: {} };
    modules.set(name, module);
    try {
      body.call(module.exports, module.exports, requireHere, module, filename, lib);
    } catch (error) {
      modules.delete(name);
      throw error;
    }
    return module.exports;
  }
  return load;
}

module.exports = { EXTENSION, begin, compiledFiles, encode, textIn };
