/// <reference types="node" />

// The public types of `@parallelizer/node/lambda`, written by hand. Durations are milliseconds unless a name says
// otherwise.

// Only what is marked so is exported.
export {};

import type { LogEntry, Parallelizer, ParallelizerError, ParallelizerList, ParallelizerOptions } from './index';

// ----------------------------------------------------------------------------------------------------------- records

export type RecordSource = 'kafka' | 'sqs' | 'kinesis' | 'dynamodb' | 's3' | 'sns' | 'activemq' | 'rabbitmq';

/**
 * What every record has. Everything but `raw` is decoded when it is first asked for, and kept.
 *
 * A record also has all the fields that it has in the event (`messageId`, `body`, `kinesis`, `dynamodb`, `Sns`, `s3`,
 * …), whether these types know them or not, so that functions written for these go on working. Only `key`, `value` and
 * `headers` of Kafka are decoded.
 */
interface AnyRecord<TSource extends RecordSource, TIdentifier, TRaw> {
  readonly source: TSource;
  /** What a partial batch response calls this record (`itemIdentifier`). */
  readonly identifier: TIdentifier;
  /**
   * Records that share it are in order: topic and partition, message group of a FIFO queue, shard. `null` where the
   * source keeps no order.
   */
  readonly groupKey: string | null;
  /** When it was written or sent, in milliseconds since 1970; `undefined` where the record does not say. */
  readonly timestamp: number | undefined;
  /** The record as it stood in the event: all that travels to a worker. */
  readonly raw: TRaw;
}

/** Fields of the record in the event, under their names. */
type OwnFields<TRaw, TNames extends keyof TRaw> = { readonly [TName in TNames]: TRaw[TName] };

/** A record whose payload is bytes or text. */
interface PayloadRecord<TValue> {
  /** The payload; text as UTF-8. `null` for a Kafka record without one (a tombstone). */
  readonly bytes: Buffer | null;
  /** The payload as text. */
  readonly value: string | null;
  /**
   * The payload as parsed JSON, `null` where there is none.
   *
   * @throws {SyntaxError} that names the record, if it is no JSON
   */
  readonly json: TValue;
}

/** Amazon MSK and self-managed Apache Kafka. */
export interface KafkaRecord<TValue = any>
  extends AnyRecord<'kafka', { partition: string; offset: number }, RawKafkaRecord>, PayloadRecord<TValue>,
    OwnFields<
      RawKafkaRecord,
      | 'timestampType' | 'keySchemaMetadata' | 'valueSchemaMetadata'
      | 'eventSource' | 'eventSourceArn' | 'eventSourceKey' | 'bootstrapServers'
    > {
  /** Topic and partition: `'orders-0'`. */
  readonly groupKey: string;
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  /** As text; `null` for a record without a key. */
  readonly key: string | null;
  readonly keyBytes: Buffer | null;
  /** By name, as text; of several with one name the last one. All of them, and their bytes, are in `raw`. */
  readonly headers: { readonly [name: string]: string };
}

/** Amazon SQS. `groupKey` is the message group in a FIFO queue, else `null`. */
export interface SqsRecord<TValue = any>
  extends AnyRecord<'sqs', string, RawSqsRecord>, PayloadRecord<TValue>,
    OwnFields<
      RawSqsRecord,
      | 'messageId' | 'receiptHandle' | 'body' | 'attributes' | 'messageAttributes' | 'md5OfBody'
      | 'md5OfMessageAttributes' | 'eventSource' | 'eventSourceARN' | 'awsRegion'
    > {
  readonly bytes: Buffer;
  readonly value: string;
}

/**
 * Amazon Kinesis Data Streams, with and without enhanced fan-out, from Lambda or from EventBridge Pipes. What the
 * Kinesis Producer Library has aggregated stays whole.
 */
