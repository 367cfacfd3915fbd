'use strict';

/**
 * Whether workers pay for the calls of a pool, and what would change that, reckoned from what the calls have cost.
 *
 * 1. In this thread a call would take the time for which it computes: while it waits, others could run (`Promise.all`).
 * 2. With workers a call takes as long as the slowest of these lets it: this thread, which encodes the call and decodes
 *    its result; the workers, of which no more are at work than there are calls at a time; the CPUs, which do it all.
 * 3. Workers encode and decode about as long as this thread does.
 *
 * Loaded when somebody asks. It decides nothing. Must not depend on how things are measured.
 */

const { PARALLELIZER_CHILD, PARALLELIZER_INLINE, PARALLELIZER_REMOTE } = require('../options/options');

/** Less than this is within what measurements err by. */
const MIN_FACTOR = 1.1;
/** Calls that compute for less than this part of their time count as waiting. */
const MAX_WAITING_SHARE = 0.5;
/** Values of this size are worth being moved. */
const MIN_MOVED_BYTES = 65_536;
/**
 * What a call takes in a worker beside its function, in milliseconds, and what is measured with it; also what such
 * short times err by.
 */
const CALL_COST = 0.005;
/** What a message between threads or processes costs, in milliseconds, where none was sent yet. */
const MESSAGE_COST = 0.01;
const MAX_CONCURRENCY = 32;

/** @typedef {import('../../index').Advice} Advice */
/** @typedef {NonNullable<Advice['change']>['option']} Option */

/**
 * What was measured. Durations are milliseconds per call.
 * @typedef {object} Costs
 * @property {number} calls how many calls were measured
 * @property {number} run
 * @property {number | null} computing the part of it for which a call computes; null: not known
 * @property {number} codec for encoding and decoding in this thread
 * @property {number} message for one message; 0: not known
 * @property {number} messages per call
 * @property {number} bytes
 * @property {number} demand
 * @property {number} demandInChunks
 * @property {number} cpus
 */

/**
 * @typedef {object} Settings
 * @property {string} type
 * @property {number} workers
 * @property {number} concurrency
 * @property {number} batchSize
 * @property {string | null} filePath null: a `Pool`
 * @property {boolean} isGivenInline whether `type` is what makes it inline
 */

/** @param {Costs} costs @param {Settings} settings @returns {Advice} */
function adviceOf(costs, settings) {
  const { calls, run, computing, bytes, cpus } = costs;
  const isInline = settings.type === PARALLELIZER_INLINE;
  const workers = isInline ? 0 : settings.workers;
  const sending = sendingOf(costs, isInline);
  const demand = Math.min(costs.demand, costs.demandInChunks);
  const measured = { calls, run, computing, sending, bytes, demand, workers, cpus };
  if (calls === 0) {
    return {
      pays: null,
      factor: null,
      breakEven: null,
      change: null,
      text: `Nothing was measured yet: let this ${nameOf(settings)} run some calls, and ask again.`,
      measured,
    };
  }
  const current = isInline ? factorWith(costs, { ...settings, workers: cpus, concurrency: 1 }, Infinity)
    : factorWith(costs, settings, demand);
  const change = isInline ? inlineChange(settings, cpus, current) : bestChange(costs, settings, current, demand);
  const pays = current >= MIN_FACTOR;
  const least = breakEven(sending, isInline ? cpus : workers, cpus);
  const advice = { pays, factor: current, breakEven: least, change, measured };
  const isDear = factorWith(costs, { workers: Math.max(2, workers), concurrency: 1 }, Infinity) < MIN_FACTOR;
  return { ...advice, text: textOf(advice, settings, isDear) };
}

/** What it costs this thread to send a call and to take its result. @param {Costs} costs @param {boolean} isInline */
function sendingOf({ codec, message, messages }, isInline) {
  // Inline nothing is sent.
  const there = isInline || message === 0 ? MESSAGE_COST : message;
  // What sending takes beside the codec may be the copying of bytes, which are not the result's.
  return codec + (there + Math.min(there, MESSAGE_COST)) * messages;
}

