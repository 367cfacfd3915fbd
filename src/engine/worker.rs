//! What the engine knows of one worker, and of what it has in flight.

use std::collections::VecDeque;
use std::time::Duration;

use super::{FrameId, JobId, WorkerId};

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
    /// It boots, or waits, to take the place of this one, which may take only a few more calls.
    pub(super) standby_for: Option<WorkerId>,
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
    /// How long what it answered ran, in all.
    pub(super) ran: Duration,
    /// Running time since it last had something to do.
    pub(super) idle: Duration,
    /// When it last got work, as a running number: the warmest is chosen first.
    pub(super) last_used: u64,
    /// Running time since the first tick after its last answer, or after it last became busy.
    pub(super) quiet: Option<Duration>,
    /// Where the last range of calls that it was told not to begin starts; `None` before the first.
    pub(super) recalled_from: Option<u32>,
    /// Whether it can be told so.
    pub(super) hears_recalls: bool,
    /// How long it has given no sign of life; `None` once it has, or has been killed for it.
    pub(super) silent: Option<Duration>,
    /// When it got its first calls here.
    pub(super) used_since: Option<Duration>,
    /// Others wait for it: it gets no more calls.
    pub(super) yields: bool,
    /// Its successor starts when it is gone.
    pub(super) succeeded_at_exit: bool,
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
    /// Whether its calls were asked to go together.
    pub(super) together: bool,
}

#[derive(Debug)]
pub(super) struct FlightCall {
    pub(super) job: JobId,
    pub(super) index: u32,
    pub(super) state: CallState,
    pub(super) is_movable: bool,
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
    /// Taken back before it began; an answer is still to come.
    Recalled,
    /// Answered: whether it settled by that or before does not matter any more.
    Answered,
}

impl CallState {
    /// Whether its caller still waits.
    pub(super) fn is_wanted(self) -> bool {
        matches!(self, CallState::Sent | CallState::Begun { .. })
    }

    /// Whether it is known to have begun, and not to be answered.
    pub(super) fn has_begun(self) -> bool {
        let dropped = self == CallState::Dropped { begun: true };
        dropped || matches!(self, CallState::Begun { .. } | CallState::Abandoned { .. })
    }
}

impl Worker {
    pub(super) fn new() -> Worker {
        Worker {
            phase: Phase::Starting,
            retire: None,
            standby_for: None,
            flights: VecDeque::new(),
            unsent: None,
            next_seq: 1,
            given: 0,
            done: 0,
            failed: 0,
            ran: Duration::ZERO,
            idle: Duration::ZERO,
            last_used: 0,
            quiet: None,
            recalled_from: None,
            hears_recalls: true,
            silent: Some(Duration::ZERO),
            used_since: None,
            yields: false,
            succeeded_at_exit: false,
        }
    }

    /// Whether it counts toward the number of workers that there should be.
    pub(super) fn is_live(&self) -> bool {
        self.is_up() && self.retire.is_none() && self.standby_for.is_none()
    }

    /// Whether it was not told to go.
    fn is_up(&self) -> bool {
        matches!(self.phase, Phase::Starting | Phase::Ready)
    }

    /// Whether it waits for another one's place.
    pub(super) fn is_standby(&self) -> bool {
        self.is_up() && self.retire.is_none() && self.standby_for.is_some()
    }

    /// Whether it runs calls now or will, unless it dies.
    pub(super) fn can_serve(&self) -> bool {
        self.is_up() && self.retire != Some(Retire::Now) && self.standby_for.is_none()
    }

    pub(super) fn is_busy(&self) -> bool {
        !self.flights.is_empty()
    }

    /// Whether it could begin a call at once, and has none.
    pub(super) fn is_idle(&self) -> bool {
        self.phase == Phase::Ready && self.can_serve() && !self.is_busy()
    }

    /// Whether it is idle and somebody else could go on with it.
    pub(super) fn is_spare(&self) -> bool {
        self.phase == Phase::Ready && self.is_live() && !self.is_busy()
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

    /// Whether it has a call that somebody waits for.
    pub(super) fn is_wanted(&self) -> bool {
        self.flights.iter().flat_map(|flight| &flight.calls).any(|call| call.state.is_wanted())
    }

    /// Whether what it has answered says that so many more calls will be done within `limit`.
    pub(super) fn is_near(&self, calls: u64, limit: Duration) -> bool {
        self.done > 0 && self.ran.as_secs_f64() / self.done as f64 * calls as f64 <= limit.as_secs_f64()
    }

    /// Its flights that were sent.
    fn sent(&self) -> impl DoubleEndedIterator<Item = &Flight> {
        self.flights.iter().filter(|flight| self.unsent != Some(flight.frame))
    }

    /// Whether it has calls that could be taken back, behind another one.
    pub(super) fn is_recallable(&self) -> bool {
        self.phase == Phase::Ready
            && self.hears_recalls
            && self.load() > 1
            && self.sent().rev().any(Flight::is_recallable)
            && self.recall_range().is_some()
    }

    /// The first run of calls that can be taken back, as the numbers `from` and `until` that it is told. It holds
    /// no call that must stay, and all of an earlier range that may still be of use.
    pub(super) fn recall_range(&self) -> Option<(u32, u32)> {
        let mut range: Option<(u32, u32)> = None;
        let (mut is_new, mut is_over) = (false, false);
        for flight in self.sent() {
            for (offset, call) in flight.calls.iter().enumerate() {
                let seq = flight.seq(offset);
                let recalled = call.state == CallState::Recalled;
                // 0 cannot be told as a start.
                let may_lose = flight.may_lose(call) && seq != 0;
                if call.state.has_begun() {
                    // It has passed all that came before.
                    (range, is_new, is_over) = (None, false, false);
                } else if recalled && (is_over || is_new) {
                    return None;
                } else if recalled || (may_lose && !is_over) {
                    let first = if recalled { self.recalled_from.unwrap_or(seq) } else { seq };
                    range = Some((range.map_or(first, |(from, _)| from), seq.wrapping_add(1)));
                    is_new |= may_lose;
                } else if call.state == CallState::Sent {
                    is_over = range.is_some();
                }
            }
        }
        range.filter(|_| is_new)
    }
}

impl Flight {
    /// The sequence number of the call at this place.
    pub(super) fn seq(&self, offset: usize) -> u32 {
        self.first_seq.wrapping_add(offset as u32)
    }

    pub(super) fn begun_any(&self) -> bool {
        self.calls.iter().any(|call| call.state.has_begun() || call.state == CallState::Answered)
    }

    /// Whether all of its calls stay, whatever each of them is.
    fn is_bound(&self) -> bool {
        let has_begun = |state: CallState| state.has_begun() || state == CallState::Answered;
        self.together && self.calls.first().is_some_and(|first| has_begun(first.state))
    }

    /// Whether this call of it may be taken back.
    fn may_lose(&self, call: &FlightCall) -> bool {
        call.is_movable && call.state == CallState::Sent && !self.is_bound()
    }

    /// Whether it has a call that may be taken back. The last begins last.
    fn is_recallable(&self) -> bool {
        !self.is_bound() && self.calls.iter().rev().any(|call| self.may_lose(call))
    }
}

/// Whether `seq` is `mark` or was numbered before it; the count may wrap.
pub(super) fn is_reached(mark: u32, seq: u32) -> bool {
    mark.wrapping_sub(seq) as i32 >= 0
}
