//! What the engine knows of one worker.
//!
//! Must not depend on jobs, or on what other workers do.

use std::collections::VecDeque;
use std::time::Duration;

use super::chunk::{CallState, Chunk, ChunkCall, is_reached};
use super::{ChunkId, ExitReason, History, WorkerId};

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

/// When a worker that is to be replaced stops taking calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Retirement {
    /// It takes no more calls.
    Now,
    /// It goes on until its replacement is ready.
    WhenReplaced,
}

#[derive(Debug)]
pub(super) struct Worker {
    pub(super) phase: Phase,
    /// Its index among the workers; `None` while all are taken or it stands by, and where workers are leased.
    pub(super) index: Option<u32>,
    /// `None` unless it is to be replaced.
    pub(super) retirement: Option<Retirement>,
    /// The worker whose place it boots, or waits, to take, because that one may take only a few more calls.
    pub(super) standby_for: Option<WorkerId>,
    /// What it has in flight, oldest first. Invariants: numbered in this order and below `next_seq`; empty while
    /// `Stopping` and while it stands by.
    pub(super) chunks: VecDeque<Chunk>,
    /// The chunk whose frame is still being encoded. Invariant: no chunk was handed out after it.
    pub(super) deferred: Option<ChunkId>,
    /// The number of the next call that it gets, in its own count. Starts at 1: 0 means "none begun".
    pub(super) next_seq: u32,
    /// Calls that it was given, less those recalled. Invariant: at least `done` and what is outstanding.
    pub(super) given: u64,
    /// Calls among those that do not count for how many it may have. Invariant: at most `given`.
    pub(super) uncounted: u64,
    /// Calls that it has replied to, failed ones included.
    pub(super) done: u64,
    /// Invariant: at most `done`.
    pub(super) failed: u64,
    /// How long the calls that it has replied to ran, in total.
    pub(super) ran: Duration,
    /// Running time since it last had something to do.
    pub(super) idle_for: Duration,
    /// When it last got calls, as a running number: the worker used last is chosen first.
    pub(super) last_used: u64,
    /// Running time since the first tick after its last reply, or after it last became busy; `None` before that tick.
    pub(super) quiet_for: Option<Duration>,
    /// Where the last range of calls that it was told not to begin starts; `None` before the first.
    pub(super) recalled_from: Option<u32>,
    /// Where the last range of calls ends that were asked back from it, if it is a lane. Nothing more is asked back
    /// before the chunks of that range are over.
    pub(super) asked_until: Option<u32>,
    /// Whether calls can be recalled from it; false once that has failed.
    pub(super) hears_recalls: bool,
    /// Whether calls were last recalled from it because it had too much ahead, not because it is stuck in one.
    pub(super) is_being_leveled: bool,
    /// How long it has given no sign of life; `None` once it has given one, or was killed for giving none.
    pub(super) silent_for: Option<Duration>,
    /// Running time since it was killed; `None` before, and once it was abandoned.
    pub(super) killed_for: Option<Duration>,
    /// Whether it may turn out that it was not killed: its silence was the only reason.
    pub(super) may_be_spared: bool,
    /// When it got its first calls from this engine.
    pub(super) used_since: Option<Duration>,
    /// Others wait for it: it gets no more calls.
    pub(super) is_preempted: bool,
    /// Its successor starts once it is gone.
    pub(super) is_succeeded_at_exit: bool,
    /// It was killed since it could not be worked with.
    pub(super) is_unusable: bool,
    /// Why it was first told to go; `None` unless it was.
    pub(super) exit_reason: Option<ExitReason>,
    /// It counts as replaced.
    pub(super) is_restart: bool,
}

impl Worker {
    pub(super) fn new() -> Worker {
        Worker {
            phase: Phase::Starting,
            index: None,
            retirement: None,
            standby_for: None,
            chunks: VecDeque::new(),
            deferred: None,
            next_seq: 1,
            given: 0,
            uncounted: 0,
            done: 0,
            failed: 0,
            ran: Duration::ZERO,
            idle_for: Duration::ZERO,
            last_used: 0,
            quiet_for: None,
            recalled_from: None,
            asked_until: None,
            hears_recalls: true,
            is_being_leveled: false,
            silent_for: Some(Duration::ZERO),
            killed_for: None,
            may_be_spared: false,
            used_since: None,
            is_preempted: false,
            is_succeeded_at_exit: false,
            is_unusable: false,
            exit_reason: None,
            is_restart: false,
        }
    }

