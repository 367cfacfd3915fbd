'use strict';

/**
 * `Object.defineProperty`, safe from what others put on `Object.prototype`: a descriptor inherits, so that a `get`
 * there would turn each value into "cannot both specify accessors and a value".
 *
 * Must not depend on anything else here.
 */

const { defineProperty, setPrototypeOf } = Object;

/**
 * @template T
 * @param {T} target
 * @param {PropertyKey} key
 * @param {PropertyDescriptor & ThisType<any>} descriptor a literal: it loses its prototype
 * @returns {T}
 */
function define(target, key, descriptor) {
  return defineProperty(target, key, setPrototypeOf(descriptor, null));
}

module.exports = { define };
