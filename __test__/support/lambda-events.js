'use strict';
// Events as AWS Lambda gets them from its sources, made from a seed, and sources that deliver them: each keeps what was
// reported as not done, as AWS documents it, and offers it again.

const { createHash } = require('node:crypto');
const { gzipSync } = require('node:zlib');

/** The same numbers for the same seed (mulberry32). */
function random(seed) {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  return {
    next,
    below: (n) => Math.floor(next() * n),
    hex: (length) => Array.from({ length }, () => Math.floor(next() * 16).toString(16)).join(''),
    of: (list) => list[Math.floor(next() * list.length)],
  };
}

const ACCOUNT = '123456789012';
const REGION = 'eu-central-1';
const base64 = (value) => Buffer.from(JSON.stringify(value)).toString('base64');
const uuid = (r) => [8, 4, 4, 4, 12].map((length) => r.hex(length)).join('-');

/** One record of each source, with this payload. Records of one `group` are ordered. */
const make = {
  kafka: (r, { payload, group = 0, position = 0, topic = 'orders' }) => ({
    topic,
    partition: group,
    offset: 1000 + position,
    timestamp: 1_700_000_000_000 + position,
    timestampType: 'CREATE_TIME',
    key: Buffer.from(`key-${r.below(50)}`).toString('base64'),
    value: base64(payload),
    headers: [{ traceparent: [...Buffer.from(`00-${r.hex(32)}-01`)] }],
  }),
  sqs: (r, { payload, group, position = 0 }) => ({
    messageId: uuid(r),
    receiptHandle: `AQEB${r.hex(64)}`,
    body: JSON.stringify(payload),
    attributes: {
      ApproximateReceiveCount: '1',
      SentTimestamp: String(1_700_000_000_000 + position),
      SenderId: 'AIDAIENQZJOLO23YVJ4VO',
      ApproximateFirstReceiveTimestamp: String(1_700_000_000_500 + position),
      ...(group === undefined
        ? {}
        : { SequenceNumber: String(18849496460467696128n + BigInt(position)), MessageGroupId: `group-${group}` }),
    },
    messageAttributes: {},
    md5OfBody: r.hex(32),
    eventSource: 'aws:sqs',
    eventSourceARN: `arn:aws:sqs:${REGION}:${ACCOUNT}:orders${group === undefined ? '' : '.fifo'}`,
    awsRegion: REGION,
  }),
  kinesis: (r, { payload, group = 0, position = 0, consumer = false }) => {
    const sequenceNumber = String(49590338271490256608559692538361571095921575989136588898n + BigInt(position));
    return {
      kinesis: {
        kinesisSchemaVersion: '1.0',
        partitionKey: `customer-${r.below(8)}`,
        sequenceNumber,
        data: base64(payload),
        approximateArrivalTimestamp: 1_700_000_000.123 + position,
      },
      eventSource: 'aws:kinesis',
      eventVersion: '1.0',
      eventID: `shardId-${String(group).padStart(12, '0')}:${sequenceNumber}`,
      eventName: 'aws:kinesis:record',
      invokeIdentityArn: `arn:aws:iam::${ACCOUNT}:role/lambda`,
      awsRegion: REGION,
      eventSourceARN: `arn:aws:kinesis:${REGION}:${ACCOUNT}:stream/orders${consumer ? '/consumer/fan-out:1700000000' : ''}`,
    };
  },
  dynamodb: (r, { payload, position = 0 }) => ({
    eventID: r.hex(32),
    eventName: 'MODIFY',
    eventVersion: '1.1',
    eventSource: 'aws:dynamodb',
    awsRegion: REGION,
    dynamodb: {
      ApproximateCreationDateTime: 1_700_000_000 + position,
      Keys: { id: { S: String(payload.id) } },
      NewImage: {
        id: { S: String(payload.id) },
        payload: { S: JSON.stringify(payload) },
        version: { N: String(position) },
      },
      OldImage: { id: { S: String(payload.id) }, version: { N: String(position - 1) } },
      SequenceNumber: String(111_000_000_000_000_000_000n + BigInt(position)),
      SizeBytes: 59,
      StreamViewType: 'NEW_AND_OLD_IMAGES',
    },
    eventSourceARN: `arn:aws:dynamodb:${REGION}:${ACCOUNT}:table/orders/stream/2024-01-01T00:00:00.000`,
  }),
  s3: (r, { payload }) => ({
    eventVersion: '2.1',
    eventSource: 'aws:s3',
    awsRegion: REGION,
    eventTime: '2024-01-01T12:00:00.000Z',
    eventName: 'ObjectCreated:Put',
    userIdentity: { principalId: 'EXAMPLE' },
    requestParameters: { sourceIPAddress: '127.0.0.1' },
    responseElements: { 'x-amz-request-id': r.hex(16), 'x-amz-id-2': r.hex(32) },
    s3: {
      s3SchemaVersion: '1.0',
      configurationId: 'all',
      bucket: { name: 'pictures', ownerIdentity: { principalId: 'EXAMPLE' }, arn: 'arn:aws:s3:::pictures' },
      object: {
        key: encodeURIComponent(JSON.stringify(payload)).replaceAll('%20', '+'),
        size: 1024,
        eTag: r.hex(32),
        sequencer: r.hex(18),
      },
    },
  }),
  sns: (r, { payload }) => ({
    EventVersion: '1.0',
    EventSubscriptionArn: `arn:aws:sns:${REGION}:${ACCOUNT}:orders:${uuid(r)}`,
    EventSource: 'aws:sns',
    Sns: {
      SignatureVersion: '1',
      Timestamp: '2024-01-01T12:00:00.000Z',
      Signature: r.hex(64),
      MessageId: uuid(r),
      Message: JSON.stringify(payload),
      MessageAttributes: {},
      Type: 'Notification',
      TopicArn: `arn:aws:sns:${REGION}:${ACCOUNT}:orders`,
      Subject: 'an order',
    },
  }),
};

