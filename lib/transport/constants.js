'use strict';

/**
 * The numbers that JavaScript and Rust agree on, from the sources in `src` that are named below.
 *
 * Generated: do not edit. `UPDATE_GENERATED=1 cargo test protocol` writes this file, and `cargo test` fails while it
 * differs; `src/protocol.rs` says what is in it.
 */

// ---- Kinds of frames (src/wire/mod.rs) ----

/** Parent to worker, once, before all others: what to load. */
const INIT = 1;

/** Parent to worker: calls to run, one after another. `aux`: 1 if nobody is in a hurry for single answers. */
const CALLS = 2;

/** Parent to worker: the numbers of calls that are no longer wanted. */
const CANCEL = 3;

/** Parent to worker: finish and exit. */
const STOP = 4;

/** Either way, nothing but a reason to look at the shared memory. */
const WAKE = 5;

/**
 * Parent to worker: whoever reads what call `seq` yields has taken `chunk_id` values so far; or, if that is
 * `u32::MAX`, wants no more.
 */
const DEMAND = 6;

/** Worker to parent: the user's module is loaded. */
const READY = 16;

/** Worker to parent: the user's module cannot be loaded, and why. */
const LOAD_FAILED = 17;

/** Worker to parent: results of the calls of chunk `chunk_id`, from the one at place `seq` on. */
const REPLY = 18;

/** Worker to parent: call `seq` begins. Sent only if there is no shared page. */
const BEGUN = 19;

/** Worker to parent: something to print, written during call `seq`. */
const OUTPUT = 20;

/** Worker to parent: the size of its resident set in KiB, in `aux`. */
const MEMORY = 21;

/**
 * Worker to parent: a value that call `seq` has emitted or yielded before its result. In `aux` the index of the
 * worker, in place of a chunk how much the message counts for what may be under way.
 */
const MESSAGE = 22;

// ---- Encodings of a part's value (src/wire/mod.rs) ----

/** One byte per character (U+0000 to U+00FF), which V8 copies unchanged. */
const LATIN1 = 0;

/** UTF-8 text. */
const UTF8 = 1;

/** Raw bytes, delivered as a `Buffer`. */
const BYTES = 2;

/** Two bytes per UTF-16 unit, little-endian; lone surrogates are allowed. */
const UTF16 = 4;

// ---- Flags of a part (src/wire/mod.rs) ----

/** The flag of a part whose calls failed: its value describes the error. */
const PART_FAILED = 1;

/** The flag of a part whose calls were not run (cancelled or recalled in time, or not encodable). */
const PART_SKIPPED = 2;

/**
 * The flag of a failed part whose calls something has died over, further away than whoever sends it: they run again
 * where a retry is left.
 */
const PART_DIED = 8;

/**
 * The flag of a part whose value its receiver cannot make: a text that says why has taken its place. It is never sent.
 */
const PART_REFUSED = 4;

// ---- Fields of a part in a flat list (src/protocol.rs) ----

/** Entries of a flat list of parts per part: encoding, codec, flags, calls, tag and value. */
const PART_FIELDS = 6;

/** How the value becomes what calls take or return: the business of JavaScript. */
const CODEC_FIELD = 1;

/** What is special about the part. */
const FLAGS_FIELD = 2;

/** How many calls the part is for; 0: it belongs to the part before it. */
const CALLS_FIELD = 3;

/** What else JavaScript says of the part. */
const TAG_FIELD = 4;

/** A string or a buffer. */
const VALUE_FIELD = 5;

// ---- Codecs that Rust knows as well (src/protocol.rs) ----

/** The codec of a part whose value is not for a call: a message, or bytes that belong to the part before it. */
const NO_CODEC = 0;

/** The codec of a JSON array with one element per call. */
const JSON_LIST = 1;

/** The codec of `undefined`, once per call. */
const UNDEFINED = 3;

/** The codec of values in V8's format, one after another behind one header, with an element per call. */
const PLAIN_VALUES = 12;

