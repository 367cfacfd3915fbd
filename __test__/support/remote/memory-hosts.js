'use strict';
// Hosts in this process, which calls reach through memory.

const { serve } = require('@parallelizer/node');
const { root } = require('../helpers');

/** A host that ends with the test. `kill` is a loss of power, `cutOff` one of the connection. */
async function hostOn(t, hub, options = {}) {
  let link = null;
  const engine = hub.engine();
  const spying = { ...engine, listen: (side) => (link = engine.listen(side)) };
  const host = await serve({ engine: spying, root, processes: 2, allowFunctions: true, ...options });
  t.after(() => host.terminate());
  return Object.assign(host, { kill: () => (hub.kill(link), host.terminate()), cutOff: () => hub.cutOff(link) });
}

/** An engine whose hosts can reply no frame of more bytes. */
function withShortFrames(engine, limit) {
  const reply = (delivery) => (frame) => {
    if (frame.length > limit) throw new RangeError(`${frame.length} bytes are too many`);
    return delivery.reply(frame);
  };
  const deliver = (side) => (delivery) => side.deliver({ ...delivery, reply: reply(delivery) });
  return { ...engine, listen: (side) => engine.listen({ ...side, deliver: deliver(side) }) };
}

module.exports = { hostOn, withShortFrames };
