'use strict';

/** What the benchmark of the command does with a record, whoever runs it. */

const { burn } = require('./work.js');

exports.price = (/** @type {{ id: number, steps: number }} */ { id, steps }) => ({ id, price: burn(steps) });