/** The bytes of that header. */
const PLAIN_HEADER = 2;

// ---- The registers (src/protocol.rs) ----

/** Words of the registers. */
const REGISTER_WORDS = 16;

/** The form in which parts cross. The words before it are the fields of a single part, but for its value. */
const FORM_WORD = 5;

/** The first argument. */
const ARGUMENT_WORD = 6;

/** The parts are a flat list. */
const FORM_LIST = 0;

/** There is one part: its value crosses, its other fields are in the registers. */
const FORM_SINGLE = 1;

/** There are no parts. */
const FORM_NOTHING = 2;

// ---- Flags of a job (src/protocol.rs) ----

/** An error skips the calls of its key that have not begun. */
const JOB_STOPS_KEY = 1;

/** One call goes to each worker, also to those that are still starting. */
const JOB_SPREAD = 2;

/** The limit of the queue does not hold for it. */
const JOB_UNBOUNDED = 4;

/** Its calls cannot be encoded again. */
const JOB_SENT_ONCE = 8;

/** Several calls of a key may go out together. */
const JOB_KEY_RUNS = 16;

/** Each of its calls is for the worker with its number as index. */
const JOB_PINNED = 32;

/** Nobody waits for any of its calls alone, or sees that it is done. */
const JOB_BULK = 64;

/** In the register that says how a worker is to wait after a frame: nobody is in a hurry for single answers to it. */
const SEND_PATIENT = 256;

// ---- Lists of numbers (src/protocol.rs) ----

/** Entries of a list of runs per run: job, first call and end. */
const RUN_FIELDS = 3;

/**
 * Entries of a list of answered runs per run: index of the part, job, first call, number of calls, offset in the part.
 */
const ANSWERED_FIELDS = 5;

/** How many words JavaScript has to count the frames that do not go through a ring, in counts that wrap. */
const PORT_COUNTS = 2;

/** Those that were sent, without those that only wake. */
const POSTED_COUNT = 0;

/** Those that were received. */
const RECEIVED_COUNT = 1;

// ---- Limits (src/protocol.rs) ----

/** The largest count that crosses as one word. */
const MAX_COUNT = 4294967295;

/** A frame of so many bytes gets no further calls. */
const FULL_FRAME = 524288;

/**
 * How much is kept of the end of what a worker writes to its stderr, for the error that its end causes: bytes in Rust,
 * characters in JavaScript.
 */
const STDERR_TAIL = 4096;

// ---- The shared memory (src/channel/page.rs) ----

/** Words of the page, which the rings follow. */
const PAGE_WORDS = 1024;

/**
 * Words of each ring: 64 KiB hold the answers to a thousand small calls. A power of two. Memory that is never touched
 * costs nothing.
 */
const RING_WORDS = 16384;

/** Words of the page and both rings. */
const SHARED_WORDS = 33792;

/**
 * Words of the ring for messages, which follows them where the worker is a process: what may be under way of messages
 * fits in twice, so that it has room wherever the ring wraps.
 */
const MESSAGE_WORDS = 524288;

// ---- Words of the shared page (src/channel/page.rs) ----

/** Written by the worker: the number of the call that it began last; 0 before the first. */
const LAST_BEGUN_WORD = 0;

/** Written by the parent: counts the cancellations sent, so that a busy worker looks for them. */
const CANCEL_COUNT_WORD = 1;

/** Written by the parent: how the worker is to wait after its work, as `src/pace.rs` numbers it. */
const WAITING_WORD = 2;

/**
 * Written by the parent, the end of a range: calls with `from <= seq < until`, in a count that wraps, are not to be
 * begun. How both sides agree on them is told in `src/engine/mod.rs`.
 */
const RECALL_UNTIL_WORD = 3;

/** Written by the parent, the start of the range; 0: there is none. */
const RECALL_FROM_WORD = 4;

/** Written by the parent of a thread: counts the frames with calls, after each is posted. */
const SENT_COUNT_WORD = 5;