/**
 * How many times as fast as this thread alone.
 * @param {Costs} costs @param {Pick<Settings, 'workers' | 'concurrency'>} settings
 * @param {number} demand how many calls there are at a time
 * @param {number} [sending]
 */
function factorWith(costs, { workers, concurrency }, demand, sending = sendingOf(costs, false)) {
  const { run, computing, cpus } = costs;
  const busy = run * (computing ?? 1);
  const alone = Math.max(0, busy - CALL_COST);
  const inWorkers = (run + sending) / Math.max(1, Math.min(workers * concurrency, demand));
  const onWorkers = (busy + sending) / workers;
  const onCpus = (busy + 2 * sending) / cpus;
  return alone / Math.max(sending, inWorkers, onWorkers, onCpus);
}

/**
 * From which time on a call pays, if it computes.
 * @param {number} sending @param {number} workers @param {number} cpus
 */
function breakEven(sending, workers, cpus) {
  if (workers < 2 || cpus < 2) return null;
  return CALL_COST + Math.max(sending, (CALL_COST + sending) / (workers - 1), (CALL_COST + 2 * sending) / (cpus - 1));
}

/** @param {Settings} settings @returns {Option} */
function workersOption({ filePath }) {
  return filePath === null ? 'processes' : 'parallelization';
}

/** @param {Settings} settings @param {number} cpus @param {number} factor @returns {Advice['change']} */
function inlineChange(settings, cpus, factor) {
  if (factor < MIN_FACTOR) return null;
  if (settings.isGivenInline) return { option: 'type', value: PARALLELIZER_CHILD, factor };
  return { option: workersOption(settings), value: cpus, factor };
}

/**
 * The option that would help most; null: none would make a difference.
 * @param {Costs} costs @param {Settings} settings @param {number} current @param {number} demand
 * @returns {Advice['change']}
 */
function bestChange(costs, settings, current, demand) {
  const { run, codec, cpus, bytes, message, messages } = costs;
  const isRemote = settings.type === PARALLELIZER_REMOTE;
  const { workers, concurrency, batchSize, filePath } = settings;
  const computing = costs.computing ?? 1;
  /** @type {NonNullable<Advice['change']>[]} */
  const changes = [];
  /** @param {Option} option @param {string | number | null} value @param {number} factor */
  const add = (option, value, factor) => void changes.push({ option, value, factor });

  if (workers < cpus) {
    // Each sub-batch is for a worker, so that there are more of them as well.
    const grown = filePath === null || demand < workers ? demand : (demand * cpus) / workers;
    const wanted = costs.demand >= workers * concurrency ? Math.max(grown, cpus * concurrency) : grown;
    add(workersOption(settings), cpus, factorWith(costs, { workers: cpus, concurrency }, wanted));
  }
  if (filePath === null && computing < MAX_WAITING_SHARE) {
    const wanted = Math.ceil((run * cpus) / (workers * Math.max(run * computing, 0.001)));
    const value = Math.min(MAX_CONCURRENCY, Math.max(concurrency + 1, wanted));
    // How many there would be is not known if they were as many as could run.
    const isEnough = demand >= workers * concurrency;
    add('concurrency', value, factorWith(costs, { workers, concurrency: value }, isEnough ? Infinity : demand));
  }
  if (costs.demandInChunks < Math.min(costs.demand, workers)) {
    if (filePath === null) add('chunkSize', null, factorWith(costs, settings, costs.demand));
  }
  if (batchSize > 0 && demand < workers) add('batchSize', null, factorWith(costs, settings, workers));
  if (bytes >= MIN_MOVED_BYTES && !isRemote) {
    const isChild = settings.type === PARALLELIZER_CHILD;
    const moved = 2 * (message === 0 ? MESSAGE_COST : Math.min(message, MESSAGE_COST)) * messages;
    if (isChild) add('type', 'worker-threads', factorWith(costs, settings, demand, moved));
    else add('transferList', null, factorWith(costs, settings, demand, moved));
  }
  const best = changes.reduce((most, each) => (most === null || each.factor > most.factor ? each : most),
    /** @type {Advice['change']} */ (null));
  if (best !== null && best.factor >= Math.max(current * MIN_FACTOR, MIN_FACTOR)) return best;
  if (current >= MIN_FACTOR || isRemote) return null;
  // Without workers the values are still copied as if they were sent.
  const inline = Math.max(0, run * computing - CALL_COST) / (run + 2 * codec);
  return inline >= current * MIN_FACTOR ? { option: workersOption(settings), value: 0, factor: inline } : null;
}

