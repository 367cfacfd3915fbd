'use strict';

/** Work that is no work: what remains is the way there and back. */

/** @param {{ batch: unknown[] }} call */
exports.echo = ({ batch }) => batch;
