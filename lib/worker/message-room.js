'use strict';

/** How much of what calls emit may be under way, sent and not yet handled by the parent, in bytes. */
const MESSAGE_ROOM = 1024 * 1024;

module.exports = { MESSAGE_ROOM };
