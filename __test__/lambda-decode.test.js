'use strict';
// The option `decode`: `record.data` is made in the worker, by a function of the user's or in a known format.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');
const zlib = require('node:zlib');

const avro = require('avsc');
const protobuf = require('protobufjs');

const { createHandler, processPartialResponse } = require('@parallelizer/node/lambda');
const { fixture, lines, make: makeParallelizer, temporary } = require('./support/helpers');
const { handlerFor, identifiers } = require('./support/lambda');
const { contextOf, eventOf, make, random } = require('./support/lambda-events');
const { forEachMode } = require('./support/modes');

const r = random(40);
const filePath = fixture('lambda-decode.js');

/** A record of Kafka with these bytes. */
const kafka = (bytes, more = {}) => ({
  ...make.kafka(r, { payload: null, position: more.position ?? 0 }), value: bytes?.toString('base64') ?? null, ...more,
});
const sqs = (body) => ({ ...make.sqs(r, { payload: null }), body });

const ORDER = { type: 'record', name: 'Order', fields: [{ name: 'id', type: 'long' }, { name: 'item', type: 'string' }] };
const LongOrder = avro.Type.forSchema(ORDER);
const avroOrder = LongOrder.toBuffer({ id: 7, item: 'tea' });
/** The largest number that Avro has, which JavaScript's numbers do not hold. */
const avroLarge = Buffer.concat([Buffer.from('feffffffffffffffff01', 'hex'), Buffer.from([6]), Buffer.from('tea')]);

const PROTO = `syntax = "proto3"; package shop;
  message Order { int64 id = 1; string item = 2; bytes raw = 3; Kind kind = 4; map<string, uint64> stock = 5; }
  enum Kind { FOOD = 0; DRINK = 1; }`;
const Order = protobuf.parse(PROTO).root.lookupType('shop.Order');
const protoOrder = (order) => Buffer.from(Order.encode(Order.fromObject(order)).finish());

const confluent = (id, payload, index = []) => {
  const header = Buffer.alloc(5);
  header.writeUInt32BE(id, 1);
  return Buffer.concat([header, Buffer.from(index), payload]);
};
const UUID = 'b7b4a7f0-9c96-4e4a-a687-fb5de9ef0c63';
const glue = (payload, { compressed = false, index = [] } = {}) => Buffer.concat([
  Buffer.from([3, compressed ? 5 : 0]),
  Buffer.from(UUID.replaceAll('-', ''), 'hex'),
  ...(compressed ? [zlib.deflateSync(Buffer.concat([Buffer.from(index), payload]))] : [Buffer.from(index), payload]),
]);

/** What `decode` makes of records, in a worker; an error in the place of what it cannot decode. */
async function decodedBy(t, mode, decode, raws, more = {}) {
  const { handler, log, errors } = handlerFor(t, {
    type: mode.type, filePath, recordFunctionName: 'tell', decode, parallelization: 1, ...more,
  });
  await handler(eventOf(raws[0].messageId === undefined ? 'kafka' : 'sqs', raws), contextOf());
  await handler.parallelizer.terminate();
  return { data: lines(log).map((line) => JSON.parse(line).data), errors: errors.map(({ error }) => error), log };
}