/** A message of Amazon MQ, as EventBridge Pipes delivers it. */
make.activemq = (r, { payload, position = 0 }) => ({
  eventSource: 'aws:amq',
  eventSourceArn: `arn:aws:mq:${REGION}:${ACCOUNT}:broker:orders:b-${uuid(r)}`,
  messageID: `ID:b-1.mq.${REGION}.amazonaws.com-37557-${position}:1:1:1:1`,
  messageType: 'jms/text-message',
  data: base64(payload),
  connectionId: 'myJMSCoID',
  redelivered: false,
  destination: { physicalname: 'orders' },
  timestamp: 1_700_000_000_000 + position,
  brokerInTime: 1_700_000_000_001,
  brokerOutTime: 1_700_000_000_002,
});
make.rabbitmq = (r, { payload, position = 0 }) => ({
  eventSource: 'aws:rmq',
  eventSourceArn: `arn:aws:mq:${REGION}:${ACCOUNT}:broker:orders:b-${uuid(r)}`,
  eventSourceKey: 'orders::/',
  basicProperties: {
    contentType: 'application/json', headers: { tenant: { bytes: [97] } }, messageId: `m-${position}`,
    timestamp: 'Jan 1, 1970, 12:33:41 AM', bodySize: 80,
  },
  redelivered: false,
  data: base64(payload),
});

// ---- records within others

/** The body of a message that SNS has put into a queue. */
const notificationOf = (r, message) => ({
  Type: 'Notification',
  MessageId: uuid(r),
  TopicArn: `arn:aws:sns:${REGION}:${ACCOUNT}:orders`,
  Subject: 'an order',
  Message: typeof message === 'string' ? message : JSON.stringify(message),
  Timestamp: '2024-01-01T12:00:00.000Z',
  SignatureVersion: '1',
  Signature: r.hex(64),
  SigningCertURL: 'https://sns.eu-central-1.amazonaws.com/SimpleNotificationService-1.pem',
  UnsubscribeURL:
    `https://sns.${REGION}.amazonaws.com/?Action=Unsubscribe&SubscriptionArn=arn:aws:sns:${REGION}:${ACCOUNT}:orders:1`,
  MessageAttributes: {},
});

/** An event of EventBridge. */
const bridgedOf = (r, detail) => ({
  version: '0',
  id: uuid(r),
  'detail-type': 'OrderPlaced',
  source: 'shop',
  account: ACCOUNT,
  time: '2024-01-01T12:00:00Z',
  region: REGION,
  resources: [],
  detail,
});

