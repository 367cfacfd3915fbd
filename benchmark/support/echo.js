'use strict';

/** No work, so that only the round trip remains. */

/** @param {{ batch: unknown[] }} call */
exports.echo = ({ batch }) => batch;
