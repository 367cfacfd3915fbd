/// <reference types="node" />

// The public types of `@parallelizer/node/lambda`, written by hand. Durations are milliseconds unless a name says
// otherwise.

// Only what is marked so is exported.
export {};

import type { Parallelizer, ParallelizerError, ParallelizerList, ParallelizerOptions } from './index';
import type { DecodingOptions, DynamoDbItem, LambdaRecord, NumberDecoding } from './lib/lambda/types/records';
import type { WindowOptions } from './lib/lambda/types/task-records';
import type { Decode, EnvelopeOption, ExportReference } from './lib/lambda/types/steps';

export * from './lib/lambda/types/raw-records';
export * from './lib/lambda/types/records';
export * from './lib/lambda/types/steps';
export * from './lib/lambda/types/task-records';
export * from './lib/lambda/types/worker';

/**
 * The records of an event as one list, in their order: of Kafka (MSK and self-managed), SQS (standard and FIFO),
 * Kinesis, DynamoDB streams, S3, SNS, Amazon MQ, DocumentDB, CloudWatch Logs, Firehose and S3 Batch Operations; or of
 * the list that EventBridge Pipes sends.
 *
 * @throws {ParallelizerError} `ERR_PARALLELIZER_OPTION` for anything else; the message says what is wrong where
 *
 * @example
 * for (const record of records<SqsRecord<Order>>(event)) console.log(record.identifier, record.json.total);
 */
export declare function records<TRecord = LambdaRecord>(event: unknown, options?: DecodingOptions): TRecord[];

/**
 * An item of DynamoDB (`{ id: { S: 'a' } }`), as events and exports to S3 have it, in JavaScript's values: as
 * `newImage` of a record. Binary values may be Base64 or bytes.
 *
 * @throws {RangeError} for a number that JavaScript's do not hold exactly, unless `numbers` says otherwise
 */
export declare function unmarshall<TItem = DynamoDbItem>(item: object, options?: DecodingOptions): TItem;

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
  /** Of a tumbling window. */
  state?: any;
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
   * @example createHandler<KinesisRecord>({ …, groupBy: (record) => record.partitionKey })
   */
  groupBy?: ((record: TRecord) => unknown) | undefined;
  /**
   * Milliseconds before the end of the invocation (`context.getRemainingTimeInMillis()`) at which it stops and answers:
   * what is not done then is reported. Default: 1,000, or a fifth of the invocation's time if that is less. Until then
   * `params` has time, too, and so have `onDiscard` and the functions of `window`, or for half of what is left after it:
   * what is not discarded by then has failed, and the others make the handler reject.
   */
  deadlineMargin?: number | undefined;
  /**
   * Whether the event source mapping has `ReportBatchItemFailures`. `false`: nothing less than an error makes Lambda
   * send records again, so that any failure throws `ERR_PARALLELIZER_RECORDS_FAILED`, and the whole batch comes again.
   * Default: `true`; for Kafka from EventBridge Pipes `false`, since Pipes is not documented to heed the answer there.
   */
  reportBatchItemFailures?: boolean | undefined;
  /**
   * Whether the handler throws (`ERR_PARALLELIZER_RECORDS_FAILED`) if nothing of an event is done, so that the
   * invocation counts as failed. Default: `false`; the answer names every record.
   */
  throwOnFullBatchFailure?: boolean | undefined;
  /**
   * Given what is not worth another try: records whose function threw a `NonRetryableError`, and with `discardInvalid`
   * those that cannot be read. They count as done once it has succeeded; if it throws, they have failed as any other.
   * Where the source wants results, what a function for sub-batches has not named as it threw has failed.
   *
   * - A function runs in the handler, with the error and the records. Where the source has an order, what stands behind
   *   comes again, so that nothing is done before it.
   * - An export runs in the worker, in the record's turn: see `DiscardFunction`. What stands behind goes on.
   *
   * Default: `onError` is told, and they count as done.
   *
   * @example onDiscard: async (error, records) => deadLetters.send(records.map(({ raw }) => raw))
   * @example onDiscard: 'toDeadLetters'
   */
  onDiscard?: ((error: Error, records: TRecord[]) => unknown) | ExportReference | undefined;
  /**
   * Whether records are discarded that cannot be decoded or unpacked or do not fit their schema. Default: `false`; they
   * have failed as any other.
   */
  discardInvalid?: boolean | undefined;
  /**
   * For queues whose large messages are in S3 (Amazon SQS Extended Client Library): `true` fetches them in the worker,
   * by the package `@aws-sdk/client-s3`; an export `({ bucket, key }) => payload` fetches them in your way.
   */
  s3Pointers?: boolean | ExportReference | undefined;
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
  /**
   * For a tumbling window of Kinesis or DynamoDB streams: what your function returns for the records is reduced into
   * the window's state, which the answer has. Records behind a failure come again, and do not count before.
   */
  window?: WindowOptions<TRecord> | undefined;
  /**
   * Takes records out of what they arrive in: the function gets the records within, one after another or in one batch,
   * in the worker. A record of the event is done when all that is in it is done, and reported if any of it failed; time
   * limits and deaths concern it as a whole. With `'auto'` a record that holds nothing known stays as it is; else it
   * has failed (`ERR_PARALLELIZER_DECODE`). `groupBy` is given the records within, which are unpacked in the handler
   * then: those that share a key with any other in their record make one group.
   *
   * @example envelope: 's3'
   * @example envelope: ['kpl', 'cloudwatch-logs']
   */
  envelope?: EnvelopeOption | undefined;
  /**
   * Makes `record.data` of each record, in the worker, before the function gets it: a format, or an export. A record
   * that cannot be decoded has failed (`ERR_PARALLELIZER_DECODE`), and no other has.
   *
   * @example decode: 'json'
   * @example decode: { format: 'avro', schemaFile: `${__dirname}/order.avsc`, wireFormat: 'confluent' }
   * @example decode: 'decodeOrder'
   */
  decode?: Decode | undefined;
  /** Likewise, of a Kafka record's key: makes `record.keyData`. */
  decodeKey?: Decode | undefined;
  /**
   * An export that is a schema (Zod, Valibot, ArkType, or any other Standard Schema), which each record has to fit:
   * what `decode` made of it, else `record.json`, or `record.value` where the source has no payload. `record.data` is
   * what the schema makes of that. A record that does not fit has failed (`ERR_PARALLELIZER_SCHEMA`, with `issues`).
   *
   * @example schema: 'Order'
   */
  schema?: ExportReference | undefined;
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
  /**
   * Writes a line of CloudWatch's Embedded Metric Format to stdout at the end of each invocation, with `Records`,
   * `Failed`, `Duration`, `WaitP50`, `WaitP99`, `RunP50`, `RunP99` (milliseconds), `Restarts` and `PeakMemory` (bytes, of
   * the largest worker process). What is not known is left out. Default: none.
   *
   * @example createHandler({ …, metrics: { namespace: 'Orders', dimensions: { service: 'import', stage: 'prod' } } });
   */
  metrics?: MetricsOptions | undefined;
}

