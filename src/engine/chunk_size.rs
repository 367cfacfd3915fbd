//! How many calls one chunk carries.
//!
//! A chunk should take about the target duration: long enough for the cost of a message to vanish, short enough that
//! nothing waits for it. The cost per call is learned from replies and kept per task; until it is known, a chunk is one
//! call. Within a job a chunk is at most [`MAX_GROWTH`] times as large as one that has come back, or
//! [`MAX_FIRST_CHUNK`] calls, because the next values may cost more than what is known of their task. (Calls behind one
//! that turns out to be long are recalled.) Nor does it grow beyond what fitted into a frame.
//!
//! Where nobody is in a hurry for single answers, a chunk of a few dear calls may take longer. That saves messages, but
//! for cheap calls these cost next to nothing, and longer chunks of them would fill more memory.
//!
//! Must not depend on workers, or on which calls there are.

use std::collections::BTreeMap;
use std::time::Duration;

/// How many times as large a chunk may be as the largest that has come back.
const MAX_GROWTH: u32 = 8;
/// Most calls in the first chunks of a job whose task has a known cost. With fewer, workers of cheap calls are left
/// waiting (15 % fewer calls per second).
const MAX_FIRST_CHUNK: u32 = 1024;
/// Less work than this is not worth splitting: a message costs its worker and its sender some 10 microseconds each, and
/// on a virtual machine it takes 50 until a second worker is awake.
pub(super) const MIN_WORK: Duration = Duration::from_micros(150);
/// A list whose part for each worker takes no longer than this is handed out in one chunk per worker: more chunks would
/// cost as much as they even out.
const SMALL_PART: Duration = Duration::from_micros(500);
/// The weight of the newest observation, as a divisor, where it is less than what is known.
const SMOOTHING: u32 = 4;
/// The same in the mean.
const SMOOTHING_OF_MEAN: u32 = 8;
/// What a call costs a worker besides its function, which is all that is measured.
const OVERHEAD: Duration = Duration::from_nanos(500);
/// What a byte of a result costs: it is written, carried and read.
const PER_BYTE: Duration = Duration::from_nanos(1);
/// More calls than this take longer than [`MIN_WORK`], whatever they do.
pub(super) const MAX_SCANTY: u64 = (MIN_WORK.as_nanos() / OVERHEAD.as_nanos()) as u64;
/// With more calls than this a chunk takes no longer than the target, even if nobody is in a hurry.
const MAX_DEAR: u32 = 64;
/// Whoever has so many times as much waiting for each worker is in no hurry.
const BACKLOG: u32 = 20;
/// How many tasks are remembered; there are seldom more than a few.
const MAX_TASKS: usize = 1024;

/// What is known about the cost of a call; no time while nothing is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Cost {
    /// With caution: a rise is believed at once.
    time: Option<Duration>,
    /// On average, where calls differ. No more than `time`.
    mean: Duration,
    /// Bytes of a result.
    bytes: u64,
}

impl Cost {
    /// A call took this long, and had a result of this many bytes.
    fn observe(&mut self, took: Duration, bytes: u64) {
        let took = took + PER_BYTE.saturating_mul(u32::try_from(bytes).unwrap_or(u32::MAX));
        let Some(known) = self.time else {
            (self.time, self.mean, self.bytes) = (Some(took), took, bytes);
            return;
        };
        // A chunk that is too long hurts, one that is too short hardly does.
        let time = if took < known { known - (known - took) / SMOOTHING } else { took };
        let mean = match took.checked_sub(self.mean) {
            Some(above) => self.mean + above / SMOOTHING_OF_MEAN,
            None => self.mean - (self.mean - took) / SMOOTHING_OF_MEAN,
        };
        self.time = Some(time);
        self.mean = mean.min(time);
        self.bytes = bytes.max(self.bytes - self.bytes / u64::from(SMOOTHING));
    }

    /// How long this many calls are expected to take; `None` while nothing is known.
    pub(super) fn expected(self, calls: u32) -> Option<Duration> {
        self.time.map(|time| (time + OVERHEAD).saturating_mul(calls))
    }

    /// How many bytes the result of a call may be expected to have.
    pub(super) fn result_bytes(self) -> u64 {
        self.bytes
    }

    /// What is known without caution: what calls take on average. Where nobody waits for one alone, it does little harm
    /// if one of several takes long, since those behind it are recalled.
    pub(super) fn on_average(self) -> Cost {
        Cost { time: self.time.map(|_| self.mean), ..self }
    }

    /// How long a chunk may take if nobody is in a hurry for single answers: more than `target` if it has few calls all
    /// the same, but no more than `most`.
    pub(super) fn patient_limit(self, target: Duration, most: Duration) -> Duration {
        self.expected(MAX_DEAR).unwrap_or_default().min(most).max(target)
    }