    /// What the next engine must know of it.
    pub(super) fn history(&self) -> History {
        let &Worker { next_seq, given, done, failed, ran, .. } = self;
        History { next_seq, given, done, failed, ran }
    }

    /// Goes on from what another engine knew of it.
    pub(super) fn resume(&mut self, history: History) {
        let History { next_seq, given, done, failed, ran } = history;
        (self.next_seq, self.given, self.done) = (next_seq, given, done);
        (self.failed, self.ran) = (failed, ran);
        self.silent_for = None;
    }

    /// How many calls it was given, of those that count.
    pub(super) fn counted(&self) -> u64 {
        self.given - self.uncounted
    }

    /// Whether it was killed and its end is waited for. One that was killed while it started remains one that starts,
    /// so that its end counts as a failed boot; whatever it still says, it gets nothing more.
    pub(super) fn is_killed(&self) -> bool {
        self.phase == Phase::Dying || self.killed_for.is_some()
    }

    /// Whether it counts towards the number of workers that there should be.
    pub(super) fn is_live(&self) -> bool {
        self.is_up() && self.retirement.is_none() && self.standby_for.is_none()
    }

    /// Whether it has not been told to go.
    fn is_up(&self) -> bool {
        matches!(self.phase, Phase::Starting | Phase::Ready)
    }

    /// Whether it waits for another one's place.
    pub(super) fn is_standby(&self) -> bool {
        self.is_up() && self.retirement.is_none() && self.standby_for.is_some()
    }

    /// Whether it runs calls, or will unless it dies.
    pub(super) fn can_serve(&self) -> bool {
        self.is_up() && self.retirement != Some(Retirement::Now) && self.standby_for.is_none()
    }

    /// Whether it has anything in flight.
    pub(super) fn is_busy(&self) -> bool {
        !self.chunks.is_empty()
    }

    /// Whether it could begin a call at once, and has none.
    pub(super) fn is_idle(&self) -> bool {
        self.phase == Phase::Ready && self.can_serve() && !self.is_busy()
    }

    /// Whether it is idle and another engine could go on with it.
    pub(super) fn is_spare(&self) -> bool {
        self.phase == Phase::Ready && self.is_live() && !self.is_busy()
    }

    /// How many calls it has without a reply.
    pub(super) fn load(&self) -> u32 {
        self.chunks.iter().map(|chunk| chunk.outstanding).sum()
    }

    /// How long what it has yet to finish should take; `None` if that is not known of all of it.
    pub(super) fn ahead(&self) -> Option<Duration> {
        self.chunks.iter().try_fold(Duration::ZERO, |sum, chunk| Some(sum + chunk.expected()?))
    }

    /// How many bytes of arguments and results its calls in flight take up.
    pub(super) fn bytes(&self) -> u64 {
        self.chunks.iter().fold(0, |sum, chunk| sum.saturating_add(chunk.bytes()))
    }

    /// How long those of its calls should take that could be recalled.
    pub(super) fn recallable(&self) -> Duration {
        let may_lose = |chunk: &Chunk| chunk.calls.iter().filter(|call| chunk.may_lose(call)).count() as u32;
        let expected = |chunk: &Chunk| chunk.per_call.unwrap_or_default().saturating_mul(may_lose(chunk));
        self.sent().map(expected).sum()
    }

    /// Whether it may lose calls although it is not stuck in one. Cheap, and not the last word.
    pub(super) fn may_be_leveled(&self) -> bool {
        self.phase == Phase::Ready
            && self.hears_recalls
            && !self.is_asked()
            && self.load() > 1
            && self.sent().next_back().is_some_and(Chunk::is_recallable)
    }

    /// Its calls in flight.
    pub(super) fn calls(&self) -> impl Iterator<Item = &ChunkCall> {
        self.chunks.iter().flat_map(|chunk| &chunk.calls)
    }