export interface KinesisRecord<TValue = any>
  extends AnyRecord<'kinesis', string, RawKinesisRecord | RawPipesKinesisRecord>, PayloadRecord<TValue>,
    OwnFields<
      RawKinesisRecord,
      | 'kinesis' | 'eventID' | 'eventName' | 'eventVersion' | 'invokeIdentityArn'
      | 'eventSource' | 'eventSourceARN' | 'awsRegion'
    > {
  /** The shard: `'shardId-000000000006'`. */
  readonly groupKey: string;
  readonly partitionKey: string;
  readonly sequenceNumber: string;
  /** Base64. */
  readonly data: string;
  readonly bytes: Buffer;
  readonly value: string;
}

/** Amazon SNS. */
export interface SnsRecord<TValue = any>
  extends AnyRecord<'sns', string, RawSnsRecord>, PayloadRecord<TValue>,
    OwnFields<RawSnsRecord, 'Sns' | 'EventSource' | 'EventVersion' | 'EventSubscriptionArn'> {
  readonly groupKey: null;
  readonly subject: string | null;
  readonly bytes: Buffer;
  readonly value: string;
}

/** Amazon MQ for ActiveMQ. No order is kept: where you need one, `groupBy: (record) => record.queue`. */
export interface ActiveMqRecord<TValue = any>
  extends AnyRecord<'activemq', string, RawActiveMqRecord>, PayloadRecord<TValue>,
    OwnFields<
      RawActiveMqRecord,
      | 'messageID' | 'messageType' | 'data' | 'connectionId' | 'redelivered' | 'persistent' | 'destination'
      | 'brokerInTime' | 'brokerOutTime' | 'properties' | 'eventSource' | 'eventSourceArn'
    > {
  readonly groupKey: null;
  readonly queue: string | null;
  readonly bytes: Buffer;
  readonly value: string;
}

/** Amazon MQ for RabbitMQ. `identifier` is the message's own id, `null` where its publisher gave none. */
export interface RabbitMqRecord<TValue = any>
  extends AnyRecord<'rabbitmq', string | null, RawRabbitMqRecord>, PayloadRecord<TValue>,
    OwnFields<
      RawRabbitMqRecord,
      'basicProperties' | 'redelivered' | 'data' | 'eventSource' | 'eventSourceArn' | 'eventSourceKey'
    > {
  readonly groupKey: null;
  readonly queue: string | null;
  readonly bytes: Buffer;
  readonly value: string;
}

/**
 * What DynamoDB's attributes are in JavaScript: numbers are what the option `numbers` makes of them, sets are `Set`s,
 * binary values `Buffer`s.
 */
export type DynamoDbItem = { [attribute: string]: any };

/** Amazon DynamoDB streams. */
export interface DynamoDbRecord<TItem = DynamoDbItem>
  extends AnyRecord<'dynamodb', string, RawDynamoDbRecord>,
    OwnFields<
      RawDynamoDbRecord,
      'dynamodb' | 'eventID' | 'eventVersion' | 'userIdentity' | 'eventSource' | 'eventSourceARN' | 'awsRegion'
    > {
  /** The stream: an event has records of one shard only, and they do not name it. */
  readonly groupKey: string;
  readonly sequenceNumber: string;
  readonly eventName: 'INSERT' | 'MODIFY' | 'REMOVE';
  /** @throws {RangeError} as `newImage` */
  readonly keys: Partial<TItem> | null;
  /**
   * `null` where there is none, or the stream does not carry it.
   *
   * @throws {RangeError} for a number that JavaScript's do not hold exactly, with the path of the attribute as
   *   `attribute` and the number's text as `value`; see the option `numbers`
   */
  readonly newImage: TItem | null;
  /**
   * `null` where there is none, or the stream does not carry it.
   *
   * @throws {RangeError} as `newImage`
   */
  readonly oldImage: TItem | null;
  readonly value: {
    eventName: 'INSERT' | 'MODIFY' | 'REMOVE';
    keys: Partial<TItem> | null;
    newImage: TItem | null;
    oldImage: TItem | null;
  };
}

