'use strict';

/**
 * Makes functions from their source, in strict mode, with the globals and a `require` from the working directory.
 *
 * 1. `import()` within such a function resolves from the working directory as well. It works through the script that
 *    evaluates the function, which is compiled as the CommonJS loader compiles a module; the ways that `node:vm` has
 *    for it depend on the version of Node, and print a warning.
 * 2. Tools that instrument or compile code refer to helpers outside of the function. Where a stand-in does no harm, as
 *    for coverage counters, there is one; an error about any other says whose helper it is.
 *
 * Must not depend on what a function is for.
 */

const { isNativeError } = require('node:util').types;
const { define } = require('../intrinsics/define');

/** The name of the scripts that make functions by source, so that their errors can be told apart. */
const SCRIPT = 'parallelizer:task';

const NO_CLOSURE = 'a function travels by its source, without its closure';

/** How Istanbul (nyc, jest, vitest) counts: `cov_1a2b().s[0]++`, and in its first versions `__cov_1a2b.s['1']++`. */
const COUNTERS = /\b(cov_[0-9a-z]+|__cov_[\w$]+)(?:\(\))?\.[sfb]\[['"]?\d+['"]?\]/g;
/** Of Stryker's helpers, `stryMutAct` asks whether a mutant is active, and the others set up and count. */
const MUTANTS = /\bstry(?:MutAct|Cov|NS)_[0-9a-f]+\b/g;

/** Who puts what outside of functions, by the name that is missing. */
const TOOLS = /** @type {const} */ ([
  [/^_*cov_/, 'a coverage counter'],
  [/^_\$jscoverage$|^__coverage__$/, 'a coverage counter'],
  [/^stry(?:MutAct|Cov|NS)_/, 'a helper of Stryker'],
  [/^__(?:vite_ssr|vi)_/, 'what Vite and Vitest make of an import'],
  [/^__webpack_|__WEBPACK_/, 'what webpack makes of an import'],
  [/^__turbopack_|__TURBOPACK__/, 'what Turbopack makes of an import'],
  [/^parcelRequire|^\$parcel\$/, 'what Parcel makes of an import'],
  [/^import_\w+$/, 'what esbuild makes of an import'],
  [/^(?:exports|module)$|^\w+_\d+$/, 'what TypeScript makes of an import or an export'],
  [/^__(?:awaiter|generator|assign|rest|spread|spreadArrays?|read|values|extends)$/, 'a helper of TypeScript'],
  [/^__(?:await|async(?:Generator|Delegator|Values))$/, 'a helper of TypeScript'],
  [/^__(?:classPrivateField\w+|(?:import|set)\w+|makeTemplateObject|rewriteRelative\w+)$/, 'a helper of TypeScript'],
  [/^__(?:decorate|param|metadata|esDecorate|runInitializers|propKey|setFunctionName)$/, 'a helper of TypeScript'],
  [/^__(?:addDisposableResource|disposeResources)$/, 'a helper of TypeScript'],
  [/^tslib/, 'a helper of TypeScript'],
  [/^__(?:name|async|yieldStar|forAwait|spread(?:Props|Values)|objRest|template)$/, 'a helper of esbuild'],
  [/^__(?:to(?:ESM|CommonJS|Binary)|require|commonJS|esm|export|publicField)$/, 'a helper of esbuild'],
  [/^__(?:private\w+|def(?:Prop|NormalProp)\w*|using|callDispose|decorate\w+)$/, 'a helper of esbuild'],
  [/^_(?:optionalChain|nullishCoalesce|asyncOptionalChain|asyncNullishCoalesce)(?:Delete)?$/, 'a helper of Sucrase'],
  [/^_(?:regenerator\w*|asyncToGenerator\w*|interopRequire\w*|classCallCheck\d*|createClass\d*)$/, 'a helper of Babel'],
  [/^_(?:objectSpread\d*|(?:to|non|unsupported)[A-Z]\w*|defineProperty\d*|slicedToArray\d*)$/, 'a helper of Babel'],
  [/^_(?:(?:wrap|await|async)[A-Z]\w*|createForOf\w*|objectWithout\w*|extends\d*|typeof\d*)$/, 'a helper of Babel'],
  [/^_(?:class(?:Private|Static|Apply)\w*|inherits\w*|callSuper\d*|taggedTemplate\w*)$/, 'a helper of Babel'],
  [/^regeneratorRuntime$/, 'a helper of Babel'],
  [/^_(?:async|interop|object|define|to|sliced|ts|class|wrap|await|create|type|call|inherits)_\w+$/, 'a helper of SWC'],
]);

/** @typedef {(code: string) => any} Evaluate */
/** @typedef {import('./module-loader').Loaders} Loaders */

/** @type {Map<string, Evaluate | null>} The one of the working directory; a worker may change that. */
const evaluators = new Map();

/**
 * @param {string} source
 * @param {Loaders} loaders
 * @returns {Function}
 */
function functionOf(source, loaders) {
  const standIns = standInsFor(source);
  const names = ['require', '__name', ...standIns.keys()].join(', ');
  const code = `(function (${names}) { 'use strict'; return (${source}\n); })`;
  // There is no such file; what is resolved from it is resolved from its folder.
  const file = loaders.require('node:path').join(directory(), 'parallelizer-task');
  const ownRequire = loaders.Module.createRequire(file);
  return Reflect.apply(evaluated(code, file, loaders), undefined, [ownRequire, named, ...standIns.values()]);
}

/** The working directory; one that was removed has nothing that could be required. */
function directory() {
  try {
    return process.cwd();
  } catch {
    return '/';
  }
}

/** @param {string} code @param {string} file @param {Loaders} loaders */
function evaluated(code, file, loaders) {
  let evaluate = evaluators.get(file);
  if (evaluate === undefined) {
    evaluators.clear();
    evaluators.set(file, (evaluate = makeEvaluator(file, loaders.Module)));
  }
  try {
    if (evaluate !== null) return evaluate(`${code}\n//# sourceURL=${SCRIPT}`);
  } catch (error) {
    // With --disallow-code-generation-from-strings.
    if (/** @type {any} */ (error)?.name !== 'EvalError') throw error;
  }
  const vm = loaders.require('node:vm');
  const importModuleDynamically = vm.constants?.USE_MAIN_CONTEXT_DEFAULT_LOADER;
  return vm.runInThisContext(code, Object.assign(Object.create(null), { filename: file, importModuleDynamically }));
}

/**
 * An indirect `eval`, which sees globals only, and takes `import()` over from the script that it stands in.
 * @param {string} file @param {any} Module
 * @returns {Evaluate | null} `null` in a test runner's sandbox, whose loader is another one
 */
function makeEvaluator(file, Module) {
  if (typeof Module.prototype?._compile !== 'function') return null;
  const module = new Module(file);
  module._compile('module.exports = ((evaluate) => (code) => evaluate(code))(eval);', file, 'commonjs');
  return module.exports;
}

/**
 * Stand-ins for what an instrumented function refers to.
 * @param {string} source
 * @returns {Map<string, unknown>} by name
 */
function standInsFor(source) {
  /** @type {Map<string, unknown>} */
  const found = new Map();
  if (source.includes('cov_')) for (const { 1: name } of source.matchAll(COUNTERS)) found.set(name, counter());
  if (source.includes('stry')) for (const { 0: name } of source.matchAll(MUTANTS)) found.set(name, () => false);
  for (const name of found.keys()) if (name in globalThis) found.delete(name);
  return found;
}

/** What can be called, read and counted up, and remembers nothing. */
function counter() {
  /** @type {any} */
  const standIn = new Proxy(() => standIn, {
    get: (_target, key) => (key === Symbol.toPrimitive ? () => 0 : standIn),
    set: () => true,
  });
  return standIn;
}

/**
 * The helper that bundlers call to keep a function's name.
 * @template {Function} F
 * @param {F} fn @param {string} value
 */
function named(fn, value) {
  return define(fn, 'name', { value, configurable: true });
}

/**
 * Adds to the error about an undefined variable why it is undefined here.
 * @param {unknown} error
 * @param {string} source of the function that has thrown it
 * @returns {never}
 */
function rethrow(error, source) {
  if (isNativeError(error) && error.name === 'ReferenceError' && / is not defined$/.test(error.message)) {
    const { 0: head, 1: first = '' } = String(error.stack).split('\n    at ', 2);
    if (/parallelizer[:-]task/.test(first)) {
      const message = `${error.message} in a worker: ${reasonFor(error.message.split(' ', 1)[0], source)}`;
      const stack = String(error.stack).replace(head, () => `${error.name}: ${message}`);
      define(error, 'message', { value: message, writable: true, configurable: true });
      define(error, 'stack', { value: stack, writable: true, configurable: true });
    }
  }
  throw error;
}

/**
 * Whether a name is called as esbuild calls its `__name` once that is minified: with a function, and its name as text.
 * @param {string} name @param {string} source
 */
function keepsNames(name, source) {
  if (name.length > 3) return false;
  const first = '(?:async\\b|function\\b|class\\b|\\(|[A-Za-z_$][\\w$]*\\s*(?:=>|,\\s*["\'`]))';
  const withFunction = new RegExp(`(?<![\\w$.])${name.replaceAll('$', '\\$')}\\(\\s*${first}`);
  return withFunction.test(source) && /,\s*(["'`])[\w$]+\1\)/.test(source);
}

/** @param {string} name @param {string} source */
function reasonFor(name, source) {
  const tool = TOOLS.find(([pattern]) => pattern.test(name))?.[1];
  if (tool === undefined && keepsNames(name, source)) {
    return (
      'it looks like the helper by which esbuild, and bundlers like it, keep the names of functions (keepNames), ' +
      `renamed by minifying, and ${NO_CLOSURE}. Minify without keepNames, or without renaming (minifyIdentifiers: ` +
      'false), or name a function of a module, { filePath, name }'
    );
  }
  if (tool === undefined) {
    return (
      `${NO_CLOSURE}. Pass the value as an argument, require it within the function, or name a function of a module`
    );
  }
  return (
    `it is ${tool}, outside of the function, and ${NO_CLOSURE}. Name a function of a module instead, ` +
    '{ filePath, name }, or keep the tool from this function'
  );
}

module.exports = { functionOf, rethrow };
