'use strict';

/**
 * Events that have their records in a form of their own.
 *
 * | what sends it | the event |
 * |---|---|
 * | CloudWatch Logs | `{ awslogs: { data } }`, gzipped JSON in Base64 |
 * | Firehose | `{ invocationId, deliveryStreamArn, records: [record, …] }` |
 * | S3 Batch Operations | `{ invocationSchemaVersion, invocationId, job, tasks: [task, …] }` |
 * | DocumentDB | `{ eventSource, eventSourceArn, events: [{ event }, …] }` |
 *
 * Must not depend on what becomes of the records.
 */

const { eventError } = require('../errors');
const { isList, isObject } = require('../options/option-checks');
const { checkRecords } = require('./record-checks');

/** @typedef {{ source: import('../events/record').Source, raws: unknown[], piped: boolean }} Found */

/**
 * @param {Record<string, any>} event
 * @returns {Found | null} `null`: it is none of these
 */
function readWholeEvent(event) {
  if (isObject(event.awslogs)) return found('cloudwatch-logs', logsOf(event.awslogs), 'event.awslogs');
  if (typeof event.deliveryStreamArn === 'string' && isList(event.records)) {
    return found('firehose', event.records, 'event.records');
  }
  if (typeof event.invocationSchemaVersion === 'string' && isList(event.tasks)) {
    const { job, invocationId, invocationSchemaVersion } = event;
    const common = { job, invocationId, invocationSchemaVersion };
    return found('s3-batch', withCommon(event.tasks, common), 'event.tasks');
  }
  if (event.eventSource === 'aws:docdb' && isList(event.events)) {
    const { eventSource, eventSourceArn } = event;
    return found('documentdb', withCommon(event.events, { eventSource, eventSourceArn }), 'event.events');
  }
  return null;
}

/** @param {any} awslogs */
function logsOf({ data }) {
  /** @type {unknown[] | null} */
  let logs = null;
  if (typeof data === 'string') {
    try {
      logs = require('../events/log-events').logEventsIn(Buffer.from(data, 'base64'));
    } catch {
      // Said below.
    }
  }
  if (logs === null) throw eventError('event.awslogs.data', data, 'must be logs, gzipped, as Base64');
  return logs;
}

/** @param {unknown[]} list @param {object} common */
function withCommon(list, common) {
  return list.map((raw) => (isObject(raw) ? { ...common, ...raw } : raw));
}

/** @param {Found['source']} source @param {unknown[]} raws @param {string} place @returns {Found} */
function found(source, raws, place) {
  checkRecords(raws, source, (i) => `${place}[${i}]`);
  return { source, raws, piped: false };
}

module.exports = { readWholeEvent };