/** What S3 sends to a queue or a topic when it is connected. */
const S3_TEST = {
  Service: 'Amazon S3', Event: 's3:TestEvent', Time: '2024-01-01T12:00:00.000Z', Bucket: 'pictures',
  RequestId: '5582815E1AEA5ADF', HostId: '8cLeGAmw098X5cv4Zkwcmo8vvZa3eH3eKxsPzbB9wrR+YstdA6Knx4Ip8EXAMPLE',
};

const varint = (value) => (value < 128 ? [value] : [(value % 128) + 128, ...varint(Math.floor(value / 128))]);
const numberField = (field, value) => Buffer.from([field * 8, ...varint(value)]);
const bytesField = (field, value) => {
  const bytes = Buffer.from(value);
  return Buffer.concat([Buffer.from([field * 8 + 2, ...varint(bytes.length)]), bytes]);
};

/** What the Kinesis Producer Library makes of records: `[{ partitionKey, hashKey, data }]`. */
function aggregateOf(users) {
  const keys = [...new Set(users.map(({ partitionKey }) => partitionKey))];
  const hashKeys = [...new Set(users.flatMap(({ hashKey = [] }) => hashKey))];
  const message = Buffer.concat([
    ...keys.map((key) => bytesField(1, key)),
    ...hashKeys.map((key) => bytesField(2, key)),
    ...users.map(({ partitionKey, hashKey, data }) => bytesField(3, Buffer.concat([
      numberField(1, keys.indexOf(partitionKey)),
      ...(hashKey === undefined ? [] : [numberField(2, hashKeys.indexOf(hashKey))]),
      bytesField(3, data),
    ]))),
  ]);
  return Buffer.concat([Buffer.from('f3899ac2', 'hex'), message, createHash('md5').update(message).digest()]);
}

/** What CloudWatch Logs sends to a subscription. */
const logsOf = (messages, messageType = 'DATA_MESSAGE') => gzipSync(JSON.stringify({
  messageType,
  owner: ACCOUNT,
  logGroup: '/aws/lambda/orders',
  logStream: '2024/01/01/[$LATEST]abc',
  subscriptionFilters: ['all'],
  logEvents: messages.map((message, i) => ({
    id: `3669550${String(i).padStart(49, '0')}`, timestamp: 1_700_000_000_000 + i,
    message: typeof message === 'string' ? message : JSON.stringify(message),
  })),
}));

/** A change of a table as DynamoDB writes it to a stream of Kinesis. */
function changeOf(r, payload, position = 0) {
  const { eventSourceARN, dynamodb, eventVersion, ...raw } = make.dynamodb(r, { payload, position });
  const { SequenceNumber, StreamViewType, ...change } = dynamodb;
  return {
    ...raw, userIdentity: null, recordFormat: 'application/json', tableName: 'orders',
    dynamodb: { ...change, ApproximateCreationDateTime: 1_700_000_000_000 + position },
  };
}

/** A record of Kinesis with these bytes. */
const kinesisOf = (r, bytes, { position = 0, ...more } = {}) => {
  const raw = make.kinesis(r, { payload: null, position });
  return { ...raw, kinesis: { ...raw.kinesis, data: Buffer.from(bytes).toString('base64'), ...more } };
};

// ---- services that want an answer of their own, and change streams

