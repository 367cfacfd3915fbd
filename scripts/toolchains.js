'use strict';

/**
 * Sets up what building and trying out a release takes beyond a clone, in `.tools`, which git ignores: zig as a linker
 * for other systems, from PyPI; where Rust lacks the standard library for a processor, Debian's Rust with it; and single
 * packages of Debian. Nothing of it is installed on the machine, and what is there already is not fetched again.
 *
 * What cannot be had is an error whose message says why.
 */

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');

const TOOLS = path.join(__dirname, '..', '.tools');

const ZIG = ['cargo-zigbuild==0.24.0', 'ziglang==0.17.1'];
/** `newer` is for packages that are asked for from there by name: `musl/trixie`. */
const DEBIAN = { suite: 'bookworm', newer: 'trixie', keyring: '/usr/share/keyrings/debian-archive-keyring.gpg' };
/** The names that Debian has for Rust's processors. */
const DEBIAN_CPU = /** @type {Record<string, string>} */ ({ x86_64: 'amd64', aarch64: 'arm64' });

/**
 * Runs a command, and gives what it wrote; what it complains of is part of the error.
 * @param {string} command @param {string[]} args @param {import('node:child_process').SpawnSyncOptions} [options]
 */
function run(command, args, options = {}) {
  const { error, status, stdout, stderr } = spawnSync(command, args, { encoding: 'utf8', maxBuffer: 1 << 28, ...options });
  if (error) throw new Error(`${command} cannot be run: ${error.message}`);
  if (status !== 0) {
    const said = String(stderr).trim().split('\n').slice(-3).join(' | ');
    throw new Error(`\`${path.basename(command)} ${args.join(' ').slice(0, 60)}\` failed: ${said}`);
  }
  return String(stdout);
}

/**
 * Does something once and for all: a file says that it was done to the end.
 * @param {string} folder @param {string} version of what is in it; another one begins anew @param {(folder: string) => void} make
 */
function once(folder, version, make) {
  const done = path.join(folder, '.done');
  if (fs.existsSync(done) && fs.readFileSync(done, 'utf8') === version) return folder;
  fs.rmSync(folder, { recursive: true, force: true });
  fs.mkdirSync(folder, { recursive: true });
  console.error(`setting up ${path.relative(path.dirname(TOOLS), folder)}`);
  make(folder);
  fs.writeFileSync(done, version);
  return folder;
}

/** A directory with cargo-zigbuild, and the zig that it finds. */
function zig() {
  const folder = once(path.join(TOOLS, 'zig'), ZIG.join(), (into) => {
    run('python3', ['-m', 'venv', into]);
    run(path.join(into, 'bin', 'pip'), ['install', '--quiet', '--disable-pip-version-check', ...ZIG]);
  });
  return path.join(folder, 'bin');
}

/** apt with lists of its own, of Debian's packages for all processors that matter here. @returns {NodeJS.ProcessEnv} */
function apt() {
  if (!fs.existsSync(DEBIAN.keyring)) throw new Error(`Debian's keyring is not there (${DEBIAN.keyring})`);
  const folder = path.join(TOOLS, 'apt');
  const env = { ...process.env, APT_CONFIG: path.join(folder, 'apt.conf') };
  once(folder, `${DEBIAN.suite}, ${DEBIAN.newer}`, () => {
    for (const name of ['lists/partial', 'archives/partial']) fs.mkdirSync(path.join(folder, name), { recursive: true });
    fs.writeFileSync(path.join(folder, 'status'), '');
    const source = (/** @type {string} */ place, /** @type {string} */ suite) =>
      `deb [signed-by=${DEBIAN.keyring}] http://deb.debian.org/${place} ${suite} main\n`;
    fs.writeFileSync(
      path.join(folder, 'sources.list'),
      source('debian', DEBIAN.suite) + source('debian-security', `${DEBIAN.suite}-security`) +
        source('debian', DEBIAN.newer),
    );
    fs.writeFileSync(path.join(folder, 'preferences'), `Package: *\nPin: release n=${DEBIAN.newer}\nPin-Priority: 100\n`);
    const settings = [
      `Dir::State "${folder}"`,
      `Dir::State::Lists "${folder}/lists"`,
      `Dir::State::status "${folder}/status"`,
      `Dir::Cache "${folder}"`,
      `Dir::Etc::sourcelist "${folder}/sources.list"`,
      'Dir::Etc::sourceparts "-"',
      `Dir::Etc::preferences "${folder}/preferences"`,
      'Dir::Etc::preferencesparts "-"',
      'APT::Architecture "amd64"',
      'APT::Architectures { "amd64"; "arm64"; }',
      'Acquire::Languages "none"',
      'APT::Sandbox::User "root"',
    ];
    fs.writeFileSync(env.APT_CONFIG, settings.map((line) => `${line};\n`).join(''));
    run('apt-get', ['update', '--quiet'], { env });
  });
  return env;
}

