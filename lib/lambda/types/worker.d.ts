// What functions in workers are given.

// Only what is marked so is exported.
export {};

import type { LogEntry } from '../../../index';
import type { LambdaRecord } from './records';

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
  /** The same as W3C trace context, which OpenTelemetry's propagators read; `null` where the header has no parent. */
  readonly traceparent: string | null;
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
  /** Which of the workers this is, from 0. */
  workerIndex: number;
}

/** The one argument of a function that `processBatchFunctionName` names. */
export interface EventBatchArguments<TRecord = LambdaRecord, TParams = any> extends EventArguments<TParams> {
  /** The records of this sub-batch, in order; where the source has an order, they are of one group. */
  batch: TRecord[];
}

/**
 * What `onDiscard` names: is given a record that is not worth another try, as it stood in the event, and why. If it
 * throws, the record has failed.
 *
 * @example
 * export const toDeadLetters: DiscardFunction<SqsRecord> = async ({ record, error }) => {
 *   await queue.send(record.body, { reason: error.message });
 * };
 */
export type DiscardFunction<TRecord = LambdaRecord, TParams = any> = (
  work: EventRecordArguments<TRecord, TParams> & { error: Error },
) => unknown;

/** The one argument of a function that `recordFunctionName` names. */
export interface EventRecordArguments<TRecord = LambdaRecord, TParams = any> extends EventArguments<TParams> {
  record: TRecord;
}

/**
 * A function for one record. If it throws, the record has failed. What it returns is dropped, except for sources that
 * want a result of each record (Firehose, S3 Batch Operations) and for windows of streams.
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
