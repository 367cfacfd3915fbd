'use strict';

/** Starts a Kafka broker for this run, and gives it back as a kafkajs client and a way to stop it. */

const { spawn } = require('node:child_process');
const { once } = require('node:events');
const { existsSync } = require('node:fs');
const path = require('node:path');
const readline = require('node:readline');
const { Kafka, logLevel } = require('kafkajs');

const PYTHON = path.join(__dirname, '.setup', 'venv', 'bin', 'python');

/** What stands in the way of a broker, if anything. */
const missing = () => (
  existsSync(PYTHON) ? undefined : 'the broker runs in Python 3, and its set-up has not worked: see what `npm run prestart` says'
);

/** @param {{ topic: string }} options */
async function startBroker({ topic }) {
  const reason = missing();
  if (reason) throw new Error(reason);

  // It ends when its standard input does, so also when this process is killed.
  const child = spawn(PYTHON, [path.join(__dirname, 'broker.py'), topic], { stdio: ['pipe', 'pipe', 'inherit'] });
  const exited = once(child, 'exit');
  const [address] = await Promise.race([
    once(readline.createInterface({ input: child.stdout }), 'line'),
    exited.then(([code, signal]) => {
      throw new Error(`the broker ended before it was up: ${signal ?? `exit code ${code}`}`);
    }),
  ]);

  return {
    address,
    kafka: new Kafka({
      clientId: 'kafka-ingest',
      brokers: address.split(','),
      // A broker on loopback that takes longer is on a busy machine.
      connectionTimeout: 10_000,
      logLevel: logLevel.WARN,
      logCreator,
    }),
    stop: async () => {
      child.stdin.end();
      await exited;
    },
  };
}

/** kafkajs's warnings, a line each. The broker does not know how one leaves a group, which is no loss to a test. */
function logCreator() {
  return (/** @type {import('kafkajs').LogEntry} */ { namespace, label, log: { message, error, groupId } }) => {
    if (message.includes('LeaveGroup')) return;
    console.error(['kafkajs', label, namespace, groupId, message, error].filter(Boolean).join(' '));
  };
}

module.exports = { startBroker, missing };
