'use strict';

/**
 * Runs a program with as much CPU and memory as a Lambda function of a given size has, by a control group of Linux,
 * version 1 or 2. Needs root, or groups that were handed to this user. Knows nothing of what it runs.
 *
 * The share of CPU is set apart from the rest (`throttle`), since Lambda does not hold back the init phase.
 */

const { spawn } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { setTimeout: delay } = require('node:timers/promises');
const { cores, vcpus } = require('./sizes.js');

/** Microseconds; the kernel's default. What the quota is per period was used up, the program waits for the next one. */
const PERIOD = 100_000;
const CONTROLLERS = ['cpu', 'cpuacct', 'memory'];
let made = 0;

/** @param {string} field mountinfo writes blanks as `\040` */
const unescape = (field) => field.replace(/\\([0-7]{3})/g, (_, digits) => String.fromCharCode(Number.parseInt(digits, 8)));

/**
 * Where groups can be made: for each controller the directories to try, the best first. Inside of the group that this
 * process is in, so that whatever limits it goes on to do so; else at the top, which under systemd is where controllers
 * may be handed on from.
 *
 * @returns {{ version: 1 | 2, parents: Record<string, string[]> } | undefined}
 */
function hierarchies() {
  const mounts = fs.readFileSync('/proc/self/mountinfo', 'utf8').split('\n').filter(Boolean).map((line) => {
    const [left, right] = line.split(' - ');
    const [, , , root, point] = left.split(' ').map(unescape);
    const [type, , options = ''] = right.split(' ');
    return { root, point, type, options: options.split(',') };
  });
  const groups = fs.readFileSync('/proc/self/cgroup', 'utf8').split('\n').filter(Boolean).map((line) => {
    const [, names, group] = /** @type {RegExpExecArray} */ (/^\d+:([^:]*):(.*)$/.exec(line));
    return { names: names.split(','), group };
  });

  const find = (/** @type {(mount: typeof mounts[number]) => boolean} */ isIt, /** @type {string} */ name) => {
    const mount = mounts.find(isIt);
    const group = groups.find(({ names }) => names.includes(name))?.group;
    if (mount === undefined || group === undefined) return undefined;
    const relative = path.posix.relative(mount.root, group);
    const own = relative.startsWith('..') ? mount.point : path.posix.join(mount.point, relative);
    return [...new Set([own, mount.point])];
  };

  const first = CONTROLLERS.map((name) => find(({ type, options }) => type === 'cgroup' && options.includes(name), name));
  if (first.every((found) => found !== undefined)) {
    return { version: 1, parents: Object.fromEntries(CONTROLLERS.map((name, index) => [name, first[index]])) };
  }
  const second = find(({ type }) => type === 'cgroup2', '');
  return second && { version: 2, parents: { all: second } };
}

/** Makes a directory in the first of `parents` that allows it. @param {string[]} parents @param {1 | 2} version @param {string} name */
function makeGroup(parents, version, name) {
  const refusals = [];
  for (const parent of parents) {
    const directory = path.join(parent, name);
    try {
      // In version 2 a group's controllers are those that the one above it hands on.
      if (version === 2) fs.writeFileSync(path.join(parent, 'cgroup.subtree_control'), '+cpu +memory');
      fs.mkdirSync(directory);
      return directory;
    } catch (error) {
      refusals.push(error.message);
    }
  }
  throw new Error(`no control group can be made: ${refusals.join('; ')}`);
}

/** The CPUs that this process may use. @returns {number[]} */
function allowedCpus() {
  const [, list] = /** @type {RegExpExecArray} */ (/^Cpus_allowed_list:\s*(\S+)/m.exec(fs.readFileSync('/proc/self/status', 'utf8')));
  return list.split(',').flatMap((range) => {
    const [from, to = from] = range.split('-').map(Number);
    return Array.from({ length: to - from + 1 }, (_, index) => from + index);
  });
}

class Box {
  #version;
  /** @type {Record<string, string>} */
  #directories = {};
  #size;