/** Where CloudWatch puts the metrics of a handler. */
export interface MetricsOptions {
  /** Up to 255 letters, digits, blanks and `. - _ / # :`, not only blanks, and not beginning with `AWS/`. */
  namespace: string;
  /** Up to 30 dimensions, by name. Default: `FunctionName`. */
  dimensions?: { [name: string]: string } | undefined;
}

/** The options of `processPartialResponse`. */
export interface ProcessPartialResponseOptions<TRecord = LambdaRecord> extends EventOptions<TRecord> {
  /** The pool, of an instance that was made from a list. */
  id?: string | number | undefined;
  /** Milliseconds that a sub-batch may run. Default: that of the instance. */
  timeout?: number | undefined;
  /**
   * Stops as the end of the invocation does: what is not done is reported. `params`, `onDiscard` and the functions of
   * `window` are not waited for any longer: what is not discarded by then has failed, and the others make it reject.
   */
  signal?: AbortSignal | undefined;
}

/** A handler, with the instance whose workers it uses. */
export interface Handler {
  /**
   * @throws {ParallelizerError} `ERR_PARALLELIZER_OPTION` for an event that it does not know;
   *   `ERR_PARALLELIZER_RECORDS_FAILED` where there is no partial response (S3, SNS, Amazon MQ, DocumentDB, CloudWatch
   *   Logs, Kafka from Pipes, and `reportBatchItemFailures: false`), or where nothing is done and the option
   *   `throwOnFullBatchFailure` is set
   */
  (event: any, context?: HandlerContext): Promise<PartialResponse>;
  /** The same, as `@types/aws-lambda` has it for sources with another answer, or none that it knows. */
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
 * - S3, SNS, Amazon MQ, DocumentDB and CloudWatch Logs have no such answer: if anything is not done, the handler
 *   throws, and the event comes again.
 * - Firehose and S3 Batch Operations are answered with what the function returns for each record, see `Transformed` and
 *   `TaskResult`.
 * - When the answer is given, no function works on the event any more: what had not stopped by itself within half of
 *   the time that was left is killed with its worker: it cannot go on after a freeze.
 *
 * Lambda heeds the answer only if the event source mapping has `ReportBatchItemFailures` in its
 * `FunctionResponseTypes`. `maxQueue` has to have room for an event: with `recordFunctionName` each of its records
 * waits by itself.
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

/**
 * Thrown by a function for a record that will never succeed: it is discarded, see `onDiscard`. Any error of this name
 * is taken for one, so that workers need not load this module.
 *
 * @example throw new NonRetryableError(`order ${id} has been cancelled`);
 */
export declare class NonRetryableError extends Error {}

/** What is thrown where Lambda has no partial response, as `ERR_PARALLELIZER_RECORDS_FAILED`. */
export interface RecordsFailedError extends ParallelizerError {
  code: 'ERR_PARALLELIZER_RECORDS_FAILED';
  /** Why, in the order of the event. */
  errors: Error[];
  /** The identifiers of the records that are not done. */
  identifiers: any[];
}
