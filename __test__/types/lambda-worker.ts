// A worker module for events of Lambda.

import type { KafkaRecord, RecordBatchFunction, RecordFunction, SqsRecord } from '@parallelizer/node/lambda';
import type { Order } from './worker.js';

export const store: RecordFunction<KafkaRecord<Order>, { table: string }> = async ({
  record,
  params,
  context,
  signal,
}) => {
  if (signal.aborted || context.getRemainingTimeInMillis() < 100) return;
  return `${params.table}: ${record.topic}-${record.partition}@${record.offset} ${record.json.amount} ${context.awsRequestId}`;
};

export const storeAll: RecordBatchFunction<SqsRecord<Order>> = async ({ batch, mainLogger }) => {
  mainLogger({ message: 'storing', params: { records: batch.length } });
  const failed = batch.filter((record) => record.json.amount < 0);
  if (failed.length > 0) throw Object.assign(new Error('not stored'), { failed });
};
