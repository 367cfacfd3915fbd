//! The layout of the page that a parent shares with one worker: every word of it, and nothing else.
//!
//! `lib/frames.js` and `lib/slot.js` have the same numbers for what JavaScript reads and writes. Called by the slot
//! beside it and by whoever maps such a page in `src/binding`. Must not depend on how the memory is mapped.
//!
//! | word | written by | means |
//! |---|---|---|
//! | [`LAST_BEGUN`] | worker | number of the call that it began last; 0 before the first |
//! | [`CANCEL_COUNT`] | parent | cancellations sent, so that a busy worker looks for them |
//! | [`MAY_SPIN`] | parent | whether the worker may stay awake for a moment after its work |
//! | [`RECALL_UNTIL`], [`RECALL_FROM`] | parent | calls `from <= seq < until` are not to be begun; 0 `from`: none |
//! | 5 | parent of a thread | counts the frames with calls that it has posted (`lib/frames.js`; unused here) |
//! | 6 to 63 | nobody | |
//! | [`TO_WORKER`] on | both | a slot for one frame to the worker, see [`slot`](super::slot) |
//! | [`TO_PARENT`] on | both | the same to the parent |
//!
//! All stores and loads are sequentially consistent, but for a frame's place and bytes, which its slot's state
//! announces. What that is needed for: `LAST_BEGUN` and the recall words, see below; the state and [`POLLED`] of a
//! slot, see there; `CANCEL_COUNT`, which is stored after the frame was sent, so that whoever sees the count finds the
//! frame. `MAY_SPIN` is a hint and would do with any order.
//!
//! `src/engine/mod.rs` tells how both sides agree on what is recalled: the parent stores the range and then loads what
//! was begun last, the worker stores what it begins and then loads the range, so that at least one of them sees the
//! other's store.

/// Words of the page.
pub const PAGE_WORDS: usize = 1024;
/// The page in bytes.
pub const PAGE_LEN: usize = PAGE_WORDS * size_of::<u32>();

pub const LAST_BEGUN: usize = 0;
pub const CANCEL_COUNT: usize = 1;
pub const MAY_SPIN: usize = 2;
pub const RECALL_UNTIL: usize = 3;
pub const RECALL_FROM: usize = 4;

/// Where each direction's slot begins.
pub const TO_WORKER: usize = 64;
pub const TO_PARENT: usize = 544;

/// Words of a slot, counted from where it begins.
///
/// 1 while the receiver watches the slot. Written by the receiver, sequentially consistent.
pub const POLLED: usize = 0;
/// The slot's state, replaced by both ends with compare-and-exchange: see [`LENGTH_BITS`].
pub const STATE: usize = 1;
/// The frame's place in the stream, two words, the lower one first. Relaxed: announced by the state.
pub const PLACE: usize = 2;
/// The frame's bytes. Relaxed, as the place.
pub const BYTES: usize = 4;

/// Bytes that fit into a slot.
pub const SLOT_LEN: usize = (TO_PARENT - TO_WORKER - BYTES) * size_of::<u32>();

/// The lowest bits of a state are the frame's length, 0 where the slot is empty. Those above count the frames, so that
/// no state is mistaken for a later one.
pub const LENGTH_BITS: u32 = 12;
pub const LENGTH_MASK: u32 = (1 << LENGTH_BITS) - 1;

const _: () = assert!(RECALL_FROM < TO_WORKER, "the slots overlap the words before them");
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
