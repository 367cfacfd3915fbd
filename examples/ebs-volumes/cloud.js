'use strict';

/**
 * Something that answers as EC2 does, on this machine: `moto_server`, and beside it the same at a distance.
 *
 * moto answers with one core, in Python; EC2 answers as many requests at once as it lets you send, each after a while.
 * `distant` gives moto's answers that way: it asks moto for each query once, and gives every further answer from
 * memory, so many milliseconds after the question. It may be asked for what is there only, not told to change it.
 *
 * Runs as a process of its own, so that nobody's measurement contains it, and ends with the one that started it.
 */

const { fork, spawn } = require('node:child_process');
const { once } = require('node:events');
const { existsSync } = require('node:fs');
const http = require('node:http');
const path = require('node:path');
const { text } = require('node:stream/consumers');
const readline = require('node:readline');
const { setTimeout: delay } = require('node:timers/promises');

const MOTO = path.join(__dirname, '.setup', 'venv', 'bin', 'moto_server');

/** Why there is no moto, or `undefined`. */
const obstacle = () => (existsSync(MOTO) ? undefined : 'moto_server is not installed: it needs python3 with its module venv; npm start says more');

/**
 * @param {{ latency: number }} options milliseconds until `distant` answers
 * @returns {Promise<{ moto: string, distant: string, close: () => Promise<void> }>} two addresses
 */
async function startCloud({ latency }) {
  const child = fork(__filename, [String(latency)]);
  const exited = once(child, 'exit');
  const [message] = await Promise.race([
    once(child, 'message'),
    exited.then(([code]) => { throw new Error(`moto_server did not start (exit code ${code})`); }),
  ]);
  return {
    ...message,
    async close() {
      if (child.connected) child.disconnect();
      await exited;
    },
  };
}

/** @returns {Promise<string>} its address */
async function startMoto() {
  const moto = spawn(MOTO, ['-H', '127.0.0.1', '-p', '0'], { stdio: ['ignore', 'ignore', 'pipe'] });
  // It holds nothing that is to be kept, and takes its time when asked.
  process.once('exit', () => moto.kill('SIGKILL'));
  moto.once('error', (error) => { throw error; });
  moto.once('exit', (code) => process.exit(code ?? 1));

  const said = [];
  return new Promise((resolve) => {
    readline.createInterface({ input: moto.stderr }).on('line', (line) => {
      const found = /Running on (http:\/\/127\.0\.0\.1:\d+)/.exec(line);
      if (found) resolve(found[1]);
      else said.push(line);
    }).on('close', () => console.error(said.join('\n')));
  });
}

/**
 * @param {string} address
 * @param {number} latency
 */
async function startDistant(address, latency) {
  /** @type {Map<string, Promise<{ status: number, type: string, body: string }>>} by what was asked */
  const answers = new Map();

  /** @param {string} query @param {http.IncomingHttpHeaders} headers */
  const ask = async (query, headers) => {
    const { authorization = '', 'x-amz-date': date = '', 'content-type': type = '' } = headers;
    const response = await fetch(address, {
      method: 'POST',
      headers: { authorization, 'x-amz-date': String(date), 'content-type': type },
      body: query,
    });
    const body = await response.text();
    return { status: response.status, type: response.headers.get('content-type') ?? 'text/xml', body };
  };

  const server = http.createServer(async (request, response) => {
    const query = await text(request);
    if (!answers.has(query)) answers.set(query, ask(query, request.headers));
    const [{ status, type, body }] = await Promise.all([answers.get(query), delay(latency)]);
    response.writeHead(status, { 'content-type': type }).end(body);
  });
  // Rounds of other ways may lie between two uses of a connection.
  server.keepAliveTimeout = 60_000;
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return `http://127.0.0.1:${/** @type {import('node:net').AddressInfo} */ (server.address()).port}`;
}

async function main() {
  process.once('disconnect', () => process.exit());
  const moto = await startMoto();
  process.send({ moto, distant: await startDistant(moto, Number(process.argv[2])) });
}

if (require.main === module) main();

module.exports = { obstacle, startCloud };
