'use strict';

/**
 * How many workers this machine can run side by side, and how much memory each may have: what the system's scheduler
 * would really grant, not the cores that are visible. In a container or an AWS Lambda function these differ.
 *
 * Must not depend on options or pools. What is read from the system comes through functions that tests replace.
 */

const fs = require('node:fs');
const path = require('node:path').posix;

/** Lambda grants one vCPU per this many megabytes. */
const LAMBDA_MB_PER_CPU = 1769;
/** The usual mount points, for when mountinfo cannot be read. */
const DEFAULT_MOUNTS = [
  { version: 2, root: '/', point: '/sys/fs/cgroup' },
  { version: 1, root: '/', point: '/sys/fs/cgroup/cpu' },
];

/** @typedef {(file: string) => string | null} Reader a file's text, or `null` where it cannot be read */
/** @typedef {{ version: number, root: string, point: string }} Mount */
/** @typedef {Readonly<Record<string, string | undefined>>} Environment */

/** @type {Reader} */
function readText(file) {
  try {
    return fs.readFileSync(file, 'utf8');
  } catch {
    return null;
  }
}

/**
 * The mounts with the CPU controller, of both cgroup versions.
 * @param {string | null} mountinfo the text of /proc/self/mountinfo
 * @returns {Mount[]}
 */
function cgroupMounts(mountinfo) {
  if (mountinfo === null) return DEFAULT_MOUNTS;
  /** @type {Mount[]} */
  const mounts = [];
  mountinfo.split('\n').forEach((line) => {
    // There is a varying number of optional fields before " - ".
    const { 0: left, 1: right } = line.split(' - ', 2);
    if (right === undefined) return;
    const { 0: type, 2: superOptions = '' } = right.split(' ');
    const version = type === 'cgroup2' ? 2 : type === 'cgroup' && superOptions.split(',').includes('cpu') ? 1 : 0;
    if (version === 0) return;
    const { 3: root, 4: point } = left.split(' ').map(unescapeOctal);
    if (point !== undefined) mounts.push({ version, root, point });
  });
  return mounts;
}

/** mountinfo writes blanks and backslashes as `\040`. @param {string} field */
function unescapeOctal(field) {
  // Most have none, and this runs while a first result is waited for.
  if (!field.includes('\\')) return field;
  return field.replace(/\\([0-7]{3})/g, (_, digits) => String.fromCharCode(Number.parseInt(digits, 8)));
}

/**
 * This process's group in the hierarchy with the CPU controller.
 * @param {string} cgroup the text of /proc/self/cgroup
 * @param {number} version
 * @returns {string | undefined}
 */
function ownGroup(cgroup, version) {
  // "number:controllers:group", and a group may have colons.
  const fields = cgroup.split('\n').map((line) => line.split(':')).filter(({ length }) => length > 2);
  const own = fields.find(({ 1: controllers }) =>
    (version === 2 ? controllers === '' : controllers.split(',').includes('cpu')));
  return own?.slice(2).join(':');
}

/**
 * The directories of a group and of all groups above it, as far up as the mount reaches.
 * @param {string} group @param {Mount} mount
 */
function groupDirectories(group, { root, point }) {
  // Without a cgroup namespace the path is the host's, while the mount begins somewhere within it. What lies outside
  // the mount cannot be read, and the top of the mount is the nearest to it.
  const relative = path.relative(root, group);
  let directory = relative.startsWith('..') ? point : path.join(point, relative);
  const directories = [directory];
  while (directory !== point && directory.length > point.length) {
    directory = path.dirname(directory);
    directories.push(directory);
  }
  return directories;
}

/**
 * The quota that one directory sets, in CPUs; Infinity where it sets none.
 * @param {string} directory @param {number} version @param {Reader} read
 */
function quotaOf(directory, version, read) {
  const { 0: quota, 1: period } =
    version === 2
      ? (read(`${directory}/cpu.max`) ?? 'max').trim().split(' ')
      : [read(`${directory}/cpu.cfs_quota_us`) ?? '-1', read(`${directory}/cpu.cfs_period_us`) ?? ''];
  const cpus = Number.parseInt(quota, 10) / Number.parseInt(period, 10);
  return cpus > 0 ? cpus : Infinity;
}

