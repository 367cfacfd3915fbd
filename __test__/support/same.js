'use strict';
// Whether two values are the same as far as a copy can be: kinds, prototypes, properties and their order, and which
// references are to the same object. Works off a list instead of recursing, so that depth does not matter.

const { types } = require('node:util');

/** The kind of an object whose content is not (only) in its properties. */
function kindOf(value) {
  const prototype = Object.getPrototypeOf(value);
  if (prototype === Array.prototype) return 'Array';
  if (prototype === Object.prototype) return 'Object';
  if (Buffer.isBuffer(value)) return 'Buffer';
  if (ArrayBuffer.isView(value)) return types.isDataView(value) ? 'DataView' : value[Symbol.toStringTag];
  if (types.isSharedArrayBuffer(value)) return 'SharedArrayBuffer';
  if (types.isArrayBuffer(value)) return 'ArrayBuffer';
  if (types.isBoxedPrimitive(value)) return 'boxed';
  if (types.isNativeError(value)) return 'Error';
  for (const kind of ['Date', 'RegExp', 'Map', 'Set', 'Promise']) if (types[`is${kind}`](value)) return kind;
  return Array.isArray(value) ? 'Array' : 'Object';
}

/** The bytes of a view, or of a buffer. */
function bytesOf(value) {
  return ArrayBuffer.isView(value) ? Buffer.from(value.buffer, value.byteOffset, value.byteLength) : Buffer.from(value);
}

/**
 * What a value of this kind consists of besides its properties: primitives for `Object.is`, and parts to go on with.
 */
function contentOf(kind, value) {
  switch (kind) {
    case 'Date':
      return { own: [value.getTime()] };
    case 'RegExp':
      return { own: [value.source, value.flags] };
    case 'boxed':
      return { own: [value.valueOf()] };
    case 'Map':
      return { own: [value.size], parts: [...value].flat() };
    case 'Set':
      return { own: [value.size], parts: [...value] };
    case 'Array':
      return { own: [value.length] };
    default:
      return { own: [] };
  }
}

const isPrimitive = (value) => (typeof value !== 'object' && typeof value !== 'function') || value === null;
const isBinary = (kind) =>
  kind === 'Buffer' || kind === 'DataView' || (/Array$/.test(kind) && kind !== 'Array') || /ArrayBuffer$/.test(kind);
const shown = (value) => (isPrimitive(value) ? String(value).slice(0, 40) : kindOf(value));

/**
 * `where` is a path and what is wrong there, or null when `actual` is what `expected` is; `size` values were compared.
 */
function difference(actual, expected) {
  const there = new Map();
  const back = new Map();
  const left = [[actual, expected, null, 'value']];
  let size = 0;
  for (let next = left.pop(); next; next = left.pop()) {
    size++;
    const [one, other] = next;
    const wrong = (what) => ({ where: `${pathOf(next)}: ${what}`, size });
    if (isPrimitive(one) || isPrimitive(other)) {
      if (!Object.is(one, other)) return wrong(`${shown(one)} instead of ${shown(other)}`);
      continue;
    }
    if (there.has(other) || back.has(one)) {
      if (there.get(other) !== one) return wrong('one object where there are two, or two where there is one');
      continue;
    }
    there.set(other, one);
    back.set(one, other);
    const kind = kindOf(other);
    if (kindOf(one) !== kind) return wrong(`${kindOf(one)} instead of ${kind}`);
    if (Object.getPrototypeOf(one) !== Object.getPrototypeOf(other)) return wrong('another prototype');
    if (isBinary(kind)) {
      if (one.byteLength !== other.byteLength) return wrong(`${one.byteLength} bytes instead of ${other.byteLength}`);
      if (!bytesOf(one).equals(bytesOf(other))) return wrong('other bytes');
      continue;
    }
    const content = contentOf(kind, other);
    const found = contentOf(kind, one);
    for (const [i, own] of content.own.entries()) {
      if (!Object.is(found.own[i], own)) return wrong(`${found.own[i]} instead of ${own}`);
    }
    content.parts?.forEach((part, i) => left.push([found.parts[i], part, next, `<${i}>`]));
    // The indices of a list without holes and other properties need no comparison.
    const keys = isBareList(other) ? null : Reflect.ownKeys(other);
    const length = keys?.length ?? other.length;
    if (keys === null) {
      if (!isBareList(one)) return wrong('holes, or further properties');
    } else {
      const ownKeys = Reflect.ownKeys(one);
      if (ownKeys.length !== length) return wrong(`${ownKeys.length} properties instead of ${length}`);
      const at = keys.findIndex((key, i) => ownKeys[i] !== key);
      if (at >= 0) return wrong(`key ${shown(ownKeys[at])} instead of ${shown(keys[at])}`);
      if (Object.keys(one).length !== Object.keys(other).length) return wrong('other properties are enumerable');
    }
    for (let i = 0; i < length; i++) {
      const key = keys === null ? i : keys[i];
      const part = other[key];
      const ownPart = one[key];
      size++;
      if (!isPrimitive(part) || !isPrimitive(ownPart)) left.push([ownPart, part, next, key]);
      else if (!Object.is(ownPart, part)) return wrong(`${shown(ownPart)} instead of ${shown(part)} as ${shown(key)}`);
    }
  }
  return { where: null, size };
}

/** Whether a list has nothing but its elements. */
function isBareList(value) {
  if (!Array.isArray(value) || Object.values(value).length !== value.length) return false;
  for (let i = 0; i < value.length; i++) if (value[i] === undefined && !Object.hasOwn(value, i)) return false;
  return true;
}

/** The last steps to a place. */
function pathOf(place) {
  const steps = [];
  for (let at = place; at !== null && steps.length < 12; at = at[2]) steps.unshift(String(at[3]).slice(0, 40));
  return steps.join('.');
}

module.exports = { difference, kindOf };
