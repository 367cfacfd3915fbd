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

/** Parent to worker: calls to run, one after another. */
const CALLS = 2;

/** Parent to worker: the numbers of calls that are no longer wanted. */
const CANCEL = 3;

/** Parent to worker: finish and exit. */
const STOP = 4;

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
 * The flag of a part whose value its receiver cannot make: a text that says why has taken its place. It is never sent.
 */
const PART_REFUSED = 4;

// ---- Fields of a part in a flat list (src/protocol.rs) ----

/** Entries of a flat list of parts per part: encoding, codec, flags, calls, tag and value. */
const PART_FIELDS = 6;

/** How the value travels. */
const ENCODING_FIELD = 0;

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

/** The codec of a part whose value is not for a call: a message, or bytes that belong to the part before it. */
const NO_CODEC = 0;

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

// ---- Lists of numbers (src/protocol.rs) ----

/** Entries of a list of runs per run: job, first call and end. */
const RUN_FIELDS = 3;

/**
 * Entries of a list of answered runs per run: index of the part, job, first call, number of calls, offset in the part.
 */
const ANSWERED_FIELDS = 5;

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

// ---- The shared page (src/channel/page.rs) ----

/** Words of the page. */
const PAGE_WORDS = 1024;

// ---- Words of the shared page (src/channel/page.rs) ----

/** Written by the worker: the number of the call that it began last; 0 before the first. */
const LAST_BEGUN_WORD = 0;

/** Written by the parent: counts the cancellations sent, so that a busy worker looks for them. */
const CANCEL_COUNT_WORD = 1;

/** Written by the parent: whether the worker may stay awake for a moment after its work. */
const MAY_SPIN_WORD = 2;

/**
 * Written by the parent, the end of a range: calls with `from <= seq < until`, in a count that wraps, are not to be
 * begun. How both sides agree on them is told in `src/engine/mod.rs`.
 */
const RECALL_UNTIL_WORD = 3;

/** Written by the parent, the start of the range; 0: there is none. */
const RECALL_FROM_WORD = 4;

/** Written by the parent of a thread: counts the frames with calls, after each is posted. */
const SENT_COUNT_WORD = 5;

// ---- Slots in the shared page (src/channel/page.rs) ----

/** Where the slot for frames to the worker begins. */
const SLOT_TO_WORKER = 64;

/** Where the slot for frames to the parent begins. */
const SLOT_TO_PARENT = 544;

/**
 * A word of a slot, counted from where it begins: 1 while the receiver watches the slot. Written by the receiver,
 * sequentially consistent.
 */
const SLOT_POLLED = 0;

/**
 * The slot's state, replaced by both ends with compare-and-exchange: the frame's length in the lowest bits, a count of
 * frames in the others.
 */
const SLOT_STATE = 1;

/** The frame's place among what was sent otherwise, two words, the lower one first. Relaxed: announced by the state. */
const SLOT_PLACE = 2;

/** The frame itself. Relaxed, as the place. */
const SLOT_BYTES = 4;

/**
 * How many bits of a state are the frame's length, which is 0 where the slot is empty. Those above count the frames,
 * so that no state is mistaken for a later one. (A text of JavaScript's may be empty: it counts one character more.)
 */
const SLOT_LENGTH_BITS = 12;

/** These bits. */
const SLOT_LENGTH_MASK = 4095;

// ---- When to poll before going to sleep; times are in milliseconds (src/pace.rs) ----

/** A shorter sleep ended at once. */
const PACE_MIN_SLEEP = 0.025;

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

module.exports = {
  INIT,
  CALLS,
  CANCEL,
  STOP,
  READY,
  LOAD_FAILED,
  REPLY,
  BEGUN,
  OUTPUT,
  MEMORY,
  LATIN1,
  UTF8,
  BYTES,
  UTF16,
  PART_FAILED,
  PART_SKIPPED,
  PART_REFUSED,
  PART_FIELDS,
  ENCODING_FIELD,
  CODEC_FIELD,
  FLAGS_FIELD,
  CALLS_FIELD,
  TAG_FIELD,
  VALUE_FIELD,
  NO_CODEC,
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
  RUN_FIELDS,
  ANSWERED_FIELDS,
  MAX_COUNT,
  FULL_FRAME,
  STDERR_TAIL,
  PAGE_WORDS,
  LAST_BEGUN_WORD,
  CANCEL_COUNT_WORD,
  MAY_SPIN_WORD,
  RECALL_UNTIL_WORD,
  RECALL_FROM_WORD,
  SENT_COUNT_WORD,
  SLOT_TO_WORKER,
  SLOT_TO_PARENT,
  SLOT_POLLED,
  SLOT_STATE,
  SLOT_PLACE,
  SLOT_BYTES,
  SLOT_LENGTH_BITS,
  SLOT_LENGTH_MASK,
  PACE_MIN_SLEEP,
  PACE_MAX_SLEEP,
  PACE_FIRST_BUDGET,
  PACE_BUDGET,
  PACE_PREEMPTED,
  PACE_FREE_MISSES,
  PACE_MAX_PAUSE,
};