  /** @param {number} size in MB */
  constructor(size) {
    const found = hierarchies();
    if (found === undefined) throw new Error('no control groups for CPU and memory are mounted');
    this.#size = size;
    this.#version = found.version;
    made += 1;
    const name = `memory-sizing-${process.pid}-${made}`;
    try {
      for (const [controller, parents] of Object.entries(found.parents)) {
        // Controllers may share a hierarchy.
        const shared = Object.values(this.#directories).find((directory) => parents.includes(path.dirname(directory)));
        this.#directories[controller] = shared ?? makeGroup(parents, found.version, name);
      }
      const bytes = String(size * 2 ** 20);
      // Whatever else this machine does comes second: what is measured is the quota.
      this.#write('cpu', this.#version === 1 ? 'cpu.shares' : 'cpu.weight', this.#version === 1 ? '262144' : '10000');
      if (this.#version === 1) {
        this.#write('memory', 'memory.limit_in_bytes', bytes);
        this.#write('memory', 'memory.memsw.limit_in_bytes', bytes, { optional: true });
      } else {
        this.#write('memory', 'memory.max', bytes);
        this.#write('memory', 'memory.swap.max', '0', { optional: true });
      }
    } catch (error) {
      for (const directory of this.directories) fs.rmdirSync(directory);
      throw error;
    }
  }

  /** The groups, by their directories. */
  get directories() {
    return [...new Set(Object.values(this.#directories))];
  }

  /** @param {string} controller @param {string} file */
  #file(controller, file) {
    return path.join(this.#directories[controller] ?? this.#directories.all, file);
  }

  /** @param {string} controller @param {string} file @param {string} value */
  #write(controller, file, value, { optional = false } = {}) {
    const target = this.#file(controller, file);
    if (optional && !fs.existsSync(target)) return;
    fs.writeFileSync(target, value);
  }

  /**
   * @param {string[]} command
   * @param {{ env: NodeJS.ProcessEnv }} options
   * @returns {import('node:child_process').ChildProcess} with a channel for messages
   */
  spawn(command, { env }) {
    const cpus = allowedCpus().slice(0, cores(this.#size)).join(',');
    // A shell goes in and becomes the program, so that all of the program's memory is charged to the group.
    const enter = 'groups=$1; cpus=$2; shift 2; for group in $groups; do echo $$ > "$group/cgroup.procs" || exit 125; done; '
      + 'exec taskset -c "$cpus" "$@"';
    return spawn('sh', ['-c', enter, 'sh', this.directories.join(' '), cpus, ...command], {
      env,
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
  }

  /** From now on the program has its share of CPU, and no more. */
  throttle() {
    const quota = Math.round(PERIOD * vcpus(this.#size));
    if (this.#version === 1) {
      this.#write('cpu', 'cpu.cfs_period_us', String(PERIOD));
      this.#write('cpu', 'cpu.cfs_quota_us', String(quota));
    } else {
      this.#write('cpu', 'cpu.max', `${quota} ${PERIOD}`);
    }
  }

  /** Milliseconds of CPU that the program and its workers have used. */
  get cpuTime() {
    if (this.#version === 1) return Number(fs.readFileSync(this.#file('cpuacct', 'cpuacct.usage'), 'utf8')) / 1e6;
    return this.#count('cpu', 'cpu.stat', 'usage_usec') / 1000;
  }

  /**
   * The most memory that was in use, in MB, without files that others have in memory too, such as Node's own; `null`
   * where the kernel does not say.
   */
  get peakMemory() {
    const file = this.#file('memory', this.#version === 1 ? 'memory.max_usage_in_bytes' : 'memory.peak');
    return fs.existsSync(file) ? Number(fs.readFileSync(file, 'utf8')) / 2 ** 20 : null;
  }

  /** How many processes were killed for want of memory. */
  get outOfMemory() {
    return this.#version === 1
      ? this.#count('memory', 'memory.oom_control', 'oom_kill')
      : this.#count('memory', 'memory.events', 'oom_kill');
  }

  /** @param {string} controller @param {string} file @param {string} key */
  #count(controller, file, key) {
    const found = new RegExp(`^${key} (\\d+)$`, 'm').exec(fs.readFileSync(this.#file(controller, file), 'utf8'));
    return found ? Number(found[1]) : 0;
  }

  /** Ends whatever is left in it. */
  async remove() {
    for (const directory of this.directories) {
      for (;;) {
        for (const pid of fs.readFileSync(path.join(directory, 'cgroup.procs'), 'utf8').split('\n').filter(Boolean)) {
          try {
            process.kill(Number(pid), 'SIGKILL');
          } catch (error) {
            if (error.code !== 'ESRCH') throw error;
          }
        }
        try {
          fs.rmdirSync(directory);
          break;
        } catch (error) {
          // What was killed is not gone at once.
          if (error.code !== 'EBUSY') throw error;
          await delay(5);
        }
      }
    }
  }
}

/** Why this machine has no box, or `undefined`. @returns {Promise<string | undefined>} */
async function obstacle() {
  if (process.platform !== 'linux') return `control groups are Linux's, and this is ${process.platform}`;
  try {
    const box = new Box(1769);
    box.throttle();
    await box.remove();
    return undefined;
  } catch (error) {
    return `${error.message}${process.getuid?.() === 0 ? '' : ' (as root it may work)'}`;
  }
}

module.exports = { Box, obstacle };
