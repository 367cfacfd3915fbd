'use strict';
// What pools elsewhere have done in a function.

exports.twice = (n) => 2 * n;
exports.where = () => process.env.AWS_LAMBDA_FUNCTION_NAME ?? null;
exports.exit = (n) => (n === 'exit' ? process.exit(3) : n);
/** Ends the whole environment: the function's process, not the worker's. */
exports.endFunction = (n) => {
  if (n === 'end') process.kill(process.ppid, 'SIGKILL');
  // Others take long enough that few of them have begun.
  return new Promise((resolve) => n !== 'end' && setTimeout(resolve, 5, n));
};
exports.hang = (n) => {
  while (n === 'hang');
  return n;
};
exports.length = (bytes) => bytes.length;
exports.large = (length) => Buffer.alloc(length, 1);
exports.slow = (n) => new Promise((resolve) => setTimeout(resolve, 20, n));
exports.sum = ({ batch }) => batch.reduce((one, other) => one + other, 0);
