'use strict';
// Lists of which each call has an element: what calls take out of them, and that it is made one by one.

const assert = require('node:assert/strict');
const { test } = require('node:test');

const { pushList } = require('../lib/codec/codec');
const { decodeList } = require('../lib/codec/elements');
const { CALLS_FIELD, PART_FIELDS, valuesOf } = require('../lib/codec/parts');
const { clones } = require('../lib/transport/ports');
const { root } = require('./support/helpers');
const { run } = require('./support/scripts');

const record = (id) => ({ id: `id-${id}`, source: 'aws:sqs', body: 'x'.repeat(60), attributes: { sent: String(id) } });
const records = (count) => Array.from({ length: count }, (_, id) => record(id));

/** What a list arrives as, with what its calls have in common. */
function travel(list, { isInline = false, common = [] } = {}) {
  const parts = [];
  assert.ok(pushList([list, ...common], 'auto', isInline, parts, 0));
  assert.equal(parts[CALLS_FIELD], list.length);
  return decodeList(parts[1], parts[5], valuesOf(parts.slice(PART_FIELDS)), clones);
}

// The look at one list serves the next ones too, as long as they fit.
for (const seed of [1, 20, 300]) {
  test(`lists that are more or less alike arrive as they are, one after another (seed ${seed})`, () => {
    let state = seed;
    const below = (n) => (state = (state * 48_271) % 2_147_483_647) % n;
    const odd = [
      (each) => ({ ...each, more: 1 }), ({ id, body }) => ({ id, body }), (each) => ({ ...each, body: null }),
      (each) => ({ ...each, body: 7 }), (each) => ({ ...each, attributes: null }),
      (each) => ({ ...each, attributes: { sent: '1', more: '2' } }), (each) => ({ ...each, attributes: { sent: 5 } }),
      (each) => ({ ...each, id: [1, { deep: true }] }), (each) => ({ ...each, source: `other-${each.id}` }),
    ];
    for (let round = 0; round < 200; round++) {
      const list = records(20 + below(40));
      for (let times = below(4); times > 0; times--) {
        const at = below(3) === 0 ? 0 : below(list.length);
        list[at] = odd[below(odd.length)](record(at));
      }
      const [elements] = travel(list);
      list.forEach((each, id) => assert.deepStrictEqual(elements.take(id), each, `round ${round}, record ${id}`));
    }
  });
}

for (const isInline of [false, true]) {
  const where = isInline ? 'within one process' : 'between two';

  for (const count of [1, 7, 500]) {
    test(`${count} records are taken one by one, ${where}`, () => {
      const [elements] = travel(records(count), { isInline });
      assert.equal(elements.length, count);
      for (let id = 0; id < count; id++) assert.deepStrictEqual(elements.take(id), record(id));
    });
  }

  test(`records that nobody takes are left out, ${where}`, () => {
    const [elements] = travel(records(500), { isInline });
    for (const id of [0, 3, 4, 200, 201, 499]) assert.deepStrictEqual(elements.take(id), record(id));
  });

  test(`records that have no shape in common, ${where}`, () => {
    const list = records(100).map((each, id) => (id % 2 === 0 ? each : { other: id, list: [id] }));
    const [elements] = travel(list, { isInline });
    list.slice().forEach((each, id) => assert.deepStrictEqual(elements.take(id), { ...each }));
  });

  test(`lists among what calls have in common stay lists, ${where}`, () => {
    const common = [records(50), 5, { table: records(50) }, null, [1, 0, Array.from({ length: 400 }, (_, i) => i)]];
    const [elements, ...arrived] = travel(records(50), { isInline, common });
    assert.deepStrictEqual(arrived, common);
    assert.deepStrictEqual(elements.take(49), record(49));
  });

  test(`what is taken is not the sender's, ${where}`, () => {
    const list = records(100);
    const params = { deep: [{ a: 1 }] };
    const [elements, arrived] = travel(list.slice(), { isInline, common: [params] });
    for (let id = 0; id < 100; id++) {
      const taken = elements.take(id);
      taken.attributes.sent = taken.id = 'changed';
    }
    arrived.deep[0].a = 2;
    assert.deepStrictEqual(list, records(100));
    assert.deepStrictEqual(params, { deep: [{ a: 1 }] });
  });
}

