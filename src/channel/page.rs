//! The layout of the page that a parent shares with one worker: every word of it, and nothing else.
//!
//! JavaScript reads and writes some of them: `src/protocol.rs` generates its constants from these. Called by the slot
//! beside it and by whoever maps such a page in `src/binding`. Must not depend on how the memory is mapped.
//!
//! | word | written by | order |
//! |---|---|---|
//! | [`LAST_BEGUN`] | worker | sequentially consistent |
//! | [`CANCEL_COUNT`] | parent | stored after the frame is sent |
//! | [`MAY_SPIN`] | parent | a hint, in any order |
//! | [`RECALL_UNTIL`], [`RECALL_FROM`] | parent | sequentially consistent |
//! | [`SENT_COUNT`] | parent of a thread | stored after the message is posted |
//! | [`FAREWELL`] | parent of a process | stored before its end closes the channel |
//! | 7 to 63 | nobody | |
//! | [`TO_WORKER`] on | both | see [`slot`](super::slot) |
//! | [`TO_PARENT`] on | both | see [`slot`](super::slot) |
//!
//! Why the order of the recall words and of `LAST_BEGUN` matters is told in `src/engine/mod.rs`: the parent stores the
//! range and then loads what was begun, the worker stores what it begins and then loads the range, and each must see
//! the other's store if its own came first.

/// Words of the page.
pub const PAGE_WORDS: usize = 1024;
/// The page in bytes.
pub const PAGE_LEN: usize = PAGE_WORDS * size_of::<u32>();

/// Written by the worker: the number of the call that it began last; 0 before the first.
pub const LAST_BEGUN: usize = 0;
/// Written by the parent: counts the cancellations sent, so that a busy worker looks for them.
pub const CANCEL_COUNT: usize = 1;
/// Written by the parent: whether the worker may stay awake for a moment after its work.
pub const MAY_SPIN: usize = 2;
/// Written by the parent, the end of a range: calls with `from <= seq < until`, in a count that wraps, are not to be
/// begun. How both sides agree on them is told in `src/engine/mod.rs`.
pub const RECALL_UNTIL: usize = 3;
/// Written by the parent, the start of the range; 0: there is none.
pub const RECALL_FROM: usize = 4;
/// Written by the parent of a thread: counts the frames with calls, after each is posted.
pub const SENT_COUNT: usize = 5;

/// Written by the parent of a process: 1 once it ends in an orderly way, and the worker has nothing to do.
pub const FAREWELL: usize = 6;

/// Where the slot for frames to the worker begins.
pub const TO_WORKER: usize = 64;
/// Where the slot for frames to the parent begins.
pub const TO_PARENT: usize = 544;

/// A word of a slot, counted from where it begins: 1 while the receiver watches the slot. Written by the receiver,
/// sequentially consistent.
pub const POLLED: usize = 0;
/// The slot's state, replaced by both ends with compare-and-exchange: the frame's length in the lowest bits, a count of
/// frames in the others.
pub const STATE: usize = 1;
/// The frame's place among what was sent otherwise, two words, the lower one first. Relaxed: announced by the state.
pub const PLACE: usize = 2;
/// The frame itself. Relaxed, as the place.
pub const BYTES: usize = 4;

/// Bytes that fit into a slot.
pub const SLOT_LEN: usize = (TO_PARENT - TO_WORKER - BYTES) * size_of::<u32>();

/// How many bits of a state are the frame's length, which is 0 where the slot is empty. Those above count the frames,
/// so that no state is mistaken for a later one. (A text of JavaScript's may be empty: it counts one character more.)
pub const LENGTH_BITS: u32 = 12;
/// These bits.
pub const LENGTH_MASK: u32 = (1 << LENGTH_BITS) - 1;

const _: () =
    assert!(SENT_COUNT < FAREWELL && FAREWELL < TO_WORKER, "the slots overlap the words before them");
const _: () = assert!(TO_PARENT + BYTES + SLOT_LEN / size_of::<u32>() <= PAGE_WORDS, "the page is too short");
const _: () = assert!(SLOT_LEN < LENGTH_MASK as usize, "a length does not fit into a state");

/// Whether a slot in this state holds a frame.
pub fn holds_frame(state: u32) -> bool {
    state & LENGTH_MASK != 0
}

/// The state of a slot whose frame was taken.
pub fn emptied(state: u32) -> u32 {
    state & !LENGTH_MASK
}
