'use strict';

/**
 * W3C trace context (`traceparent`), and X-Ray's header as such.
 *
 * Must not depend on records or invocations. Runs in workers too.
 */

const TRACEPARENT = /^[\da-f]{2}-[\da-f]{32}-[\da-f]{16}-[\da-f]{2}(?:-|$)/;
const ROOT = /(?:^|;)\s*Root=1-([\da-f]{8})-([\da-f]{24})/i;
const PARENT = /(?:^|;)\s*Parent=([\da-f]{16})/i;

/** @param {unknown} text @returns {string | null} */
function validTraceparent(text) {
  return typeof text === 'string' && TRACEPARENT.test(text) ? text : null;
}

/**
 * `Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1` as
 * `00-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-01`.
 * @param {unknown} header
 * @returns {string | null}
 */
function traceparentOf(header) {
  if (typeof header !== 'string') return null;
  const root = ROOT.exec(header);
  const parent = PARENT.exec(header);
  if (root === null || parent === null) return null;
  const sampled = /(?:^|;)\s*Sampled=1/i.test(header) ? '01' : '00';
  return `00-${root[1]}${root[2]}-${parent[1]}-${sampled}`.toLowerCase();
}

module.exports = { traceparentOf, validTraceparent };
