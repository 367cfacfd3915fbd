//! A chunk in flight: the calls that one message carries, and how far its worker has come with them.
//!
//! Must not depend on jobs beyond their numbers, or on what follows from a state.

use std::time::Duration;

use super::{ChunkId, JobId};

/// A chunk that was handed to a worker and has not been replied to in full.
#[derive(Debug)]
pub(super) struct Chunk {
    pub(super) chunk_id: ChunkId,
    /// The number of its first call, in the worker's count; the others follow.
    pub(super) first_seq: u32,
    pub(super) calls: Vec<ChunkCall>,
    /// Invariant: the number of its calls without a reply; above 0, because the chunk goes with the last of them.
    pub(super) outstanding: u32,
    /// Invariant: the number of its calls that are recalled and have no reply yet.
    pub(super) recalled: u32,
    /// How long each of its calls should take, on average; `None` if the cost of any is unknown, or they take longer
    /// than expected.
    pub(super) per_call: Option<Duration>,
    /// The size of its arguments, once they are encoded.
    pub(super) argument_bytes: u64,
    /// How many bytes the result of each call should have, on average.
    pub(super) result_bytes: u64,
    /// Whether running time matters to any of its calls: it has a timeout, or was cancelled.
    pub(super) is_timed: bool,
    /// Whether its size was requested: its calls are to stay together.
    pub(super) is_sized: bool,
}

/// One call of a chunk.
#[derive(Debug)]
pub(super) struct ChunkCall {
    pub(super) job: JobId,
    /// Its number within the job.
    pub(super) index: u32,
    pub(super) state: CallState,
    /// Whether it may be recalled.
    pub(super) is_movable: bool,
    /// Whether it counts for how many calls its worker may have.
    pub(super) is_counted: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CallState {
    /// Not begun as far as is known.
    Sent,
    /// Begun, and seen to run for this long.
    Begun { ran: Duration },
    /// Settled without a reply, and not begun as far as is known: the worker should skip it.
    Revoked,
    /// Settled without a reply while it ran, this much running time ago.
    Abandoned { since: Duration },
    /// Settled without a reply; whether it is run or skipped does not matter.
    Dropped { begun: bool },
    /// Recalled before it began; a reply is still to come.
    Recalled,
    /// Replied to; whether that settled it or something before did no longer matters.
    Replied,
}

impl CallState {
    /// Whether its caller still waits.
    pub(super) fn is_wanted(self) -> bool {
        matches!(self, CallState::Sent | CallState::Begun { .. })
    }

    /// Whether it is known to have begun, and has no reply yet.
    pub(super) fn is_running(self) -> bool {
        let is_dropped = self == CallState::Dropped { begun: true };
        is_dropped || matches!(self, CallState::Begun { .. } | CallState::Abandoned { .. })
    }

    /// Whether it is known to have begun.
    fn has_begun(self) -> bool {
        self.is_running() || self == CallState::Replied
    }
}

impl Chunk {
    /// The number of the call at this place, in the worker's count.
    pub(super) fn seq(&self, offset: usize) -> u32 {
        self.first_seq.wrapping_add(offset as u32)
    }

    /// How many of its calls its worker has yet to finish.
    pub(super) fn unfinished(&self) -> u32 {
        self.outstanding - self.recalled
    }

    /// How long the calls that its worker has yet to finish should take.
    pub(super) fn expected(&self) -> Option<Duration> {
        self.per_call.map(|per_call| per_call.saturating_mul(self.unfinished()))
    }

    /// How many bytes the calls without a reply take up: their share of the arguments, and the results to come.
    pub(super) fn bytes(&self) -> u64 {
        let outstanding = u64::from(self.outstanding);
        let arguments = self.argument_bytes / self.calls.len().max(1) as u64 * outstanding;
        arguments.saturating_add(self.result_bytes.saturating_mul(outstanding))
    }

    /// Whether the call with this number is one of its calls, and is known to run.
    pub(super) fn is_running(&self, seq: u32) -> bool {
        let offset = seq.wrapping_sub(self.first_seq) as usize;
        self.calls.get(offset).is_some_and(|call| call.state.is_running())
    }

    /// Whether any of its calls is known to have begun.
    pub(super) fn has_begun(&self) -> bool {
        self.calls.iter().any(|call| call.state.has_begun())
    }

    /// Whether this call of it may be recalled.
    pub(super) fn may_lose(&self, call: &ChunkCall) -> bool {
        call.is_movable && call.state == CallState::Sent && !self.is_bound()
    }

    /// Whether any of its calls may be recalled.
    pub(super) fn is_recallable(&self) -> bool {
        // From the end, because the last call begins last.
        !self.is_bound() && self.calls.iter().rev().any(|call| self.may_lose(call))
    }

    /// Whether none of its calls may be recalled because they stay together and the first has begun.
    fn is_bound(&self) -> bool {
        self.is_sized && self.calls.first().is_some_and(|first| first.state.has_begun())
    }

    /// Panics if an invariant does not hold.
    pub(super) fn check_invariants(&self) {
        let outstanding = self.calls.iter().filter(|call| call.state != CallState::Replied).count();
        debug_assert_eq!(self.outstanding as usize, outstanding, "calls of {:?}", self.chunk_id);
        debug_assert!(outstanding > 0, "{:?} was replied to in full and kept", self.chunk_id);
        let recalled = self.calls.iter().filter(|call| call.state == CallState::Recalled).count();
        debug_assert_eq!(self.recalled as usize, recalled, "recalled calls of {:?}", self.chunk_id);
    }
}

/// Whether `seq` is `last_begun` or was numbered before it; the count may wrap.
pub fn is_reached(last_begun: u32, seq: u32) -> bool {
    last_begun.wrapping_sub(seq) as i32 >= 0
}
