/// <reference types="node" />

// Records as functions see them.

// Only what is marked so is exported.
export {};

import type { AnyRecord, OwnFields, PayloadRecord } from './record-parts';
import type { EnvelopeOption } from './steps';
import type { DocumentDbRecord, FirehoseRecord, S3BatchRecord } from './task-records';
import type {
  RawKafkaRecord,
  RawSqsRecord,
  RawKinesisRecord,
  RawPipesKinesisRecord,
  RawDynamoDbRecord,
  RawS3Record,
  RawSnsRecord,
  RawActiveMqRecord,
  RawRabbitMqRecord,
  RawEventBridgeEvent,
  RawLogEvent,
} from './raw-records';

export type RecordSource =
  | 'kafka' | 'sqs' | 'kinesis' | 'dynamodb' | 's3' | 'sns' | 'activemq' | 'rabbitmq'
  | 'documentdb' | 'cloudwatch-logs' | 'firehose' | 's3-batch'
  // Within others only.
  | 'eventbridge';

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
 * Kinesis Producer Library has aggregated stays whole without the option `envelope`.
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

/**
 * Amazon MQ for ActiveMQ. No order is kept.
 *
 * @example createHandler<ActiveMqRecord>({ …, groupBy: (record) => record.queue })
 */
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

/** One of the records that the Kinesis Producer Library has aggregated (`envelope: 'kpl'`). */
export interface KinesisUserRecord<TValue = any> extends KinesisRecord<TValue> {
  /** Its place in the aggregate, whose `sequenceNumber` it shares. */
  readonly subSequenceNumber: number;
  readonly explicitHashKey: string | null;
}

/** An event of EventBridge, within a message of SQS (`envelope: 'eventbridge'`). */
export interface EventBridgeRecord<TDetail = any>
  extends AnyRecord<'eventbridge', string, RawEventBridgeEvent<TDetail>>,
    OwnFields<
      RawEventBridgeEvent<TDetail>,
      'id' | 'detail-type' | 'detail' | 'account' | 'time' | 'region' | 'resources' | 'version'
    > {
  /** What sent it, such as `'aws.s3'`: `source` of the event. */
  readonly eventSource: string;
  readonly detailType: string;
  /** The event's `detail`. */
  readonly value: TDetail;
  /** The event's `detail`. */
  readonly json: TDetail;
}

/** A line of a log, from a subscription of CloudWatch Logs. */
export interface CloudWatchLogsRecord<TValue = any>
  extends AnyRecord<'cloudwatch-logs', string, RawLogEvent>, PayloadRecord<TValue>,
    OwnFields<
      RawLogEvent,
      | 'id' | 'message' | 'extractedFields' | 'owner' | 'logGroup' | 'logStream' | 'subscriptionFilters'
      | 'messageType'
    > {
  readonly bytes: Buffer;
  /** The line: `message`. */
  readonly value: string;
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
  | S3Record
  | DocumentDbRecord
  | CloudWatchLogsRecord<TValue>
  | FirehoseRecord<TValue>
  | S3BatchRecord
  | EventBridgeRecord;

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
  /** See `envelope` of `createHandler`: the list then has the records within, in the place of those that hold them. */
  envelope?: EnvelopeOption | undefined;
}
