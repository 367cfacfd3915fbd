// A worker module as users write one; the tests next to it say what is inferred from its type.

import { transfer, type BatchArguments } from '@parallelizer/node';

export interface Order {
  id: string;
  amount: number;
}

export async function batchProcessor({ batch, params, signal }: BatchArguments<Order, { currency: string }>) {
  const total = batch.reduce((sum, { amount }) => sum + amount, 0);
  return { total, currency: params.currency, stopped: signal.aborted };
}

/** Its argument is not this library's type, which a module need not import. */
export const counter = ({ batch }: { batch: readonly string[] }): number => batch.length;

export function pixels({ batch, params }: BatchArguments<number, { width: number } | null>) {
  const row = new Uint8Array(batch.length * (params?.width ?? 1));
  return transfer({ row }, [row.buffer]);
}

export function traced({ context }: BatchArguments<bigint, undefined, { requestId: string }>) {
  return context.requestId;
}

// None of these can process a batch.
export const version = 3;
export const parse = (text: string) => text.length;
export const combine = ({ batch }: BatchArguments<Order>, suffix: string) => batch.length + suffix;
export class Store {}
