'use strict';

/** The functions that the suite `lambda` has called with each record. */

const { burn } = require('./work.js');

/** @typedef {{ record: { body: string } }} Work */

/** A function that takes no time of its own. */
exports.parse = (/** @type {Work} */ { record }) => {
  JSON.parse(record.body);
};

/** The same as a promise, which has to be waited for. */
exports.parseAsync = async (/** @type {Work} */ { record }) => {
  JSON.parse(record.body);
};

/** A function that computes for as long as its record says. */
exports.compute = (/** @type {Work} */ { record }) => {
  burn(JSON.parse(record.body).steps);
};