/**
 * Written by the parent: how much of the messages was taken so far, as their sender counts it, in a count that wraps.
 */
const MESSAGES_TAKEN_WORD = 7;

/** Written by a thread: the system's number of it; 0 where that is not known. */
const THREAD_ID_WORD = 8;

// ---- The rings in the shared memory (src/channel/page.rs) ----

/** Where the words of the ring to the worker begin. */
const RING_TO_WORKER = 64;

/** Where the words of the ring to the parent begin. */
const RING_TO_PARENT = 128;

/** Where the words of the ring for messages begin. */
const RING_MESSAGES = 192;

/**
 * A word of a ring, counted from where these begin: how many words of records were published so far, in a count that
 * wraps. Written by the sender, sequentially consistent. (Words with different writers are a cache line apart.)
 */
const RING_TAIL = 0;

/** How many of them were taken. Written by the receiver. */
const RING_HEAD = 16;

/**
 * Whether the receiver looks at the ring before it sleeps: `ASLEEP`, `AWAKE` or `WOKEN`. Written by both,
 * sequentially consistent.
 */
const RING_AWAKENESS = 32;

/**
 * 1 while the first record in the ring has to wait for a frame that was sent another way before it. Written by the
 * receiver for itself.
 */
const RING_EARLY = 17;

/** The receiver does not look: it has to be woken. */
const RING_ASLEEP = 0;

/** The receiver looks at the ring before it sleeps. */
const RING_AWAKE = 1;

/** The receiver does not look yet, but is being woken. */
const RING_WOKEN = 2;

/** Where the records of the ring to the worker are. */
const RING_TO_WORKER_RECORDS = 1024;

/** Where the records of the ring to the parent are. */
const RING_TO_PARENT_RECORDS = 17408;

/** Where the records of the ring for messages are. */
const RING_MESSAGE_RECORDS = 33792;

/** Words before the frame in a record: its length in bytes, and its place. */
const RING_RECORD_HEADER = 2;

/** The flag of a length: the record is the answer to one call, see `ring`(super::ring). */
const RING_ANSWER = 2147483648;

/** The flag of such a length: the answer is `undefined`. */
const RING_NO_VALUE = 1073741824;

/** The flag of such a length: the answer is a plain value in V8's format. */
const RING_PLAIN = 536870912;

/** Words before the text in such a record: length, place, chunk, number of the call, microseconds. */
const RING_ANSWER_HEADER = 5;

/** In place of a length: the next record is at the start of the ring. */
const RING_WRAP = 4294967295;

/** A longer frame, in bytes, goes another way: there its copies cost less. */
const RING_MAX_RECORD = 16384;

/** A longer frame with a message, in bytes, goes another way. */
const RING_MAX_MESSAGE = 1048576;

// ---- How to wait for what is expected (src/pace.rs) ----

/** Go to sleep at once. */
const WAITING_ASLEEP = 0;

/** Poll, on a core that nobody else needs. */
const WAITING_POLLING = 1;

/** Have others run first, on a core that they need as well. */
const WAITING_GIVING_WAY = 2;

// ---- What became of a wait that was no sleep (src/pace.rs) ----

/** Something has come. */
const WAITED_HIT = 0;

/** Nothing has, and it is time to sleep. */
const WAITED_MISSED = 1;

/** Another thread had the core for long. */
const WAITED_PREEMPTED = 2;

// ---- When to poll before going to sleep; times are in milliseconds (src/pace.rs) ----

/** A shorter sleep ended at once. */
const PACE_MIN_SLEEP = 0.025;

/**
 * A shorter sleep right after a poll in vain was held up by that: whoever was waited for needed this core. (To be put
 * on it and to answer takes some 40 microseconds.)
 */
const PACE_MAX_HELD_UP = 0.1;

/** A longer sleep says nothing. */
const PACE_MAX_SLEEP = 0.25;

/** The longest poll while none has hit since the last sleep. */
const PACE_FIRST_BUDGET = 0.25;

