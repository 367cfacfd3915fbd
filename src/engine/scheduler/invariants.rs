//! What holds between two events, checked after each of them in debug builds.
//!
//! Must not depend on what has happened: it looks only at what is.

use std::collections::BTreeMap;
use std::time::Duration;

use super::super::worker::{Phase, Worker};
use super::super::{JobId, WorkerId};
use super::{Engine, Mode};

impl Engine {
    /// Panics if an invariant does not hold. Takes time for every call in flight and every job; nothing in release
    /// builds.
    pub(super) fn check_invariants(&self) {
        if cfg!(debug_assertions) {
            self.check_calls();
            self.check_workers();
            self.check_mode();
        }
    }

    /// Every accepted call that has not settled either waits or is in flight, once.
    fn check_calls(&self) {
        let mut in_flight: BTreeMap<JobId, Vec<u32>> = BTreeMap::new();
        for call in self.workers.values().flat_map(Worker::calls).filter(|call| call.state.is_wanted()) {
            in_flight.entry(call.job).or_default().push(call.index);
        }
        let waiting: u64 = self.jobs.values().map(|job| job.waiting()).sum();
        let running: usize = in_flight.values().map(Vec::len).sum();
        debug_assert_eq!(self.counters.waiting(), waiting, "calls that wait");
        debug_assert_eq!(self.counters.running(), running as u64, "calls in flight");
        debug_assert!(self.counters.failed() <= self.counters.done(), "more calls failed than were done");
        debug_assert!(in_flight.keys().all(|job_id| self.jobs.contains_key(job_id)), "a job ended too early");
        for (job_id, job) in &self.jobs {
            job.check_invariants(in_flight.get(job_id).map_or(&[], Vec::as_slice));
            let is_queued = self.queue.contains(&(job.order, *job_id));
            debug_assert_eq!(is_queued, job.waiting() > 0, "{job_id:?} in the queue");
            debug_assert!(job_id.0 < self.next_job, "{job_id:?} has a number to come");
        }
        debug_assert!(
            self.queue.iter().all(|(_, job_id)| self.jobs.contains_key(job_id)),
            "a job that ended is queued"
        );
        let is_in_flight =
            |(job, call): &(JobId, u32)| in_flight.get(job).is_some_and(|calls| calls.contains(call));
        debug_assert!(self.paused.iter().all(is_in_flight), "a call is paused that nobody runs");
        self.costs.check_invariants();
    }

    fn check_workers(&self) {
        self.workers.check_invariants();
        self.workers.values().for_each(Worker::check_invariants);
        let is_known = |worker_id: &WorkerId| worker_id.0 < self.next_worker;
        debug_assert!(self.workers.keys().all(is_known), "a worker has a number to come");
        let is_shared = self.config.lease.is_some();
        debug_assert!(is_shared || self.live() <= self.config.workers, "more workers than there may be");
        let mut indices: Vec<u32> = self.workers.values().filter_map(|worker| worker.index).collect();
        indices.sort_unstable();
        debug_assert!(indices.windows(2).all(|pair| pair[0] < pair[1]), "two workers of one index");
        debug_assert!(
            indices.last().is_none_or(|&last| (last as usize) < self.config.workers),
            "an index too high"
        );
        let waits = |worker: &Worker| self.waits_for_index(worker) && worker.phase == Phase::Starting;
        debug_assert!(
            self.lacks_index || !self.workers.values().any(waits),
            "a worker waits for its index forever"
        );
        let has_loaded = |worker: &Worker| worker.phase == Phase::Ready || worker.is_busy();
        let may_load = |worker: &Worker| !self.waits_for_index(worker) || !has_loaded(worker);
        debug_assert!(self.workers.values().all(may_load), "a worker has loaded user code without an index");
        let is_preempted = self.workers.values().any(|worker| worker.is_preempted);
        debug_assert!(self.has_preempted || !is_preempted, "a preempted worker is not known to be");
        debug_assert!(
            self.backoff <= Duration::ZERO || self.failed_boots > 0,
            "a back-off without a failure"
        );
    }

    fn check_mode(&self) {
        let is_open = self.mode == Mode::Open;
        debug_assert!(self.mode != Mode::Terminated || self.jobs.is_empty(), "terminated, and jobs are left");
        debug_assert!(is_open || !self.ready_awaited, "nobody can become ready any more");
        debug_assert!(!self.closed_told || (!is_open && self.jobs.is_empty()), "closed was told too early");
    }
}
