'use strict';
// Control groups with a function's part of the machine, in whichever version the system has (or both): CPU time,
// memory, number of processes, and the freezer. Each is a directory into which a process writes its pid. Must not
// depend on what runs in them.

const fs = require('node:fs');
const path = require('node:path');

const { waitFor } = require('../../support/helpers');

const CONTROLLERS = ['cpu', 'memory', 'pids', 'freezer'];
/** One vCPU per this many megabytes. */
const MEGABYTES_PER_CPU = 1769;
/** In microseconds. What is not used in one period is lost. */
const PERIOD = 100_000;

/** The directory of this process's group in each hierarchy: { cpu: …, memory: …, …, unified: … }. */
function ownDirectories() {
  const groups = new Map();
  for (const line of fs.readFileSync('/proc/self/cgroup', 'utf8').trim().split('\n')) {
    const [, controllers, group] = /^\d+:([^:]*):(.*)$/.exec(line);
    for (const controller of controllers === '' ? ['unified'] : controllers.split(',')) groups.set(controller, group);
  }
  const found = {};
  for (const line of fs.readFileSync('/proc/self/mountinfo', 'utf8').trim().split('\n')) {
    const [mount, filesystem] = line.split(' - ').map((part) => part.split(' '));
    const [, , , root, point] = mount;
    const [type, , options = ''] = filesystem;
    if (type !== 'cgroup' && type !== 'cgroup2') continue;
    for (const controller of type === 'cgroup2'
      ? ['unified']
      : options.split(',').filter((one) => CONTROLLERS.includes(one))) {
      const relative = path.posix.relative(root, groups.get(controller) ?? '/');
      found[controller] ??= relative.startsWith('..') ? point : path.posix.join(point, relative);
    }
  }
  return found;
}

/** In version 2, children have only the controllers that their parent has enabled for them. */
function handDown(parent) {
  const offered = fs.readFileSync(path.join(parent, 'cgroup.controllers'), 'utf8').trim().split(' ');
  for (const controller of ['cpu', 'memory', 'pids']) {
    if (!offered.includes(controller)) continue;
    try {
      fs.writeFileSync(path.join(parent, 'cgroup.subtree_control'), `+${controller}`);
    } catch {
      // Impossible while that group itself has processes: then there is no such limit here.
    }
  }
}

/**
 * Makes the groups of one function.
 * @param {string} name
 * @param {{ megabytes: number, processes: number }} limits
 */
function makeGroups(name, { megabytes, processes }) {
  const parents = ownDirectories();
  const directories = new Set();
  const missing = [];
  const bytes = String(megabytes * 2 ** 20);
  const quota = String(Math.round((PERIOD * megabytes) / MEGABYTES_PER_CPU));
  /** What is written to which file, for either version. */
  const settings = {
    cpu: { 1: [['cpu.cfs_period_us', PERIOD], ['cpu.cfs_quota_us', quota]], 2: [['cpu.max', `${quota} ${PERIOD}`]] },
    memory: { 1: [['memory.limit_in_bytes', bytes]], 2: [['memory.max', bytes]] },
    pids: { 1: [['pids.max', processes]], 2: [['pids.max', processes]] },
    freezer: { 1: [], 2: [] },
  };
  if (parents.unified) handDown(parents.unified);
  const placed = {};
  for (const controller of CONTROLLERS) {
    const version = parents[controller] ? 1 : 2;
    const parent = parents[controller] ?? parents.unified;
    try {
      if (parent === undefined) throw new Error('not mounted');
      const directory = path.join(parent, name);
      fs.mkdirSync(directory, { recursive: true });
      directories.add(directory);
      for (const [file, value] of settings[controller][version])
        fs.writeFileSync(path.join(directory, file), String(value));
      if (controller === 'freezer' && version === 2) fs.accessSync(path.join(directory, 'cgroup.freeze'));
      placed[controller] = { directory, version };
    } catch (error) {
      missing.push(`${controller} (${error.message})`);
    }
  }

  const setFrozen = async (isFrozen) => {
    const { directory, version } = placed.freezer;
    const [file, value, shown, wanted] =
      version === 1
        ? ['freezer.state', isFrozen ? 'FROZEN' : 'THAWED', 'freezer.state', isFrozen ? /^FROZEN/ : /^THAWED/]
        : ['cgroup.freeze', isFrozen ? '1' : '0', 'cgroup.events', isFrozen ? /^frozen 1/m : /^frozen 0/m];
    fs.writeFileSync(path.join(directory, file), value);
    await waitFor(
      () => wanted.test(fs.readFileSync(path.join(directory, shown), 'utf8')),
      `${directory} to be ${value}`,
    );
  };

  return {
    directories: [...directories],
    /** The limits that could not be had, and why. */
    missing,
    freeze: placed.freezer ? () => setFrozen(true) : null,
    thaw: placed.freezer ? () => setFrozen(false) : null,
    /** Removes them, once nothing is in them any more. */
    async remove() {
      await waitFor(() => {
        for (const directory of directories) {
          try {
            fs.rmdirSync(directory);
          } catch (error) {
            if (error.code !== 'ENOENT') return false;
          }
        }
        return true;
      }, `${name} to be empty`);
    },
  };
}

module.exports = { MEGABYTES_PER_CPU, makeGroups };
