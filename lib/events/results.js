'use strict';

/**
 * What functions return, where the source wants it: made ready in the worker, for each record of the event.
 *
 * Firehose gets bytes and text as they are, anything else as JSON; `undefined` leaves a record as it is, `null` drops
 * it. S3 Batch Operations get a text. A tumbling window gets the values.
 *
 * Must not depend on workers or answers. Runs in workers too.
 */

const { nameOf } = require('./records');

/** @typedef {InstanceType<typeof import('./record').LambdaRecord>} LambdaRecord */
/** @typedef {'firehose' | 's3-batch' | 'window'} ResultKind */
/** @typedef {{ result: 'Ok' | 'Dropped' | 'ProcessingFailed', data?: string, metadata?: unknown }} Transformed */
/** @typedef {{ resultCode: 'Succeeded' | 'TemporaryFailure' | 'PermanentFailure', resultString: string }} TaskResult */

const TRANSFORMED = ['Ok', 'Dropped', 'ProcessingFailed'];
const RESULT_CODES = ['Succeeded', 'TemporaryFailure', 'PermanentFailure'];

/**
 * The results of records, by the names of those of the event.
 * @param {ResultKind} kind @param {readonly LambdaRecord[]} outers the records of the event
 * @param {readonly LambdaRecord[]} records what they hold, or they themselves
 * @param {readonly unknown[]} values one for each
 * @returns {[name: string, result: unknown][]}
 */
function resultsOf(kind, outers, records, values) {
  /** @type {Map<string, { record: LambdaRecord, value: unknown }[]>} */
  const held = new Map(outers.map((outer) => [nameOf(outer.identifier), []]));
  for (const [i, record] of records.entries()) {
    held.get(nameOf(record.identifier))?.push({ record, value: values[i] });
  }
  return [...held].map(([name, parts]) => [name, resultOf(kind, parts)]);
}

/** @param {ResultKind} kind @param {{ record: LambdaRecord, value: unknown }[]} parts */
function resultOf(kind, parts) {
  if (kind === 'window') return parts.map(({ value }) => value);
  if (kind === 's3-batch') return taskResult(parts[0]?.value);
  const all = parts.map(({ record, value }) => transformed(record, value));
  if (all.length === 1 && parts[0].record.outer === null) return { ...all[0], data: all[0].data?.toString('base64') };
  // What held several records becomes one again.
  const kept = all.filter(({ result }) => result !== 'Dropped');
  if (kept.length === 0) return { result: 'Dropped' };
  const { metadata } = kept[0];
  const failed = kept.some(({ result }) => result === 'ProcessingFailed');
  return {
    result: failed ? 'ProcessingFailed' : 'Ok',
    data: failed ? undefined : Buffer.concat(kept.map(({ data }) => data ?? Buffer.alloc(0))).toString('base64'),
    metadata,
  };
}

/**
 * @param {any} record @param {any} value
 * @returns {{ result: Transformed['result'], data?: Buffer, metadata?: unknown }}
 */
function transformed(record, value) {
  if (value === null) return { result: 'Dropped' };
  if (isOwn(value, 'result', TRANSFORMED)) {
    const { result, data, metadata } = value;
    // As Firehose itself wants it: text is Base64 already.
    if (result !== 'Ok') return { result };
    // In the answer it is JSON, which it has to stand while only this record is at stake.
    const written = metadata === undefined ? undefined : JSON.stringify(metadata);
    const plain = written === undefined ? undefined : JSON.parse(written);
    if (data === undefined) return { result, data: record.bytes, metadata: plain };
    return { result, data: typeof data === 'string' ? Buffer.from(data, 'base64') : bytesOf(data), metadata: plain };
  }
  return { result: 'Ok', data: value === undefined ? record.bytes : bytesOf(value) };
}

/** @param {unknown} value @returns {Buffer} */
function bytesOf(value) {
  if (typeof value === 'string') return Buffer.from(value);
  if (ArrayBuffer.isView(value)) return Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  if (value instanceof ArrayBuffer) return Buffer.from(value);
  return Buffer.from(JSON.stringify(value));
}

/** @param {any} value @returns {TaskResult} */
function taskResult(value) {
  if (isOwn(value, 'resultCode', RESULT_CODES)) {
    return { resultCode: value.resultCode, resultString: textOf(value.resultString) };
  }
  return { resultCode: 'Succeeded', resultString: textOf(value) };
}

/** @param {unknown} value @returns {string} */
function textOf(value) {
  if (value === undefined || value === null) return '';
  return typeof value === 'string' ? value : JSON.stringify(value);
}

/** @param {any} value @param {string} key @param {readonly string[]} choices */
function isOwn(value, key, choices) {
  return typeof value === 'object' && value !== null && choices.includes(value[key]);
}

/**
 * The values that a function for sub-batches has returned, one for each record.
 * @param {ResultKind} kind @param {readonly LambdaRecord[]} records @param {any} returned a list; or what a handler of
 *   such an event returns
 * @returns {unknown[]}
 */
function valuesOf(kind, records, returned) {
  const own = kind === 'firehose' ? 'records' : 'results';
  const list = Array.isArray(returned) ? returned : returned?.[own];
  if (list === undefined || list === null) {
    if (kind === 'window' && records.length === 0) return [];
    throw new TypeError(`the function has to return a list with a result for each of its ${records.length} records`);
  }
  if (!Array.isArray(list) || list.length !== records.length) {
    const count = Array.isArray(list) ? `${list.length} results` : 'no list of results';
    throw new TypeError(`the function has returned ${count} for ${records.length} records`);
  }
  return list;
}

module.exports = { resultsOf, valuesOf };
