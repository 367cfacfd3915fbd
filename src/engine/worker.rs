//! What the engine knows of one worker, and of what it has in flight.

use std::collections::VecDeque;
use std::time::Duration;

use super::{FrameId, JobId};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Starting,
    Ready,
    /// Asked to exit this much running time ago.
    Stopping {
        waited: Duration,
    },
    Dying,
}

/// A worker that is to be replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Retire {
    /// It takes no more calls.
    Now,
    /// It goes on until its replacement is ready.
    WhenReplaced,
}

#[derive(Debug)]
pub(super) struct Worker {
    pub(super) phase: Phase,
    pub(super) retire: Option<Retire>,
    /// Oldest first. Empty while `Stopping`.
    pub(super) flights: VecDeque<Flight>,
    /// The last flight, while its frame is still being made.
    pub(super) unsent: Option<FrameId>,
    /// The number of the next call that it gets, in its own count. Starts at 1: 0 means "none begun".
    pub(super) next_seq: u32,
    /// Calls that it was given.
    pub(super) given: u64,
    pub(super) done: u64,
    pub(super) failed: u64,
    /// Running time since it last had something to do.
    pub(super) idle: Duration,
    /// When it last got work, as a running number: the warmest is chosen first.
    pub(super) last_used: u64,
}

/// A chunk that was sent and is not wholly answered.
#[derive(Debug)]
pub(super) struct Flight {
    pub(super) frame: FrameId,
    pub(super) first_seq: u32,
    pub(super) calls: Vec<FlightCall>,
    pub(super) unanswered: u32,
    /// How long its calls should take, if all of them are of known cost.
    pub(super) expected: Option<Duration>,
    /// Whether time matters to any of its calls: it has a timeout, or was cancelled.
    pub(super) watched: bool,
}

#[derive(Debug)]
pub(super) struct FlightCall {
    pub(super) job: JobId,
    pub(super) index: u32,
    pub(super) state: CallState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CallState {
    /// Not begun as far as we know.
    Sent,
    /// Begun, and seen to run for this long.
    Begun { ran: Duration },
    /// Settled without an answer, and not begun as far as we know: it should be skipped.
    Revoked,
    /// Settled without an answer while it ran, this much running time ago.
    Abandoned { since: Duration },
    /// Settled without an answer; whether it is run or skipped does not matter.
    Dropped { begun: bool },
    /// Answered: whether it settled by that or before does not matter any more.
    Answered,
}

impl CallState {
    /// Whether its caller still waits.
    pub(super) fn is_wanted(self) -> bool {
        matches!(self, CallState::Sent | CallState::Begun { .. })
    }
}

impl Worker {
    pub(super) fn new() -> Worker {
        Worker {
            phase: Phase::Starting,
            retire: None,
            flights: VecDeque::new(),
            unsent: None,
            next_seq: 1,
            given: 0,
            done: 0,
            failed: 0,
            idle: Duration::ZERO,
            last_used: 0,
        }
    }

    /// Whether it counts toward the number of workers that there should be.
    pub(super) fn is_live(&self) -> bool {
        matches!(self.phase, Phase::Starting | Phase::Ready) && self.retire.is_none()
    }

    /// Whether it runs calls now or will, unless it dies.
    pub(super) fn can_serve(&self) -> bool {
        matches!(self.phase, Phase::Starting | Phase::Ready) && self.retire != Some(Retire::Now)
    }

    pub(super) fn is_busy(&self) -> bool {
        !self.flights.is_empty()
    }

    /// How many calls it has and has not answered.
    pub(super) fn load(&self) -> u32 {
        self.flights.iter().map(|flight| flight.unanswered).sum()
    }

    /// Whether it runs a call that was given up and may be the reason to kill it.
    pub(super) fn is_condemned(&self) -> bool {
        let abandoned = |call: &FlightCall| matches!(call.state, CallState::Abandoned { .. });
        self.flights.iter().filter(|flight| flight.watched).any(|flight| flight.calls.iter().any(abandoned))
    }
}

impl Flight {
    /// The sequence number of the call at this place.
    pub(super) fn seq(&self, offset: usize) -> u32 {
        self.first_seq.wrapping_add(offset as u32)
    }

    pub(super) fn begun_any(&self) -> bool {
        let not_begun = |state| {
            matches!(state, CallState::Sent | CallState::Revoked | CallState::Dropped { begun: false })
        };
        self.calls.iter().any(|call| !not_begun(call.state))
    }
}

/// Whether `seq` is `mark` or was numbered before it; the count may wrap.
pub(super) fn is_reached(mark: u32, seq: u32) -> bool {
    mark.wrapping_sub(seq) as i32 >= 0
}
