'use strict';

/**
 * Writes the answers to calls as reply frames, none of which becomes much larger than it may.
 *
 * A result that the transport refuses becomes an error of its own call; the answers beside it are sent all the same.
 *
 * Must not depend on how a reply reaches the parent, nor on when it is written.
 */

const { encodeOne, encodeValues } = require('../codec/codec');
const { isError } = require('../codec/is-error');
const {
  BEYOND_LATIN1, BYTES, CALLS_FIELD, ERROR_TREE, FAILED, JSON_LIST, LATIN1, PART_FIELDS, PLAIN_VALUES, SKIPPED,
  pushText, sizeOf,
} = require('../codec/parts');
const { toJson } = require('../intrinsics/json');
const { MAX_COUNT } = require('../transport/constants');

/** A reply that has reached this size is sent, and the rest goes into another one, in bytes. */
const FULL_REPLY = 4 * 1024 * 1024;
/** How many values are encoded at a time. */
const SLICE = 1024;
/** So many characters are shown of what cannot be sent. */
const MAX_SHOWN = 1000;

/** @typedef {import('../transport/ring').ShortAnswer} ShortAnswer */

/**
 * @callback Reply
 * @param {number} frame @param {number} offset @param {number} micros @param {import('../codec/parts').Parts} parts
 * @returns {void}
 */

/**
 * @typedef {object} Port
 * @property {Reply} reply sends an answer of which the parent is to know now
 * @property {Reply | null} publish sends one that arrives whatever becomes of this worker, and of which the parent need
 *   not know before `told`; `null` where that costs as much as a reply
 * @property {((frame: number, offset: number, micros: number, answer: ShortAnswer) => void) | null} publishShort the
 *   same for one call whose answer is short, see `isShort`
 * @property {() => void} told has the parent know of what was published
 * @property {((seq: number) => void) | null} begun publishes the number of a call that begins, where no page does
 * @property {() => void} poll reads pending cancellations now
 * @property {import('./messages').SendMessage} sendMessage sends what a call emits
 * @property {number} messageRoom how much of that may be under way, in bytes
 * @property {boolean} isLocal whether the parent is this very thread
 * @property {() => void} served all calls of a frame have begun; where they run one at a time, they are answered too
 */

/**
 * The kind is told by a property that each has: whether there is another would be asked of `Object.prototype` as well.
 * @typedef {{ kind: 'values', values: unknown[] } | { kind: 'encoded', answer: ShortAnswer }
 *   | { kind: 'thrown', thrown: unknown } | { kind: 'skipped', skipped: number }} Answer
 */

/**
 * The answers to consecutive calls of one frame, not written out yet.
 * @typedef {{ frame: number, offset: number, count: number, ranFor: number, answers: Answer[] }} Group
 */

/**
 * The group to which the caller must add the answer to this call; made if the last one is about others.
 * @param {Group[]} groups @param {number} frame @param {number} offset @param {number} ranFor
 * @returns {Group}
 */
function groupOf(groups, frame, offset, ranFor) {
  const last = groups[groups.length - 1];
  if (last !== undefined && last.frame === frame && last.offset + last.count === offset) {
    last.count++;
    last.ranFor += ranFor;
    return last;
  }
  const group = { frame, offset, count: 1, ranFor, answers: [] };
  groups.push(group);
  return group;
}

/**
 * @param {Group} group
 * @param {Reply} reply throws where the transport refuses it; then nothing was sent
 * @param {import('../codec/codec').Serialization} serialization
 * @param {import('../codec/codec').Clones | null} clones
 * @param {(error: unknown) => unknown} [amend] adds to an error of this library what only its caller knows
 */
function writeReplies({ frame, offset, count, ranFor, answers }, reply, serialization, clones, amend = asItIs) {
  /** @type {import('../codec/parts').Parts} */
  let parts = [];
  let bytes = 0;
  let from = offset;
  let to = offset;
  const send = () => {
    const micros = Math.min(Math.round(((to - from) / count) * ranFor * 1000), MAX_COUNT);
    try {
      reply(frame, from, micros, parts);
    } catch {
      replySeparately(frame, from, micros, parts, reply, amend);
    }
    parts = [];
    bytes = 0;
    from = to;
  };
  for (let i = 0; i < answers.length; i++) {
    const answer = answers[i];
    if (answer.kind === 'values') {
      const { values } = answer;
      for (let at = 0; at < values.length; ) {
        const slice = values.length <= SLICE && at === 0 ? values : values.slice(at, at + SLICE);
        const list = parts;
        const start = list.length;
        const failed = (/** @type {number} */ _index, /** @type {Error} */ error) => pushThrown(list, amend(error));
        const done = encodeValues(slice, serialization, clones, list, 0, failed, FULL_REPLY - bytes);
        bytes += sizeOf(list, start);
        at += done;
        to += done;
        if (bytes >= FULL_REPLY) send();
      }
      continue;
    }
    const start = parts.length;
    if (answer.kind === 'thrown') pushThrown(parts, answer.thrown);
    else if (answer.kind === 'encoded') pushEncoded(parts, answer.answer);
    else parts.push(LATIN1, 0, SKIPPED, answer.skipped, 0, '');
    bytes += sizeOf(parts, start);
    to += answer.kind === 'skipped' ? answer.skipped : 1;
    if (bytes >= FULL_REPLY) send();
  }
  if (to > from) send();
}