/** The longest poll after one that has hit. */
const PACE_BUDGET = 0.1;

/** With more than this between two looks at the clock, somebody else has had the core. */
const PACE_PREEMPTED = 0.04;

/** How many misses in a row lead to no pause. */
const PACE_FREE_MISSES = 4;

/** The longest pause, in turns. */
const PACE_MAX_PAUSE = 256;

/**
 * How many turns of giving way make up for one in which others have kept the core: that may be a time slice of three
 * milliseconds, and a turn saves some ten microseconds.
 */
const PACE_MAKE_UP = 256;

/**
 * How many such losses are borne before they are made up for. While a pool is young, it is V8 that compiles in
 * between, and the sooner that is done the better.
 */
const PACE_FREE_LOSSES = 64;

module.exports = {
  INIT,
  CALLS,
  CANCEL,
  STOP,
  WAKE,
  DEMAND,
  READY,
  LOAD_FAILED,
  REPLY,
  BEGUN,
  OUTPUT,
  MEMORY,
  MESSAGE,
  LATIN1,
  UTF8,
  BYTES,
  UTF16,
  PART_FAILED,
  PART_SKIPPED,
  PART_DIED,
  PART_REFUSED,
  PART_FIELDS,
  CODEC_FIELD,
  FLAGS_FIELD,
  CALLS_FIELD,
  TAG_FIELD,
  VALUE_FIELD,
  NO_CODEC,
  JSON_LIST,
  UNDEFINED,
  PLAIN_VALUES,
  PLAIN_HEADER,
  REGISTER_WORDS,
  FORM_WORD,
  ARGUMENT_WORD,
  FORM_LIST,
  FORM_SINGLE,
  FORM_NOTHING,
  JOB_STOPS_KEY,
  JOB_SPREAD,
  JOB_UNBOUNDED,
  JOB_SENT_ONCE,
  JOB_KEY_RUNS,
  JOB_PINNED,
  JOB_BULK,
  SEND_PATIENT,
  RUN_FIELDS,
  ANSWERED_FIELDS,
  PORT_COUNTS,
  POSTED_COUNT,
  RECEIVED_COUNT,
  MAX_COUNT,
  FULL_FRAME,
  STDERR_TAIL,
  PAGE_WORDS,
  RING_WORDS,
  SHARED_WORDS,
  MESSAGE_WORDS,
  LAST_BEGUN_WORD,
  CANCEL_COUNT_WORD,
  WAITING_WORD,
  RECALL_UNTIL_WORD,
  RECALL_FROM_WORD,
  SENT_COUNT_WORD,
  MESSAGES_TAKEN_WORD,
  THREAD_ID_WORD,
  RING_TO_WORKER,
  RING_TO_PARENT,
  RING_MESSAGES,
  RING_TAIL,
  RING_HEAD,
  RING_AWAKENESS,
  RING_EARLY,
  RING_ASLEEP,
  RING_AWAKE,
  RING_WOKEN,
  RING_TO_WORKER_RECORDS,
  RING_TO_PARENT_RECORDS,
  RING_MESSAGE_RECORDS,
  RING_RECORD_HEADER,
  RING_ANSWER,
  RING_NO_VALUE,
  RING_PLAIN,
  RING_ANSWER_HEADER,
  RING_WRAP,
  RING_MAX_RECORD,
  RING_MAX_MESSAGE,
  WAITING_ASLEEP,
  WAITING_POLLING,
  WAITING_GIVING_WAY,
  WAITED_HIT,
  WAITED_MISSED,
  WAITED_PREEMPTED,
  PACE_MIN_SLEEP,
  PACE_MAX_HELD_UP,
  PACE_MAX_SLEEP,
  PACE_FIRST_BUDGET,
  PACE_BUDGET,
  PACE_PREEMPTED,
  PACE_FREE_MISSES,
  PACE_MAX_PAUSE,
  PACE_MAKE_UP,
  PACE_FREE_LOSSES,
};
