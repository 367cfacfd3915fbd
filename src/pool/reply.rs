//! What is known of a whole reply, apportioned to its parts: how long each ran.
//!
//! Called by whoever books replies: in the addon whoever handles the frames of processes and threads, and the pool for
//! what JavaScript has received. Must not depend on how a reply came.

use std::time::Duration;

use crate::engine::{ChunkId, Reply};
use crate::wire::{PART_DIED, PART_FAILED, PART_SKIPPED};

/// Cuts a reply into what the engine is told of each part.
pub struct Apportioned {
    frame: ChunkId,
    /// Where in the frame the next part begins.
    offset: u32,
    elapsed: Duration,
    /// Calls that were run: what was skipped took no time.
    ran: u64,
}

impl Apportioned {
    /// `parts`: the number of calls and the flags of each.
    pub fn new(
        frame: ChunkId,
        offset: u32,
        elapsed: Duration,
        parts: impl Iterator<Item = (u32, u16)>,
    ) -> Apportioned {
        let ran = parts.filter(|(_, flags)| flags & PART_SKIPPED == 0);
        let ran: u64 = ran.map(|(calls, _)| u64::from(calls)).sum();
        Apportioned { frame, offset, elapsed, ran: ran.max(1) }
    }

    /// So many calls' share of what is known of all that were run.
    pub fn share(&self, calls: u32) -> f64 {
        f64::from(calls) / self.ran as f64
    }

    /// The next part, whose results have so many bytes.
    pub fn next(&mut self, calls: u32, flags: u16, bytes: u64) -> Reply {
        let elapsed = self.elapsed.as_secs_f64() * self.share(calls);
        let reply = Reply {
            chunk: self.frame,
            offset: self.offset,
            calls,
            failed: flags & PART_FAILED != 0,
            skipped: flags & PART_SKIPPED != 0,
            died: flags & PART_DIED != 0,
            elapsed: Duration::try_from_secs_f64(elapsed).unwrap_or_default(),
            bytes,
        };
        self.offset = self.offset.saturating_add(calls);
        reply
    }
}