/** Amazon S3 notifications. `identifier` is `'bucket/key'`, with `?versionId=…` where there is one. */
export interface S3Record
  extends AnyRecord<'s3', string, RawS3Record>,
    OwnFields<
      RawS3Record,
      | 's3' | 'eventTime' | 'eventVersion' | 'userIdentity' | 'requestParameters' | 'responseElements'
      | 'glacierEventData' | 'replicationEventData' | 'lifecycleEventData' | 'intelligentTieringEventData'
      | 'eventSource' | 'awsRegion'
    > {
  readonly groupKey: null;
  readonly eventName: string;
  readonly value: {
    eventName: string;
    bucket: string;
    /** Decoded: what S3's own API calls the object. */
    key: string;
    /** In bytes; `null` for a deletion. */
    size: number | null;
    eTag: string | null;
    versionId: string | null;
    sequencer: string | null;
  };
}

/** One record of an event, told apart by `source`. */
export type LambdaRecord<TValue = any> =
  | KafkaRecord<TValue>
  | SqsRecord<TValue>
  | KinesisRecord<TValue>
  | SnsRecord<TValue>
  | ActiveMqRecord<TValue>
  | RabbitMqRecord<TValue>
  | DynamoDbRecord
  | S3Record;

/**
 * What becomes of DynamoDB's numbers, which have up to 38 digits:
 *
 * - `'exact'`: a `number` where that keeps every digit; an integer beyond that is a `BigInt`; for any other number
 *   decoding throws
 * - `'string'`: the text
 * - `'number'`: always a `number`, rounded where it has to be
 */
export type NumberDecoding = 'exact' | 'string' | 'number';

/** How records are decoded. */
export interface DecodingOptions {
  /** For DynamoDB; a function makes a value of each number's text. Default: `'exact'`. */
  numbers?: NumberDecoding | ((text: string) => unknown) | undefined;
}

/**
 * The records of an event as one list, in their order: of Kafka (MSK and self-managed), SQS (standard and FIFO),
 * Kinesis, DynamoDB streams, S3, SNS and Amazon MQ; or of the list that EventBridge Pipes sends.
 *
 * @throws {ParallelizerError} `ERR_PARALLELIZER_OPTION` for anything else; the message says what is wrong where
 *
 * @example
 * for (const record of records(event)) console.log(record.identifier, record.groupKey, record.json);
 */
export declare function records<TRecord = LambdaRecord>(event: unknown, options?: DecodingOptions): TRecord[];

/**
 * An item of DynamoDB (`{ id: { S: 'a' } }`), as events and exports to S3 have it, in JavaScript's values: as
 * `newImage` of a record. Binary values may be Base64 or bytes.
 *
 * @throws {RangeError} for a number that JavaScript's do not hold exactly, unless `numbers` says otherwise
 */
export declare function unmarshall<TItem = DynamoDbItem>(item: object, options?: DecodingOptions): TItem;

// ------------------------------------------------------------------------------------------------ the worker's side

/** The invocation that a worker's function works for. */
export interface InvocationContext {
  /** Lambda's fields are there as far as the handler's own context has them. */
  readonly awsRequestId?: string;
  readonly functionName?: string;
  readonly functionVersion?: string;
  readonly invokedFunctionArn?: string;
  readonly memoryLimitInMB?: string;
  readonly logGroupName?: string;
  readonly logStreamName?: string;
  readonly tenantId?: string;
  /** When Lambda stops the invocation, in milliseconds since 1970; `null` where that is not known. */
  readonly deadline: number | null;
  /** The trace header, also in `process.env._X_AMZN_TRACE_ID` of the worker while the function runs; or `null`. */
  readonly traceId: string | null;
  /** Milliseconds until `deadline`; `Infinity` without one. */
  getRemainingTimeInMillis(): number;
}

