'use strict';

/** The unit tests of uploads.js: how code that uses a pool is tested without AWS. */

const assert = require('node:assert/strict');
const { beforeEach, test } = require('node:test');
const { NoSuchBucket, PutObjectCommand, S3Client } = require('@aws-sdk/client-s3');
const { mockClient } = require('aws-sdk-client-mock');
const { uploadAll } = require('../uploads.js');

// Where there is no mock, nobody answers: the discard port.
Object.assign(process.env, {
  AWS_REGION: 'eu-west-1',
  AWS_ACCESS_KEY_ID: 'test',
  AWS_SECRET_ACCESS_KEY: 'test',
  AWS_ENDPOINT_URL: 'http://127.0.0.1:9',
  AWS_MAX_ATTEMPTS: '1',
});

const files = Object.fromEntries(
  Array.from({ length: 20 }, (_, number) => [`reports/${number}.txt`, Buffer.from(`report ${number}`)]),
);
const s3 = mockClient(S3Client);

beforeEach(() => {
  s3.reset();
});

test('with 0 processes the mocked client gets each file, in order', async () => {
  s3.on(PutObjectCommand).callsFake(({ Key }) => ({ ETag: `"${Key}"` }));

  const tags = await uploadAll('archive', files, 0);

  const inputs = s3.commandCalls(PutObjectCommand).map(({ args: [{ input }] }) => input);
  assert.deepEqual(inputs.map(({ Bucket, Key }) => [Bucket, Key]), Object.keys(files).map((key) => ['archive', key]));
  // The body has been through the codec, as on the way to a worker.
  assert.deepEqual(inputs.map(({ Body }) => Buffer.from(Body).toString()), Object.values(files).map(String));
  assert.deepEqual(tags, Object.keys(files).map((key) => `"${key}"`));
});

test('an error of the mocked client arrives with its name and its properties', async () => {
  s3.on(PutObjectCommand).resolves({ ETag: '"ok"' });
  s3.on(PutObjectCommand, { Key: 'reports/7.txt' }).rejects(
    new NoSuchBucket({ message: 'there is no such bucket', $metadata: { httpStatusCode: 404 } }),
  );

  await assert.rejects(uploadAll('archive', files, 0), (error) => {
    assert.equal(error.name, 'NoSuchBucket');
    assert.equal(error.message, 'there is no such bucket');
    assert.equal(error.$metadata.httpStatusCode, 404);
    return true;
  });
});

test('with processes there is no mock: a client in a worker is a real one', async () => {
  s3.on(PutObjectCommand).resolves({ ETag: '"ok"' });

  await assert.rejects(uploadAll('archive', files, 2), { code: 'ECONNREFUSED' });

  assert.equal(s3.commandCalls(PutObjectCommand).length, 0);
});
