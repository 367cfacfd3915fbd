'use strict';
// Worker functions for what records hold, and for sources that want an answer for each. An order may make something go
// wrong: { fate: 'throw' | 'die' | 'never' }.

const fs = require('node:fs');

const tmp = process.env.TEST_TMP;
const note = (context, line) => fs.appendFileSync(`${tmp}/noted-${context.awsRequestId}`, `${JSON.stringify(line)}\n`);

function act({ fate }) {
  if (fate === 'throw') throw new Error('an order that cannot be stored');
  if (fate === 'never') throw Object.assign(new Error('an order that never can be'), { name: 'NonRetryableError' });
  if (fate === 'die') process.kill(process.pid, 'SIGKILL');
}

exports.decode = (record) => ({ ...JSON.parse(record.value), decoded: true });

/** A schema of whichever library. */
exports.Order = {
  '~standard': {
    version: 1,
    vendor: 'test',
    validate: (value) =>
      typeof value.id === 'number' ? { value: { ...value, checked: true } } : { issues: [{ message: 'no number', path: ['id'] }] },
  },
};

exports.keep = ({ record, context }) => {
  act(record.data);
  note(context, { id: record.data.id, data: record.data, identifier: record.identifier, sub: record.subSequenceNumber });
};

exports.toDeadLetters = ({ record, error, context }) => note(context, { dead: record.identifier, error: error.message });

exports.clean = ({ record }) => {
  act(record.json);
  return record.json.keep === false ? null : `${record.json.id}\n`;
};

exports.resize = ({ record }) => {
  act(JSON.parse(record.value.key));
  return `resized ${record.value.bucket}`;
};
