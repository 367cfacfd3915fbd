'use strict';

/** The functions of work.js for contenders that take whole batches. */

/** @type {Record<string, (item: any) => unknown>} */
const work = require('./work.js');

for (const [name, run] of Object.entries(work)) {
  module.exports[name] = (/** @type {{ batch: any[] }} */ { batch }) => batch.map((item) => run(item));
}

/** Returns how many records arrived, so that the batch travels in one direction only. */
exports.count = (/** @type {{ batch: any[] }} */ { batch }) => batch.length;
