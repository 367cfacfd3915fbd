'use strict';

/**
 * A PostgreSQL server for this run only: Debian's package, a data directory of its own, and nothing to connect to but
 * a Unix socket in it. The server refuses to run as root, so root hands it to the user that Debian's package makes.
 */

const { execFileSync, spawn } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { setTimeout: sleep } = require('node:timers/promises');

const DEADLINE = 60_000;

/** Runs a command that is asked to end when standard input does: also when this process is killed. */
const UNTIL_END_OF_INPUT = 'exec 3<&0; (read -r _ <&3; kill -INT $$) & exec "$@" 3<&- </dev/null';

/** @returns {string | undefined} the newest one's programs */
function findPrograms() {
  const versions = '/usr/lib/postgresql';
  const debian = fs.existsSync(versions) ? fs.readdirSync(versions).sort((a, b) => Number(b) - Number(a)) : [];
  const places = [...debian.map((version) => path.join(versions, version, 'bin')), ...(process.env.PATH ?? '').split(':')];
  return places.find((place) => ['initdb', 'postgres', 'pg_isready', 'createdb'].every((name) => fs.existsSync(path.join(place, name))));
}

/** Whom the server runs as. */
function findOwner() {
  if (process.getuid?.() !== 0) return {};
  const id = (/** @type {string} */ flag) => Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8' }));
  return { uid: id('-u'), gid: id('-g') };
}

/** What stands in the way of a server, if anything. */
const missing = () => (findPrograms() ? undefined : 'PostgreSQL is not installed (apt-get install postgresql)');

/** @param {string[]} databases to make */
async function startPostgres(databases) {
  const programs = findPrograms();
  if (!programs) throw new Error(/** @type {string} */ (missing()));
  const owner = findOwner();
  const program = (/** @type {string} */ name) => path.join(programs, name);

  // A socket's path has room for 107 characters.
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'ingest-pg-'));
  if (owner.uid !== undefined) fs.chownSync(directory, owner.uid, owner.gid);
  const data = path.join(directory, 'data');
  const options = { ...owner, cwd: directory };

  /** @type {import('node:child_process').ChildProcess | undefined} */
  let server;
  const stop = async () => {
    if (server && server.exitCode === null && server.signalCode === null) {
      const exited = once(server, 'exit');
      server.stdin?.end();
      await exited;
    }
    fs.rmSync(directory, { recursive: true, force: true });
  };

  try {
    execFileSync(program('initdb'), [
      '--pgdata', data, '--username', 'ingest', '--auth', 'trust', '--encoding', 'UTF8', '--no-locale', '--no-sync',
    ], { ...options, stdio: ['ignore', 'ignore', 'inherit'] });

    let log = '';
    const command = [program('postgres'), '-D', data, '-k', directory, '-c', 'listen_addresses='];
    server = spawn('sh', ['-c', UNTIL_END_OF_INPUT, 'sh', ...command], { ...options, stdio: ['pipe', 'ignore', 'pipe'] });
    server.stderr?.on('data', (chunk) => {
      log = (log + chunk).slice(-4000);
    });
    await isReady(program('pg_isready'), directory, () => {
      if (server?.exitCode !== null || server.signalCode !== null) throw new Error(`PostgreSQL did not start:\n${log}`);
    });
    for (const database of databases) {
      execFileSync(program('createdb'), ['--host', directory, '--username', 'ingest', database], { stdio: 'ignore' });
    }
    return { url: (/** @type {string} */ database) => `postgres:${directory}/${database}`, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/**
 * @param {string} command
 * @param {string} directory
 * @param {() => void} check throws when there is no hope
 */
async function isReady(command, directory, check) {
  const end = Date.now() + DEADLINE;
  for (;;) {
    check();
    try {
      execFileSync(command, ['--host', directory, '--quiet'], { stdio: 'ignore' });
      return;
    } catch (error) {
      if (Date.now() > end) throw error;
    }
    await sleep(50);
  }
}

module.exports = { startPostgres, missing };
