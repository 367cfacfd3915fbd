'use strict';
// Hosts that are processes of their own, and what they run.

const { spawn } = require('node:child_process');
const { once } = require('node:events');
const path = require('node:path');

const { root, within } = require('../../support/helpers');

/** The module whose functions are called there. */
const file = path.join(root, '__test__', 'fixtures', 'remote.js');

/** A function of it. */
const task = (name) => ({ filePath: file, name });

/** A host, which ends with the test. */
async function hostOn(t, { queue, connection, cluster, prefix }, options = {}) {
  const settings = JSON.stringify({ engine: { queue, connection, cluster, prefix }, root, options });
  const host = spawn(process.execPath, [path.join(__dirname, 'host.js'), settings], {
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
  });
  t.after(() => host.kill('SIGKILL'));
  await within(once(host, 'message'), 'the host to be ready');
  return host;
}

module.exports = { file, hostOn, task };
