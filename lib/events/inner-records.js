'use strict';

/**
 * Records that stand within others, and that no event has as such: events of EventBridge, lines of CloudWatch Logs, and
 * what the Kinesis Producer Library has aggregated.
 *
 * Must not depend on events, workers or answers. Runs in workers too.
 */

const { LambdaRecord, PayloadRecord, defineFields, fromDate } = require('./record');
const { KinesisRecord } = require('./stream-records');

/** @typedef {import('./record').Source} Source */

class EventBridgeRecord extends LambdaRecord {
  /** @override @returns {Source} */
  get source() {
    return 'eventbridge';
  }

  /** @override @returns {string} */
  get identifier() {
    return this.raw.id;
  }

  /** @override */
  get timestamp() {
    return fromDate(this.raw.time);
  }

  /** What sent it: `'aws.s3'`, for one. (`source` is the record's own.) @returns {string} */
  get eventSource() {
    return this.raw.source;
  }

  /** @returns {string} */
  get detailType() {
    return this.raw['detail-type'];
  }

  /** @returns {any} */
  get value() {
    return this.raw.detail;
  }

  /** @returns {any} */
  get json() {
    return this.raw.detail;
  }
}

/** A line of a log. Its `raw` has what stands beside the lines as well: they are of one group and stream. */
class CloudWatchLogsRecord extends PayloadRecord {
  /** @override @returns {Source} */
  get source() {
    return 'cloudwatch-logs';
  }

  /** @override @returns {string} */
  get identifier() {
    return this.raw.id;
  }

  /** @override @returns {number | undefined} */
  get timestamp() {
    return this.raw.timestamp;
  }

  /** @override @protected @returns {string} */
  decodeText() {
    return this.raw.message;
  }
}

/** One of the records of an aggregate. */
class UserRecord extends KinesisRecord {
  #data;

  /** @param {any} raw @param {Buffer} data */
  constructor(raw, data) {
    super(raw);
    this.#data = data;
  }

  /** Its place in the aggregate. @returns {number} */
  get subSequenceNumber() {
    return this.kinesis.subSequenceNumber;
  }

  /** @returns {string | null} */
  get explicitHashKey() {
    return this.kinesis.explicitHashKey ?? null;
  }

  /** @override @protected @returns {any} */
  decodeBytes() {
    return this.#data;
  }
}

defineFields(EventBridgeRecord, ['id', 'detail-type', 'detail', 'account', 'time', 'region', 'resources', 'version']);
defineFields(CloudWatchLogsRecord, [
  'id', 'message', 'extractedFields', 'owner', 'logGroup', 'logStream', 'subscriptionFilters', 'messageType',
]);

module.exports = { CloudWatchLogsRecord, EventBridgeRecord, UserRecord };
