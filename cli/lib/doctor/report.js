'use strict';

/**
 * What was found, in words, and why it is so. A line that begins with `!` is something to look at.
 */

/** @typedef {ReturnType<typeof import('./facts').readFacts>} Facts */
/** @typedef {import('./measure').Measured} Measured */
/** @typedef {Facts & { processes: Measured, threads: Measured }} Findings */
/** @typedef {{ title: string, lines: Line[] }} Section */
/** @typedef {{ isGood: boolean, text: string }} Line */

const digits = new Intl.NumberFormat('en-US', { maximumSignificantDigits: 3 });
const whole = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 });

/** @param {number} bytes */
function size(bytes) {
  return bytes < 2 ** 30 ? `${whole.format(bytes / 2 ** 20)} MiB` : `${digits.format(bytes / 2 ** 30)} GiB`;
}
/** @param {number} millis */
const time = (millis) => (millis < 1 ? `${digits.format(millis * 1000)} µs` : `${digits.format(millis)} ms`);

/** @param {string} text @returns {Line} */
const fine = (text) => ({ isGood: true, text });
/** @param {string} text @returns {Line} */
const look = (text) => ({ isGood: false, text });

/** @param {Facts['cpus']} cpus */
function cpuLines({ online, affinity, cgroupQuota, lambdaMemory, usable, spare, decidedBy, model }) {
  const name = model === null ? '' : ` (${model.trim()})`;
  const quota = cgroupQuota === null ? 'no quota' : `a quota of ${digits.format(cgroupQuota)}`;
  const lines = [
    fine(`${usable} usable, which is how many workers a pool has by default; what decides is ${decidedBy}`),
    fine(`${online} in the machine${name}, ${affinity} that this process may run on`),
    fine(`${quota} of a control group`),
  ];
  if (lambdaMemory !== null) {
    lines.push(fine(`a Lambda function of ${lambdaMemory} MB, which is ${digits.format(lambdaMemory / 1769)} vCPU`));
  }
  lines.push(
    spare > 0
      ? fine('spin: polls for a moment before it sleeps, which makes single calls faster')
      : fine(`spin: does not poll, since ${usable < 2 ? 'there is one CPU' : 'each moment counts against the quota'}`),
  );
  if (usable < 2) lines.push(look('with one CPU, work that computes does not get faster by workers'));
  return lines;
}

/** @param {Facts} facts @returns {Line[]} */
function systemLines({ versions, memory, limits, process: own }) {
  const { openFiles } = limits;
  const { node, platform, kernel, libc } = versions;
  const limit = memory.limit === null ? '' : `, of which this process may use ${size(memory.limit)}`;
  const lines = [
    fine(`Node ${node} on ${platform}, kernel ${kernel}${libc === null ? '' : `, ${libc}`}`),
    fine(`${size(memory.total)} of memory${limit}`),
  ];
  if (memory.heapPerWorker !== null) {
    lines.push(fine(`a heap of ${memory.heapPerWorker} MB for each worker, by the function's memory`));
  }
  if (openFiles !== null) {
    const soft = openFiles.soft ?? Infinity;
    const text = `${own.openFiles} of ${openFiles.soft ?? 'unlimited'} descriptors in use`;
    lines.push(soft < 256 ? look(`${text}: a worker takes about four, so raise the limit (ulimit -n)`) : fine(text));
  }
  const flags = [...own.execArgv, ...own.nodeOptions];
  if (flags.length > 0) lines.push(fine(`flags of Node here, which workers inherit in part: ${flags.join(' ')}`));
  if (own.hasExtraCertificates) {
    lines.push(look('NODE_EXTRA_CA_CERTS is set: each worker process reads all of these certificates when it starts'));
  }
  return lines;
}

function whyFallback() {
  return process.env.PARALLELIZER_FALLBACK ? 'PARALLELIZER_FALLBACK asks for it' : 'there is no addon for this system';
}

/** From which cost on calls pay, by those that were measured. @param {import('../../../index').Advice} advice */
function adviceLine({ breakEven, measured }) {
  if (breakEven === null) {
    const why = measured.cpus < 2 ? 'one CPU is usable' : 'there is one worker';
    return look(`calls that compute do not pay, as ${why}`);
  }
  return fine(`a call pays if it computes for longer than ${time(breakEven)}, in a list, with small values`);
}

/** @param {Measured} found @param {'processes' | 'threads'} kind @returns {Line[]} */
function workerLines(found, kind) {
  if (!found.works) return [look(`they do not work here: ${found.message}`)];
  const { workers, start, roundTrip, callsPerSecond, advice, memory, memfd, pidfd, scheduler } = found;
  const lines = [
    scheduler === 'native'
      ? fine('scheduled by the addon')
      : look(`scheduled by the fallback (WebAssembly), as ${whyFallback()}: it works, and is slower`),
    fine(`${workers} started in ${time(start)}`),
    fine(`a call and its result take ${time(roundTrip.p50)} (99 % within ${time(roundTrip.p99)})`),
    fine(`${whole.format(callsPerSecond)} calls per second that do nothing, in a list of 20,000`),
    adviceLine(advice),
  ];
  if (memory !== null) {
    const [own, all] = [size(memory.own), size(memory.resident)];
    lines.push(fine(`an idle worker has ${own} of memory for itself, ${all} with what it shares`));
  }
  if (kind === 'processes' && memfd !== null) {
    lines.push(memfd ? fine('memfd: small calls and large bytes go through shared memory')
      : look('memfd: none, so everything goes through sockets and pipes, which is slower'));
  }
  if (kind === 'processes' && pidfd !== null) {
    lines.push(pidfd ? fine('pidfd: the end of a worker is noticed at once')
      : look('pidfd: none (Linux before 5.3, or a sandbox): the end of a worker is noticed by its connection'));
  }
  return lines;
}

/** @param {Findings} findings @returns {Section[]} */
function sectionsOf(findings) {
  return [
    { title: 'System', lines: systemLines(findings) },
    { title: 'CPUs', lines: cpuLines(findings.cpus) },
    { title: 'Worker processes', lines: workerLines(findings.processes, 'processes') },
    { title: 'Worker threads', lines: workerLines(findings.threads, 'threads') },
  ];
}

/** @param {Findings} findings */
function reportText(findings) {
  const { cli } = findings.versions;
  const sections = sectionsOf(findings).map(
    ({ title, lines }) => `${title}\n${lines.map(({ isGood, text }) => `${isGood ? '  ' : '! '}${text}`).join('\n')}`,
  );
  return `@parallelizer/cli ${cli}\n\n${sections.join('\n\n')}\n`;
}

module.exports = { reportText };
