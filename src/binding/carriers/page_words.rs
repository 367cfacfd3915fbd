//! What the parent does with single words of the page that it shares with a worker.
//!
//! Called by whoever has such a page, be it a process's or a thread's. Must not depend on the rings behind it.

use crate::channel::page::{
    ASLEEP, AWAKENESS, LAST_BEGUN, MESSAGES_TAKEN, RECALL_FROM, RECALL_UNTIL, TO_WORKER,
};
use crate::platform::SharedWords;

/// Whether the worker is known to sleep.
pub fn is_asleep(page: &impl SharedWords) -> bool {
    page.load(TO_WORKER + AWAKENESS) == ASLEEP
}

/// Says that a message which counts so much was handled.
pub fn count_taken(page: &impl SharedWords, size: u32) {
    page.store(MESSAGES_TAKEN, page.load(MESSAGES_TAKEN).wrapping_add(size));
}

/// Publishes the calls `from <= seq < until` as recalled, and returns the number of the one begun last.
pub fn recall(page: &impl SharedWords, from: u32, until: u32) -> u32 {
    // Another range is over: its start must not be seen with this one's end.
    if page.load(RECALL_FROM) != from {
        page.store(RECALL_FROM, 0);
    }
    page.store(RECALL_UNTIL, until);
    page.store(RECALL_FROM, from);
    page.load(LAST_BEGUN)
}
