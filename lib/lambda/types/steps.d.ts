// What is done with a record before a function gets it.

// Only what is marked so is exported.
export {};

import type { LambdaRecord } from './records';

/**
 * An export: of the worker's module by its name alone, of another one by `{ filePath, name }`, by
 * `task(filePath, name)` or by `'path#name'`. It is loaded in each worker, once.
 */
export type ExportReference =
  | string
  // Without what functions have: these have names, too.
  | { readonly filePath?: string | URL; readonly name: string; readonly call?: undefined };

/** A record that holds records of another service. */
export type Envelope =
  /** A notification of SNS, in SQS. */
  | 'sns'
  /** A notification of S3, in SQS, in SNS, or in SNS within SQS. S3's test has no records. */
  | 's3'
  /** An event of EventBridge, in SQS, in SNS, or in SNS within SQS. */
  | 'eventbridge'
  /** What the Kinesis Producer Library has aggregated. Other records of the stream stay as they are. */
  | 'kpl'
  /** Lines of logs, in Kinesis. Control messages have none. */
  | 'cloudwatch-logs'
  /** A change of a table of DynamoDB, in Kinesis. */
  | 'dynamodb';

/** One, several from the outermost to the innermost, or whatever is found in each record. */
export type EnvelopeOption = 'auto' | Envelope | readonly Envelope[];

/** Before a payload, as a schema registry's clients write it. */
export type WireFormat =
  /** Nothing: the default. Where Lambda has looked the schema up, what it says of it is heeded. */
  | 'none'
  /** A zero, and the schema's id in 4 bytes. */
  | 'confluent'
  /** 3, how it is compressed, and the schema version's UUID in 16 bytes. */
  | 'glue'
  /** Either, if it begins so. Avro without a registry may begin so by chance. */
  | 'auto';

interface AnyFormat {
  /** How a payload was compressed before it was sent; `'auto'`: as its first bytes say, be it not at all. */
  compression?: 'gzip' | 'zlib' | 'brotli' | 'zstd' | 'auto' | undefined;
  /** Default: `'none'`. */
  wireFormat?: WireFormat | undefined;
}

/** Where schemas come from; at least one is required. */
interface Schemas {
  /** The schema of all payloads that do not say theirs: Avro's JSON as text or an object, a `.proto` file's text. */
  schema?: string | object | undefined;
  /** The same as a file, which each worker reads. */
  schemaFile?: string | URL | undefined;
  /** By the ids that a registry has given: Confluent's numbers, AWS Glue's UUIDs. */
  schemas?: { readonly [id: string]: string | object } | undefined;
  /**
   * A function `(id: string) => schema` that fetches what is not in `schemas`; it may return a promise. Each worker
   * asks once for each id.
   */
  findSchema?: ExportReference | undefined;
}

/** Payloads that are parsed: by themselves (`'json'`, `'text'`, `'bytes'`), or by optional packages. */
export type DecodeFormat =
  | (AnyFormat & { format: 'json' | 'text' | 'bytes' })
  /** By the package `avsc`. Integers beyond what a number holds are BigInts. */
  | (AnyFormat & Schemas & {
      format: 'avro';
      /** What data is read as, whatever it was written with: the rules of Avro's schema resolution apply. */
      readerSchema?: string | object | undefined;
    })
  /** By the package `protobufjs`. Integers beyond what a number holds are BigInts, enums names, bytes Buffers. */
  | (AnyFormat & Schemas & {
      format: 'protobuf';
      /** The message, such as `'shop.Order'`, unless the schema has only one. */
      type?: string | undefined;
    });

/** How `record.data` is made. An export is a `DecodeFunction`. */
export type Decode = 'json' | 'text' | 'bytes' | DecodeFormat | ExportReference;

/** Makes `record.data` of a record, in the worker. If it throws, the record has failed. */
export type DecodeFunction<TRecord = LambdaRecord, TData = unknown> = (record: TRecord) => TData | Promise<TData>;

/** A record that the options `decode` or `schema` have given its `data`. */
export type Decoded<TRecord, TData, TKey = unknown> = Omit<TRecord, 'data'> & {
  readonly data: TData;
  /** What `decodeKey` has made of the key. */
  readonly keyData?: TKey;
};

/** What any schema of the Standard Schema interface has: Zod, Valibot, ArkType and others. */
export interface StandardSchema<TInput = unknown, TOutput = TInput> {
  readonly '~standard': {
    readonly version: 1;
    readonly vendor: string;
    readonly validate: (value: unknown, ...more: any[]) => unknown;
    readonly types?: { readonly input: TInput; readonly output: TOutput } | undefined;
  };
}

/** What a schema makes of its input. */
export type OutputOf<TSchema extends { readonly '~standard': { readonly types?: unknown } }> =
  NonNullable<TSchema['~standard']['types']> extends { readonly output: infer TOutput } ? TOutput : never;

/**
 * A record whose `data` fits a schema.
 *
 * @example
 * export const Order = z.object({ id: z.string(), amount: z.number() });
 * export const store: RecordFunction<Validated<SqsRecord, typeof Order>> = async ({ record }) => {
 *   await table.put(record.data.id, record.data.amount);
 * };
 */
export type Validated<TRecord, TSchema extends { readonly '~standard': { readonly types?: unknown } }> =
  Decoded<TRecord, OutputOf<TSchema>>;

/** A record cannot be read as what the options say; `cause` says why. */
export interface DecodeError extends Error {
  code: 'ERR_PARALLELIZER_DECODE';
}

/** What a record holds does not fit its schema. */
export interface SchemaError extends Error {
  code: 'ERR_PARALLELIZER_SCHEMA';
  issues: { message: string; path: (string | number)[] }[];
}