/**
 * Unpacks Debian's packages into a directory of `.tools`.
 * @param {string} name of the directory @param {string[]} packages with their processor: `libc6:arm64`
 */
function debian(name, packages) {
  return once(path.join(TOOLS, name), packages.join(), (folder) => {
    const archives = path.join(folder, 'archives');
    fs.mkdirSync(archives);
    run('apt-get', ['download', '--quiet', ...packages], { cwd: archives, env: apt() });
    for (const archive of fs.readdirSync(archives)) run('dpkg-deb', ['--extract', path.join(archives, archive), folder]);
    fs.rmSync(archives, { recursive: true });
  });
}

/** What a package of Debian cannot do without, as far as the names are like these. @param {string} name @param {RegExp} like */
function dependencies(name, like) {
  const lines = run('apt-cache', ['depends', '--important', name], { env: apt() }).split('\n');
  const found = lines.map((line) => line.match(/^\s*Depends: <?([^>:]+)/)?.[1] ?? '');
  return found.filter((found) => like.test(found));
}

/**
 * Debian's Rust with a standard library for the target, as a program to be run in rustc's place.
 * @param {string} target @param {boolean} fromSource Debian has only the library's source, to be compiled
 */
function debianRustc(target, fromSource) {
  if (process.arch !== 'x64' || process.platform !== 'linux') throw new Error('Debian\'s Rust is used on linux-x64 only');
  const cpu = DEBIAN_CPU[target.split('-')[0]];
  const [library] = dependencies('libstd-rust-web-dev', /^libstd-rust-web-\d/);
  const [llvm] = dependencies(library, /^libllvm/);
  const own = ['rustc-web', library, 'libstd-rust-web-dev', llvm].map((name) => `${name}:amd64`);
  const more = fromSource ? 'rust-web-src' : `libstd-rust-web-dev:${cpu}`;
  const folder = debian(fromSource ? 'rust-with-source' : `rust-${cpu}`, [...own, more]);
  const wrapper = path.join(folder, 'rustc');
  const libraries = path.join(folder, 'usr/lib/x86_64-linux-gnu');
  fs.writeFileSync(wrapper, `#!/bin/sh\nLD_LIBRARY_PATH='${libraries}' exec '${folder}/usr/bin/rustc' "$@"\n`, { mode: 0o755 });
  return wrapper;
}

/** Whether a Rust compiler has the standard library for a target. @param {string} target */
function hasLibrary(target) {
  const folder = run('rustc', ['--print', 'target-libdir', '--target', target]).trim();
  return fs.existsSync(folder) && fs.readdirSync(folder).some((name) => name.startsWith('libstd-'));
}

/**
 * Has rustup add the standard library for a target, where it manages the Rust that is there. Whether that has worked is
 * for `rustFor` to see.
 * @param {string} target
 */
function addTarget(target) {
  if (hasLibrary(target)) return;
  spawnSync('rustup', ['target', 'add', target], { stdio: ['ignore', 'ignore', 'inherit'] });
}

/**
 * What cargo needs to compile for a target: an environment, and arguments. Leaves the Rust that is there as it is.
 * @param {string} target @param {boolean} mayTakeLong compile the standard library, where there is no other way
 * @returns {{ env: Record<string, string>, args: string[], from: string }}
 */
function rustFor(target, mayTakeLong) {
  if (hasLibrary(target)) return { env: {}, args: [], from: 'the one that is there' };
  const why = `Rust's standard library for it is not there (\`rustup target add ${target}\` brings it)`;
  const isLinux = target.includes('-linux-');
  const isGnu = target.endsWith('-linux-gnu');
  if (!isGnu && !mayTakeLong) {
    throw new Error(`${why}; name the target (npm run build:release -- ${target}) to have it compiled from Debian's source`);
  }
  try {
    const env = { RUSTC: debianRustc(target, !isGnu) };
    if (isGnu) return { env, args: [], from: 'Debian' };
    const args = [`-Zbuild-std=std,${isLinux ? 'panic_unwind' : 'panic_abort'}`];
    return { env: { ...env, RUSTC_BOOTSTRAP: '1' }, args, from: 'Debian, its standard library compiled here' };
  } catch (error) {
    throw new Error(`${why}, and Debian's cannot be used: ${/** @type {Error} */ (error).message}`, { cause: error });
  }
}

module.exports = { TOOLS, addTarget, debian, once, run, rustFor, zig };
