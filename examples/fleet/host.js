'use strict';

/**
 * A host. All of it is `serve()`; `npx @parallelizer/cli serve --queue tiles --root .` does the same.
 *
 * The password of Redis and the secret come in the environment, since everybody who lists processes sees arguments.
 */

const { serve } = require('@parallelizer/node');
const { bullmq } = require('@parallelizer/node/bullmq');

async function main() {
  const { FLEET_HOST: name, FLEET_CONNECTION = '{}', FLEET_SECRET: secret, FLEET_PROCESSES = '1' } = process.env;
  const engine = bullmq({ queue: 'tiles', connection: JSON.parse(FLEET_CONNECTION) });
  const host = await serve({ engine, root: __dirname, name, secret, processes: Number(FLEET_PROCESSES) });
  process.once('SIGTERM', () => host.close().then(() => process.exit()));
  // Only here: these hosts end with whoever has started them.
  process.once('disconnect', () => process.exit());
  process.send?.('ready');
}

void main();