// ---- In words -------------------------------------------------------------------------------------------------------

/** @param {number} millis */
function time(millis) {
  const micros = millis * 1000;
  if (millis >= 1000) return `${digits(millis / 1000)} s`;
  return micros < 1000 ? `${digits(micros)} µs` : `${digits(millis)} ms`;
}

/** @param {number} value */
function digits(value) {
  return String(Number(value.toPrecision(3)));
}

/** @param {Settings} settings */
function nameOf({ filePath }) {
  return filePath === null ? 'pool' : 'instance';
}

/**
 * @param {Omit<Advice, 'text'>} advice @param {Settings} settings
 * @param {boolean} isDear whether calls cost more than workers give, however many there are at a time
 */
function textOf({ pays, factor, change, measured }, settings, isDear) {
  const { workers, cpus, run, sending } = measured;
  const times = digits(/** @type {number} */ (factor));
  const isInline = workers === 0;
  const takes = isInline ? 'would take' : 'takes';
  const costs = `a call takes ${time(run)}, and to send it and its result ${takes} ${time(sending)}`;
  if (isInline && pays && change !== null) {
    return `Workers would pay: ${costs}, so on ${cpus} CPUs as many workers would be ${times} times as fast as this ` +
      `thread alone. \`${change.option}: ${valueText(change.value)}\` starts them.`;
  }
  if (isInline) return `Workers would not pay: ${reason(measured, costs, isDear)}`;
  if (pays) {
    const many = workers === 1 ? '1 worker is' : `${workers} workers are`;
    const on = cpus === 1 ? '1 CPU' : `${cpus} CPUs`;
    return `Workers pay: ${costs}, so with ${on} ${many} ${times} times as fast as this thread alone.` +
      changeText(change);
  }
  return `Workers do not pay: ${reason(measured, costs, isDear)}${changeText(change)}`;
}

/** @param {Advice['measured']} measured @param {string} costs @param {boolean} isDear */
function reason({ workers, cpus, run, computing, bytes, demand }, costs, isDear) {
  if (computing !== null && computing < MAX_WAITING_SHARE) {
    return `a call takes ${time(run)}, of which it computes for ${time(run * computing)} and waits for the rest, and ` +
      'one thread can wait for many calls at the same time, with Promise.all.';
  }
  if (cpus === 1) return 'one CPU is usable, on which calls that compute take turns, in workers or not.';
  if (isDear) {
    const large = bytes >= MIN_MOVED_BYTES ? ` (${digits(bytes / 1024)} KiB)` : '';
    return `${costs}${large}, which is more than workers can make up for.`;
  }
  if (workers === 1) return `${costs}, and there is one worker, for which this thread would only wait.`;
  if (demand < 1.5) {
    return `${costs}, but there is only one call at a time. Make more of them before the first is done, as map() does.`;
  }
  return `${costs}, with ${digits(demand)} calls at a time.`;
}

/** @param {string | number | null} value */
function valueText(value) {
  return typeof value === 'string' ? `'${value}'` : String(value);
}

/** @param {Advice['change']} change */
function changeText(change) {
  if (change === null) return '';
  const { option, value, factor } = change;
  const times = `${digits(factor)} times as fast as this thread`;
  if (value === 0) return ` With \`${option}: 0\` it is ${times}; best call the function directly.`;
  if (option === 'transferList') return ` If it is bytes, \`transferList\` moves them: at most ${times}.`;
  if (option === 'type') {
    return ` If it is bytes, \`type: 'worker-threads'\` with \`transferList\` moves them: at most ${times}.`;
  }
  if (value === null) return ` Without \`${option}\` it is ${times}.`;
  return ` With \`${option}: ${valueText(value)}\` it is ${times}.`;
}

module.exports = { adviceOf };