/**
 * The tightest CPU quota that applies to this process, in CPUs (may be a fraction); Infinity if there is none or it
 * cannot be read.
 * @param {Reader} read
 */
function cgroupCpuQuota(read) {
  const cgroup = read('/proc/self/cgroup');
  if (cgroup === null) return Infinity;
  let tightest = Infinity;
  cgroupMounts(read('/proc/self/mountinfo')).forEach((mount) => {
    const group = ownGroup(cgroup, mount.version);
    if (group === undefined) return;
    groupDirectories(group, mount).forEach((directory) => {
      tightest = Math.min(tightest, quotaOf(directory, mount.version, read));
    });
  });
  return tightest;
}

/** @param {Environment} env */
function onLambda(env = process.env) {
  return Boolean(env.AWS_LAMBDA_FUNCTION_NAME || env.AWS_LAMBDA_FUNCTION_MEMORY_SIZE);
}

/** Whether the runtime of AWS Lambda writes each message as JSON. */
function logsJson(env = process.env) {
  return env.AWS_LAMBDA_LOG_FORMAT?.toUpperCase() === 'JSON';
}

/**
 * The function's memory in megabytes; `null` outside Lambda.
 * @param {Environment} env
 */
function lambdaMegabytes(env) {
  const size = Number(env.AWS_LAMBDA_FUNCTION_MEMORY_SIZE);
  return size > 0 && Number.isFinite(size) ? size : null;
}

/**
 * Whether the host loads the same code into several threads of this process, as Lambda Managed Instances do.
 * @param {Environment} env
 */
function hasManyEnvironments(env = process.env) {
  return Boolean(env.AWS_LAMBDA_MAX_CONCURRENCY);
}

/**
 * @param {{ available: number, quota: number, env: Environment }} facts `quota` in CPUs, Infinity for none
 */
function countCpus({ available, quota, env }) {
  const megabytes = lambdaMegabytes(env);
  const granted = megabytes === null ? Infinity : Math.round(megabytes / LAMBDA_MB_PER_CPU);
  return Math.max(1, Math.min(available, Math.round(quota), granted));
}

/** @type {{ available: number, quota: number } | undefined} */
let machine;

/**
 * How many CPUs this process may use at the same time; at least 1. The machine is asked once, the environment every
 * time, since tests of handlers change it.
 * @param {Environment} env
 */
function usableCpus(env = process.env) {
  machine ??= {
    // Loaded here: whoever says how many workers there are does not wait for it.
    available: require('node:os').availableParallelism(),
    quota: process.platform === 'linux' ? cgroupCpuQuota(readText) : Infinity,
  };
  return countCpus({ ...machine, env });
}

/**
 * How many CPUs may be kept busy by polling: none if there is only one, or if each moment counts against a quota.
 * @param {Environment} env
 */
function spareableCpus(env = process.env) {
  const cpus = usableCpus(env);
  const { available, quota } = /** @type {{ available: number, quota: number }} */ (machine);
  const megabytes = lambdaMegabytes(env);
  const isFractional = !Number.isInteger(Math.min(available, quota));
  const isPartialGrant = megabytes !== null && megabytes % LAMBDA_MB_PER_CPU !== 0;
  return cpus < 2 || isFractional || isPartialGrant ? 0 : cpus;
}

/**
 * The heap that each of `count` workers may have, in megabytes, so that all of them and the parent fit into the
 * function's memory; `null` outside Lambda, where Node's own default applies.
 * @param {number} count
 * @param {Environment} env
 */
function workerHeapMegabytes(count, env = process.env) {
  const megabytes = lambdaMegabytes(env);
  if (megabytes === null) return null;
  // The parent, with the runtime client, the handler and the batches, gets a fifth, but no less than Node itself takes.
  const reserve = Math.min(512, Math.max(64, megabytes / 5));
  // With less than this, Node does not get as far as the user's module; let it try, and fail with its own message.
  return Math.max(32, Math.floor((megabytes - reserve) / count));
}

module.exports = {
  usableCpus,
  spareableCpus,
  workerHeapMegabytes,
  onLambda,
  logsJson,
  hasManyEnvironments,
  countCpus,
  cgroupCpuQuota,
};