test('within one process an element is copied as it would travel', () => {
  const shared = { a: 1 };
  const circular = { name: 'circular' };
  circular.self = circular;
  const own = JSON.parse('{"__proto__":{"a":1}}');
  const list = [
    record(0), { ...record(1), shared: [shared, shared] }, circular, { map: new Map([['a', 10n]]) }, own,
    { at: new Date(0), bytes: Buffer.from('abc'), hole: Object.assign(new Array(3), [1]) },
    null, undefined, 'text', [1, [2, { three: 3 }]],
    { get computed() { return 42; } },
  ];
  const [elements] = travel(list.slice(), { isInline: true });
  for (const [place, each] of list.entries()) {
    const taken = elements.take(place);
    if (each === circular) assert.equal(taken.self, taken);
    else if (place === 1) assert.equal(taken.shared[0], taken.shared[1]);
    else if (place === 10) assert.deepStrictEqual(Object.getOwnPropertyDescriptor(taken, 'computed').value, 42);
    else assert.deepStrictEqual(taken, each);
    if (typeof each === 'object' && each !== null) assert.notEqual(taken, each);
  }
});

test('within one process an element that cannot travel is an error when it is taken, and none of the others', () => {
  const bad = { ...record(2), get bad() { throw new Error('no'); } };
  const list = [record(0), { ...record(1), handle() {} }, bad, record(3)];
  const [elements] = travel(list.slice(), { isInline: true });
  assert.deepStrictEqual(elements.take(0), record(0));
  for (const place of [1, 2]) {
    assert.throws(() => elements.take(place), { code: 'ERR_PARALLELIZER_SERIALIZATION' });
  }
  assert.deepStrictEqual(elements.take(3), record(3));
});

test('bytes that do not match their description are an error', () => {
  const parts = [];
  assert.ok(pushList([records(100)], 'auto', false, parts, 0));
  const extras = valuesOf(parts.slice(PART_FIELDS));
  const takeAll = (list) => {
    const [elements] = decodeList(parts[1], parts[5], list, null);
    for (let place = 0; place < elements.length; place++) elements.take(place);
  };
  takeAll(extras);
  assert.throws(() => takeAll([extras[0], `${extras[1]}more`]), TypeError);
  assert.throws(() => takeAll([extras[0], extras[1].slice(1)]), TypeError);
  assert.throws(() => takeAll([extras[0].subarray(4), extras[1]]), TypeError);
});

test('what functions are given has one hidden class', async (t) => {
  // V8 makes a hidden class for each object with a getter of its own, and that keeps the call and its values alive
  // until the old generation is collected.
  const { stdout } = await run(t, `
    const lib = (name) => require(require('node:path').join(${JSON.stringify(root)}, 'lib', name));
    const { withSignal } = lib('worker/running-call');
    const { readEvent } = lib('lambda/events');
    const { wrapRecord } = lib('events/records');
    const event = () => ({ Records: [{ eventSource: 'aws:sqs', messageId: 'a', body: '{}', addedByAws: 1 }] });
    const makers = [
      () => withSignal({ record: 1, params: null }, { signal: new AbortController().signal }),
      () => readEvent(event()),
      () => wrapRecord({ source: 'sqs', piped: false, numbers: 'exact' }, event().Records[0]),
    ];
    for (const make of makers) console.log(%HaveSameMap(make(), make()));
  `, { execArgv: ['--allow-natives-syntax'] });
  assert.deepEqual(stdout.trim().split('\n'), ['true', 'true', 'true']);
});