forEachMode((mode) => {
  test('an export of the worker’s module, synchronous or not', async (t) => {
    for (const decode of ['decode', 'decodeLater', { name: 'decode' }, { filePath, name: 'decode' }, `${filePath}#decodeLater`]) {
      const raws = [sqs('a'), sqs('refused'), sqs('b')];
      const { data, errors } = await decodedBy(t, mode, decode, raws);
      assert.deepEqual(data, [0, 2].map((i) => ({ decoded: raws[i].body, from: raws[i].messageId })));
      assert.deepEqual(errors.map(({ name, message }) => [name, message]), [['RangeError', 'it is refused']]);
    }
  });

  test('an export of another module', async (t) => {
    const other = path.join(temporary(t), 'decode.mjs');
    fs.writeFileSync(other, 'export const decode = ({ value }) => [value]; export default ({ value }) => ({ value });');
    assert.deepEqual((await decodedBy(t, mode, { filePath: other, name: 'decode' }, [sqs('a')])).data, [['a']]);
    assert.deepEqual((await decodedBy(t, mode, `${other}#default`, [sqs('a')])).data, [{ value: 'a' }]);
  });

  test('one that is not there fails every record, with what the module has', async (t) => {
    for (const [decode, pattern] of [['absent', /has no function "absent"; it exports "tell"/], ['notAFunction', /not a function/],
      [{ filePath: '/no/such.js', name: 'x' }, /"\/no\/such\.js" does not load/]]) {
      const { data, errors } = await decodedBy(t, mode, decode, [sqs('a'), sqs('b')]);
      assert.deepEqual(data, []);
      assert.equal(errors.length, 2);
      for (const error of errors) assert.deepEqual([error.code, pattern.test(error.message)], ['ERR_PARALLELIZER_MODULE', true], error.message);
    }
  });

  test('JSON, text and bytes; what is no JSON fails by itself', async (t) => {
    const raws = [sqs('{"id":1}'), sqs('{'), sqs('[2]')];
    for (const decode of ['json', { format: 'json' }]) {
      const { data, errors } = await decodedBy(t, mode, decode, raws);
      assert.deepEqual(data, [{ id: 1 }, [2]]);
      assert.equal(errors.length, 1);
      assert.equal(errors[0].code, 'ERR_PARALLELIZER_DECODE');
      assert.match(errors[0].message, new RegExp(`^the sqs record ${raws[1].messageId} cannot be read as JSON: SyntaxError`));
      assert.equal(errors[0].cause.name, 'SyntaxError');
    }
    assert.deepEqual((await decodedBy(t, mode, 'text', raws)).data, raws.map(({ body }) => body));
    assert.deepEqual((await decodedBy(t, mode, 'bytes', [kafka(Buffer.from('é', 'latin1'))])).data, ['é']);
    assert.deepEqual((await decodedBy(t, mode, 'json', [kafka(null)])).data, [null], 'a tombstone');
  });

  test('compressed payloads', async (t) => {
    const text = Buffer.from('{"id":1}');
    const packed = { gzip: zlib.gzipSync(text), zlib: zlib.deflateSync(text), brotli: zlib.brotliCompressSync(text) };
    if (zlib.zstdCompressSync !== undefined) packed.zstd = zlib.zstdCompressSync(text);
    for (const [compression, bytes] of Object.entries(packed)) {
      for (const how of compression === 'brotli' ? [compression] : [compression, 'auto']) {
        const { data, errors } = await decodedBy(t, mode, { format: 'json', compression: how }, [kafka(bytes)]);
        assert.deepEqual([data, errors], [[{ id: 1 }], []], `${compression} as ${how}`);
      }
    }
    assert.deepEqual((await decodedBy(t, mode, { format: 'json', compression: 'auto' }, [kafka(text)])).data, [{ id: 1 }]);
    const { errors } = await decodedBy(t, mode, { format: 'json', compression: 'gzip' }, [kafka(text), kafka(packed.gzip)]);
    assert.match(errors[0].message, /cannot be read as JSON: .*incorrect header/);
    assert.equal(errors.length, 1);
  });

  test('Avro: exact integers, another reader’s schema, what does not fit', async (t) => {
    const raws = [avroOrder, avroLarge, Buffer.from([2]), avroOrder].map((bytes, position) => kafka(bytes, { position, partition: position }));
    const { data, errors } = await decodedBy(t, mode, { format: 'avro', schema: ORDER }, raws);
    assert.deepEqual(data, [{ id: 7, item: 'tea' }, { id: '9223372036854775807n', item: 'tea' }, { id: 7, item: 'tea' }]);
    assert.match(errors[0].message, /^the kafka record orders-2@1002 cannot be read as Avro: Error: truncated buffer$/);
    const readerSchema = { ...ORDER, fields: [ORDER.fields[0], { name: 'amount', type: 'int', default: 1 }] };
    const read = await decodedBy(t, mode, { format: 'avro', schema: JSON.stringify(ORDER), readerSchema }, [raws[0]]);
    assert.deepEqual(read.data, [{ id: 7, amount: 1 }]);
    const file = path.join(temporary(t), 'order.avsc');
    fs.writeFileSync(file, JSON.stringify(ORDER));
    assert.deepEqual((await decodedBy(t, mode, { format: 'avro', schemaFile: file }, [raws[0]])).data, [{ id: 7, item: 'tea' }]);
  });

  test('Protocol Buffers: exact integers, names of enums, bytes', async (t) => {
    const order = { id: '9007199254740993', item: 'tea', raw: Buffer.from('é', 'latin1'), kind: 'DRINK', stock: { here: '3', there: '18446744073709551615' } };
    const expected = { id: '9007199254740993n', item: 'tea', raw: 'é', kind: 'DRINK', stock: { here: 3, there: '18446744073709551615n' } };
    const file = path.join(temporary(t), 'order.proto');
    fs.writeFileSync(file, PROTO);
    const more = `${PROTO} message Other { string a = 1; }`;
    for (const decode of [
      { format: 'protobuf', schema: PROTO }, { format: 'protobuf', schemaFile: file },
      { format: 'protobuf', schema: more, type: 'shop.Order' },
    ]) {
      assert.deepEqual((await decodedBy(t, mode, decode, [kafka(protoOrder(order))])).data, [expected]);
    }
    const bare = kafka(protoOrder(order));
    const { errors: [unclear] } = await decodedBy(t, mode, { format: 'protobuf', schema: more }, [bare]);
    assert.match(unclear.message, /"type" has to say which message it is: the schema has shop\.Order, shop\.Other/);
    const { errors: [wrong] } = await decodedBy(t, mode, { format: 'protobuf', schema: PROTO, type: 'shop.No' }, [bare]);
    assert.match(wrong.message, /cannot be read as Protocol Buffers: .*no such type: shop\.No/);
  });

  test('the wire formats of Confluent and of AWS Glue', async (t) => {
    const tea = { id: 7, item: 'tea' };
    const frames = {
      confluent: [confluent(5, avroOrder)],
      glue: [glue(avroOrder), glue(avroOrder, { compressed: true })],
      auto: [confluent(5, avroOrder), glue(avroOrder), avroOrder],
    };
    for (const [wireFormat, all] of Object.entries(frames)) {
      const decode = { format: 'avro', schema: ORDER, wireFormat };
      const { data, errors } = await decodedBy(t, mode, decode, all.map((bytes, partition) => kafka(bytes, { partition })));
      assert.deepEqual([data, errors], [all.map(() => tea), []], wireFormat);
    }
    // By default nothing is taken for a header; the message says so where there seems to be one.
    const { errors: [bare] } = await decodedBy(t, mode, { format: 'avro', schema: ORDER }, [kafka(confluent(5, avroOrder))]);
    assert.match(bare.message, /wire format of Confluent does: set "wireFormat"/);
    const { errors: [missing] } = await decodedBy(t, mode, { format: 'avro', schema: ORDER, wireFormat: 'glue' }, [kafka(avroOrder)]);
    assert.match(missing.message, /no header of AWS Glue's: it begins with 0e06746561/);
    const { errors: [cut] } = await decodedBy(t, mode, { format: 'avro', schema: ORDER, wireFormat: 'confluent' }, [kafka(Buffer.from([0, 0]))]);
    assert.match(cut.message, /no header of Confluent's: it begins with 0000/);
    // JSON Schema's clients write the same headers.
    const json = Buffer.from('{"id":1}');
    assert.deepEqual((await decodedBy(t, mode, { format: 'json', wireFormat: 'auto' }, [kafka(confluent(1, json))])).data, [{ id: 1 }]);
  });

  test('the place of a message of Protocol Buffers in its file', async (t) => {
    const message = protoOrder({ id: 7 });
    const indexed = [
      confluent(1, message, [0]), confluent(1, message, [2, 0]), confluent(1, message, [2, 6]), confluent(1, message, [4, 2, 0]),
      // Some clients write it without zigzag.
      confluent(1, message, [1, 3]),
      glue(message, { index: [0] }), glue(message, { index: [0], compressed: true }), glue(message, { index: [2] }),
    ];
    const decode = { format: 'protobuf', schema: PROTO, wireFormat: 'auto' };
    const { data, errors } = await decodedBy(t, mode, decode, indexed.map((bytes, partition) => kafka(bytes, { partition })));
    assert.deepEqual(errors, []);
    assert.deepEqual(data.map(({ id }) => id), indexed.map(() => 7));
  });

  test('schemas by what a registry calls them, listed or fetched once', async (t) => {
    const other = { type: 'record', name: 'Order', fields: [{ name: 'id', type: 'long' }] };
    const bytes = [confluent(5, avroOrder), confluent(6, avro.Type.forSchema(other).toBuffer({ id: 8 })), glue(avroOrder)];
    const raws = bytes.map((each, partition) => kafka(each, { partition }));
    const schemas = { 5: ORDER, 6: JSON.stringify(other), [UUID]: ORDER };
    const listed = await decodedBy(t, mode, { format: 'avro', schemas, wireFormat: 'auto' }, raws);
    assert.deepEqual([listed.data, listed.errors], [[{ id: 7, item: 'tea' }, { id: 8 }, { id: 7, item: 'tea' }], []]);
    const { errors: [none] } = await decodedBy(t, mode, { format: 'avro', schemas: { 1: ORDER }, wireFormat: 'auto' }, [raws[0]]);
    assert.match(none.message, /there is no schema 5 in "schemas"/);

    const decode = { format: 'avro', findSchema: 'findSchema', wireFormat: 'confluent' };
    const many = [...Array.from({ length: 20 }, (_, i) => kafka(bytes[0], { partition: i })), raws[1]];
    const { errors, log } = await decodedBy(t, mode, decode, many, { recordFunctionName: 'tellAsked' });
    const told = lines(log).map((line) => JSON.parse(line));
    assert.equal(told.length, 20);
    assert.ok(told.every(({ data }) => data.item === 'tea'));
    // Once for each id, in each worker that there has been.
    if (mode.hasWorkers) assert.ok(told.every(({ asked }) => asked <= 2));
    assert.match(errors[0].message, /cannot be read as Avro: Error: the registry has no 6/);
  });

  test('what Lambda has looked up in a schema registry: its header is gone, and beside the payload', async (t) => {
    const of = (bytes, dataFormat, schemaId = '5', partition = 0) =>
      kafka(bytes, { partition, valueSchemaMetadata: { dataFormat, schemaId } });
    const byId = { format: 'avro', schemas: { 5: ORDER, [UUID]: ORDER } };
    const tea = { id: 7, item: 'tea' };
    assert.deepEqual((await decodedBy(t, mode, byId, [of(avroOrder, 'AVRO'), of(avroOrder, 'AVRO', UUID, 1)])).data, [tea, tea]);
    // The mapping may also ask for JSON, whatever the schema.
    const json = Buffer.from(JSON.stringify(tea));
    for (const format of ['AVRO', 'JSON']) assert.deepEqual((await decodedBy(t, mode, byId, [of(json, format)])).data, [tea]);
    const proto = { format: 'protobuf', schema: PROTO };
    const message = protoOrder({ id: 7, item: 'tea' });
    const stripped = [of(message, 'PROTOBUF'), of(Buffer.concat([Buffer.from([0]), message]), 'PROTOBUF', '5', 1),
      of(Buffer.concat([Buffer.from([2, 0]), message]), 'PROTOBUF', '5', 2), of(Buffer.concat([Buffer.from([2]), message]), 'PROTOBUF', UUID, 3)];
    const { data, errors } = await decodedBy(t, mode, proto, stripped);
    assert.deepEqual(errors, []);
    assert.deepEqual(data.map(({ item }) => item), stripped.map(() => 'tea'));
    const { errors: [wrong] } = await decodedBy(t, mode, byId, [of(message, 'PROTOBUF')]);
    assert.match(wrong.message, /cannot be read as Avro: TypeError: the schema registry says that it is PROTOBUF/);
  });

  test('keys of Kafka', async (t) => {
    const { handler, log, errors } = handlerFor(t, {
      type: mode.type, filePath, recordFunctionName: 'tellKey', parallelization: mode.hasWorkers ? 1 : 0, decode: 'json',
      decodeKey: { format: 'avro', schemas: { 5: ORDER }, wireFormat: 'confluent' },
    });
    const key = (bytes) => ({ key: bytes === null ? null : bytes.toString('base64') });
    const raws = [key(confluent(5, avroOrder)), key(null), key(Buffer.from('x'))].map((more, partition) => ({ ...kafka(Buffer.from('[1]')), ...more, partition }));
    assert.deepEqual(identifiers(await handler(eventOf('kafka', raws), contextOf())), [{ partition: 'orders-2', offset: 1000 }]);
    assert.deepEqual(lines(log).map((line) => JSON.parse(line)), [{ key: { id: 7, item: 'tea' }, data: [1] }, { key: null, data: [1] }]);
    assert.match(errors[0].error.message, /orders-2@1000 cannot be read as a key in Avro: RangeError: it has no header of Confluent/);
    const other = handlerFor(t, { type: mode.type, filePath, recordFunctionName: 'tellKey', decodeKey: 'text' });
    await other.handler(eventOf('sqs', [sqs('a')]), contextOf());
    assert.match(other.errors[0].error.message, /a key in text: TypeError: only records of Kafka have keys/);
    const own = handlerFor(t, { type: mode.type, filePath, recordFunctionName: 'tellKey', decodeKey: 'decodeKey' });
    await own.handler(eventOf('kafka', [kafka(Buffer.from('1'))]), contextOf());
    assert.match(JSON.parse(lines(own.log)[0]).key, /^KEY-/);
  });

  test('a package that is not installed: the message says what to install', async (t) => {
    const folder = temporary(t);
    fs.copyFileSync(fixture('lambda-worker.js'), path.join(folder, 'worker.js'));
    const { errors } = await decodedBy(t, mode, { format: 'avro', schema: ORDER }, [kafka(avroOrder)], {
      filePath: path.join(folder, 'worker.js'), recordFunctionName: 'record',
    });
    assert.equal(errors[0].code, 'ERR_PARALLELIZER_MODULE');
    assert.match(errors[0].message, /decode: \{ format: 'avro' \} needs the package "avsc", which does not load: .*npm install avsc/);
  });

  test('sub-batches: what cannot be decoded fails by itself, and the function gets the others', async (t) => {
    const on = (options) => handlerFor(t, { type: mode.type, filePath, processBatchFunctionName: 'tellAll', decode: 'json', parallelization: 1, ...options });
    const raws = ['{"id":1}', 'x', '{"id":3,"bad":1}', 'y', '{"id":5}'].map(sqs);
    const { handler, log, errors } = on();
    assert.deepEqual(identifiers(await handler(eventOf('sqs', raws), contextOf())), [1, 2, 3].map((i) => raws[i].messageId));
    assert.deepEqual(JSON.parse(lines(log)[0]).map(({ data }) => data.id), [1, 3, 5]);
    const told = errors.map(({ error, records }) => [error.message.slice(0, 8), records.map(({ raw }) => raw)]);
    assert.deepEqual(told, [['bad ones', [raws[2]]], ['the sqs ', [raws[1]]], ['the sqs ', [raws[3]]]]);
    // In order: those before it.
    const fifo = on();
    const grouped = ['{"id":1}', '{"id":2}', 'x', '{"id":4}'].map((body, position) => ({ ...make.sqs(r, { payload: 0, group: 1, position }), body }));
    assert.deepEqual(identifiers(await fifo.handler(eventOf('sqs', grouped), contextOf())), [2, 3].map((i) => grouped[i].messageId));
    assert.deepEqual(JSON.parse(lines(fifo.log)[0]).map(({ data }) => data.id), [1, 2]);
    // Nothing is left for the function.
    const none = on();
    assert.equal((await none.handler(eventOf('sqs', [sqs('x'), sqs('y')]), contextOf())).batchItemFailures.length, 2);
    assert.deepEqual(lines(none.log), []);
    assert.equal(none.errors.length, 2);
  });

  test('sub-batches: one error object thrown for several records', async (t) => {
    const { handler, log, errors } = handlerFor(t, {
      type: mode.type, filePath, processBatchFunctionName: 'tellAll', decode: 'decodeOrThrow', parallelization: mode.hasWorkers ? 1 : 0,
    });
    const raws = ['a', 'bad 1', 'b', 'bad 2', 'bad 3'].map(sqs);
    assert.deepEqual(identifiers(await handler(eventOf('sqs', raws), contextOf())), [1, 3, 4].map((i) => raws[i].messageId));
    assert.deepEqual(JSON.parse(lines(log)[0]).map(({ data }) => data.value), ['a', 'b']);
    assert.deepEqual(errors.map(({ error, records }) => [error.message, error.code, records.map(({ raw }) => raws.indexOf(raw))]),
      [1, 3, 4].map((i) => ['always the same', 'E_SAME', [i]]));
  });

  test('processPartialResponse decodes as well', async (t) => {
    const log = path.join(temporary(t), 'log');
    const parallelizer = makeParallelizer(t, { type: mode.type, filePath, processBatchFunctionName: 'tellAll', parallelization: 1 });
    const event = eventOf('sqs', [sqs('{"id":1}')]);
    await processPartialResponse(event, contextOf(), parallelizer, { params: { log }, decode: 'json' });
    await processPartialResponse(event, contextOf(), parallelizer, { params: { log }, decode: 'text' });
    assert.deepEqual(lines(log).map((line) => JSON.parse(line)[0].data), [{ id: 1 }, '{"id":1}']);
  });
});

test('bad options are named where they are passed', () => {
  const bad = (decode, pattern) => assert.throws(
    () => createHandler({ filePath, recordFunctionName: 'tell', decode }),
    (error) => {
      assert.equal(error.code, 'ERR_PARALLELIZER_OPTION');
      assert.match(error.message, pattern);
      return true;
    },
  );
  bad(() => {}, /"decode" cannot be a function, since it runs in the workers: export it, and give its name/);
  bad(7, /"decode" must be one of 'json', 'text', 'bytes', 'avro', 'protobuf', \{ format, … \}, the name of an export/);
  bad('', /"decode" must be one of/);
  bad('#x', /"decode" must be one of/);
  bad('avro', /"decode\.schema" is required, or one of "schemaFile", "schemas", "findSchema"/);
  bad({ format: 'xml' }, /"decode\.format" must be 'json', 'text', 'bytes', 'avro' or 'protobuf', got 'xml'/);
  bad({ format: 'json', schema: '{}' }, /"decode\.schema" is not known/);
  bad({ format: 'avro', schema: 7 }, /"decode\.schema" must be a schema/);
  bad({ format: 'avro', schema: '{}', schemaFile: 'x' }, /"decode\.schemaFile" cannot be given together with "decode\.schema"/);
  bad({ format: 'avro', schemas: [] }, /"decode\.schemas" must be an object/);
  bad({ format: 'avro', findSchema: async () => '' }, /"decode\.findSchema" cannot be a function/);
  bad({ format: 'protobuf', schema: PROTO, type: 7 }, /"decode\.type" must be the name of a message/);
  bad({ format: 'json', compression: 'lz4' }, /"decode\.compression" must be 'gzip'/);
  bad({ format: 'json', wireFormat: 'x' }, /"decode\.wireFormat" must be 'none', 'auto', 'confluent' or 'glue'/);
  bad({ name: 7 }, /"decode\.name" must be the name of an export/);
  bad({ nam: 'x' }, /"decode\.nam" is not known: did you mean "name"/);
});
