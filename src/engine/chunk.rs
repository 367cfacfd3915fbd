//! How many calls one frame carries.
//!
//! A chunk should take about the target duration: long enough that the price of a frame vanishes, short
//! enough that nothing waits for it. The cost per call is learned from replies, and kept per task; until it
//! is known, a chunk is one call. Within a job, a chunk is at most eight times as large as one that has come back, or
//! [`FIRST`] calls: the next list may be dearer than what is known of its task. (What turns out to be long is taken back
//! from those behind whom it waits.) And it grows no larger than what fitted into a frame.

use std::collections::BTreeMap;
use std::time::Duration;

const GROWTH: u32 = 8;
/// Calls of the first chunks of a job at most, where the cost of its task is known. Fewer leave workers of cheap calls
/// waiting (15 % of calls per second).
const FIRST: u32 = 1024;
/// Work that is not worth being split up for: a frame costs its worker and its sender some 10 microseconds each.
const LEAST: Duration = Duration::from_micros(150);
/// Weight of the newest observation, as a divisor.
const SMOOTHING: u32 = 4;
/// What a call costs a worker beside its function, which is all that is measured.
const OVERHEAD: Duration = Duration::from_nanos(500);
/// What a byte of an answer costs: it is written, carried and read.
const PER_BYTE: Duration = Duration::from_nanos(1);
/// Tasks that are remembered; there are seldom more than a few.
const MAX_TASKS: usize = 1024;

/// What is known of the cost of some calls.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Cost(Option<Duration>);

impl Cost {
    /// A call took this long.
    fn observe(&mut self, seen: Duration) {
        self.0 = Some(match self.0 {
            // A rise is believed at once: a chunk too long hurts, one too short hardly does.
            Some(known) if seen < known => known - (known - seen) / SMOOTHING,
            _ => seen,
        });
    }

    /// How long `calls` calls are expected to take; `None` while nothing is known.
    pub(super) fn expected(self, calls: u32) -> Option<Duration> {
        self.0.map(|cost| (cost + OVERHEAD).saturating_mul(calls))
    }

    /// How many calls fit into `budget`.
    fn calls_in(self, budget: Duration) -> u32 {
        let Some(per_call) = self.expected(1) else { return 1 };
        u32::try_from(budget.as_nanos() / per_call.as_nanos()).unwrap_or(u32::MAX)
    }
}

/// What is known of the cost of each task.
#[derive(Debug, Default)]
pub(super) struct Costs(BTreeMap<u32, Cost>);

impl Costs {
    /// What is known of a job's calls: that of its task, or its own where it has none.
    pub(super) fn of(&self, task: Option<u32>, pace: &Pace) -> Cost {
        task.map_or(pace.cost, |task| self.0.get(&task).copied().unwrap_or_default())
    }

    /// How many calls of a task fit into `budget`.
    pub(super) fn calls_in(&self, task: u32, budget: Duration) -> u32 {
        self.0.get(&task).map_or(1, |cost| cost.calls_in(budget).max(1))
    }

    /// Calls of a job took this long each, and had answers of so many bytes.
    pub(super) fn observe(&mut self, task: Option<u32>, pace: &mut Pace, took: Duration, bytes: u64) {
        let seen = took + PER_BYTE.saturating_mul(u32::try_from(bytes).unwrap_or(u32::MAX));
        match task {
            Some(task) => self.0.entry(task).or_default().observe(seen),
            None => pace.cost.observe(seen),
        }
        if self.0.len() > MAX_TASKS {
            // The oldest has the lowest number.
            self.0.pop_first();
        }
    }
}

/// How the chunks of one job have grown.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// For a job without a task.
    cost: Cost,
    /// Calls of the largest chunk that has come back whole.
    largest: u32,
    /// Calls that fit into a frame.
    fitting: u32,
}

impl Pace {
    pub(super) fn new() -> Pace {
        Pace { cost: Cost::default(), largest: 0, fitting: u32::MAX }
    }

    /// How many calls a chunk that may take `budget` holds.
    pub(super) fn calls_in(&self, cost: Cost, budget: Duration) -> u32 {
        let most = self.largest.saturating_mul(GROWTH).max(FIRST);
        cost.calls_in(budget).min(most).min(self.fitting).max(1)
    }

    /// A chunk of so many calls has come back.
    pub(super) fn grow(&mut self, calls: u32) {
        self.largest = self.largest.max(calls);
    }

    /// So many calls went into a frame, all that there were for it or, with `cut`, as many as fitted.
    pub(super) fn sent(&mut self, calls: u32, cut: bool) {
        if cut {
            self.fitting = calls.max(1);
        } else if calls >= self.fitting {
            self.fitting = self.fitting.saturating_mul(2);
        }
    }
}

/// A worker's fair share of what waits: halves with every round, so that all workers end together. But no less than is
/// worth a frame at this cost per call, as long as there is as much for each.
pub(super) fn share(waiting: u64, workers: usize, cost: Cost) -> u32 {
    let workers = workers.max(1) as u64;
    let least = u64::from(cost.calls_in(LEAST)).min(waiting.div_ceil(workers));
    u32::try_from(waiting.div_ceil(2 * workers).max(least)).unwrap_or(u32::MAX).max(1)
}
