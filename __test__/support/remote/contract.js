'use strict';
// What every engine adapter has to do, as a table of tests. `lib/remote/engine.js` says it in words.
//
// A test file of an adapter calls `testContract(name, openHub)`. `openHub(t)` gives a hub:
//
//   engine()            a new `Engine` of the same queue
//   kill(hostLink)      ends a host as a loss of power does; may take as long as the engine needs to notice
//   loseData()          starts the engine again without its data; not there where it has none of its own

const assert = require('node:assert/strict');
const { describe, test: nodeTest } = require('node:test');

const { engineOption } = require('../../../lib/remote/engine');
const { waitFor, within } = require('../helpers');

const LEASE = 2000;
let names = 0;

/** A producer that writes down what it is told. */
function producerOn(t, engine, options = {}) {
  const seen = { hosts: [], frames: [], ends: [], order: [], late: 0, errors: [] };
  const link = engine.connect({
    producerId: `producer-${process.pid}-${++names}`,
    lease: LEASE,
    producerTimeout: 30_000,
    hosts: (hosts) => (seen.hosts = hosts),
    received(id, frame) {
      seen.frames.push([id, Buffer.from(frame)]);
      seen.order.push(`frame ${id}`);
    },
    ended(id, end) {
      seen.ends.push([id, end]);
      seen.order.push(`end ${id}`);
    },
    late: (count) => (seen.late += count),
    failed: (error) => seen.errors.push(error),
    ...options,
  });
  t.after(() => link.close());
  return {
    link,
    seen,
    send: (id, ...parts) => link.send({ id, parts: parts.map((part) => Buffer.from(part)) }),
    endOf: (id) => seen.ends.find(([other]) => other === id)?.[1],
    framesOf: (id) => seen.frames.filter(([other]) => other === id).map(([, frame]) => frame.toString('latin1')),
  };
}

/** A host that keeps what it is given, or does `act` with it. */
function hostOn(t, engine, { slots = 1, lanes, room, name = `host-${++names}`, act = () => {} } = {}) {
  const seen = { deliveries: [], cancelled: [], dropped: [], leaseLost: [], errors: [] };
  const link = engine.listen({
    host: { id: `${name}-${process.pid}-${++names}`, name, slots, ...(lanes === undefined ? {} : { lanes }) },
    lease: LEASE,
    pids: new Int32Array(new SharedArrayBuffer(64)),
    ...(room === undefined ? {} : { lanes: room }),
    deliver(delivery) {
      seen.deliveries.push(delivery);
      act(delivery);
    },
    cancelled: (id, message) => seen.cancelled.push([id, Buffer.from(message).toString('latin1')]),
    dropped: (id) => seen.dropped.push(id),
    leaseLost: (why) => seen.leaseLost.push(why),
    failed: (error) => seen.errors.push(error),
  });
  t.after(() => link.terminate());
  return { link, seen, name, delivery: (id) => seen.deliveries.find((each) => each.id === id) };
}

const idOf = (what) => `${what}-${process.pid}-${++names}`;

/** Answers with the bytes that have come, and ends. */
const echo = async (delivery) => {
  await delivery.reply(delivery.bytes);
  await delivery.end({ kind: 'done' });
};

/**
 * @param {string} name
 * @param {(t: import('node:test').TestContext) => object} openHub
 * @param {{ without?: Record<string, string> }} [options] `without`: what this engine cannot do, by the names of the
 *   tests, with the reason
 */