/** What both kinds of functions are given. */
interface EventArguments<TParams> {
  /** What the option `params` gave; `null` without it. */
  params: TParams;
  context: InvocationContext;
  /** Prints on the parent's console. */
  mainLogger(entry: LogEntry): void;
  /**
   * Fires when the time is up: that of the call, or of the invocation (less `deadlineMargin`). The worker is replaced
   * if the function has not returned `gracePeriod` later.
   */
  signal: AbortSignal;
  /** The position of this call among those of the event. */
  batchIndex: number;
}

/** The one argument of a function that `processBatchFunctionName` names. */
export interface EventBatchArguments<TRecord = LambdaRecord, TParams = any> extends EventArguments<TParams> {
  /** The records of this sub-batch, in order; where the source has an order, they are of one group. */
  batch: TRecord[];
}

/** The one argument of a function that `recordFunctionName` names. */
export interface EventRecordArguments<TRecord = LambdaRecord, TParams = any> extends EventArguments<TParams> {
  record: TRecord;
}

/**
 * A function for one record. What it returns is dropped; if it throws, the record has failed.
 *
 * @example
 * export const store: RecordFunction<KafkaRecord<Order>> = async ({ record }) => {
 *   await table.put(record.key, record.json);
 * };
 */
export type RecordFunction<TRecord = LambdaRecord, TParams = any> = (
  work: EventRecordArguments<TRecord, TParams>,
) => unknown;

/**
 * A function for a sub-batch. All of its records are done when it returns, and all have failed if it throws, unless it
 * says which: it may return a partial batch response as a handler of Lambda's would, or throw an error with a property
 * `failed`, a list of records or of their identifiers. Anything else that it returns is dropped.
 *
 * @example
 * export const store: RecordBatchFunction<SqsRecord<Order>> = async ({ batch }) => {
 *   const results = await Promise.allSettled(batch.map((record) => table.put(record.json)));
 *   const failed = batch.filter((_, i) => results[i].status === 'rejected');
 *   if (failed.length > 0) throw Object.assign(new Error('not stored'), { failed });
 * };
 */
export type RecordBatchFunction<TRecord = LambdaRecord, TParams = any> = (
  work: EventBatchArguments<TRecord, TParams>,
) => unknown;

// ---------------------------------------------------------------------------------------------------------- handlers

/** What a handler takes of Lambda's context; all of it may be missing. */
export interface HandlerContext {
  awsRequestId?: string;
  getRemainingTimeInMillis?(): number;
  /** The trace header, where it is not in the environment (Managed Instances). */
  xRayTraceId?: string | undefined;
  functionName?: string;
  functionVersion?: string;
  invokedFunctionArn?: string;
  memoryLimitInMB?: string;
  logGroupName?: string;
  logStreamName?: string;
  tenantId?: string | undefined;
}

/** What Lambda wants to hear: the records that are not done. An empty list is success. */
export interface PartialResponse {
  batchItemFailures: {
    /**
     * SQS: `messageId`. Kinesis and DynamoDB: sequence numbers, the lowest of which is the checkpoint that everything
     * comes again from; for EventBridge Pipes `eventID`s. Kafka: the offset to resume from, one per partition.
     */
    itemIdentifier: any;
  }[];
}

