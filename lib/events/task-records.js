'use strict';

/**
 * Records of services that want an answer of their own for each: Firehose's transformation, S3 Batch Operations; and
 * changes of DocumentDB.
 *
 * Must not depend on events, workers or answers. Runs in workers too.
 */

const { LambdaRecord, PayloadRecord, defineFields, fromBase64 } = require('./record');
const { decodeKey } = require('./message-records');

/** @typedef {import('./record').Source} Source */

class FirehoseRecord extends PayloadRecord {
  /** @override @returns {Source} */
  get source() {
    return 'firehose';
  }

  /** @override @returns {string} */
  get identifier() {
    return this.raw.recordId;
  }

  /** @override @returns {number | undefined} */
  get timestamp() {
    return this.raw.approximateArrivalTimestamp;
  }

  /** @override @protected */
  decodeBytes() {
    // Where the source is Kafka, the payload has another name.
    return fromBase64(this.raw.data ?? this.raw.kafkaRecordValue);
  }
}

class S3BatchRecord extends LambdaRecord {
  /** @override @returns {Source} */
  get source() {
    return 's3-batch';
  }

  /** @override @returns {string} */
  get identifier() {
    return this.raw.taskId;
  }

  get value() {
    const { s3Bucket, s3BucketArn, s3Key, s3VersionId } = this.raw;
    return {
      // The second version of the event has the name, the first one 'arn:aws:s3:::name'.
      /** @type {string} */
      bucket: s3Bucket ?? String(s3BucketArn).split(':::').pop(),
      key: decodeKey(s3Key),
      /** @type {string | null} */
      versionId: s3VersionId ?? null,
    };
  }

  /** What the job's creator gave it along. @returns {Record<string, string>} */
  get userArguments() {
    return this.raw.job?.userArguments ?? {};
  }
}

class DocumentDbRecord extends LambdaRecord {
  /** @override @returns {Source} */
  get source() {
    return 'documentdb';
  }

  /** The change stream's own name of the change. @override @returns {string | null} */
  get identifier() {
    return this.raw.event._id?._data ?? null;
  }

  /** Changes are in order within a cluster. @override @returns {string} */
  get groupKey() {
    return this.raw.eventSourceArn ?? '';
  }

  /** @override */
  get timestamp() {
    const seconds = this.raw.event.clusterTime?.$timestamp?.t;
    return typeof seconds === 'number' ? seconds * 1000 : undefined;
  }

  /** `'insert'`, `'update'`, `'replace'`, `'delete'` and others. @returns {string} */
  get operationType() {
    return this.raw.event.operationType;
  }

  /** @returns {{ db: string, coll: string } | null} */
  get ns() {
    return this.raw.event.ns ?? null;
  }

  /** @returns {any} */
  get documentKey() {
    return this.#decoded('documentKey');
  }

  /** @returns {any} */
  get fullDocument() {
    return this.#decoded('fullDocument');
  }

  /** @returns {any} */
  get updateDescription() {
    return this.#decoded('updateDescription');
  }

  get value() {
    const { operationType, ns, documentKey, fullDocument, updateDescription } = this;
    return { operationType, ns, documentKey, fullDocument, updateDescription };
  }

  /** @param {string} name */
  #decoded(name) {
    const value = this.raw.event[name];
    return value === undefined || value === null ? null : require('./extended-json').fromExtended(value);
  }
}

defineFields(FirehoseRecord, [
  'recordId', 'data', 'approximateArrivalTimestamp', 'kinesisRecordMetadata', 'mskRecordMetadata', 'kafkaRecordValue',
]);
defineFields(S3BatchRecord, [
  'taskId', 's3Key', 's3VersionId', 's3BucketArn', 's3Bucket', 'job', 'invocationId', 'invocationSchemaVersion',
]);
defineFields(DocumentDbRecord, ['event', 'eventSource', 'eventSourceArn']);

module.exports = { DocumentDbRecord, FirehoseRecord, S3BatchRecord };
