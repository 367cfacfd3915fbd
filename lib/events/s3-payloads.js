'use strict';

/**
 * Messages that are too large for a queue: Amazon's Extended Client Library puts them into S3, and sends a pointer.
 *
 * `["software.amazon.payloadoffloading.PayloadS3Pointer", { "s3BucketName": "…", "s3Key": "…" }]`
 *
 * Must not depend on events, workers or answers: whoever runs it says how packages are found.
 */

const { decodeError, missingPeerError } = require('./record-errors');
const { wrapInner } = require('./records');

/** @typedef {InstanceType<typeof import('./record').LambdaRecord>} LambdaRecord */
/** @typedef {{ bucket: string, key: string }} Place */

/** The first element of a pointer, in the order of the library's versions. */
const POINTERS = [
  'software.amazon.payloadoffloading.PayloadS3Pointer', 'com.amazon.sqs.javamessaging.MessageS3Pointer',
];

/**
 * @param {((place: Place) => unknown) | null} load the user's function; `null`: the SDK's client
 * @param {import('./decoders/decoder').Tools} tools
 * @returns {(record: LambdaRecord) => LambdaRecord | Promise<LambdaRecord>}
 */
function payloadFetcher(load, tools) {
  /** @type {((place: Place) => unknown) | null} */
  let fetch = load;
  return (record) => {
    const place = placeIn(record);
    if (place === null) return record;
    return fetched(record, place, (fetch ??= clientOf(tools)));
  };
}

/**
 * @param {LambdaRecord} record @param {Place} place @param {(place: Place) => unknown} fetch
 * @returns {Promise<LambdaRecord>}
 */
async function fetched(record, place, fetch) {
  let payload;
  try {
    payload = await fetch(place);
  } catch (error) {
    throw decodeError(record, `a pointer to s3://${place.bucket}/${place.key}`, error);
  }
  const bytes = /** @type {Uint8Array} */ (payload);
  const body = typeof payload === 'string' ? payload : Buffer.from(bytes).toString('utf8');
  return wrapInner('sqs', { ...record.raw, body }, record);
}

/** @param {any} record @returns {Place | null} */
function placeIn(record) {
  if (record.source !== 'sqs' || !record.value.startsWith('[')) return null;
  let pointer;
  try {
    pointer = record.json;
  } catch {
    return null;
  }
  const [type, place] = Array.isArray(pointer) ? pointer : [];
  const { s3BucketName: bucket, s3Key: key } = place ?? {};
  if (!POINTERS.includes(type) || typeof bucket !== 'string' || typeof key !== 'string') return null;
  return { bucket, key };
}

/** @param {import('./decoders/decoder').Tools} tools @returns {(place: Place) => Promise<string>} */
function clientOf({ loadPackage }) {
  /** @type {any} */
  let sdk;
  try {
    sdk = loadPackage('@aws-sdk/client-s3');
  } catch (error) {
    throw missingPeerError('@aws-sdk/client-s3', 's3Pointers', error);
  }
  const client = new sdk.S3Client({});
  return async ({ bucket, key }) => {
    const { Body } = await client.send(new sdk.GetObjectCommand({ Bucket: bucket, Key: key }));
    return Body.transformToString();
  };
}

module.exports = { payloadFetcher };
