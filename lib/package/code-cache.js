'use strict';

/**
 * Code caches of V8: what it has compiled of a text, for processes that have the same version of V8.
 *
 * V8 refuses a code cache that was made with other flags, and a heap's limit is a flag as well. It compares a hash of
 * them. No flag changes what the bytecode of this package means, which uses no feature that depends on one.
 */

/** Where a code cache has the hash of the flags, in bytes; `scripts/code-cache.js` makes sure of it. */
const FLAGS_AT = 12;
const FLAGS_END = FLAGS_AT + 4;

/**
 * How files of the published package are called that were compiled in advance, in stack traces of Node 20, where the
 * name is part of the code cache. Since Node 22 it is the path.
 */
const NAMES = '@parallelizer/node/lib/';

module.exports = { FLAGS_AT, FLAGS_END, NAMES };
