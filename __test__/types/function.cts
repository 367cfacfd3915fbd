// `module.exports = function`.

function double({ batch }: { batch: number[] }) {
  return batch.map((n) => n * 2);
}
export = double;
