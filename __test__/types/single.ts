// A worker module with one function that takes a batch, and others that do not.

import type { BatchArguments } from '@parallelizer/node';
import type { Order } from './worker.js';

export const name = 'single';
export const isLarge = (order: Order) => order.amount > 1_000;
export async function batchProcessor({ batch, params }: BatchArguments<Order, { dryRun: boolean }>) {
  return batch.filter(isLarge).map(({ id }) => (params.dryRun ? '' : id));
}
