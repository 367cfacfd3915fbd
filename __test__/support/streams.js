'use strict';
// What comes out of streams.

/** All values of a stream, and its error if it has one. */
async function gather(stream) {
  const values = [];
  try {
    for await (const value of stream) values.push(value);
  } catch (error) {
    return { values, error };
  }
  return { values };
}

module.exports = { gather };
