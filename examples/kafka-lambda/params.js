'use strict';

/**
 * What every sub-batch is told besides its records. A deployed function would read the rates
 * from a service and the key from a secret, once per environment.
 *
 * @type {import('./enrich.js').EnrichParams}
 */
exports.PARAMS = {
  rates: { EUR: 1, USD: 1.04, GBP: 0.83, SEK: 11.5, PLN: 4.26, JPY: 163 },
  pseudonymKey: 'not-a-secret',
  matchThreshold: 0.9,
};
