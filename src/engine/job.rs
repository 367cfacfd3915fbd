//! One job: which of its calls wait, and what is known about them.
//!
//! Must not depend on workers beyond their numbers, or on what callers are told.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::ops::Range;
use std::time::Duration;

use super::chunk_size::{ChunkSizer, Cost, TaskCosts};
use super::keyed::KeyedQueue;
use super::{JobSpec, WorkerId};

/// A call that was first in this many chunks whose workers died before beginning anything is taken for the cause: its
/// arguments may kill whoever decodes them.
pub(super) const MAX_STRIKES: u8 = 5;
/// The same where such a worker did not die by itself, but was killed since it could not be worked with: nothing else
/// kills that worker but what it was sent, and what it then did.
pub(super) const MAX_UNUSABLE_STRIKES: u8 = 2;

#[derive(Debug)]
pub(super) struct Job {
    /// How much running time one call may take.
    pub(super) timeout: Option<Duration>,
    /// The task that its cost is remembered under.
    pub(super) task: Option<u32>,
    /// The requested number of calls per chunk.
    pub(super) chunk_size: Option<u32>,
    /// Whether its calls may be recalled from a worker that has not begun them.
    pub(super) is_movable: bool,
    /// Whether nobody waits for any of its calls alone, and they may be recalled.
    pub(super) is_bulk: bool,
    pub(super) sizer: ChunkSizer,
    /// When it was submitted, for the statistics.
    pub(super) submitted: Duration,
    /// Its place among the jobs that wait: those with less come first.
    pub(super) order: i64,
    /// Whether each of its calls is for the worker of one index.
    pub(super) is_pinned: bool,
    /// Calls that have not settled. Invariant: those that wait, and those in flight that are wanted; above 0, because
    /// the job ends with the last of them.
    pub(super) unsettled: u32,
    stop_key_on_error: bool,
    queue: CallQueue,
    /// `None` unless its calls are to be spread over workers.
    spread: Option<Spread>,
    retries: u32,
    /// Retries used, for the calls that used any.
    retried: HashMap<u32, u32>,
    /// Deaths before anything had begun, for the calls that were first in a chunk.
    strikes: HashMap<u32, u8>,
}

/// Calls that wait.
#[derive(Debug)]
enum CallQueue {
    /// In the order in which they are handed out.
    Plain {
        /// Invariant: disjoint, and none is empty.
        ranges: VecDeque<Range<u32>>,
        /// Invariant: the number of calls in `ranges`.
        waiting: u64,
    },
    Keyed(KeyedQueue),
    /// Each call is for the worker whose index is its number more than this.
    Pinned {
        calls: BTreeSet<u32>,
        first_worker: u32,
    },
}

/// Where the calls of a job that has one for each worker went.
#[derive(Debug)]
struct Spread {
    /// Workers with lower numbers existed, or were on their way, at the submission: they get their first call before
    /// any worker gets a second one.
    bound: WorkerId,
    /// Workers that have had a call.
    given: BTreeSet<WorkerId>,
}

/// Another worker that has nothing to do.
#[derive(Clone, Copy, Debug)]
pub(super) struct FreeWorker {
    pub(super) worker_id: WorkerId,
    pub(super) is_starting: bool,
}

impl Job {
    /// `in_order`: whether its workers run calls one at a time, in the order in which they got them. `has_indices`:
    /// whether they can be told apart.
    pub(super) fn new(spec: JobSpec, in_order: bool, has_indices: bool, now: Duration) -> Job {
        // The calls of a key stay on its worker.
        let is_movable = spec.keys.is_none() && !spec.sent_once && !spec.pinned;
        let queue = match spec.keys {
            Some(keys) => {
                // Only the engine sees that a call has timed out, when its worker may be past it.
                let takes_runs = spec.key_runs && in_order && spec.timeout.is_none();
                CallQueue::Keyed(KeyedQueue::new(keys, takes_runs))
            }
            None if spec.pinned && has_indices => {
                CallQueue::Pinned { calls: (0..spec.calls).collect(), first_worker: spec.first_worker }
            }
            None => CallQueue::Plain {
                ranges: std::iter::once(0..spec.calls).collect(),
                waiting: spec.calls.into(),
            },
        };
        Job {
            timeout: spec.timeout,
            task: spec.task,
            chunk_size: spec.chunk_size,
            is_movable,
            // What waits behind a call that takes long has to be recalled.
            is_bulk: spec.bulk && is_movable,
            sizer: ChunkSizer::new(),
            submitted: now,
            order: 0,
            is_pinned: spec.pinned,
            unsettled: spec.calls,
            stop_key_on_error: spec.stop_key_on_error,
            queue,
            spread: spec.spread.then(|| Spread { bound: WorkerId(0), given: BTreeSet::new() }),
            retries: spec.retries,
            retried: HashMap::new(),
            strikes: HashMap::new(),
        }
    }

