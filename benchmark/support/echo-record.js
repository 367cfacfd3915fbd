'use strict';

/** A function of one record, in a module that loads nothing. */

/** @param {{ record: { body: string } }} work */
exports.echo = ({ record }) => record.body;
