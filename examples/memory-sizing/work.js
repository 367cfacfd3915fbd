'use strict';

/**
 * The two kinds of work, an item at a time, and as functions for a sub-batch in a worker.
 *
 * - Deriving a key takes only CPU. `deriveSync` stands for any computation in JavaScript; `derive` is the same on
 *   libuv's threads, which Node offers for this one and a few others.
 * - Writing an item to DynamoDB is waiting, but for what the SDK computes to make the request.
 */

const crypto = require('node:crypto');
const { promisify } = require('node:util');

const SALT = 'memory-sizing';
const LENGTH = 64;
const pbkdf2 = promisify(crypto.pbkdf2);

/** @param {string} password @param {number} iterations */
const deriveSync = (password, iterations) => (
  crypto.pbkdf2Sync(password, SALT, iterations, LENGTH, 'sha512').toString('hex')
);

/** @param {string} password @param {number} iterations */
const derive = async (password, iterations) => (
  (await pbkdf2(password, SALT, iterations, LENGTH, 'sha512')).toString('hex')
);

/** @type {import('@aws-sdk/client-dynamodb').DynamoDBClient | undefined} */
let client;

/** @param {string} item @param {{ table: string, invocation: string }} where */
async function write(item, { table, invocation }) {
  // Only who writes pays for loading it.
  const { DynamoDBClient, PutItemCommand } = require('@aws-sdk/client-dynamodb');
  client ??= new DynamoDBClient({});
  await client.send(new PutItemCommand({
    TableName: table,
    Item: {
      invocation: { S: invocation },
      item: { S: item },
      written: { N: String(Date.now()) },
      payload: { S: 'x'.repeat(500) },
    },
  }));
  return item;
}

/** @param {{ batch: string[], params: { iterations: number } }} call */
const deriveBatch = ({ batch, params }) => batch.map((password) => deriveSync(password, params.iterations));

/** @param {{ batch: string[], params: { table: string, invocation: string } }} call */
const writeBatch = ({ batch, params }) => Promise.all(batch.map((item) => write(item, params)));

module.exports = { derive, deriveSync, deriveBatch, write, writeBatch };