    /// What is known about the cost of its calls.
    pub(super) fn cost(&self, costs: &TaskCosts) -> Cost {
        let cost = costs.cost_of(self.task, &self.sizer);
        if self.is_bulk { cost.on_average() } else { cost }
    }

    /// How long a chunk of its calls may take: more than `target`, but no more than `most`, where nobody is in a hurry
    /// for single answers, and they may be recalled from behind one that takes long.
    pub(super) fn chunk_limit(
        &self,
        costs: &TaskCosts,
        workers: usize,
        target: Duration,
        most: Duration,
    ) -> Duration {
        let cost = self.cost(costs);
        let is_backlog = || self.is_movable && cost.is_backlog(self.waiting(), workers, most);
        if self.is_bulk || is_backlog() { cost.patient_limit(target, most) } else { target }
    }

    /// How many calls wait.
    pub(super) fn waiting(&self) -> u64 {
        match &self.queue {
            CallQueue::Plain { waiting, .. } => *waiting,
            CallQueue::Keyed(keyed) => keyed.len(),
            CallQueue::Pinned { calls, .. } => calls.len() as u64,
        }
    }

    /// Whether it does not matter to its calls where the others are.
    pub(super) fn may_go_together(&self) -> bool {
        self.spread.is_none() && !self.is_pinned && self.chunk_size.is_none() && self.timeout.is_none()
    }

    /// Says which workers existed, or were on their way, at the submission: those below this number.
    pub(super) fn spread_over(&mut self, next_worker: WorkerId) {
        if let Some(spread) = &mut self.spread {
            spread.bound = next_worker;
        }
    }

    /// Whether its calls are to be spread over workers.
    pub(super) fn is_spread(&self) -> bool {
        self.spread.is_some()
    }

    /// Whether this worker, which is starting, is to have its call ahead.
    pub(super) fn goes_ahead_to(&self, worker_id: WorkerId) -> bool {
        self.spread.as_ref().is_some_and(|spread| worker_id < spread.bound)
    }

    /// Takes up to `max_calls` consecutive calls that this worker may run, or up to `max_run` where they have one key.
    /// `index`: this worker's; `free`: the other workers without work.
    pub(super) fn take(
        &mut self,
        worker_id: WorkerId,
        index: Option<u32>,
        max_calls: u32,
        max_run: u32,
        free: &[FreeWorker],
    ) -> Option<Range<u32>> {
        let is_spread = self.spread.is_some();
        let max_calls = match &mut self.spread {
            Some(spread) => spread.allowance(worker_id, max_calls, free)?,
            None => max_calls,
        };
        match &mut self.queue {
            CallQueue::Plain { ranges, waiting } => {
                let first = ranges.front_mut()?;
                let taken = first.start..first.end.min(first.start.saturating_add(max_calls));
                first.start = taken.end;
                if first.start == first.end {
                    ranges.pop_front();
                }
                *waiting -= taken.len() as u64;
                Some(taken)
            }
            CallQueue::Keyed(keyed) => {
                keyed.take(worker_id, max_run.min(if is_spread { max_calls } else { u32::MAX }))
            }
            CallQueue::Pinned { calls, first_worker } => {
                let call = index.and_then(|index| index.checked_sub(*first_worker));
                call.filter(|call| calls.remove(call)).map(|call| call..call + 1)
            }
        }
    }

    /// Puts a call back to the head of the queue. Several are put back last first. False if the call is not to run any
    /// more, because one before it has failed: then it has yet to be settled.
    pub(super) fn put_back(&mut self, call: u32) -> bool {
        match &mut self.queue {
            CallQueue::Plain { ranges, waiting } => {
                match ranges.front_mut() {
                    Some(first) if first.start == call + 1 => first.start = call,
                    _ => ranges.push_front(call..call + 1),
                }
                *waiting += 1;
                true
            }
            CallQueue::Keyed(keyed) => keyed.put_back(call),
            CallQueue::Pinned { calls, .. } => calls.insert(call),
        }
    }

    /// Whether this call, which is in flight, is not to run because one before it has failed.
    pub(super) fn is_stopped(&self, call: u32) -> bool {
        matches!(&self.queue, CallQueue::Keyed(keyed) if keyed.is_stopped(call))
    }