function testContract(name, openHub, { without = {} } = {}) {
  const titles = new Set();
  const test = (title, body) => {
    titles.add(title);
    nodeTest(title, { skip: without[title] ?? false }, body);
  };
  describe(`${name}: the contract of engines`, () => {
    test('is an engine', async (t) => {
      const engine = (await openHub(t)).engine();
      assert.equal(engineOption({ name: 'engine', value: engine }), engine);
      assert.notEqual(engine.name, '');
    });

    test('announces hosts as they come and go', async (t) => {
      const hub = await openHub(t);
      const { seen } = producerOn(t, hub.engine());
      const one = hostOn(t, hub.engine(), { slots: 3, name: 'one' });
      await within(one.link.ready(), 'the host to be announced');
      await waitFor(() => seen.hosts.length === 1, 'the first host to be seen');
      assert.equal(seen.hosts[0].name, 'one');
      assert.equal(seen.hosts[0].slots, 3);
      const two = hostOn(t, hub.engine(), { slots: 5, name: 'two' });
      await waitFor(() => seen.hosts.length === 2, 'the second host to be seen');
      one.link.pause();
      const slots = () => Object.fromEntries(seen.hosts.map((host) => [host.name, host.slots]));
      await waitFor(() => slots().one === 0, 'a host that takes nothing more has no slots');
      assert.equal(slots().two, 5);
      await within(one.link.close(), 'the host to leave');
      await waitFor(() => seen.hosts.length === 1 && seen.hosts[0].name === 'two', 'the first host to be gone');
      await within(two.link.close(), 'the host to leave');
      await waitFor(() => seen.hosts.length === 0, 'both hosts to be gone');
    });

    test('a producer that comes later sees the hosts that are there', async (t) => {
      const hub = await openHub(t);
      await within(hostOn(t, hub.engine(), { slots: 2 }).link.ready(), 'the host to be announced');
      const { seen } = producerOn(t, hub.engine());
      await waitFor(() => seen.hosts.length === 1 && seen.hosts[0].slots === 2, 'the host to be seen');
    });

    test('carries bytes both ways as they are, in order, and the end after them', async (t) => {
      const hub = await openHub(t);
      const producer = producerOn(t, hub.engine());
      const every = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
      const large = Buffer.alloc(300_000, every);
      const frames = [every, Buffer.alloc(0), large, Buffer.from('last')];
      const host = hostOn(t, hub.engine(), {
        act: async (delivery) => {
          for (const frame of frames) await delivery.reply(frame);
          await delivery.end({ kind: 'done' });
        },
      });
      const id = idOf('bytes');
      producer.send(id, every, large, '', every);
      await waitFor(() => producer.endOf(id), 'the end of the chunk');
      assert.deepEqual(producer.endOf(id), { kind: 'done' });
      assert.ok(Buffer.concat([every, large, every]).equals(host.delivery(id).bytes));
      assert.deepEqual(producer.framesOf(id).map((frame) => frame.length), frames.map((frame) => frame.length));
      assert.ok(producer.framesOf(id).every((frame, i) => frame === frames[i].toString('latin1')));
      assert.equal(producer.seen.order.at(-1), `end ${id}`);
    });

    test('frames that are sent without waiting for each other arrive in their order', async (t) => {
      const hub = await openHub(t);
      const producer = producerOn(t, hub.engine());
      hostOn(t, hub.engine(), {
        act: async (delivery) => {
          await Promise.all(Array.from({ length: 50 }, (_, i) => delivery.reply(Buffer.from(String(i)))));
          await delivery.end({ kind: 'done' });
        },
      });
      const id = idOf('order');
      producer.send(id, 'go');
      await waitFor(() => producer.endOf(id), 'the end of the chunk');
      assert.deepEqual(producer.framesOf(id), Array.from({ length: 50 }, (_, i) => String(i)));
    });

    test('each chunk goes to one host, once, and its answers to its own producer', async (t) => {
      const hub = await openHub(t);
      const producers = [producerOn(t, hub.engine()), producerOn(t, hub.engine())];
      const hosts = [1, 2, 3].map(() => hostOn(t, hub.engine(), { slots: 2, act: echo }));
      const sent = producers.map((producer, p) => Array.from({ length: 40 }, () => {
        const id = idOf(`p${p}`);
        producer.send(id, id);
        return id;
      }));
      for (const [p, producer] of producers.entries()) {
        await waitFor(() => sent[p].every((id) => producer.endOf(id)), 'every chunk to end');
        assert.equal(producer.seen.ends.length, 40);
        for (const id of sent[p]) assert.deepEqual(producer.framesOf(id), [id]);
      }
      const taken = hosts.flatMap(({ seen }) => seen.deliveries.map(({ id }) => id));
      assert.deepEqual(taken.sort(), sent.flat().sort());
    });

    test('a host has no more at once than it has lanes', async (t) => {
      const hub = await openHub(t);
      const producer = producerOn(t, hub.engine());
      const host = hostOn(t, hub.engine(), { slots: 2, lanes: 3 });
      const ids = Array.from({ length: 8 }, () => idOf('lane'));
      ids.forEach((id) => producer.send(id, id));
      await waitFor(() => host.seen.deliveries.length === 3, 'three chunks to be delivered');
      for (let ended = 0; ended < ids.length; ended++) {
        await waitFor(() => host.seen.deliveries.length > ended, 'the next chunk');
        assert.ok(host.seen.deliveries.length - ended <= 3, 'more than its lanes');
        await echo(host.seen.deliveries[ended]);
      }
      await waitFor(() => ids.every((id) => producer.endOf(id)), 'every chunk to end');
    });

    test('a host has as many at once as it says that it takes by now', async (t) => {
      const hub = await openHub(t);
      const engine = hub.engine();
      if (engine.sharesLanes !== true) return t.skip('this engine does not say that it asks');
      const producer = producerOn(t, engine);
      let room = 2;
      const host = hostOn(t, hub.engine(), { slots: 1, lanes: 1, room: () => room });
      const ids = Array.from({ length: 4 }, () => idOf('room'));
      ids.forEach((id) => producer.send(id, id));
      await waitFor(() => host.seen.deliveries.length === 2, 'the first chunks to be delivered');
      room = 3;
      host.link.hasRoom();
      await waitFor(() => host.seen.deliveries.length === 3, 'another one');
      for (const delivery of host.seen.deliveries.slice()) await echo(delivery);
      await waitFor(() => host.seen.deliveries.length === 4, 'the last one');
      await echo(host.seen.deliveries[3]);
      await waitFor(() => ids.every((id) => producer.endOf(id)), 'each to end');
    });

    test('a chunk waits for a host', async (t) => {
      const hub = await openHub(t);
      const producer = producerOn(t, hub.engine());
      const id = idOf('early');
      producer.send(id, 'early');
      await within(hostOn(t, hub.engine(), { act: echo }).link.ready(), 'the host to be announced');
      await waitFor(() => producer.endOf(id), 'the end of the chunk');
      assert.deepEqual(producer.framesOf(id), ['early']);
    });

    test('a chunk that a host returns ends as returned, with its reason', async (t) => {
      const hub = await openHub(t);
      const producer = producerOn(t, hub.engine());
      hostOn(t, hub.engine(), { act: (delivery) => delivery.end({ kind: 'returned', why: 'is of another version' }) });
      const id = idOf('returned');
      producer.send(id, 'x');
      await waitFor(() => producer.endOf(id), 'the end of the chunk');
      assert.equal(producer.endOf(id).kind, 'returned');
      assert.equal(producer.endOf(id).why, 'is of another version');
    });

    test('what the producer has to say reaches the host that has the chunk', async (t) => {
      const hub = await openHub(t);
      const producer = producerOn(t, hub.engine());
      const hosts = [hostOn(t, hub.engine()), hostOn(t, hub.engine())];
      const ids = [idOf('cancel'), idOf('other')];
      ids.forEach((id) => producer.send(id, id));
      const holder = (id) => hosts.find((host) => host.delivery(id) !== undefined);
      await waitFor(() => ids.every(holder), 'both chunks to be delivered');
      producer.link.cancel(ids[0], Buffer.from('no more'));
      await waitFor(() => holder(ids[0]).seen.cancelled.length > 0, 'the message to arrive');
      assert.deepEqual(holder(ids[0]).seen.cancelled, [[ids[0], 'no more']]);
      assert.ok(hosts.every(({ seen }) => seen.cancelled.every(([id]) => id === ids[0])));
      for (const id of ids) await echo(holder(id).delivery(id));
      await waitFor(() => ids.every((id) => producer.endOf(id)), 'both chunks to end');
    });

    test('a chunk that is released before a host has it is never delivered', async (t) => {
      const hub = await openHub(t);
      const producer = producerOn(t, hub.engine());
      const [gone, kept] = [idOf('gone'), idOf('kept')];
      producer.send(gone, gone);
      producer.link.release(gone);
      producer.send(kept, kept);
      const host = hostOn(t, hub.engine(), { act: echo });
      await waitFor(() => producer.endOf(kept), 'the other chunk to end');
      assert.equal(host.delivery(gone), undefined);
      assert.equal(producer.endOf(gone), undefined, 'what is released ends in silence');
    });

    test('a chunk that is released while a host has it is dropped there, and its frames go nowhere', async (t) => {
      const hub = await openHub(t);
      const producer = producerOn(t, hub.engine());
      const host = hostOn(t, hub.engine());
      const id = idOf('released');
      producer.send(id, id);
      await waitFor(() => host.delivery(id), 'the chunk to be delivered');
      producer.link.release(id);
      await waitFor(() => host.seen.dropped.includes(id), 'the host to be told');
      await host.delivery(id).reply(Buffer.from('late')).catch(() => {});
      await host.delivery(id).end({ kind: 'done' }).catch(() => {});
      // What comes after it has its turn once the other is out of the way.
      const next = idOf('next');
      producer.send(next, next);
      await waitFor(() => host.delivery(next), 'the lane to be free again');
      await echo(host.delivery(next));
      await waitFor(() => producer.endOf(next), 'the next chunk to end');
      assert.deepEqual(producer.framesOf(id), []);
      assert.equal(producer.endOf(id), undefined);
    });

    test('a chunk that is for one host goes to it, whatever else that has, and is lost with it', async (t) => {
      const hub = await openHub(t);
      const engine = hub.engine();
      if (engine.canAddress !== true) return t.skip('this engine does not say that it can');
      const producer = producerOn(t, engine);
      const hosts = [1, 2].map(() => hostOn(t, hub.engine(), { slots: 1, lanes: 1 }));
      await waitFor(() => producer.seen.hosts.length === 2, 'the hosts to be seen');
      const busy = hosts.map(() => idOf('busy'));
      busy.forEach((id) => producer.send(id, id));
      await waitFor(() => hosts.every(({ seen }) => seen.deliveries.length === 1), 'both to have what they can');
      const hostOf = ({ name }) => producer.seen.hosts.find((seen) => seen.name === name).id;
      const ids = hosts.flatMap((host) => [1, 2, 3].map(() => {
        const id = idOf(host.name);
        producer.link.send({ id, parts: [Buffer.from(host.name)], host: hostOf(host) });
        return id;
      }));
      await waitFor(() => hosts.every(({ seen }) => seen.deliveries.length === 4), 'each to have what is for it');
      hosts.forEach(({ seen, name }) => {
        seen.deliveries.slice(1).forEach(({ bytes }) => assert.equal(Buffer.from(bytes).toString(), name));
      });
      for (const { seen } of hosts) await echo(seen.deliveries[1]);
      const answered = hosts.map(({ seen }) => seen.deliveries[1].id);
      await waitFor(() => answered.every((id) => producer.endOf(id)), 'the answers');
      const [victim, survivor] = hosts;
      const gone = hostOf(victim);
      hub.kill(victim.link);
      const lost = ids.slice(0, 3).filter((id) => !answered.includes(id));
      await waitFor(() => lost.every((id) => producer.endOf(id)), 'what the dead one had to be lost');
      for (const id of lost) assert.equal(producer.endOf(id).kind, 'lost');
      const late = idOf('late');
      producer.link.send({ id: late, parts: [Buffer.from(late)], host: gone });
      await waitFor(() => producer.endOf(late), 'what is for a dead one to be lost');
      assert.equal(producer.endOf(late).kind, 'lost');
      assert.equal(survivor.delivery(late), undefined);
      for (const delivery of survivor.seen.deliveries.slice(2)) await echo(delivery);
      await waitFor(() => ids.every((id) => producer.endOf(id)), 'each to end');
      assert.ok(ids.slice(3).every((id) => producer.endOf(id).kind === 'done'));
    });

    test('a host that pauses takes no more, and finishes what it has', async (t) => {
      const hub = await openHub(t);
      const producer = producerOn(t, hub.engine());
      const host = hostOn(t, hub.engine(), { slots: 2 });
      const first = idOf('first');
      producer.send(first, first);
      await waitFor(() => host.delivery(first), 'the first chunk');
      host.link.pause();
      await waitFor(() => producer.seen.hosts.every(({ slots }) => slots === 0), 'the pause to be seen');
      const second = idOf('second');
      producer.send(second, second);
      await echo(host.delivery(first));
      await waitFor(() => producer.endOf(first), 'the first chunk to end');
      assert.equal(host.delivery(second), undefined);
      const other = hostOn(t, hub.engine(), { act: echo });
      await waitFor(() => producer.endOf(second), 'the other host to take the second');
      assert.ok(other.delivery(second));
    });

    test('a host that has ended closes, and so does one that ends meanwhile', async (t) => {
      const hub = await openHub(t);
      const hosts = [1, 2].map(() => hostOn(t, hub.engine()));
      for (const { link } of hosts) await within(link.ready(), 'the host to be announced');
      const [ending, closing] = hosts.map(({ link }) => link);
      ending.terminate();
      await within(ending.close(), 'one that is about to end to close');
      await within(ending.close(), 'one that has ended to close');
      const closed = closing.close();
      closing.terminate();
      await within(closed, 'one that ends while it closes to close');
    });

    test('a host that dies loses its chunks, after the frames that were accepted, and nothing else', async (t) => {
      const hub = await openHub(t);
      const producer = producerOn(t, hub.engine());
      const victim = hostOn(t, hub.engine(), { slots: 1, lanes: 2, name: 'victim' });
      const ids = [idOf('lost'), idOf('lost')];
      ids.forEach((id) => producer.send(id, id));
      await waitFor(() => ids.every((id) => victim.delivery(id)), 'the chunks to be delivered');
      const survivor = hostOn(t, hub.engine());
      const kept = idOf('kept');
      producer.send(kept, kept);
      await waitFor(() => survivor.delivery(kept), 'the other host to have a chunk');
      await victim.delivery(ids[0]).reply(Buffer.from('accepted'));
      hub.kill(victim.link);
      await waitFor(() => ids.every((id) => producer.endOf(id)), 'the chunks to be lost');
      for (const id of ids) assert.equal(producer.endOf(id).kind, 'lost');
      assert.deepEqual(producer.framesOf(ids[0]), ['accepted']);
      await waitFor(() => producer.seen.hosts.length === 1, 'the dead host to be gone');
      await victim.delivery(ids[1]).reply(Buffer.from('late')).catch(() => {});
      await victim.delivery(ids[1]).end({ kind: 'done' }).catch(() => {});
      await echo(survivor.delivery(kept));
      await waitFor(() => producer.endOf(kept), 'the other chunk to end');
      assert.deepEqual(producer.endOf(kept), { kind: 'done' });
      assert.equal(producer.seen.ends.length, 3, 'each chunk ends once');
      assert.deepEqual(producer.framesOf(ids[1]), []);
    });

    test('an engine that loses its data loses every chunk, and goes on with the next', async (t) => {
      const hub = await openHub(t);
      if (hub.loseData === undefined) return t.skip('this engine keeps no data');
      const producer = producerOn(t, hub.engine());
      const waiting = idOf('waiting');
      producer.send(waiting, waiting);
      const held = idOf('held');
      const host = hostOn(t, hub.engine(), { slots: 1, lanes: 1 });
      await waitFor(() => host.seen.deliveries.length === 1, 'a chunk to be delivered');
      producer.send(held, held);
      await hub.loseData();
      await waitFor(() => producer.endOf(waiting), 'the delivered chunk to be lost');
      assert.notEqual(producer.endOf(waiting).kind, 'done');
      const after = idOf('after');
      const fresh = hostOn(t, hub.engine(), { act: echo });
      await within(fresh.link.ready(), 'a host to be announced');
      host.link.terminate();
      // It is lost as well, unless it was on its way yet, and is one of the next.
      await waitFor(() => producer.endOf(held), 'the chunk that waited to end');
      assert.deepEqual(producer.framesOf(held), producer.endOf(held).kind === 'done' ? [held] : []);
      producer.send(after, after);
      await waitFor(() => producer.endOf(after), 'the next chunk to end');
      assert.deepEqual(producer.framesOf(after), [after]);
    });

    test('nothing is told to a producer that is closed', async (t) => {
      const hub = await openHub(t);
      const producer = producerOn(t, hub.engine());
      const host = hostOn(t, hub.engine());
      const id = idOf('closed');
      producer.send(id, id);
      await waitFor(() => host.delivery(id), 'the chunk to be delivered');
      await within(producer.link.close(), 'the producer to close');
      const told = producer.seen.order.length;
      await host.delivery(id).reply(Buffer.from('late')).catch(() => {});
      await host.delivery(id).end({ kind: 'done' }).catch(() => {});
      const other = producerOn(t, hub.engine());
      const next = idOf('next');
      other.send(next, next);
      await waitFor(() => host.delivery(next), 'the host to go on');
      await echo(host.delivery(next));
      await waitFor(() => other.endOf(next), 'the next chunk to end');
      assert.equal(producer.seen.order.length, told);
    });
  });
  assert.deepEqual(Object.keys(without).filter((title) => !titles.has(title)), [], 'no tests of the contract');
}

module.exports = { testContract };
