'use strict';

/** What BullMQ runs in a process of its own. */

const work = require('./remote-work.js');

module.exports = async (/** @type {{ name: keyof typeof work, data: any }} */ { name, data }) => work[name](data);
