// Records as they stand in the events: as `@types/aws-lambda` has them, with the fields that this library knows; those
// of EventBridge Pipes as AWS documents them.

// Only what is marked so is exported.
export {};

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
      versionId?: string | undefined;
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

/** An event of EventBridge. */
export interface RawEventBridgeEvent<TDetail = any> {
  id: string;
  version: string;
  account: string;
  time: string;
  region: string;
  resources: string[];
  source: string;
  'detail-type': string;
  detail: TDetail;
  [more: string]: any;
}

/** A line of a log, and what all lines of its event share. */
export interface RawLogEvent {
  id: string;
  timestamp: number;
  message: string;
  extractedFields?: { [name: string]: string | undefined } | undefined;
  owner: string;
  logGroup: string;
  logStream: string;
  subscriptionFilters: string[];
  messageType: string;
  [more: string]: any;
}

/** From Firehose. */
export interface RawFirehoseRecord {
  recordId: string;
  approximateArrivalTimestamp: number;
  /** Base64. */
  data: string;
  kinesisRecordMetadata?: {
    shardId: string;
    partitionKey: string;
    approximateArrivalTimestamp: number;
    sequenceNumber: string;
    subsequenceNumber: string;
    [more: string]: any;
  } | undefined;
  mskRecordMetadata?: { [more: string]: any };
  /** Base64; where the source is Kafka, in the place of `data`. */
  kafkaRecordValue?: string;
  [more: string]: any;
}

/** A task of S3 Batch Operations, with what its event says of all tasks. */
export interface RawS3BatchTask {
  taskId: string;
  /** As forms have it: `my+folder/%C3%BCber.txt`. */
  s3Key: string;
  s3VersionId?: string | null;
  /** In the first version of the event. */
  s3BucketArn?: string;
  /** In the second one. */
  s3Bucket?: string;
  job: { id: string; userArguments?: { [name: string]: string }; [more: string]: any };
  invocationId: string;
  invocationSchemaVersion: string;
  [more: string]: any;
}

/** A change of DocumentDB, with what its event says of all changes. */
export interface RawDocumentDbChange {
  event: {
    _id: { _data: string; [more: string]: any };
    operationType: string;
    clusterTime?: { $timestamp: { t: number; i: number } };
    ns?: { db: string; coll: string };
    documentKey?: any;
    fullDocument?: any;
    updateDescription?: any;
    [more: string]: any;
  };
  eventSource: 'aws:docdb';
  eventSourceArn: string;
  [more: string]: any;
}
