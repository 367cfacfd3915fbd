import type { BatchFunction } from '@parallelizer/node';

const processBatch: BatchFunction<Date, null, string[]> = ({ batch }) => batch.map((date) => date.toISOString());
export default processBatch;
