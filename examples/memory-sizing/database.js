'use strict';

/**
 * DynamoDB, played by dynalite in a process of its own and out of the box, since DynamoDB does not run on the
 * function's CPU either. Answers some milliseconds late, as a service does that is not on the same machine.
 */

const { fork } = require('node:child_process');
const { once } = require('node:events');
const os = require('node:os');
const dynalite = require('dynalite');
const { CreateTableCommand, DynamoDBClient, QueryCommand, waitUntilTableExists } = require('@aws-sdk/client-dynamodb');

const TABLE = 'memory-sizing';

/** Takes region and credentials from the environment. @param {{ latency: number }} options milliseconds */
async function startDatabase({ latency }) {
  const child = fork(__filename, [String(latency)]);
  const exited = once(child, 'exit');
  const [endpoint] = await Promise.race([
    once(child, 'message'),
    exited.then(([code]) => { throw new Error(`dynalite did not start (exit code ${code})`); }),
  ]);
  const client = new DynamoDBClient({ endpoint });
  await client.send(new CreateTableCommand({
    TableName: TABLE,
    BillingMode: 'PAY_PER_REQUEST',
    AttributeDefinitions: ['invocation', 'item'].map((AttributeName) => ({ AttributeName, AttributeType: 'S' })),
    KeySchema: [{ AttributeName: 'invocation', KeyType: 'HASH' }, { AttributeName: 'item', KeyType: 'RANGE' }],
  }));
  await waitUntilTableExists({ client, maxWaitTime: 30, minDelay: 1, maxDelay: 1 }, { TableName: TABLE });

  return {
    endpoint,
    table: TABLE,
    /** @param {string} invocation @returns {Promise<number>} how many items it has written */
    async count(invocation) {
      const { Count } = await client.send(new QueryCommand({
        TableName: TABLE,
        KeyConditionExpression: 'invocation = :invocation',
        ExpressionAttributeValues: { ':invocation': { S: invocation } },
        Select: 'COUNT',
      }));
      return Count;
    },
    async close() {
      client.destroy();
      if (child.connected) child.disconnect();
      await exited;
    },
  };
}

function serve() {
  // As quick as it can be, also on a machine with other work: whoever measures here waits for it.
  try {
    os.setPriority(os.constants.priority.PRIORITY_HIGHEST);
  } catch {
    // Without the right to do so, it is one process among others.
  }
  const latency = Number(process.argv[2]);
  const server = dynalite({ createTableMs: 0 });
  const [answer] = server.listeners('request');
  server.removeAllListeners('request');
  server.on('request', (request, response) => setTimeout(answer, latency, request, response));
  // A warmed-up function may wait for long until it is throttled and told to go on.
  server.keepAliveTimeout = 120_000;
  server.listen(0, '127.0.0.1', () => process.send(`http://127.0.0.1:${server.address().port}`));
  process.once('disconnect', () => process.exit());
}

if (require.main === module) serve();

module.exports = { startDatabase };
