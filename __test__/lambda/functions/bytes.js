'use strict';
// Large binary values to the workers and back. A Parallelizer's handler and its worker functions in one module.

const { Parallelizer, isWorker } = require('@parallelizer/node');

/** @param {{ batch: Buffer[] }} call returns the sum of the bytes, and the bytes themselves */
exports.addUp = ({ batch }) => batch.map((bytes) => ({ sum: bytes.reduce((sum, byte) => sum + byte, 0), bytes }));
exports.die = () => {
  process.exit(9);
};

if (!isWorker) {
  const make = (id, processBatchFunctionName) => ({
    id,
    filePath: __filename,
    processBatchFunctionName,
    parallelization: 2,
    ...JSON.parse(process.env.TEST_OPTIONS ?? '{}'),
  });
  const parallelizer = new Parallelizer([make('bytes', 'addUp'), make('death', 'die')]);

  exports.handler = async ({ bytes, count, kill }) => {
    if (kill) {
      const [{ errors }] = await parallelizer.run([{ id: 'death', batch: [1] }]);
      return { killed: errors.map(({ code }) => code) };
    }
    const batch = Array.from({ length: count }, (_, i) => Buffer.alloc(bytes, i));
    const [{ responses, failures }] = await parallelizer.run([{ id: 'bytes', batch }]);
    if (failures.length > 0) throw new Error(failures.join('\n'));
    const results = responses.flat();
    return { sums: results.map(({ sum }) => sum), lengths: results.map((result) => result.bytes.length) };
  };
}
