'use strict';

/** The library's connection over BullMQ, as in library.js. */

module.exports = require('../../bullmq.js');
