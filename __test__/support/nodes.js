'use strict';
// Other versions of Node than the one that runs the tests, from npm's registry, unpacked once into `.tools`.

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');

const { root } = require('./helpers');

const TOOLS = path.join(root, '.tools');
const own = Number(process.versions.node.split('.')[0]);

/**
 * The program of a major version of Node: its path, or why it cannot be had.
 * @param {number} major
 * @returns {{ binary: string, reason: null } | { binary: null, reason: string }}
 */
function node(major) {
  if (major === own) return { binary: process.execPath, reason: null };
  const { glibcVersionRuntime } = /** @type {any} */ (process.report.getReport()).header;
  if (process.platform === 'linux' && glibcVersionRuntime === undefined) {
    return { binary: null, reason: `npm has no Node ${major} for musl` };
  }
  const folder = path.join(TOOLS, `node-${major}`);
  const binary = path.join(folder, 'package', 'bin', 'node');
  if (!fs.existsSync(binary)) {
    fs.mkdirSync(TOOLS, { recursive: true });
    // Moved into its place when it is complete, since several files of tests may do this at the same time.
    const own = fs.mkdtempSync(path.join(TOOLS, `node-${major}-`));
    try {
      const tarball = run('npm', ['pack', '--silent', `node-${process.platform}-${process.arch}@${major}`], own).trim();
      run('tar', ['-xzf', tarball, 'package/bin/node'], own);
      fs.rmSync(path.join(own, tarball));
      // For tests that become another user.
      fs.chmodSync(own, 0o755);
      if (!fs.existsSync(binary)) fs.renameSync(own, folder);
    } catch (error) {
      if (!fs.existsSync(binary)) return { binary: null, reason: `Node ${major} cannot be had: ${error.message}` };
    } finally {
      fs.rmSync(own, { recursive: true, force: true });
    }
  }
  const { status, error } = spawnSync(binary, ['--version']);
  return status === 0 ? { binary, reason: null }
    : { binary: null, reason: `Node ${major} does not run here: ${error?.message ?? `exit code ${status}`}` };
}

function run(command, args, cwd) {
  const { status, stdout, stderr, error } = spawnSync(command, args, { cwd, encoding: 'utf8', timeout: 300_000 });
  if (status === 0) return stdout;
  throw new Error(`${command} ${args[0]}: ${error?.message ?? stderr.trim().split('\n').at(-1)}`);
}

module.exports = { node };