    /// Whether so many calls, shared among so many workers, take so long that to wait for a single one of them for so
    /// much longer makes no difference.
    pub(super) fn is_backlog(self, waiting: u64, workers: usize, longer: Duration) -> bool {
        let for_each = u32::try_from(waiting / workers.max(1) as u64).unwrap_or(u32::MAX);
        self.expected(for_each).is_some_and(|expected| expected >= longer * BACKLOG)
    }

    /// How many calls fit into `budget`; 1 while nothing is known.
    pub(super) fn calls_in(self, budget: Duration) -> u32 {
        let Some(per_call) = self.expected(1) else { return 1 };
        u32::try_from(budget.as_nanos() / per_call.as_nanos()).unwrap_or(u32::MAX)
    }
}

/// What is known about the cost of each task.
///
/// Invariant: holds at most [`MAX_TASKS`] tasks.
#[derive(Debug, Default)]
pub(super) struct TaskCosts(BTreeMap<u32, Cost>);

impl TaskCosts {
    /// The cost of a job's calls: that of its task, or its own if it has none.
    pub(super) fn cost_of(&self, task: Option<u32>, sizer: &ChunkSizer) -> Cost {
        task.map_or(sizer.cost, |task| self.0.get(&task).copied().unwrap_or_default())
    }

    /// What is known of a task.
    pub(super) fn of(&self, task: u32) -> Cost {
        self.0.get(&task).copied().unwrap_or_default()
    }

    /// Calls of a job took this long each, and had results of this many bytes each.
    pub(super) fn observe(&mut self, task: Option<u32>, sizer: &mut ChunkSizer, took: Duration, bytes: u64) {
        match task {
            Some(task) => self.0.entry(task).or_default().observe(took, bytes),
            None => sizer.cost.observe(took, bytes),
        }
        if self.0.len() > MAX_TASKS {
            // The oldest task has the lowest number.
            self.0.pop_first();
        }
    }

    /// Panics if an invariant does not hold.
    pub(super) fn check_invariants(&self) {
        debug_assert!(self.0.len() <= MAX_TASKS, "too many tasks are remembered");
    }
}

/// How large the chunks of one job may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct ChunkSizer {
    /// Only used for a job without a task.
    cost: Cost,
    /// Calls in the largest chunk that has come back whole; 0 before the first.
    largest: u32,
    /// How many calls fit into a frame. Invariant: at least 1.
    fitting: u32,
}

impl ChunkSizer {
    pub(super) fn new() -> ChunkSizer {
        ChunkSizer { cost: Cost::default(), largest: 0, fitting: u32::MAX }
    }

    /// How many calls go into a chunk that may take `budget`; at least 1.
    pub(super) fn calls_in(&self, cost: Cost, budget: Duration) -> u32 {
        let max_calls = self.largest.saturating_mul(MAX_GROWTH).max(MAX_FIRST_CHUNK);
        cost.calls_in(budget).min(max_calls).min(self.fitting).max(1)
    }

    /// A chunk of this many calls has come back whole.
    pub(super) fn came_back(&mut self, calls: u32) {
        self.largest = self.largest.max(calls);
    }

    /// This many calls went into a frame: all that were meant for it or, with `cut`, as many as fitted.
    pub(super) fn filled(&mut self, calls: u32, cut: bool) {
        if cut {
            self.fitting = calls.max(1);
        } else if calls >= self.fitting {
            self.fitting = self.fitting.saturating_mul(2);
        }
    }

    /// Panics if an invariant does not hold.
    pub(super) fn check_invariants(&self) {
        debug_assert!(self.fitting > 0, "no call fits into a frame");
    }
}

/// Whom the calls that wait are shared among.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sharers {
    /// All that can serve; at least 1.
    pub(super) workers: usize,
    /// Those among them that have nothing to do and have not been given a share yet.
    pub(super) idle: usize,
    /// Whether nobody had anything to do when sharing began.
    pub(super) are_fresh: bool,
}

/// A worker's fair share of the calls that wait. It halves with every round, so that all workers finish together, but
/// is no less than what is worth a message at this cost per call, which is `min_work` at least, as long as there is
/// that much for each that is idle. Calls that would be left for a message not worth it go along.
pub(super) fn fair_share(waiting: u64, sharers: Sharers, cost: Cost, min_work: Duration) -> u32 {
    let Sharers { workers, idle, are_fresh } = sharers;
    let for_each_idle = waiting.div_ceil(idle.max(1) as u64);
    let small_part = u64::from(cost.calls_in(SMALL_PART));
    let min_calls = u64::from(cost.calls_in(min_work.max(MIN_WORK)));
    let share = match are_fresh && idle > 0 && for_each_idle <= small_part {
        true => for_each_idle,
        false => waiting.div_ceil(2 * workers.max(1) as u64).max(min_calls.min(for_each_idle)),
    };
    let left = waiting.saturating_sub(share);
    let share = if idle <= 1 && left < min_calls / 2 { waiting } else { share };
    u32::try_from(share).unwrap_or(u32::MAX).max(1)
}
