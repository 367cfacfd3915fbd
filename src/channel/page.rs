//! The layout of the memory that a parent shares with one worker: a page of single words, and a ring for frames in each
//! direction.
//!
//! JavaScript reads and writes it as well: `src/protocol.rs` generates its constants from these. Called by the ring
//! beside it and by whoever maps such memory in `src/binding`. Must not depend on how it is mapped.
//!
//! | word | written by | order |
//! |---|---|---|
//! | [`LAST_BEGUN`] | worker | sequentially consistent |
//! | [`CANCEL_COUNT`] | parent | stored after the frame is sent |
//! | [`WAITING`] | parent | a hint, in any order |
//! | [`RECALL_UNTIL`], [`RECALL_FROM`] | parent | sequentially consistent |
//! | [`SENT_COUNT`] | parent of a thread | stored after the message is posted |
//! | [`THREAD_ID`] | thread | a hint, in any order |
//! | [`FAREWELL`] | parent of a process | stored before its end closes the channel |
//! | [`MESSAGES_TAKEN`] | parent | stored after the message is handled |
//! | [`TO_WORKER`] and [`TO_PARENT`] on | both | see [`ring`](super::ring) |
//!
//! Why the order of the recall words and of `LAST_BEGUN` matters is told in `src/engine/mod.rs`: the parent stores the
//! range and then loads what was begun, the worker stores what it begins and then loads the range, and each must see
//! the other's store if its own came first.

/// Words of the page, which the rings follow.
pub const PAGE_WORDS: usize = 1024;
/// Words of each ring: 64 KiB hold the answers to a thousand small calls. A power of two. Memory that is never touched
/// costs nothing.
pub const RING_WORDS: usize = 16 * 1024;
/// Words of the page and both rings.
pub const SHARED_WORDS: usize = PAGE_WORDS + 2 * RING_WORDS;
/// Words of the ring for messages, which follows them where the worker is a process: what may be under way of messages
/// fits in twice, so that it has room wherever the ring wraps.
pub const MESSAGE_WORDS: usize = 512 * 1024;
/// All of it in bytes.
pub const SHARED_LEN: usize = (SHARED_WORDS + MESSAGE_WORDS) * size_of::<u32>();

/// Written by the worker: the number of the call that it began last; 0 before the first.
pub const LAST_BEGUN: usize = 0;
/// Written by the parent: counts the cancellations sent, so that a busy worker looks for them.
pub const CANCEL_COUNT: usize = 1;
/// Written by the parent: how the worker is to wait after its work, as `src/pace.rs` numbers it.
pub const WAITING: usize = 2;
/// Written by the parent, the end of a range: calls with `from <= seq < until`, in a count that wraps, are not to be
/// begun. How both sides agree on them is told in `src/engine/mod.rs`.
pub const RECALL_UNTIL: usize = 3;
/// Written by the parent, the start of the range; 0: there is none.
pub const RECALL_FROM: usize = 4;
/// Written by the parent of a thread: counts the frames with calls, after each is posted.
pub const SENT_COUNT: usize = 5;

/// Written by the parent of a process: 1 once it ends in an orderly way, and the worker has nothing to do.
pub const FAREWELL: usize = 6;

/// Written by the parent: how much of the messages was taken so far, as their sender counts it, in a count that wraps.
pub const MESSAGES_TAKEN: usize = 7;

/// Written by a thread: the system's number of it; 0 where that is not known.
pub const THREAD_ID: usize = 8;

/// Where the words of the ring to the worker begin.
pub const TO_WORKER: usize = 64;
/// Where the words of the ring to the parent begin.
pub const TO_PARENT: usize = 128;

/// Where the words of the ring for messages begin.
pub const MESSAGES: usize = 192;

/// A word of a ring, counted from where these begin: how many words of records were published so far, in a count that
/// wraps. Written by the sender, sequentially consistent. (Words with different writers are a cache line apart.)
pub const TAIL: usize = 0;
/// How many of them were taken. Written by the receiver.
pub const HEAD: usize = 16;
/// 1 while the first record in the ring has to wait for a frame that was sent another way before it. Written by the
/// receiver for itself.
pub const EARLY: usize = 17;
/// Whether the receiver looks at the ring before it sleeps: [`ASLEEP`], [`AWAKE`] or [`WOKEN`]. Written by both,
/// sequentially consistent.
pub const AWAKENESS: usize = 32;

/// The receiver does not look: it has to be woken.
pub const ASLEEP: u32 = 0;
/// The receiver looks at the ring before it sleeps.
pub const AWAKE: u32 = 1;
/// The receiver does not look yet, but is being woken.
pub const WOKEN: u32 = 2;

/// Where the records of the ring to the worker are.
pub const TO_WORKER_RECORDS: usize = PAGE_WORDS;
/// Where the records of the ring to the parent are.
pub const TO_PARENT_RECORDS: usize = PAGE_WORDS + RING_WORDS;

/// Where the records of the ring for messages are.
pub const MESSAGE_RECORDS: usize = SHARED_WORDS;

/// Words before the frame in a record: its length in bytes, and its place.
pub const RECORD_HEADER: usize = 2;
/// The flag of a length: the record is the answer to one call, see [`ring`](super::ring).
pub const ANSWER: u32 = 1 << 31;
/// The flag of such a length: the answer is `undefined`.
pub const NO_VALUE: u32 = 1 << 30;
/// The flag of such a length: the answer is a plain value in V8's format.
pub const PLAIN: u32 = 1 << 29;
/// Words before the text in such a record: length, place, chunk, number of the call, microseconds.
pub const ANSWER_HEADER: usize = 5;
/// In place of a length: the next record is at the start of the ring.
pub const WRAP: u32 = u32::MAX;
/// A longer frame, in bytes, goes another way: there its copies cost less.
pub const MAX_RECORD: usize = 16 * 1024;
/// A longer frame with a message, in bytes, goes another way.
pub const MAX_MESSAGE: usize = 1024 * 1024;

/// Whether a frame is in the ring with these control words that its receiver could take. `word` loads one of the page.
pub fn has_frame(ring: usize, word: impl Fn(usize) -> u32) -> bool {
    word(ring + TAIL) != word(ring + HEAD) && word(ring + EARLY) == 0
}

const _: () = assert!(
    SENT_COUNT < FAREWELL && FAREWELL < MESSAGES_TAKEN && MESSAGES_TAKEN < THREAD_ID && THREAD_ID < TO_WORKER,
    "words overlap"
);
const _: () = assert!(
    TO_WORKER + AWAKENESS < TO_PARENT
        && TO_PARENT + AWAKENESS < MESSAGES
        && MESSAGES + AWAKENESS < PAGE_WORDS,
    "words overlap"
);
const _: () =
    assert!(RING_WORDS.is_power_of_two() && MAX_RECORD < RING_WORDS * size_of::<u32>(), "a frame has to fit");
const _: () = assert!(
    MESSAGE_WORDS.is_power_of_two() && 2 * MAX_MESSAGE <= MESSAGE_WORDS * size_of::<u32>(),
    "what may be under way has to fit"
);
