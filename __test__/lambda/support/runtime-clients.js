'use strict';
// AWS's own runtime clients, the code that calls the handler in Lambda: where they are, and how they get there. npm
// builds them from source (a minute or two each), once, into a directory that git ignores. `install` is for run.js;
// tests only ask `clientFor`, which says why one is missing.

const fs = require('node:fs');
const path = require('node:path');
const { execFile, execFileSync } = require('node:child_process');
const { promisify } = require('node:util');

const { fixture, root } = require('../../support/helpers');

const execute = promisify(execFile);
const CACHE = path.join(root, 'node_modules', '.cache', 'lambda-runtime');
const DENY = path.join(CACHE, 'deny');
const REASONS = path.join(CACHE, 'missing.json');

/** `isFit`: whether the client runs on a Node of this major version; `node`: the version to fetch if it does not. */
const CLIENTS = {
  // The last with callback handlers, and what managed Node 20 runs.
  3: {
    version: '3.3.0',
    main: 'bin/index.mjs',
    native: 'dist/rapid-client.node',
    node: 20,
    isFit: (major) => major <= 22,
  },
  4: { version: '4.0.2', main: 'index.mjs', native: 'rapid-client.node', node: 24, isFit: (major) => major >= 24 },
};

const BUILD_PACKAGES = ['cmake', 'autoconf', 'automake', 'libtool', 'make', 'g++', 'python3'];
/** A command that each of them has. */
const BUILD_COMMANDS = ['cmake', 'autoconf', 'automake', 'libtoolize', 'make', 'g++', 'python3'];

const directoryOf = ({ version }) => path.join(CACHE, `client-${version}`, 'node_modules', 'aws-lambda-ric');
const isBuilt = (client) => fs.existsSync(path.join(directoryOf(client), client.native));

const hasCommand = (name) => (process.env.PATH ?? '').split(':').some((one) => fs.existsSync(path.join(one, name)));
const lastLines = (text) => String(text).trim().split('\n').slice(-3).join(' | ');

/** The Node that a client runs on: this one, or one that npm has. */
function nodeFor({ node, isFit }) {
  const fetched = path.join(CACHE, `node-${node}`, 'package', 'bin', 'node');
  return isFit(Number.parseInt(process.versions.node, 10)) ? process.execPath : fetched;
}

function installBuildTools() {
  const missing = BUILD_PACKAGES.filter((_, i) => !hasCommand(BUILD_COMMANDS[i]));
  if (missing.length === 0) return;
  if (process.getuid() !== 0 || !hasCommand('apt-get')) {
    throw new Error(
      `to build AWS's runtime client, install ${missing.join(', ')} (as root on Debian this happens by itself)`,
    );
  }
  console.log(`installing ${missing.join(', ')}`);
  const apt = (...args) => {
    execFileSync('apt-get', ['-qq', ...args], {
      stdio: 'pipe',
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    });
  };
  apt('update');
  apt('install', '--yes', '--no-install-recommends', ...missing);
}

/** Keeps node-gyp from downloading the headers, which are often next to the binary. */
function headers() {
  const prefix = path.join(path.dirname(process.execPath), '..');
  return fs.existsSync(path.join(prefix, 'include', 'node', 'node_api.h')) ? { npm_config_nodedir: prefix } : {};
}

async function build(client) {
  if (isBuilt(client)) return;
  console.log(`building aws-lambda-ric ${client.version}`);
  const prefix = path.join(CACHE, `client-${client.version}`);
  fs.mkdirSync(prefix, { recursive: true });
  fs.writeFileSync(path.join(prefix, 'package.json'), '{ "private": true }\n');
  await execute(
    'npm',
    ['install', '--no-audit', '--no-fund', '--ignore-scripts=false', `aws-lambda-ric@${client.version}`],
    {
      cwd: prefix,
      env: { ...process.env, ...headers(), MAKEFLAGS: '-j2' },
      maxBuffer: 2 ** 26,
      timeout: 30 * 60_000,
    },
  );
  if (!isBuilt(client))
    throw new Error(
      `npm installed aws-lambda-ric ${client.version} without building it: its install scripts are disabled`,
    );
}

async function fetchNode(client) {
  const binary = nodeFor(client);
  if (fs.existsSync(binary)) return;
  const directory = path.join(CACHE, `node-${client.node}`);
  fs.mkdirSync(directory, { recursive: true });
  const { stdout } = await execute('npm', ['pack', '--silent', `node-linux-${process.arch}@${client.node}`], {
    cwd: directory,
  });
  await execute('tar', ['-xzf', stdout.trim().split('\n').at(-1)], { cwd: directory });
}

/** Installs what is missing; notes for `clientFor` what could not be installed. */
async function install() {
  const reasons = {};
  const trying = async (names, act) => {
    try {
      await act();
    } catch (error) {
      for (const name of names) reasons[name] ??= lastLines(error.stderr || error.message);
    }
  };
  if (process.platform !== 'linux') {
    for (const name of Object.keys(CLIENTS)) reasons[name] = "AWS's runtime client runs on Linux only";
  } else {
    fs.mkdirSync(CACHE, { recursive: true });
    const unbuilt = Object.entries(CLIENTS).filter(([, client]) => !isBuilt(client));
    if (unbuilt.length > 0) await trying(unbuilt.map(([name]) => name), installBuildTools);
    await Promise.all(
      Object.entries(CLIENTS).map(([name, client]) =>
        trying([name], async () => {
          if (reasons[name] !== undefined) return;
          await fetchNode(client);
          await build(client);
        }),
      ),
    );
    await trying(['deny'], () => execute('cc', ['-O', '-o', DENY, fixture('deny.c')]));
    fs.writeFileSync(REASONS, JSON.stringify(reasons));
  }
  return reasons;
}

function whyMissing(name) {
  try {
    return JSON.parse(fs.readFileSync(REASONS, 'utf8'))[name];
  } catch {
    return undefined;
  }
}

/**
 * @param {3 | 4} name
 * @returns {{ missing: string } | { missing: null, directory: string, node: string, main: string }}
 */
function clientFor(name) {
  const client = CLIENTS[name];
  const node = nodeFor(client);
  if (!isBuilt(client) || !fs.existsSync(node)) {
    return {
      missing: `no aws-lambda-ric ${client.version} here: ${whyMissing(name) ?? '"npm run test:lambda" installs it'}`,
    };
  }
  return { missing: null, directory: directoryOf(client), node, main: client.main };
}

/** The program that runs another without some system calls: its path, or why there is none. */
function denyTool() {
  if (!fs.existsSync(DENY))
    return { missing: `no tool to deny system calls: ${whyMissing('deny') ?? '"npm run test:lambda" compiles it'}` };
  return { missing: null, path: DENY };
}

module.exports = { CLIENTS, clientFor, denyTool, install };
