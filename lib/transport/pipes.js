'use strict';

/**
 * The pipes between a parent and a worker process where both ends are in JavaScript.
 *
 * Three descriptors of the worker, each for one direction: calls come in on one, frames go out on another, and the
 * third has what the worker's watchdog is to know: which calls are cancelled, that the parent says farewell, and by its
 * end that the parent is gone. Beside them there is `begun-file.js`. (Not Node's `ipc`, which is half as fast, and is
 * for the user's `process.send`.)
 *
 * What the watchdog is told is in words: how many numbers of calls follow, and these; or `FAREWELL`.
 *
 * Must not depend on what passes through them.
 */

const { CANCEL_COUNT_WORD, MESSAGES_TAKEN_WORD, PAGE_WORDS } = require('./constants');

/** The descriptors of a worker. */
const CALLS_FD = 3;
const ANSWERS_FD = 4;
const WATCHDOG_FD = 5;

/** In place of a count: the parent ends in an orderly way, and this worker has nothing to do. */
const FAREWELL = 0xffffffff;

/** The same: the number that follows says how much of the messages the parent has handled so far. */
const TAKEN = 0xfffffffe;
/** How much of the messages may be under way, in bytes: what the pipe has room for, so that to write does not wait. */
const PIPE_ROOM = 48 * 1024;

/** How long a worker that was said farewell to may take for what it does at its exit, in milliseconds. */
const FAREWELL_GRACE = 500;

/** Of the memory that a worker shares with its watchdog: how many cancellations were written there, and these. */
const WRITTEN_WORD = PAGE_WORDS;
const CANCELLED = PAGE_WORDS + 1;
/** The newest so many are kept: more than a worker can have in flight. */
const MAX_CANCELLED = 8192;
const WATCHDOG_WORDS = CANCELLED + MAX_CANCELLED;

/**
 * The watchdog: a thread of the worker process, with nothing of the user's in it. It ends the process at the end of the
 * parent, whatever that process does, and writes cancellations to memory, where a synchronous function sees them.
 *
 * It reads asynchronously: a thread that is blocked in a read would have `process.exit` wait for ever. A text, as a
 * user's bundler or coverage tool would rewrite a function.
 */
const WATCHDOG_SCRIPT = `{
const { workerData: words, parentPort } = require('node:worker_threads');
let isFarewell = false;
let rest = Buffer.alloc(0);
const take = (bytes) => {
  rest = rest.length === 0 ? bytes : Buffer.concat([rest, bytes]);
  let at = 0;
  let cancelled = 0;
  while (rest.length - at >= 4) {
    const count = rest.readUInt32LE(at);
    if (count === ${FAREWELL}) {
      isFarewell = true;
      at += 4;
      continue;
    }
    if (count === ${TAKEN}) {
      if (rest.length - at < 8) break;
      Atomics.store(words, ${MESSAGES_TAKEN_WORD}, rest.readUInt32LE(at + 4));
      at += 8;
      continue;
    }
    if (rest.length - at < 4 + count * 4) break;
    for (let i = 1; i <= count; i++) {
      const written = Atomics.load(words, ${WRITTEN_WORD});
      Atomics.store(words, ${CANCELLED} + written % ${MAX_CANCELLED}, rest.readUInt32LE(at + i * 4));
      Atomics.store(words, ${WRITTEN_WORD}, (written + 1) >>> 0);
    }
    cancelled += count;
    at += 4 + count * 4;
  }
  rest = rest.subarray(at);
  if (cancelled === 0) return;
  Atomics.add(words, ${CANCEL_COUNT_WORD}, 1);
  parentPort.postMessage(null);
};
const end = () => process.kill(process.pid, 'SIGKILL');
const socket = new (require('node:net').Socket)({ fd: ${WATCHDOG_FD}, readable: true, writable: false });
socket.on('data', take);
socket.on('error', () => {});
socket.on('close', () => setTimeout(end, isFarewell ? ${FAREWELL_GRACE} : 0));
}`;

module.exports = {
  ANSWERS_FD, CALLS_FD, CANCELLED, FAREWELL, FAREWELL_GRACE, MAX_CANCELLED, PIPE_ROOM, TAKEN, WATCHDOG_FD,
  WATCHDOG_SCRIPT, WATCHDOG_WORDS, WRITTEN_WORD,
};