make.firehose = (r, { payload, position = 0 }) => ({
  recordId: `4954664025${String(position).padStart(46, '0')}`,
  approximateArrivalTimestamp: 1_700_000_000_000 + position,
  data: base64(payload),
  kinesisRecordMetadata: {
    shardId: 'shardId-000000000000',
    partitionKey: `customer-${r.below(8)}`,
    approximateArrivalTimestamp: 1_700_000_000_000 + position,
    sequenceNumber: String(49590338271490256608559692538361571095921575989136588898n + BigInt(position)),
    subsequenceNumber: '',
  },
});
make['s3-batch'] = (r, { payload, position = 0 }) => ({
  taskId: `dGFzaw-${position}`,
  s3Key: encodeURIComponent(JSON.stringify(payload)).replaceAll('%20', '+'),
  s3VersionId: null,
  s3BucketArn: 'arn:aws:s3:::pictures',
});
make.documentdb = (r, { payload, position = 0 }) => ({
  event: {
    _id: { _data: `0163eeb6e7${String(position).padStart(14, '0')}` },
    clusterTime: { $timestamp: { t: 1_700_000_000 + position, i: 1 } },
    documentKey: { _id: { $oid: String(position).padStart(24, '0') } },
    fullDocument: {
      _id: { $oid: String(position).padStart(24, '0') }, payload: JSON.stringify(payload),
      count: { $numberLong: String(position) }, at: { $date: { $numberLong: '1700000000000' } },
    },
    ns: { db: 'shop', coll: 'orders' },
    operationType: 'insert',
  },
});
make['cloudwatch-logs'] = (r, { payload, position = 0 }) => ({
  id: `3669550${String(position).padStart(49, '0')}`, timestamp: 1_700_000_000_000 + position,
  message: JSON.stringify(payload),
});

/** Events that have their records in a form of their own. */
const WHOLE = {
  firehose: (records) => ({
    invocationId: 'invocation-1', deliveryStreamArn: `arn:aws:firehose:${REGION}:${ACCOUNT}:deliverystream/orders`,
    region: REGION, records,
  }),
  's3-batch': (tasks) => ({
    invocationSchemaVersion: '1.0', invocationId: 'YXNkbGZqYWRmaiBhc2RmdW9hZHNmZGpmaGFzbGtkaGZza2RmaAo',
    job: { id: 'f3cc4f60-61f6-4a2b-8a21-d07600c373ce' }, tasks,
  }),
  documentdb: (events) => ({
    eventSource: 'aws:docdb', eventSourceArn: `arn:aws:rds:${REGION}:${ACCOUNT}:cluster:orders`, events,
  }),
  'cloudwatch-logs': (logEvents) => ({
    awslogs: {
      data: gzipSync(JSON.stringify({
        messageType: 'DATA_MESSAGE', owner: ACCOUNT, logGroup: '/aws/lambda/orders', logStream: '2024/01/01/[$LATEST]abc',
        subscriptionFilters: ['all'], logEvents,
      })).toString('base64'),
    },
  }),
  activemq: (messages) => ({ eventSource: 'aws:mq', eventSourceArn: messages[0].eventSourceArn, messages }),
  rabbitmq: (messages) => ({
    eventSource: 'aws:rmq', eventSourceArn: messages[0].eventSourceArn, rmqMessagesByQueue: { 'orders::/': messages },
  }),
};

/** The same record as EventBridge Pipes delivers it. */
const pipedOf = (source, raw) => {
  if (source === 'kinesis') {
    const { kinesis, ...rest } = raw;
    return { ...kinesis, ...rest };
  }
  if (source !== 'kafka') return raw;
  const eventSourceArn = `arn:aws:kafka:${REGION}:${ACCOUNT}:cluster/c/1`;
  return { eventSource: 'aws:kafka', eventSourceArn, eventSourceKey: `${raw.topic}-${raw.partition}`, ...raw };
};

/** An event with these raw records. */
const eventOf = (source, raws) => {
  if (WHOLE[source] !== undefined) return WHOLE[source](raws);
  if (source !== 'kafka') return { Records: raws };
  const records = {};
  for (const raw of raws) (records[`${raw.topic}-${raw.partition}`] ??= []).push(raw);
  return {
    eventSource: 'aws:kafka',
    eventSourceArn: `arn:aws:kafka:${REGION}:${ACCOUNT}:cluster/c/1`,
    bootstrapServers: 'b-1:9092',
    records,
  };
};

// ---- sources that deliver until everything is done

/**
 * A queue deletes what is not reported. If it is FIFO, Lambda gets the messages of a group only in their order.
 */
class Queue {
  constructor(raws) {
    this.raws = [...raws];
  }

  poll(size) {
    return this.raws.slice(0, size);
  }

  answered(batch, { batchItemFailures }) {
    const known = new Set(batch.map(({ messageId }) => messageId));
    const failed = new Set(batchItemFailures.map(({ itemIdentifier }) => itemIdentifier));
    for (const id of failed) if (!known.has(id)) throw new Error(`the whole batch fails: ${id} is not in it`);
    const done = batch.filter(({ messageId }) => !failed.has(messageId));
    this.raws = this.raws.filter((raw) => !done.includes(raw));
    return done;
  }
}

