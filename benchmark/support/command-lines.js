'use strict';

/**
 * The script that xargs and GNU parallel start: does the records that are its arguments or, without any, those of its
 * input, one after the other.
 */

const { createInterface } = require('node:readline');
const { price } = require('./command-work.js');

const one = (/** @type {string} */ line) => `${JSON.stringify(price(JSON.parse(line)))}\n`;

const lines = process.argv.slice(2);
if (lines.length > 0) process.stdout.write(lines.map(one).join(''));
else createInterface({ input: process.stdin }).on('line', (line) => process.stdout.write(one(line)));
