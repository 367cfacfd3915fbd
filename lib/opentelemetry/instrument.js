'use strict';

/**
 * OpenTelemetry: turns what the channels of this library say into spans and metrics.
 *
 * Must not depend on how calls reach a worker, nor on an SDK: whatever is registered with the API is used.
 */

const { ParallelizerError, optionError, reasonText } = require('../errors');
const { openChannels } = require('../jobs/observers');
const { boolean, reader } = require('../options/option-checks');
const { watchMetrics } = require('./metrics');
const { watchSpans } = require('./spans');

const API = '@opentelemetry/api';
/** What tracers and meters are called. */
const NAME = '@parallelizer/node';

/** @typedef {typeof import('@opentelemetry/api')} Api */

/** @type {{ disable: () => void } | null} */
let active = null;

/**
 * @param {unknown} [input] see `InstrumentOptions` in opentelemetry.d.ts
 * @returns {{ disable: () => void }}
 */
function instrument(input = {}) {
  const option = reader(input, 'options', ['tracerProvider', 'meterProvider', 'spans', 'metrics']);
  const tracers = provider(option('tracerProvider'), 'getTracer');
  const meters = provider(option('meterProvider'), 'getMeter');
  const hasSpans = boolean(option('spans'), true);
  const hasMetrics = boolean(option('metrics'), true);
  const api = load();
  const { version } = require('../../package.json');
  active?.disable();
  const channels = openChannels();
  const ends = [
    hasSpans ? watchSpans(channels, api, () => (tracers ?? api.trace).getTracer(NAME, version)) : () => {},
    hasMetrics ? watchMetrics(channels, (meters ?? api.metrics).getMeter(NAME, version)) : () => {},
  ];
  const own = {
    disable() {
      ends.splice(0).forEach((end) => end());
      if (active === own) active = null;
    },
  };
  active = own;
  return own;
}

/** @returns {Api} */
function load() {
  try {
    return require(API);
  } catch (cause) {
    throw new ParallelizerError(
      'ERR_PARALLELIZER_MODULE',
      `instrument() needs the package "${API}", which does not load: ${reasonText(cause)}. Install it: ` +
        `npm install ${API}`,
      { cause },
    );
  }
}

/**
 * @param {import('../options/option-checks').Option} option @param {string} method that it must have
 * @returns {any}
 */
function provider({ name, value }, method) {
  if (value === undefined) return null;
  if (typeof (/** @type {any} */ (value)?.[method]) !== 'function') {
    throw optionError(name, value, `an object with the method ${method}(), of an OpenTelemetry SDK`);
  }
  return value;
}

module.exports = { instrument };