interface EventOptions<TRecord = LambdaRecord> {
  /** Reaches the function as `params`; a function makes them for each event. Default: `null`. */
  // Not `unknown`, which would swallow the function and leave its parameters without types.
  params?: {} | null | undefined | ((event: any, context: any) => unknown);
  /**
   * Keeps this order instead of the source's: records of one key are done one after another, and none after one that
   * failed; different keys run in parallel. For sources whose order is coarser than it has to be: an event of Kinesis
   * or DynamoDB is one shard, all of it one group. There, and with Kafka, what lies behind a failure comes again
   * although it may be done.
   *
   * @example groupBy: (record) => record.partitionKey
   */
  groupBy?: ((record: TRecord) => unknown) | undefined;
  /**
   * Milliseconds before the end of the invocation (`context.getRemainingTimeInMillis()`) at which it stops and answers:
   * what is not done then is reported. Default: 1,000, or a fifth of the invocation's time if that is less.
   */
  deadlineMargin?: number | undefined;
  /**
   * Whether the event source mapping has `ReportBatchItemFailures`. `false`: nothing less than an error makes Lambda
   * send records again, so that any failure throws `ERR_PARALLELIZER_RECORDS_FAILED`, and the whole batch comes again.
   * Default: `true`; for Kafka from EventBridge Pipes `false`, since Pipes is not documented to heed the answer there.
   */
  reportBatchItemFailures?: boolean | undefined;
  /**
   * Told of each failure, with the records that it is about, before the answer: the answer names them without a reason.
   * Default: prints both with `console.error`.
   */
  onError?: ((error: Error & { code?: string | number }, records: TRecord[]) => void) | undefined;
  /**
   * What becomes of DynamoDB's numbers in `keys`, `newImage` and `oldImage`. With `'exact'` a record that has a number
   * which JavaScript's do not hold fails when the function asks for it. Default: `'exact'`.
   */
  numbers?: NumberDecoding | undefined;
}

/**
 * The options of `createHandler`: those of `Parallelizer`, and these. An unknown or a bad one throws
 * `ERR_PARALLELIZER_OPTION`.
 */
export interface HandlerOptions<TRecord = LambdaRecord>
  extends Omit<ParallelizerOptions, 'id' | 'processBatchFunctionName'>, EventOptions<TRecord> {
  /**
   * An export of the module, called for each record by itself: see `RecordFunction`. Instead of
   * `processBatchFunctionName`.
   */
  recordFunctionName?: string | undefined;
  /**
   * An export of the module, called for each sub-batch: see `RecordBatchFunction`. Instead of `recordFunctionName`. A
   * sub-batch has records of one group, where the source has an order, else an equal share of the event for each
   * worker; `batchSize` limits it.
   */
  processBatchFunctionName?: string | undefined;
}

/** The options of `processPartialResponse`. */
export interface ProcessPartialResponseOptions<TRecord = LambdaRecord> extends EventOptions<TRecord> {
  /** The pool, of an instance that was made from a list. */
  id?: string | number | undefined;
  /** Milliseconds that a sub-batch may run. Default: that of the instance. */
  timeout?: number | undefined;
  /** Stops as the end of the invocation does: what is not done is reported. */
  signal?: AbortSignal | undefined;
}

/** A handler, with the instance whose workers it uses. */
export interface Handler {
  /**
   * @throws {ParallelizerError} `ERR_PARALLELIZER_OPTION` for an event that it does not know;
   *   `ERR_PARALLELIZER_RECORDS_FAILED` where there is no partial response (S3, SNS, Amazon MQ, Kafka from Pipes, and
   *   `reportBatchItemFailures: false`)
   */
  (event: any, context?: HandlerContext): Promise<PartialResponse>;
  /** The same, as `@types/aws-lambda` has it for sources whose partial response it does not know (MSK, S3, SNS). */
  (event: any, context: HandlerContext, callback: unknown): Promise<any>;
  /** For `ready`, `stats` and `close`. */
  readonly parallelizer: Parallelizer;
}