/** A shard goes on from the lowest sequence number that is reported. */
class Shard {
  constructor(raws, numberOf) {
    this.raws = [...raws];
    this.numberOf = numberOf;
  }

  poll(size) {
    return this.raws.slice(0, size);
  }

  answered(batch, { batchItemFailures }) {
    const numbers = batchItemFailures.map(({ itemIdentifier }) => itemIdentifier);
    for (const number of numbers) {
      if (!batch.some((raw) => this.numberOf(raw) === number))
        throw new Error(`the whole batch fails: ${number} is not in it`);
    }
    const lowest = numbers
      .map(BigInt)
      .reduce((least, number) => (least === null || number < least ? number : least), null);
    const end = lowest === null ? batch.length : batch.findIndex((raw) => BigInt(this.numberOf(raw)) === lowest);
    return this.raws.splice(0, end);
  }
}

/** A topic goes on, in each partition, from the offset that is reported for it. */
class Topic {
  constructor(raws) {
    this.raws = [...raws];
  }

  poll(size) {
    return this.raws.slice(0, size);
  }

  answered(batch, { batchItemFailures }) {
    const resume = new Map();
    for (const { itemIdentifier: { partition, offset } } of batchItemFailures) {
      if (resume.has(partition)) throw new Error(`the partition ${partition} is reported twice`);
      if (!batch.some((raw) => `${raw.topic}-${raw.partition}` === partition && raw.offset === offset)) {
        throw new Error(`the whole batch fails: ${partition}@${offset} is not in it`);
      }
      resume.set(partition, offset);
    }
    const done = batch.filter((raw) => raw.offset < (resume.get(`${raw.topic}-${raw.partition}`) ?? Infinity));
    this.raws = this.raws.filter((raw) => !done.includes(raw));
    return done;
  }
}

/** Sources by name: how records are made, how many groups they form, and what delivers them. */
const SOURCES = {
  kafka: { source: 'kafka', groups: 5, deliver: (raws) => new Topic(raws) },
  sqs: { source: 'sqs', groups: 0, deliver: (raws) => new Queue(raws) },
  'sqs-fifo': { source: 'sqs', groups: 6, deliver: (raws) => new Queue(raws) },
  kinesis: { source: 'kinesis', groups: 1, deliver: (raws) => new Shard(raws, (raw) => raw.kinesis.sequenceNumber) },
  dynamodb: { source: 'dynamodb', groups: 1, deliver: (raws) => new Shard(raws, (raw) => raw.dynamodb.SequenceNumber) },
};

/**
 * `count` records for payloads, taking turns among the groups of the source.
 * @returns {{ raws: any[], groupOf: (id: number) => string }}
 */
function recordsFor(name, r, payloads) {
  const { source, groups } = SOURCES[name];
  const group = payloads.map(() => (groups === 0 ? undefined : r.below(groups)));
  const raws = payloads.map((payload, position) => make[source](r, { payload, group: group[position], position }));
  return { raws, groupOf: (position) => (groups === 0 ? `record ${position}` : `group ${group[position]}`) };
}

/** The context that Lambda passes to a handler, with this many milliseconds left. */
function contextOf(milliseconds = 60_000, more = {}) {
  const end = Date.now() + milliseconds;
  return {
    awsRequestId: 'c6af9ac6-7b61-11e6-9a41-93e8deadbeef',
    functionName: 'orders',
    functionVersion: '$LATEST',
    invokedFunctionArn: `arn:aws:lambda:${REGION}:${ACCOUNT}:function:orders`,
    memoryLimitInMB: '3538',
    logGroupName: '/aws/lambda/orders',
    logStreamName: '2024/01/01/[$LATEST]abc',
    getRemainingTimeInMillis: () => end - Date.now(),
    ...more,
  };
}

module.exports = {
  S3_TEST, SOURCES, aggregateOf, bridgedOf, changeOf, contextOf, eventOf, kinesisOf, logsOf, make, notificationOf, pipedOf,
  random, recordsFor,
};