/** @param {unknown} error */
function asItIs(error) {
  return error;
}

/** A short text that JSON writes as it is. */
const SIMPLE_TEXT = /^[ !#-[\]-~]{0,64}$/;

/**
 * A result by itself, in the form that a short answer has; `undefined`: it has none such.
 * @param {unknown} result @param {import('../codec/codec').Serialization} serialization
 * @returns {ShortAnswer | undefined}
 */
function encodeResult(result, serialization) {
  switch (typeof result) {
    case 'undefined':
      return null;
    case 'number':
      if (Number.isFinite(result) && !Object.is(result, -0)) return String(result);
      break;
    case 'boolean':
      return result ? 'true' : 'false';
    case 'string':
      if (SIMPLE_TEXT.test(result)) return `"${result}"`;
      break;
    case 'object':
      if (result === null) return 'null';
  }
  return encodeOne(result, serialization);
}

/** A longer answer, in bytes, is a frame of its own: to join it to others would only be a copy more. */
const MAX_SHORT = 4096;
/** The tag with which V8's format refers to an object that it has had before. */
const REFERENCE = 0x5e;
const { includes } = Uint8Array.prototype;

/**
 * Whether an answer may be joined to others. A value that refers to an object of its own would then refer to one of
 * theirs: a getter may give the same object twice, though each time that it was looked at that was another one.
 * @param {ShortAnswer} answer
 */
function isShort(answer) {
  if (answer === null) return true;
  if (answer.length > MAX_SHORT) return false;
  return typeof answer === 'string' ? !BEYOND_LATIN1.test(answer) : !Reflect.apply(includes, answer, [REFERENCE]);
}

/** @param {import('../codec/parts').Parts} parts @param {ShortAnswer} answer one that is not short */
function pushEncoded(parts, answer) {
  if (typeof answer === 'string') pushText(parts, JSON_LIST, 0, 1, 0, `[${answer}]`);
  else parts.push(BYTES, PLAIN_VALUES, 0, 1, 0, /** @type {Buffer} */ (answer));
}

/**
 * Sends each answer by itself, and an error in the place of one that is refused.
 * @param {number} frame @param {number} from @param {number} micros @param {import('../codec/parts').Parts} parts
 * @param {Reply} reply @param {(error: unknown) => unknown} amend
 */
function replySeparately(frame, from, micros, parts, reply, amend) {
  let place = from;
  for (let at = 0; at < parts.length; ) {
    const start = at;
    const calls = Number(parts[start + CALLS_FIELD]);
    do at += PART_FIELDS;
    while (at < parts.length && parts[at + CALLS_FIELD] === 0);
    try {
      reply(frame, place, micros, parts.slice(start, at));
    } catch (cause) {
      /** @type {import('../codec/parts').Parts} */
      const refused = [];
      const error = amend(require('../errors').tooLargeError('what the function returned', cause));
      for (let call = 0; call < calls; call++) pushThrown(refused, error);
      reply(frame, place, micros, refused);
    }
    place += calls;
  }
}

/** @param {import('../codec/parts').Parts} parts @param {unknown} thrown */
function pushThrown(parts, thrown) {
  pushText(parts, ERROR_TREE, FAILED, 1, 0, thrownText(thrown));
}

/**
 * The text that a thrown value travels as; of one that is too long for a text, an error that says so.
 * @param {unknown} thrown
 * @returns {string}
 */
function thrownText(thrown) {
  const { flattenError } = require('../codec/error-flattener');
  try {
    return toJson(flattenError(thrown));
  } catch (cause) {
    const shown = isError(thrown) ? `${thrown.name}: ${thrown.message}`.slice(0, MAX_SHOWN) : typeof thrown;
    return toJson(flattenError(require('../errors').tooLargeError(`what the function threw (${shown})`, cause)));
  }
}

/**
 * The text that a message to be printed travels as; where it would be too long, its beginning.
 * @param {readonly [level: string, text: string, form?: unknown]} message
 * @returns {string}
 */
function messageText(message) {
  try {
    return toJson(message);
  } catch {
    return toJson(shortened(message));
  }
}

/**
 * The beginning of a message that cannot be sent as a whole.
 * @param {readonly [level: string, text: string, form?: unknown]} message
 */
function shortened([level, text]) {
  return [level, `${text.slice(0, MAX_SHOWN)}… (${text.length} characters, which are too many to be printed)`];
}

module.exports = { encodeResult, groupOf, isShort, writeReplies, thrownText, messageText, shortened };