/**
 * A complete handler of Lambda's. Its workers start now, in the init phase, and serve every invocation.
 *
 * - The records of an event are spread over the workers. Where the source has an order (Kafka: partition; SQS FIFO:
 *   message group; Kinesis and DynamoDB: shard), those of one group are done one after another, and none after one that
 *   failed.
 * - The answer names what is not done, as the source wants to hear it: what failed, what a worker that died or a
 *   time-out took along, and what had not been done when the invocation was about to end; with it the rest of its
 *   group. Nothing else: with `recordFunctionName` a death costs one record, with `processBatchFunctionName` one
 *   sub-batch.
 * - S3, SNS and Amazon MQ have no such answer: if anything is not done, the handler throws, and the event comes again.
 * - When the answer is given, no function works on the event any more: what had not stopped by itself within half of
 *   the time that was left is killed with its worker: it cannot go on after a freeze.
 *
 * Lambda heeds the answer only if the event source mapping has `ReportBatchItemFailures` in its
 * `FunctionResponseTypes`. A tumbling window wants a `state` beside it: use `processPartialResponse`, and add that to
 * what it gives. `maxQueue` has to have room for an event: with `recordFunctionName` each of its records waits by
 * itself.
 *
 * @throws {ParallelizerError} `ERR_PARALLELIZER_OPTION`
 *
 * @example
 * // handler.js
 * const { createHandler } = require('@parallelizer/node/lambda');
 * exports.handler = createHandler({ filePath: `${__dirname}/orders.js`, recordFunctionName: 'store' });
 *
 * // orders.js
 * exports.store = async ({ record, signal }) => {
 *   await table.put(record.key, record.json, { signal });
 * };
 */
export declare function createHandler<TRecord = LambdaRecord>(options: HandlerOptions<TRecord>): Handler;

/**
 * The same inside a handler of your own, with an instance of your own: its function gets the records as
 * `RecordBatchFunction` says.
 *
 * @throws {ParallelizerError} as the handler of `createHandler`; `ERR_PARALLELIZER_QUEUE_FULL` and
 *   `ERR_PARALLELIZER_CLOSED` as `run`
 *
 * @example
 * exports.handler = async (event, context) => {
 *   await prepare();
 *   return processPartialResponse(event, context, parallelizer, { params: { table: 'orders' } });
 * };
 */
export declare function processPartialResponse<TRecord = LambdaRecord>(
  event: any,
  context: HandlerContext | null | undefined,
  parallelizer: Parallelizer | ParallelizerList,
  options?: ProcessPartialResponseOptions<TRecord>,
): Promise<PartialResponse>;

/** What is thrown where Lambda has no partial response, as `ERR_PARALLELIZER_RECORDS_FAILED`. */
export interface RecordsFailedError extends ParallelizerError {
  code: 'ERR_PARALLELIZER_RECORDS_FAILED';
  /** Why, in the order of the event. */
  errors: Error[];
  /** The identifiers of the records that are not done. */
  identifiers: any[];
}

// ------------------------------------------------------------------------------- records as they stand in the events
// As `@types/aws-lambda` has them, with the fields that this library knows; those of EventBridge Pipes as AWS documents
// them.

/** How a schema registry says a key or a value was written. */
export interface KafkaSchemaMetadata {
  dataFormat: string;
  schemaId: string;
}

export interface RawKafkaRecord {
  /** EventBridge Pipes may leave it out, and name it in `eventSourceKey` only. */
  topic?: string;
  /** Some of AWS's own events have it as text. */
  partition: number | string;
  offset: number;
  timestamp: number;
  timestampType: string;
  /** Base64. */
  key?: string | null;
  /** Base64. */
  value?: string | null;
  headers?: { [name: string]: number[] }[];
  keySchemaMetadata?: KafkaSchemaMetadata;
  valueSchemaMetadata?: KafkaSchemaMetadata;
  /** From EventBridge Pipes; in Lambda's events the event has it, for all of its records. */
  eventSource?: string;
  /** From EventBridge Pipes. */
  eventSourceArn?: string;
  /** From EventBridge Pipes: topic and partition. */
  eventSourceKey?: string;
  /** From EventBridge Pipes. */
  bootstrapServers?: string;
  [more: string]: any;
}

export interface RawSqsRecord {
  messageId: string;
  receiptHandle: string;
  body: string;
  attributes: { [name: string]: string };
  messageAttributes: { [name: string]: any };
  md5OfBody: string;
  md5OfMessageAttributes?: string;
  eventSource: 'aws:sqs';
  eventSourceARN: string;
  awsRegion: string;
  [more: string]: any;
}