    /// Calls in flight have settled. Returns the waiting calls that settle with them, as skipped.
    pub(super) fn settled(&mut self, calls: Range<u32>, failed: bool) -> Vec<u32> {
        match &mut self.queue {
            CallQueue::Plain { .. } | CallQueue::Pinned { .. } => Vec::new(),
            CallQueue::Keyed(keyed) => {
                calls.flat_map(|call| keyed.settled(call, failed && self.stop_key_on_error)).collect()
            }
        }
    }

    /// A worker takes no more calls.
    pub(super) fn release_home(&mut self, worker_id: WorkerId) {
        if let CallQueue::Keyed(keyed) = &mut self.queue {
            keyed.release_home(worker_id);
        }
    }

    /// Takes the waiting calls from this one on, as ranges.
    pub(super) fn drain_from(&mut self, from: u32) -> Vec<Range<u32>> {
        match &mut self.queue {
            CallQueue::Plain { ranges, waiting } => {
                let all = std::mem::take(ranges);
                let mut taken = Vec::new();
                for range in all {
                    let middle = from.clamp(range.start, range.end);
                    if range.start < middle {
                        ranges.push_back(range.start..middle);
                    }
                    if middle < range.end {
                        *waiting -= u64::from(range.end - middle);
                        taken.push(middle..range.end);
                    }
                }
                taken
            }
            CallQueue::Keyed(keyed) => {
                keyed.drain_from(from).into_iter().map(|call| call..call + 1).collect()
            }
            CallQueue::Pinned { calls, .. } => {
                calls.split_off(&from).into_iter().map(|call| call..call + 1).collect()
            }
        }
    }

    /// How often this call was begun before, and its worker died.
    pub(super) fn retries_used(&self, call: u32) -> u32 {
        self.retried.get(&call).copied().unwrap_or(0)
    }

    /// No call of it is run again from now on.
    pub(super) fn forbid_retries(&mut self) {
        self.retries = 0;
    }

    /// Uses one retry of this call; whether there was one left.
    pub(super) fn use_retry(&mut self, call: u32) -> bool {
        if self.retries == 0 {
            return false;
        }
        let used = self.retried.entry(call).or_insert(0);
        *used += 1;
        *used <= self.retries
    }

    /// Counts a death before anything had begun; whether this call, after so many, must be taken for the cause.
    pub(super) fn strike(&mut self, call: u32, max_strikes: u8) -> bool {
        let strikes = self.strikes.entry(call).or_insert(0);
        *strikes = strikes.saturating_add(1);
        *strikes >= max_strikes
    }

    /// Panics if an invariant does not hold; `in_flight` has its calls that are in flight and wanted.
    pub(super) fn check_invariants(&self, in_flight: &[u32]) {
        self.sizer.check_invariants();
        debug_assert!(self.unsettled > 0, "a job without calls was kept");
        let unsettled = self.waiting() + in_flight.len() as u64;
        debug_assert_eq!(u64::from(self.unsettled), unsettled, "calls that wait or are in flight");
        match &self.queue {
            CallQueue::Plain { ranges, waiting } => {
                let count: u64 = ranges.iter().map(|range| range.len() as u64).sum();
                debug_assert_eq!(*waiting, count, "the count of waiting calls is wrong");
                debug_assert!(ranges.iter().all(|range| !range.is_empty()), "an empty range was kept");
                let mut all: Vec<Range<u32>> = ranges.iter().cloned().collect();
                all.extend(in_flight.iter().map(|&call| call..call + 1));
                all.sort_unstable_by_key(|range| range.start);
                let disjoint = all.windows(2).all(|pair| pair[0].end <= pair[1].start);
                debug_assert!(disjoint, "a call waits twice, or waits and is in flight");
            }
            CallQueue::Keyed(keyed) => keyed.check_invariants(in_flight),
            CallQueue::Pinned { calls, .. } => {
                let is_twice = in_flight.iter().any(|call| calls.contains(call));
                debug_assert!(!is_twice, "a call waits, and is in flight");
            }
        }
    }
}

impl Spread {
    /// How many calls this worker may take; `None` if others come first.
    fn allowance(&mut self, worker_id: WorkerId, max_calls: u32, free: &[FreeWorker]) -> Option<u32> {
        if self.given.insert(worker_id) {
            return Some(max_calls.min(1));
        }
        let comes_first = |other: &FreeWorker| {
            !self.given.contains(&other.worker_id) && (!other.is_starting || other.worker_id < self.bound)
        };
        if free.iter().any(comes_first) { None } else { Some(max_calls) }
    }
}
