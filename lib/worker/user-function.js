'use strict';

/**
 * How functions of the user's are called.
 *
 * V8 inlines what a place calls again and again. In the middle of a runner it compiles a user's loop to code that takes
 * 2.5 times as long as the function by itself, some thousand calls after everything has been fast. What is called
 * through `Reflect.apply` is not known to it beforehand, as long as the caller has the function in a list or a field: a
 * variable that never changes is a constant to V8. That takes a few nanoseconds.
 *
 * Must not depend on what the functions are for.
 */

const { apply } = Reflect;

/**
 * @param {Function} fn @param {unknown} receiver its `this` @param {unknown} argument
 * @returns {any}
 */
function callUser(fn, receiver, argument) {
  return apply(fn, receiver, [argument]);
}

module.exports = { callUser };
