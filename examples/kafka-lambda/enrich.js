'use strict';

/**
 * One Kafka record in, one database row out: decode, check, price, screen, score.
 *
 * A pure function of the record and the parameters. It knows nothing of workers, batches or
 * databases, which is what lets it run unchanged in any of them.
 */

const { createHash, createHmac } = require('node:crypto');
const { FIRST_NAMES, LAST_NAMES } = require('./names.js');

/** @typedef {import('./event.js').KafkaRecord} KafkaRecord */

/**
 * @typedef {object} EnrichParams
 * @property {Record<string, number>} rates units of a currency for one euro
 * @property {string} pseudonymKey
 * @property {number} matchThreshold similarity, 0 to 1, from which a name is a match
 */

/**
 * @typedef {object} Entry
 * @property {[topic: string, partition: number, offset: number]} key
 * @property {{ status: 'accepted' | 'held' | 'rejected', [field: string]: unknown }} row
 */

/** Four entries for each last name: `kowalczyk j hannah`. */
const WATCH_LIST = LAST_NAMES.flatMap((last, index) => [0, 5, 11, 17].map((step) => {
  const first = FIRST_NAMES[(index + step) % FIRST_NAMES.length];
  const middle = FIRST_NAMES[(index + step + 7) % FIRST_NAMES.length];
  return `${last} ${middle[0]} ${first}`.toLowerCase();
}));

class Rejected extends Error {}

/**
 * @param {KafkaRecord} record
 * @param {string} name
 */
function readHeader(record, name) {
  const found = record.headers.find((candidate) => name in candidate);
  return found && Buffer.from(found[name]).toString();
}

/** @param {KafkaRecord} record */
function decode(record) {
  const value = Buffer.from(record.value, 'base64');
  const digest = createHash('sha256').update(value).digest('hex');
  if (!digest.startsWith(readHeader(record, 'checksum') ?? ' ')) throw new Rejected('checksum');

  let order;
  try {
    order = JSON.parse(value.toString());
  } catch {
    throw new Rejected('not JSON');
  }
  if (!(order.lines?.length > 0)) throw new Rejected('no lines');
  if (typeof order.customer?.email !== 'string') throw new Rejected('no customer');
  return order;
}

/**
 * In the smallest unit of the currency; tax is rounded line by line, as invoices do.
 *
 * @param {{ quantity: number, unitPrice: number, tax: number }[]} lines
 */
function price(lines) {
  let net = 0;
  let tax = 0;
  for (const line of lines) {
    const amount = line.quantity * line.unitPrice;
    net += amount;
    tax += Math.round((amount * line.tax) / 10_000);
  }
  return { net, tax, gross: net + tax };
}

const previousRow = new Uint16Array(128);
const currentRow = new Uint16Array(128);

/**
 * Levenshtein's distance. The two rows are kept between calls: allocating them for every pair
 * would cost more than filling them.
 *
 * @param {string} left
 * @param {string} right
 */
function distance(left, right) {
  let previous = previousRow;
  let current = currentRow;
  for (let column = 0; column <= right.length; column += 1) previous[column] = column;

  for (let line = 1; line <= left.length; line += 1) {
    const code = left.charCodeAt(line - 1);
    current[0] = line;
    for (let column = 1; column <= right.length; column += 1) {
      const substitute = previous[column - 1] + (code === right.charCodeAt(column - 1) ? 0 : 1);
      const shorter = Math.min(previous[column], current[column - 1]) + 1;
      current[column] = Math.min(substitute, shorter);
    }
    [previous, current] = [current, previous];
  }
  return previous[right.length];
}

/**
 * The closest name on the watch list. This is where the time goes: every order is compared with
 * every entry, and nothing of it can be left to another thread by `await`.
 *
 * @param {string} name
 */
function screen(name) {
  const [first, ...rest] = name.toLowerCase().slice(0, 100).split(' ');
  const wanted = [...rest, first].join(' ');
  let similarity = 0;
  let match = '';
  for (const entry of WATCH_LIST) {
    const found = 1 - distance(wanted, entry) / Math.max(wanted.length, entry.length);
    if (found > similarity) {
      similarity = found;
      match = entry;
    }
  }
  return { match, similarity: Math.round(similarity * 1000) / 1000 };
}

/**
 * A record that cannot be processed becomes a row too: thrown, it would come back with its whole
 * batch until it expires.
 *
 * @param {KafkaRecord} record
 * @param {EnrichParams} params
 * @returns {Entry}
 */
function enrich(record, { rates, pseudonymKey, matchThreshold }) {
  /** @type {Entry['key']} */
  const key = [record.topic, record.partition, record.offset];
  try {
    const order = decode(record);
    const rate = rates[order.currency];
    if (rate === undefined) throw new Rejected('currency');

    const totals = price(order.lines);
    const grossInEuro = Math.round(totals.gross / rate);
    const screening = order.screened ? null : screen(order.customer.name);
    const risk = (screening && screening.similarity >= matchThreshold ? 60 : 0)
      + (order.shipTo === order.customer.country ? 0 : 25)
      + (grossInEuro > 100_000 ? 15 : 0);

    return {
      key,
      row: {
        status: risk >= 60 ? 'held' : 'accepted',
        orderId: order.orderId,
        placedAt: Date.parse(order.placedAt),
        customer: createHmac('sha256', pseudonymKey).update(order.customer.email).digest('base64url'),
        country: order.shipTo,
        currency: order.currency,
        ...totals,
        grossInEuro,
        screening,
        risk,
      },
    };
  } catch (error) {
    if (!(error instanceof Rejected)) throw error;
    return { key, row: { status: 'rejected', reason: error.message } };
  }
}

module.exports = { enrich };
