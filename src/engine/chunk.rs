//! How many calls one frame carries.
//!
//! A chunk should take about the target duration: long enough that the price of a frame vanishes, short
//! enough that nothing waits for it. The cost per call is learned from replies; until it is known, a chunk
//! is one call. A chunk grows at most eightfold from one reply to the next, so that a few cheap calls at the
//! head of a job do not lead to a huge chunk of dear ones.

use std::time::Duration;

const GROWTH: u32 = 8;
/// Weight of the newest observation, as a divisor.
const SMOOTHING: u32 = 4;

/// What is known of the cost of a job's calls.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Cost {
    per_call: Option<Duration>,
    largest: u32,
}

impl Cost {
    /// `calls` calls ran for `elapsed` in all.
    pub(super) fn observe(&mut self, calls: u32, elapsed: Duration) {
        if calls == 0 {
            return;
        }
        let seen = elapsed / calls;
        self.per_call = Some(match self.per_call {
            // A rise is believed at once: a chunk too long hurts, one too short hardly does.
            Some(known) if seen < known => known - (known - seen) / SMOOTHING,
            _ => seen,
        });
        self.largest = self.largest.max(calls);
    }

    /// How many calls a chunk that may take `budget` holds.
    pub(super) fn calls_in(&self, budget: Duration) -> u32 {
        let Some(per_call) = self.per_call else { return 1 };
        let grown = self.largest.saturating_mul(GROWTH);
        let fitting = budget.as_nanos() / per_call.as_nanos().max(1);
        u32::try_from(fitting).unwrap_or(u32::MAX).clamp(1, grown.max(1))
    }

    /// How long `calls` calls are expected to take; `None` while nothing is known.
    pub(super) fn expected(&self, calls: u32) -> Option<Duration> {
        self.per_call.map(|cost| cost.saturating_mul(calls))
    }
}

/// A worker's fair share of what waits: halves with every round, so that all workers end together.
pub(super) fn share(waiting: u64, workers: usize) -> u32 {
    u32::try_from(waiting.div_ceil(2 * workers.max(1) as u64)).unwrap_or(u32::MAX).max(1)
}
