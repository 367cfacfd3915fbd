//! One job: which of its calls wait, and what is known about them.

use std::collections::{HashMap, VecDeque};
use std::ops::Range;
use std::time::Duration;

use super::chunk::Pace;
use super::keyed::Keyed;
use super::{JobSpec, WorkerId};

/// A call at the head of so many chunks whose worker died before beginning anything is held to be the
/// cause: its arguments may kill whoever decodes them.
const MAX_STRIKES: u8 = 5;

#[derive(Debug)]
pub(super) struct Job {
    pub(super) timeout: Option<Duration>,
    pub(super) stop_key_on_error: bool,
    pub(super) task: Option<u32>,
    pub(super) chunk: Option<u32>,
    /// Whether its calls may be taken back from a worker that has not begun them.
    pub(super) is_movable: bool,
    pub(super) pace: Pace,
    /// When it was submitted, for the statistics.
    pub(super) submitted: Duration,
    /// Calls whose outcome has not been told. The job ends with the last of them.
    pub(super) unsettled: u32,
    waiting: Waiting,
    /// Workers numbered below this are waited for before one gets a second call; and those that had one.
    spread: Option<(WorkerId, Vec<WorkerId>)>,
    retries: u32,
    /// Retries used, for the calls that used any.
    retried: HashMap<u32, u32>,
    strikes: HashMap<u32, u8>,
}

#[derive(Debug)]
enum Waiting {
    /// Disjoint, in the order in which they are handed out, and how many calls they hold.
    Plain(VecDeque<Range<u32>>, u64),
    Keyed(Keyed),
}

impl Job {
    pub(super) fn new(spec: JobSpec, now: Duration) -> Job {
        // Calls of a key stay on its worker.
        let is_movable = spec.keys.is_none() && !spec.sent_once;
        let waiting = match spec.keys {
            Some(keys) => Waiting::Keyed(Keyed::new(keys)),
            None => Waiting::Plain(std::iter::once(0..spec.calls).collect(), spec.calls.into()),
        };
        Job {
            timeout: spec.timeout,
            stop_key_on_error: spec.stop_key_on_error,
            task: spec.task,
            chunk: spec.chunk,
            is_movable,
            pace: Pace::new(),
            submitted: now,
            unsettled: spec.calls,
            waiting,
            spread: spec.spread.then(|| (WorkerId(0), Vec::new())),
            retries: spec.retries,
            retried: HashMap::new(),
            strikes: HashMap::new(),
        }
    }

    /// How many calls wait.
    pub(super) fn waiting(&self) -> u64 {
        match &self.waiting {
            Waiting::Plain(_, count) => *count,
            Waiting::Keyed(keyed) => keyed.len(),
        }
    }

    /// Says which workers were there, or on their way, at the submission: those below this number.
    pub(super) fn spread_over(&mut self, next_worker: WorkerId) {
        if let Some((bound, _)) = &mut self.spread {
            *bound = next_worker;
        }
    }

    /// Whether this worker, which is starting, is to have its call ahead.
    pub(super) fn goes_ahead_to(&self, worker: WorkerId) -> bool {
        self.spread.as_ref().is_some_and(|(bound, _)| worker < *bound)
    }

    /// Takes consecutive calls that this worker may run, `most` at the most. `free`: the others that have
    /// nothing to do, and whether they are still starting.
    pub(super) fn take(
        &mut self,
        worker: WorkerId,
        most: u32,
        free: &[(WorkerId, bool)],
    ) -> Option<Range<u32>> {
        let mut most = most;
        if let Some((bound, given)) = &mut self.spread {
            if !given.contains(&worker) {
                given.push(worker);
                most = most.min(1);
            } else if free
                .iter()
                .any(|(other, starting)| !given.contains(other) && (!starting || other < bound))
            {
                return None;
            }
        }
        match &mut self.waiting {
            Waiting::Plain(ranges, count) => {
                let first = ranges.front_mut()?;
                let taken = first.start..first.end.min(first.start.saturating_add(most));
                first.start = taken.end;
                if first.start == first.end {
                    ranges.pop_front();
                }
                *count -= taken.len() as u64;
                Some(taken)
            }
            Waiting::Keyed(keyed) => keyed.take(worker).map(|call| call..call + 1),
        }
    }

    /// Puts a call back to the head. Several go back last first.
    pub(super) fn put_back(&mut self, call: u32) {
        match &mut self.waiting {
            Waiting::Plain(ranges, count) => {
                match ranges.front_mut() {
                    Some(first) if first.start == call + 1 => first.start = call,
                    _ => ranges.push_front(call..call + 1),
                }
                *count += 1;
            }
            Waiting::Keyed(keyed) => keyed.put_back(call),
        }
    }

    /// Calls in flight have settled. Returns the waiting calls that settle with them, as skipped.
    pub(super) fn settled(&mut self, calls: Range<u32>, failed: bool) -> Vec<u32> {
        match &mut self.waiting {
            Waiting::Plain(..) => Vec::new(),
            Waiting::Keyed(keyed) => {
                calls.flat_map(|call| keyed.settled(call, failed && self.stop_key_on_error)).collect()
            }
        }
    }

    /// A worker takes no more calls.
    pub(super) fn release_home(&mut self, worker: WorkerId) {
        if let Waiting::Keyed(keyed) = &mut self.waiting {
            keyed.release_home(worker);
        }
    }

    /// Takes what waits from this call on, as ranges.
    pub(super) fn drain_from(&mut self, from: u32) -> Vec<Range<u32>> {
        match &mut self.waiting {
            Waiting::Plain(ranges, count) => {
                let all = std::mem::take(ranges);
                let mut taken = Vec::new();
                for range in all {
                    let middle = from.clamp(range.start, range.end);
                    if range.start < middle {
                        ranges.push_back(range.start..middle);
                    }
                    if middle < range.end {
                        *count -= u64::from(range.end - middle);
                        taken.push(middle..range.end);
                    }
                }
                taken
            }
            Waiting::Keyed(keyed) => keyed.drain_from(from).into_iter().map(|call| call..call + 1).collect(),
        }
    }

    /// Uses one retry of this call, where there is one left.
    pub(super) fn use_retry(&mut self, call: u32) -> bool {
        if self.retries == 0 {
            return false;
        }
        let used = self.retried.entry(call).or_insert(0);
        *used += 1;
        *used <= self.retries
    }

    /// Counts a death before anything had begun; whether this call must be held to be the cause.
    pub(super) fn strike(&mut self, call: u32) -> bool {
        let strikes = self.strikes.entry(call).or_insert(0);
        *strikes += 1;
        *strikes >= MAX_STRIKES
    }
}
