/// <reference types="node" />

// Records of services that want an answer for each, what functions return for them, and changes of DocumentDB.

// Only what is marked so is exported.
export {};

import type { AnyRecord, OwnFields, PayloadRecord } from './record-parts';
import type { RawDocumentDbChange, RawFirehoseRecord, RawS3BatchTask } from './raw-records';

/** Amazon Data Firehose, which wants records transformed: see `Transformed`. */
export interface FirehoseRecord<TValue = any>
  extends AnyRecord<'firehose', string, RawFirehoseRecord>, PayloadRecord<TValue>,
    OwnFields<
      RawFirehoseRecord,
      | 'recordId' | 'data' | 'approximateArrivalTimestamp' | 'kinesisRecordMetadata' | 'mskRecordMetadata'
      | 'kafkaRecordValue'
    > {
  readonly groupKey: null;
  readonly bytes: Buffer;
  readonly value: string;
}

/**
 * What a function returns for a record of Firehose:
 *
 * - text or bytes: the record's new payload, as it is
 * - `undefined`: the record stays as it is
 * - `null`: it is dropped
 * - `{ result, data, metadata }`: as Firehose documents it; `data` that is text is Base64
 * - anything else: the payload, as JSON
 *
 * If it throws, the record is said to have failed (`ProcessingFailed`), and Firehose puts it where its stream keeps
 * such. A function for sub-batches returns a list with one of these for each record.
 */
export type Transformed =
  | string
  | Uint8Array
  | ArrayBuffer
  | null
  | undefined
  | {
      result: 'Ok' | 'Dropped' | 'ProcessingFailed';
      data?: string | Uint8Array;
      metadata?: { partitionKeys: { [name: string]: string } };
    }
  | object;

/** S3 Batch Operations. `identifier` is the task's id. */
export interface S3BatchRecord
  extends AnyRecord<'s3-batch', string, RawS3BatchTask>,
    OwnFields<
      RawS3BatchTask,
      | 'taskId' | 's3Key' | 's3VersionId' | 's3BucketArn' | 's3Bucket' | 'job' | 'invocationId'
      | 'invocationSchemaVersion'
    > {
  readonly groupKey: null;
  readonly value: {
    bucket: string;
    /** Decoded: what S3's own API calls the object. */
    key: string;
    versionId: string | null;
  };
  /** What the job was given along; empty without. */
  readonly userArguments: { readonly [name: string]: string };
}

/**
 * What a function returns for a task of S3 Batch Operations: what the job's report has to say of it, or a result with
 * its code. If it throws, the task has failed for the time being (`TemporaryFailure`: S3 tries again), or, with a
 * `NonRetryableError`, for good. A function for sub-batches returns a list with one of these for each record.
 */
export type TaskResult =
  | string
  | null
  | undefined
  | { resultCode: 'Succeeded' | 'TemporaryFailure' | 'PermanentFailure'; resultString?: string }
  | object;

/** A change of a database of Amazon DocumentDB. `identifier` is the change stream's own name of it. */
export interface DocumentDbRecord<TDocument = any>
  extends AnyRecord<'documentdb', string | null, RawDocumentDbChange>,
    OwnFields<RawDocumentDbChange, 'event' | 'eventSource' | 'eventSourceArn'> {
  /** The cluster: its changes are in order. */
  readonly groupKey: string;
  /** `'insert'`, `'update'`, `'replace'`, `'delete'` and others. */
  readonly operationType: string;
  readonly ns: { db: string; coll: string } | null;
  /** With values of MongoDB's Extended JSON as JavaScript has them: ids as text, dates as `Date`, exact integers. */
  readonly documentKey: any;
  /** Likewise; `null` where the change stream does not carry it. */
  readonly fullDocument: TDocument | null;
  /** Likewise. */
  readonly updateDescription: any;
  readonly value: {
    operationType: string;
    ns: { db: string; coll: string } | null;
    documentKey: any;
    fullDocument: TDocument | null;
    updateDescription: any;
  };
}

/** What is said of a tumbling window at its end. */
export interface TumblingWindow {
  start: string;
  end: string;
  shardId: string;
  eventSourceARN: string;
  /** Whether its state had become too large for Lambda. */
  isTerminatedEarly: boolean;
}

/** For a tumbling window of Kinesis or DynamoDB streams. Both functions run in the handler. */
export interface WindowOptions<TRecord = any, TState = any, TResult = any> {
  /**
   * Makes the next state of the state and of what your function has returned for a record, in the order of the records;
   * if it returns `undefined`, it has changed the state in place. The first state of a window is `{}`.
   */
  reduce(state: TState, result: TResult, record: TRecord): TState | void | Promise<TState | void>;
  /** Told of the last state of a window. If it throws, the invocation fails, and its records come again. */
  end?(state: TState, window: TumblingWindow): unknown;
}
