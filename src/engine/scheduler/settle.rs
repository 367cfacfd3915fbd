//! Telling callers what became of their calls, each once, and keeping count of it.
//!
//! It does not ask why.

use std::ops::Range;
use std::time::Duration;

use super::super::worker::CallState;
use super::super::{Action, JobId, Outcome};
use super::Engine;

impl Engine {
    /// Settles everything that is not.
    pub(super) fn settle_everything(&mut self, outcome: Outcome) {
        let jobs: Vec<JobId> = self.jobs.keys().copied().collect();
        for job in jobs {
            self.settle_waiting(job, 0, outcome);
        }
        let mut hits = Vec::new();
        for worker in self.workers.values_mut() {
            for call in worker.flights.iter_mut().flat_map(|flight| &mut flight.calls) {
                if call.state.is_wanted() {
                    call.state = CallState::Abandoned { since: Duration::ZERO };
                    hits.push((call.job, call.index));
                }
            }
        }
        hits.sort_unstable();
        for (job, call) in hits {
            self.settle_in_flight(job, call, outcome);
        }
    }

    /// Settles the calls of a job that wait, from this one on.
    pub(super) fn settle_waiting(&mut self, id: JobId, from: u32, outcome: Outcome) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        for calls in job.drain_from(from) {
            let count = calls.len() as u64;
            self.waiting -= count;
            self.done += count;
            self.failed += count;
            job.unsettled -= count as u32;
            self.actions.push_back(Action::Settle { job: id, calls, outcome });
        }
        if job.waiting() == 0 {
            self.queue.remove(&id);
        }
        if job.unsettled == 0 {
            self.jobs.remove(&id);
        }
    }

    /// Settles a call whose flight goes on without it.
    pub(super) fn settle_in_flight(&mut self, job: JobId, call: u32, outcome: Outcome) {
        self.running -= 1;
        self.settle_ended(job, call, outcome);
    }

    /// Settles a call that is neither waiting nor in flight any more.
    pub(super) fn settle_ended(&mut self, job: JobId, call: u32, outcome: Outcome) {
        self.push_settle(job, call..call + 1, outcome);
        self.count_settled(job, call..call + 1, true);
    }

    pub(super) fn push_settle(&mut self, job: JobId, calls: Range<u32>, outcome: Outcome) {
        if let Some(Action::Settle { job: last_job, calls: last, outcome: last_outcome }) =
            self.actions.back_mut()
            && *last_job == job
            && *last_outcome == outcome
            && last.end == calls.start
        {
            last.end = calls.end;
            return;
        }
        self.actions.push_back(Action::Settle { job, calls, outcome });
    }

    /// Books calls as settled, and what follows from it for their keys and their job.
    pub(super) fn count_settled(&mut self, id: JobId, calls: Range<u32>, failed: bool) {
        self.done += calls.len() as u64;
        self.failed += if failed { calls.len() as u64 } else { 0 };
        let Some(job) = self.jobs.get_mut(&id) else { return };
        job.unsettled -= calls.len() as u32;
        let skipped = job.settled(calls, failed);
        job.unsettled -= skipped.len() as u32;
        self.waiting -= skipped.len() as u64;
        self.done += skipped.len() as u64;
        self.failed += skipped.len() as u64;
        let (waiting, unsettled) = (job.waiting(), job.unsettled);
        for call in skipped {
            self.push_settle(id, call..call + 1, Outcome::Skipped);
        }
        if waiting == 0 {
            self.queue.remove(&id);
        }
        if unsettled == 0 {
            self.jobs.remove(&id);
        }
    }
}
