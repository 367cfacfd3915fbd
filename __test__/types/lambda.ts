// Handlers of Lambda, and the records of their events.

import type {
  CloudWatchLogsDecodedData,
  CloudWatchLogsHandler,
  CloudWatchLogsLogEvent,
  DynamoDBStreamHandler,
  EventBridgeEvent,
  FirehoseRecordTransformationStatus,
  FirehoseTransformationEventRecord,
  FirehoseTransformationHandler,
  Handler,
  KinesisStreamHandler,
  MSKHandler,
  S3BatchEvent,
  S3BatchEventTask,
  S3BatchHandler,
  S3BatchResultResult,
  S3EventRecord,
  S3Handler,
  SQSBatchResponse,
  SQSEvent,
  SQSHandler,
  SQSRecord,
} from 'aws-lambda';
import { expectTypeOf } from 'expect-type';
import * as v from 'valibot';
import { z } from 'zod';
import { Parallelizer, PARALLELIZER_THREADS, task, type Stats } from '@parallelizer/node';
import {
  createHandler,
  NonRetryableError,
  processPartialResponse,
  records,
  type Decoded,
  type DecodeFunction,
  type DiscardFunction,
  type FirehoseRecord,
  type KafkaRecord,
  type KinesisRecord,
  type LambdaRecord,
  type OutputOf,
  type PartialResponse,
  type RawEventBridgeEvent,
  type RawFirehoseRecord,
  type RawLogEvent,
  type RawS3BatchTask,
  type RawS3Record,
  type RawSqsRecord,
  type RecordFunction,
  type S3BatchRecord,
  type SqsRecord,
  type StandardSchema,
  type TaskResult,
  type Transformed,
  unmarshall,
  type Validated,
} from '@parallelizer/node/lambda';
import type { Order } from './worker.js';

const filePath = '/var/task/orders.js';

// ---- Handlers are what @types/aws-lambda calls one

export const sqs: SQSHandler = createHandler({ filePath, recordFunctionName: 'store' });
export const kinesis: KinesisStreamHandler = createHandler({
  filePath,
  processBatchFunctionName: 'storeAll',
  batchSize: 100,
});
export const dynamodb: DynamoDBStreamHandler = createHandler({
  filePath,
  recordFunctionName: 'store',
  groupBy: (record) => record.identifier,
});
export const msk: MSKHandler = createHandler({ filePath, recordFunctionName: 'store' });
export const firehose: FirehoseTransformationHandler = createHandler({ filePath, recordFunctionName: 'clean' });
export const s3Batch: S3BatchHandler = createHandler({ filePath, recordFunctionName: 'resize' });
export const logs: CloudWatchLogsHandler = createHandler({ filePath, recordFunctionName: 'count' });
export const documents: Handler<unknown, void> = createHandler({ filePath, recordFunctionName: 'index' });
export const windowed: KinesisStreamHandler = createHandler<KinesisRecord<Order>>({
  filePath,
  recordFunctionName: 'amountOf',
  window: {
    reduce: (state: { total?: number }, amount: number, record) => {
      expectTypeOf(record).toEqualTypeOf<KinesisRecord<Order>>();
      return { total: (state.total ?? 0) + amount };
    },
    end: (state, window) => {
      expectTypeOf(window.isTerminatedEarly).toEqualTypeOf<boolean>();
    },
  },
});
const taskRecord: RecordFunction<S3BatchRecord> = ({ record }): TaskResult => record.value.key;
const cleanRecord: RecordFunction<FirehoseRecord> = ({ record }): Transformed => (record.json.debug ? null : record.bytes);
void [taskRecord, cleanRecord];
export const s3: S3Handler = createHandler({ filePath, recordFunctionName: 'store' });
export const sqsResponse: Handler<SQSEvent, SQSBatchResponse> = createHandler({
  filePath,
  recordFunctionName: 'store',
});

// ---- Records are what @types/aws-lambda calls so, and answers are what it wants

expectTypeOf<Omit<SQSRecord, 'attributes'> & { eventSource: 'aws:sqs'; attributes: {} }>().toExtend<RawSqsRecord>();
expectTypeOf<FirehoseTransformationEventRecord>().toExtend<RawFirehoseRecord>();
expectTypeOf<S3BatchEventTask & Omit<S3BatchEvent, 'tasks'>>().toExtend<RawS3BatchTask>();
expectTypeOf<CloudWatchLogsLogEvent & Omit<CloudWatchLogsDecodedData, 'logEvents'>>().toExtend<RawLogEvent>();
expectTypeOf<EventBridgeEvent<string, Order>>().toExtend<RawEventBridgeEvent<Order>>();
expectTypeOf<Pick<S3EventRecord, 's3'>>().toExtend<Pick<RawS3Record, 's3'>>();
expectTypeOf<{ result: FirehoseRecordTransformationStatus; data: string }>().toExtend<Transformed>();
expectTypeOf<Pick<S3BatchResultResult, 'resultCode' | 'resultString'>>().toExtend<TaskResult>();

