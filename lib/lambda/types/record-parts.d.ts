/// <reference types="node" />

// What the types of records are made of.

import type { LambdaRecord, RecordSource } from './records';

/**
 * What every record has. Everything but `raw` is decoded when it is first asked for, and kept.
 *
 * A record also has all the fields that it has in the event (`messageId`, `body`, `kinesis`, `dynamodb`, `Sns`, …),
 * whether these types know them or not, so that functions written for these go on working. Only `key`, `value` and
 * `headers` of Kafka are decoded, and values of DocumentDB.
 */
export interface AnyRecord<TSource extends RecordSource, TIdentifier, TRaw> {
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
  /**
   * The W3C trace context that the producer sent along (headers of Kafka and RabbitMQ, attributes of SQS and SNS,
   * properties of ActiveMQ), or X-Ray's header of an SQS message as such; `null` without.
   */
  readonly traceparent: string | null;
  readonly tracestate: string | null;
  /**
   * What this record was found in, by the option `envelope`: `identifier` and `groupKey` are those of the outermost
   * one. `null` for a record of the event itself.
   */
  readonly outer: LambdaRecord | null;
}

/** Fields of the record in the event, under their names. */
export type OwnFields<TRaw, TNames extends keyof TRaw> = { readonly [TName in TNames]: TRaw[TName] };

/** A record whose payload is bytes or text. */
export interface PayloadRecord<TValue> {
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
