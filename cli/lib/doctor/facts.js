'use strict';

/**
 * What can be read of this machine and this process, without starting anything. Names of files, hosts and users, and
 * values of variables are left out: a report is for others to read.
 */

const fs = require('node:fs');
const os = require('node:os');
const { constrainedMemory } = process;

/** In the library they are internal; bundled in when this package is packed. */
const { cgroupCpuQuota, usableCpus, spareableCpus, workerHeapMegabytes } = require('../../../lib/host/cpus');

/** @param {string} file @returns {string | null} */
function readText(file) {
  try {
    return fs.readFileSync(file, 'utf8');
  } catch {
    return null;
  }
}

/** @param {string} text */
const numberIn = (text) => (text === 'unlimited' ? null : Number(text));

/** A limit of this process, by its name in /proc. @param {string} name */
function limitOf(name) {
  const line = readText('/proc/self/limits')?.split('\n').find((each) => each.startsWith(name));
  const [, soft, hard] = /^.*? {2,}(\S+) +(\S+)/.exec(line ?? '') ?? [];
  return soft === undefined ? null : { soft: numberIn(soft), hard: numberIn(hard) };
}

function libc() {
  const { header } = /** @type {any} */ (process.report?.getReport() ?? {});
  if (header?.glibcVersionRuntime !== undefined) return `glibc ${header.glibcVersionRuntime}`;
  return process.platform === 'linux' ? 'no glibc (musl, for one)' : null;
}

/** The names of flags, without their values, in which there may be secrets. @param {string} [text] */
function flagNames(text = '') {
  return text.split(/\s+/).flatMap((word) => /^(--?[a-zA-Z][\w-]*)(?:=.*)?$/.exec(word)?.[1] ?? []);
}

function cpuFacts() {
  const online = os.cpus().length;
  const affinity = os.availableParallelism();
  const quota = process.platform === 'linux' ? cgroupCpuQuota(readText) : Infinity;
  const lambdaMemory = Number(process.env.AWS_LAMBDA_FUNCTION_MEMORY_SIZE) || null;
  const usable = usableCpus();
  return {
    online,
    affinity,
    cgroupQuota: Number.isFinite(quota) ? quota : null,
    lambdaMemory,
    usable,
    spare: spareableCpus(),
    decidedBy: decidedBy({ online, affinity, quota, lambdaMemory, usable }),
    model: os.cpus()[0]?.model ?? null,
  };
}

/** @param {{ online: number, affinity: number, quota: number, lambdaMemory: number | null, usable: number }} facts */
function decidedBy({ online, affinity, quota, lambdaMemory, usable }) {
  if (lambdaMemory !== null && usable < Math.min(affinity, quota)) return 'the memory of the Lambda function';
  if (quota < affinity) return "the container's CPU quota";
  if (affinity < online) return 'the CPUs that this process may run on (affinity)';
  return 'the CPUs of the machine';
}

function memoryFacts() {
  const limit = constrainedMemory?.();
  const isLimited = limit !== undefined && limit > 0 && limit < os.totalmem();
  return {
    total: os.totalmem(),
    limit: isLimited ? limit : null,
    heapPerWorker: workerHeapMegabytes(usableCpus()),
  };
}

function readFacts() {
  return {
    versions: {
      cli: require('../../package.json').version,
      node: process.version,
      v8: process.versions.v8,
      platform: `${process.platform}-${process.arch}`,
      kernel: os.release(),
      libc: libc(),
    },
    cpus: cpuFacts(),
    memory: memoryFacts(),
    limits: { openFiles: limitOf('Max open files'), processes: limitOf('Max processes') },
    process: {
      openFiles: countOf('/proc/self/fd'),
      execArgv: flagNames(process.execArgv.join(' ')),
      nodeOptions: flagNames(process.env.NODE_OPTIONS),
      hasExtraCertificates: Boolean(process.env.NODE_EXTRA_CA_CERTS),
      isLambda: Boolean(process.env.AWS_LAMBDA_FUNCTION_NAME),
    },
  };
}

/** @param {string} folder */
function countOf(folder) {
  try {
    return fs.readdirSync(folder).length;
  } catch {
    return null;
  }
}

module.exports = { readFacts, readText };
