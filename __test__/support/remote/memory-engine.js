'use strict';
// An engine within one process: what the contract asks for, and nothing else. Producers and hosts share a hub, which
// can also be told to fail as real engines do. It is the shortest adapter there is, and a model for others.

const { CONTRACT } = require('../../../lib/remote/engine');

class MemoryHub {
  /** Chunks that no host has taken, oldest first. */
  #waiting = [];
  /** Chunks that have not ended, by id: `{ chunk, producer, host, isEnded }`. */
  #chunks = new Map();
  #producers = new Set();
  #hosts = new Set();

  /** @param {object} [members] of the engine, such as `maxChunkBytes` */
  engine(members = {}) {
    return {
      contract: CONTRACT,
      name: 'memory',
      canTell: true,
      canAddress: true,
      sharesLanes: true,
      connect: (side) => this.#connect(side),
      listen: (side) => this.#listen(side),
      ...members,
    };
  }

  // ---- Failures -------------------------------------------------------------------------------------------------

  /** A host's machine loses its power: nothing that it says from now on arrives. */
  kill(link) {
    const host = [...this.#hosts].find((each) => each.link === link);
    if (host === undefined) return;
    host.isDead = true;
    this.#hosts.delete(host);
    later(() => {
      this.#announce();
      for (const entry of this.#chunks.values()) {
        if (entry.host === host) this.#end(entry, { kind: 'lost', why: 'was lost with its host', host: host.side.host.name });
      }
    });
  }

  /** A host is cut off for so long that its lease runs out; it lives on. */
  cutOff(link) {
    const host = [...this.#hosts].find((each) => each.link === link);
    this.kill(link);
    if (host !== undefined) later(() => host.side.leaseLost('this host was cut off from the engine'));
  }

  /** A producer's machine loses its power, and has been silent for longer than its `producerTimeout`. */
  silence(link) {
    const producer = [...this.#producers].find((each) => each.link === link);
    producer.isClosed = true;
    this.#producers.delete(producer);
    later(() => {
      for (const [id, entry] of this.#chunks) if (entry.producer === producer) entry.host?.side.orphaned?.(id);
    });
  }

  /** The engine is started again without its data. */
  loseData() {
    this.#waiting = [];
    for (const entry of this.#chunks.values()) {
      later(() => this.#end(entry, { kind: 'lost', why: 'is not known to the engine any more' }));
    }
  }

  // ---- Producers ------------------------------------------------------------------------------------------------

  #connect(side) {
    const producer = { side, isClosed: false, link: null };
    this.#producers.add(producer);
    later(() => this.#announce());
    producer.link = {
      send: ({ id, parts, host: only }) => {
        const entry = { chunk: { id, bytes: Buffer.concat(parts) }, producer, host: null, only, isEnded: false };
        this.#chunks.set(id, entry);
        if (only !== undefined) return later(() => this.#address(entry));
        this.#waiting.push(entry);
        later(() => this.#hand());
      },
      cancel: (id, message) => {
        const entry = this.#chunks.get(id);
        later(() => {
          if (entry?.host && !entry.host.isDead) entry.host.side.cancelled(id, Buffer.from(message));
        });
      },
      release: (id) => this.#release(id),
      close: async () => {
        producer.isClosed = true;
        this.#producers.delete(producer);
        for (const [id, entry] of this.#chunks) if (entry.producer === producer) this.#release(id);
      },
    };
    return producer.link;
  }

  #release(id) {
    const entry = this.#chunks.get(id);
    if (entry === undefined) return;
    entry.isEnded = true;
    this.#chunks.delete(id);
    this.#waiting = this.#waiting.filter((other) => other !== entry);
    const { host } = entry;
    if (host === null) return;
    later(() => {
      if (!host.isDead) host.side.dropped(id);
      this.#free(host, entry);
    });
  }

  #end(entry, end) {
    if (entry.isEnded) return;
    entry.isEnded = true;
    this.#chunks.delete(entry.chunk.id);
    this.#tell(entry.producer, (side) => side.ended(entry.chunk.id, end));
    if (entry.host !== null) this.#free(entry.host, entry);
  }

  #tell(producer, act) {
    if (!producer.isClosed) act(producer.side);
  }

  // ---- Hosts ----------------------------------------------------------------------------------------------------

  #listen(side) {
    const host = { side, taken: new Set(), isPaused: false, isDead: false, isReady: false, link: null };
    this.#hosts.add(host);
    let announced;
    const ready = new Promise((resolve) => (announced = resolve));
    later(() => {
      host.isReady = true;
      this.#announce();
      this.#hand();
      announced();
    });
    const leave = () => {
      this.#hosts.delete(host);
      later(() => this.#announce());
    };
    host.link = {
      ready: () => ready,
      hasRoom: () => later(() => this.#hand()),
      pause: () => {
        host.isPaused = true;
        later(() => this.#announce());
      },
      close: async () => leave(),
      terminate: () => this.kill(host.link),
    };
    return host.link;
  }

  #announce() {
    const seen = [...this.#hosts].filter(({ isReady }) => isReady).map(({ side, isPaused }) =>
      ({ ...side.host, ...(isPaused ? { slots: 0, lanes: 0 } : {}) }));
    for (const producer of this.#producers) this.#tell(producer, (side) => side.hosts(seen));
  }

  #free(host, entry) {
    host.taken.delete(entry);
    later(() => this.#hand());
  }

  /** Hands what waits to the hosts that have room: the one with the least first. */
  #hand() {
    while (this.#waiting.length > 0) {
      const room = ({ side, taken }) => (side.lanes?.() ?? side.host.lanes ?? 2 * side.host.slots) - taken.size;
      const [host] = [...this.#hosts]
        .filter((each) => each.isReady && !each.isPaused && room(each) > 0)
        .sort((one, other) => room(other) - room(one));
      if (host === undefined) return;
      this.#deliver(host, this.#waiting.shift());
    }
  }

  /** Hands a chunk to the only host that it is for, whatever else that has, also if that was about to drain. */
  #address(entry) {
    if (entry.isEnded) return;
    const host = [...this.#hosts].find((each) => each.side.host.id === entry.only && each.isReady);
    if (host === undefined) this.#end(entry, { kind: 'lost', why: 'was for this host alone, which is gone' });
    else this.#deliver(host, entry);
  }

  #deliver(host, entry) {
    const { id, bytes } = entry.chunk;
    entry.host = host;
    if (entry.only === undefined) host.taken.add(entry);
    const isHeard = () => !host.isDead && !entry.isEnded;
    host.side.deliver({
      id,
      bytes,
      reply: async (frame) => {
        const copy = Buffer.from(frame);
        if (entry.isEnded) {
          later(() => this.#tell(entry.producer, (side) => side.late(1)));
          throw new Error('the chunk has ended');
        }
        if (host.isDead) throw new Error('this host is dead');
        if (copy.length > (this.maxFrameBytes ?? Infinity)) throw new Error('the engine takes no such frame');
        await accepted();
        if (!isHeard()) throw new Error('the chunk has ended');
        this.#tell(entry.producer, (side) => side.received(id, copy));
      },
      end: async (end) => {
        await accepted();
        if (isHeard()) this.#end(entry, end.kind === 'returned' ? { ...end, host: host.side.host.name } : end);
      },
    });
  }
}

/** Not from within a call of a link's method. */
const later = (act) => void setImmediate(act);
const accepted = () => new Promise((resolve) => setImmediate(resolve));

module.exports = { MemoryHub };