    /// Whether it runs a call that was given up and may be the reason to kill it.
    pub(super) fn is_condemned(&self) -> bool {
        let is_abandoned = |call: &ChunkCall| matches!(call.state, CallState::Abandoned { .. });
        self.chunks.iter().filter(|chunk| chunk.is_timed).any(|chunk| chunk.calls.iter().any(is_abandoned))
    }

    /// Whether it has a call whose caller still waits.
    pub(super) fn is_wanted(&self) -> bool {
        self.calls().any(|call| call.state.is_wanted())
    }

    /// Whether this many more calls will be done within `limit`, judging by those that it has replied to.
    pub(super) fn is_near(&self, calls: u64, limit: Duration) -> bool {
        self.done > 0 && self.ran.as_secs_f64() / self.done as f64 * calls as f64 <= limit.as_secs_f64()
    }

    /// Its chunks that were sent.
    fn sent(&self) -> impl DoubleEndedIterator<Item = &Chunk> {
        self.chunks.iter().filter(|chunk| self.deferred != Some(chunk.chunk_id))
    }

    /// Whether it has calls behind another one that could be recalled.
    pub(super) fn is_recallable(&self) -> bool {
        self.phase == Phase::Ready
            && self.hears_recalls
            && !self.is_asked()
            && self.load() > 1
            && self.sent().rev().any(Chunk::is_recallable)
            && self.recall_range().is_some()
    }

    /// Whether it is a lane that still has chunks of which calls were asked back.
    fn is_asked(&self) -> bool {
        let is_of_range =
            |chunk: &Chunk| self.asked_until.is_some_and(|until| !is_reached(chunk.first_seq, until));
        self.chunks.iter().any(is_of_range)
    }

    /// The first range of calls that can be recalled, as the numbers `from` and `until` that the worker is told. It
    /// holds no call that must stay, and all of an earlier range that may still matter.
    pub(super) fn recall_range(&self) -> Option<(u32, u32)> {
        let mut range: Option<(u32, u32)> = None;
        let (mut is_new, mut is_over) = (false, false);
        for chunk in self.sent() {
            for (offset, call) in chunk.calls.iter().enumerate() {
                let seq = chunk.seq(offset);
                let is_recalled = call.state == CallState::Recalled;
                // A range cannot start at 0, which means "none".
                let may_lose = chunk.may_lose(call) && seq != 0;
                if call.state.is_running() {
                    // The worker has passed everything before it.
                    (range, is_new, is_over) = (None, false, false);
                } else if is_recalled && (is_over || is_new) {
                    return None;
                } else if is_recalled || (may_lose && !is_over) {
                    let first = if is_recalled { self.recalled_from.unwrap_or(seq) } else { seq };
                    range = Some((range.map_or(first, |(from, _)| from), seq.wrapping_add(1)));
                    is_new |= may_lose;
                } else if call.state == CallState::Sent {
                    is_over = range.is_some();
                }
            }
        }
        range.filter(|_| is_new)
    }

    /// Panics if an invariant does not hold.
    pub(super) fn check_invariants(&self) {
        self.chunks.iter().for_each(Chunk::check_invariants);
        let has_none = matches!(self.phase, Phase::Stopping { .. }) || self.is_standby();
        debug_assert!(self.chunks.is_empty() || !has_none, "it stops or stands by, and has calls");
        let mut ends = self.chunks.iter().map(|chunk| chunk.seq(chunk.calls.len()));
        let starts = self.chunks.iter().skip(1).map(|chunk| chunk.first_seq).chain([self.next_seq]);
        debug_assert!(
            ends.by_ref().zip(starts).all(|(end, start)| is_reached(start, end)),
            "calls out of order"
        );
        let deferred = self.chunks.iter().position(|chunk| self.deferred == Some(chunk.chunk_id));
        debug_assert!(
            deferred.is_none_or(|at| at + 1 == self.chunks.len()),
            "a chunk overtook a deferred one"
        );
        let is_owed = |call: &&ChunkCall| !matches!(call.state, CallState::Replied | CallState::Recalled);
        debug_assert!(self.given >= self.done + self.calls().filter(is_owed).count() as u64, "calls given");
        debug_assert!(self.failed <= self.done, "more calls failed than were done");
        debug_assert!(self.uncounted <= self.given, "more calls do not count than there were");
    }
}