/** What Kinesis itself says of a record. */
export interface KinesisPayload {
  kinesisSchemaVersion: string;
  sequenceNumber: string;
  partitionKey: string;
  /** Base64. */
  data: string;
  /** Seconds since 1970. */
  approximateArrivalTimestamp: number;
  encryptionType?: string;
  [more: string]: any;
}

interface KinesisEnvelope {
  eventID: string;
  eventName: string;
  eventVersion: string;
  invokeIdentityArn: string;
  eventSource: 'aws:kinesis';
  eventSourceARN: string;
  awsRegion: string;
  [more: string]: any;
}

/** From Lambda's event source mapping. */
export interface RawKinesisRecord extends KinesisEnvelope {
  kinesis: KinesisPayload;
}

/** From EventBridge Pipes. */
export interface RawPipesKinesisRecord extends KinesisEnvelope, KinesisPayload {
  kinesis?: undefined;
}

export interface RawDynamoDbRecord {
  dynamodb: {
    SequenceNumber: string;
    ApproximateCreationDateTime?: number;
    Keys?: any;
    NewImage?: any;
    OldImage?: any;
    SizeBytes?: number;
    StreamViewType?: string;
    [more: string]: any;
  };
  eventID: string;
  eventName: 'INSERT' | 'MODIFY' | 'REMOVE';
  eventVersion: string;
  eventSource: 'aws:dynamodb';
  eventSourceARN: string;
  awsRegion: string;
  /** Of a deletion by TTL. */
  userIdentity?: { type: string; principalId: string; [more: string]: any };
  [more: string]: any;
}

export interface RawS3Record {
  s3: {
    bucket: { name: string; [more: string]: any };
    object: {
      /** As forms have it: `my+folder/%C3%BCber.txt`. */
      key: string;
      size?: number;
      eTag?: string;
      versionId?: string;
      sequencer?: string;
      [more: string]: any;
    };
    [more: string]: any;
  };
  eventName: string;
  eventTime: string;
  eventVersion: string;
  eventSource: 'aws:s3';
  awsRegion: string;
  userIdentity: { principalId: string; [more: string]: any };
  requestParameters: { sourceIPAddress: string; [more: string]: any };
  responseElements: { [name: string]: string };
  glacierEventData?: { restoreEventData: { [more: string]: any }; [more: string]: any };
  replicationEventData?: { [more: string]: any };
  lifecycleEventData?: { [more: string]: any };
  intelligentTieringEventData?: { [more: string]: any };
  [more: string]: any;
}

export interface RawSnsRecord {
  Sns: { MessageId: string; Message: string; Subject?: string | null; Timestamp: string; [more: string]: any };
  EventSource: 'aws:sns';
  EventVersion: string;
  EventSubscriptionArn: string;
  [more: string]: any;
}

/** As EventBridge Pipes delivers it; in Lambda's own events the first two fields are the event's. */
export interface RawActiveMqRecord {
  eventSource: string;
  eventSourceArn: string;
  messageID: string;
  messageType: string;
  /** Base64. */
  data: string;
  connectionId: string;
  redelivered?: boolean;
  persistent?: boolean;
  destination: { physicalName?: string; physicalname?: string; [more: string]: any };
  timestamp: number;
  brokerInTime: number;
  brokerOutTime: number;
  properties?: { [name: string]: any };
  [more: string]: any;
}

/** As EventBridge Pipes delivers it; in Lambda's own events the first three fields are the event's. */
export interface RawRabbitMqRecord {
  eventSource: string;
  eventSourceArn: string;
  /** Queue and virtual host: `'orders::/'`. */
  eventSourceKey: string;
  basicProperties: { messageId: string | null; headers: { [name: string]: any } | null; [more: string]: any };
  redelivered: boolean;
  /** Base64. */
  data: string;
  [more: string]: any;
}