// ---- Options

const handler = createHandler<KafkaRecord<Order>>({
  filePath: new URL('file:///var/task/orders.js'),
  recordFunctionName: 'store',
  type: PARALLELIZER_THREADS,
  timeout: 5_000,
  retries: 1,
  params: (event, context) => ({ table: event.table, request: context.awsRequestId }),
  groupBy: (record) => {
    expectTypeOf(record).toEqualTypeOf<KafkaRecord<Order>>();
    return record.key;
  },
  deadlineMargin: 2_000,
  reportBatchItemFailures: true,
  onError: (error, failed) => {
    expectTypeOf(error.code).toEqualTypeOf<string | number | undefined>();
    expectTypeOf(failed).toEqualTypeOf<KafkaRecord<Order>[]>();
  },
});
expectTypeOf(handler({})).resolves.toEqualTypeOf<PartialResponse>();
expectTypeOf(handler.parallelizer.stats()).toEqualTypeOf<Stats>();
expectTypeOf(handler.parallelizer.ready()).resolves.toEqualTypeOf<void>();

// @ts-expect-error the module is missing
createHandler({ recordFunctionName: 'store' });
// @ts-expect-error no such option
createHandler({ filePath, recordFunction: 'store' });
// @ts-expect-error one handler, one pool
createHandler({ id: 'a', filePath, recordFunctionName: 'store' });
// @ts-expect-error milliseconds
createHandler({ filePath, recordFunctionName: 'store', deadlineMargin: '1s' });

// ---- With instances of one's own, typed or not

const untyped = new Parallelizer({ filePath, processBatchFunctionName: 'storeAll' });
const typed = new Parallelizer<typeof import('./lambda-worker.js'), 'storeAll'>({
  filePath,
  processBatchFunctionName: 'storeAll',
});
const list = new Parallelizer([{ id: 'orders', filePath, processBatchFunctionName: 'storeAll' }]);
export const own: SQSHandler = async (event, context) => {
  await processPartialResponse(event, context, untyped);
  await processPartialResponse(event, null, typed, { params: { table: 'orders' }, timeout: 1_000 });
  return processPartialResponse<SqsRecord>(event, context, list, {
    id: 'orders',
    groupBy: (record) => record.groupKey,
  });
};
// @ts-expect-error an instance is needed
processPartialResponse({}, null, filePath);

// ---- Records

for (const record of records({})) {
  expectTypeOf(record).toEqualTypeOf<LambdaRecord>();
  expectTypeOf(record.groupKey).toEqualTypeOf<string | null>();
  switch (record.source) {
    case 'kafka':
      expectTypeOf(record.identifier).toEqualTypeOf<{ partition: string; offset: number }>();
      expectTypeOf(record.bytes).toEqualTypeOf<Buffer | null>();
      expectTypeOf(record.headers['traceparent']).toEqualTypeOf<string | undefined>();
      expectTypeOf(record.partition).toEqualTypeOf<number>();
      expectTypeOf(record.valueSchemaMetadata?.schemaId).toEqualTypeOf<string | undefined>();
      break;
    case 'sqs':
      expectTypeOf(record.identifier).toEqualTypeOf<string>();
      expectTypeOf(record.value).toEqualTypeOf<string>();
      expectTypeOf(record.json).toEqualTypeOf<any>();
      break;
    case 'dynamodb':
      expectTypeOf(record.eventName).toEqualTypeOf<'INSERT' | 'MODIFY' | 'REMOVE'>();
      // @ts-expect-error it has images, not bytes
      record.bytes;
      break;
    case 's3':
      expectTypeOf(record.value.size).toEqualTypeOf<number | null>();
      expectTypeOf(record.awsRegion).toEqualTypeOf<string>();
      for (const data of [record.glacierEventData, record.replicationEventData, record.lifecycleEventData]) void data?.x;
      break;
    case 'kinesis':
      expectTypeOf(record.kinesis.sequenceNumber).toEqualTypeOf<string>();
      expectTypeOf(record.sequenceNumber).toEqualTypeOf<string>();
      break;
    case 'activemq':
      expectTypeOf(record.queue).toEqualTypeOf<string | null>();
      expectTypeOf(record.identifier).toEqualTypeOf<string>();
      break;
    case 'rabbitmq':
      expectTypeOf(record.identifier).toEqualTypeOf<string | null>();
      break;
  }
  // @ts-expect-error as it was delivered
  record.identifier = 'other';
}
expectTypeOf(records<SqsRecord<Order>>({})[0]?.json).toEqualTypeOf<Order | undefined>();

