'use strict';

/** Times and hints in words, for the drawing, the page and the terminal. */

/** @typedef {import('./model').Span} Span */
/** @typedef {import('./model').Mark} Mark */

const digits = new Intl.NumberFormat('en-US', { maximumSignificantDigits: 3 });
const whole = new Intl.NumberFormat('en-US');

/** @param {number} micros */
function timeText(micros) {
  if (micros < 1000) return `${digits.format(micros)} µs`;
  if (micros < 1_000_000) return `${digits.format(micros / 1000)} ms`;
  return `${digits.format(micros / 1_000_000)} s`;
}

/** @param {number} share */
const percentText = (share) => `${Math.round(100 * share)} %`;

/** @param {number} count @param {string} word */
const counted = (count, word) => `${whole.format(count)} ${word}${count === 1 ? '' : 's'}`;

/** What stands beside a span that is pointed at. @param {Span} span */
function hintOf({ kind, name, from, to, args, isCritical }) {
  if (kind === 'yield') return yieldHint(from, to, args);
  const lines = [`${name}${kind === 'chunk' || name === kind ? '' : ` (${kind})`}: ${timeText(to - from)}`];
  lines.push(`from ${timeText(from)} to ${timeText(to)}`);
  if (args.calls !== undefined) {
    const first = args.first === undefined ? '' : `, from number ${args.first} on`;
    const failed = args.failed > 0 ? `, ${args.failed} failed` : '';
    lines.push(`${counted(args.calls, 'call')}${first}${failed}`);
  }
  if (args.method !== undefined) lines.push(`of ${args.method}`);
  if (args.wait !== undefined) lines.push(`waited ${timeText(args.wait)}`);
  if (args.run !== undefined && kind === 'chunk') lines.push(`its functions ran ${timeText(args.run)}`);
  if (args.yields > 0) lines.push(`yielded ${counted(args.yields, 'value')}`);
  if (args.paused > 0) lines.push(`as far ahead of its reader as it may be: ${timeText(args.paused)}`);
  if (args.messages > 0) lines.push(counted(args.messages, 'message'));
  if (args.bytes !== undefined) lines.push(`${whole.format(args.bytes)} bytes`);
  if (args.pid !== undefined && args.pid !== null) lines.push(`process ${args.pid}`);
  if (args.outcome !== undefined && args.outcome !== 'answered') lines.push(String(args.outcome));
  if (args.runId !== undefined) lines.push(`run ${args.runId}`);
  if (isCritical) lines.push('on the critical path');
  return lines.join('\n');
}

/** @param {number} from @param {number} to @param {Record<string, any>} args */
function yieldHint(from, to, { first, values, runId }) {
  const when = to > from ? `from ${timeText(from)} to ${timeText(to)}` : `at ${timeText(from)}`;
  return [`yielded ${counted(values, 'value')}, from number ${first} on`, when, `run ${runId}`].join('\n');
}

/** @param {Mark} mark */
function markHint({ kind, at, args }) {
  const lines = [`${kind} at ${timeText(at)}`];
  if (kind === 'message') {
    lines.push(`of call ${args.call}${args.attempt > 1 ? `, attempt ${args.attempt}` : ''}`);
    lines.push(`${whole.format(args.bytes)} bytes`, `run ${args.runId}`);
  }
  if (args.reason !== undefined) lines.push(`reason: ${args.reason}`);
  if (args.signal !== undefined && args.signal !== null) lines.push(`signal: ${args.signal}`);
  else if (args.exitCode !== undefined && args.exitCode !== null) lines.push(`exit code: ${args.exitCode}`);
  if (args.calls !== undefined) lines.push(counted(args.calls, 'call'));
  if (args.pid !== undefined && args.pid !== null) lines.push(`process ${args.pid}`);
  return lines.join('\n');
}

/** For XML and HTML. @param {unknown} text */
function escaped(text) {
  /** @type {Record<string, string>} */
  const entities = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };
  // Characters that XML has no place for, not even as entities.
  return String(text)
    .replace(/[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu, '\ufffd')
    .replace(/[&<>"']/g, (character) => entities[character]);
}

module.exports = { counted, escaped, hintOf, markHint, percentText, timeText };
