'use strict';

/**
 * Many files to S3, from several processes. `processes` is how many; unit tests pass 0, under which everything runs in
 * the process that has the mocks.
 */

const { PutObjectCommand, S3Client } = require('@aws-sdk/client-s3');
const { Pool } = require('@parallelizer/node');

/** Each process has its own: clients are not to be passed around. @type {S3Client | undefined} */
let client;

/**
 * @param {string} bucket
 * @param {string} key
 * @param {Uint8Array} body
 */
async function upload(bucket, key, body) {
  client ??= new S3Client({});
  const { ETag } = await client.send(new PutObjectCommand({ Bucket: bucket, Key: key, Body: body }));
  return ETag;
}

/**
 * @param {string} bucket
 * @param {Record<string, Uint8Array>} files by key
 * @param {number} [processes] one for each vCPU
 * @returns {Promise<string[]>} their ETags
 */
async function uploadAll(bucket, files, processes) {
  const pool = new Pool(processes);
  try {
    const calls = Object.entries(files).map(([key, body]) => [bucket, key, body]);
    return await pool.starmap({ filePath: __filename, name: 'upload' }, calls);
  } finally {
    pool.close();
    await pool.join();
  }
}

module.exports = { upload, uploadAll };