// ---- Lists of EventBridge Pipes, and numbers

expectTypeOf(handler([{ eventSource: 'aws:sqs' }])).resolves.toEqualTypeOf<PartialResponse>();
records([], { numbers: 'string' });
records([], { numbers: (text) => text.length });
createHandler({ filePath, recordFunctionName: 'store', numbers: 'number' });
expectTypeOf(unmarshall<{ id: string }>({ id: { S: 'a' } }, { numbers: 'exact' }).id).toEqualTypeOf<string>();
// @ts-expect-error no such way
records([], { numbers: 'bigint' });
// @ts-expect-error a function does not travel to the workers
createHandler({ filePath, recordFunctionName: 'store', numbers: (text: string) => text });

// ---- What becomes of failures

createHandler<SqsRecord>({
  filePath,
  recordFunctionName: 'store',
  throwOnFullBatchFailure: true,
  discardInvalid: true,
  onDiscard: async (error, discarded) => {
    expectTypeOf(error).toEqualTypeOf<Error>();
    expectTypeOf(discarded).toEqualTypeOf<SqsRecord[]>();
  },
});
createHandler({ filePath, recordFunctionName: 'store', onDiscard: 'toDeadLetters', s3Pointers: true });
createHandler({ filePath, recordFunctionName: 'store', onDiscard: task('/var/task/dead.js', 'letters'), s3Pointers: 'fetch' });
export const toDeadLetters: DiscardFunction<SqsRecord, { queue: string }> = ({ record, error, params, context }) => {
  expectTypeOf(error).toEqualTypeOf<Error>();
  expectTypeOf(params.queue).toEqualTypeOf<string>();
  return [record.body, context.deadline];
};
expectTypeOf(new NonRetryableError('no', { cause: 1 })).toExtend<Error>();

// ---- What comes before a function

createHandler({ filePath, recordFunctionName: 'store', decode: 'json', schema: 'Order' });
createHandler({ filePath, recordFunctionName: 'store', decode: { format: 'avro', schemas: { 1: { type: 'string' } } } });
createHandler({
  filePath,
  recordFunctionName: 'store',
  decode: { format: 'protobuf', schemaFile: new URL('file:///var/task/order.proto'), type: 'shop.Order', wireFormat: 'glue' },
  schema: task('/var/task/schemas.js', 'Order'),
});
createHandler({ filePath, recordFunctionName: 'store', decode: { filePath: './decode.js', name: 'decodeOrder' } });
// @ts-expect-error JSON has no schema
createHandler({ filePath, recordFunctionName: 'store', decode: { format: 'json', schema: '{}' } });
// @ts-expect-error a function does not travel
createHandler({ filePath, recordFunctionName: 'store', decode: (record: unknown) => record });
// @ts-expect-error nor does a schema
createHandler({ filePath, recordFunctionName: 'store', schema: z.object({}) });

const zodOrder = z.object({ id: z.string(), amount: z.number().default(0) });
const valibotOrder = v.object({ id: v.string(), at: v.pipe(v.string(), v.transform((text) => new Date(text))) });
export const storeZod: RecordFunction<Validated<SqsRecord, typeof zodOrder>> = ({ record }) => {
  expectTypeOf(record.data).toEqualTypeOf<{ id: string; amount: number }>();
  expectTypeOf(record.messageId).toEqualTypeOf<string>();
};
export const storeValibot: RecordFunction<Validated<KinesisRecord, typeof valibotOrder>> = ({ record }) => {
  expectTypeOf(record.data).toEqualTypeOf<{ id: string; at: Date }>();
};
export const decodeOrder: DecodeFunction<KafkaRecord, Order> = (record) => record.json;
export const storeDecoded: RecordFunction<Decoded<KafkaRecord, Order>> = ({ record }) => {
  expectTypeOf(record.data).toEqualTypeOf<Order>();
};
expectTypeOf<OutputOf<StandardSchema<string, number>>>().toEqualTypeOf<number>();
