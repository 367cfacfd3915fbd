//! Telling callers what became of their calls, each once, and keeping count of it.
//!
//! Must not depend on the reason.

use std::ops::Range;
use std::time::Duration;

use super::super::chunk::CallState;
use super::super::{Action, JobId, Outcome};
use super::Engine;

impl Engine {
    /// Settles every call that has not settled.
    pub(super) fn settle_everything(&mut self, outcome: Outcome) {
        let job_ids: Vec<JobId> = self.jobs.keys().copied().collect();
        for job_id in job_ids {
            self.settle_waiting(job_id, 0, outcome);
        }
        let mut wanted = Vec::new();
        for (_, worker) in self.workers.iter_mut() {
            for call in worker.chunks.iter_mut().flat_map(|chunk| &mut chunk.calls) {
                if call.state.is_wanted() {
                    call.state = CallState::Abandoned { since: Duration::ZERO };
                    wanted.push((call.job, call.index));
                }
            }
        }
        wanted.sort_unstable();
        for (job_id, call) in wanted {
            self.settle_in_flight(job_id, call, outcome);
        }
    }

    /// Settles the waiting calls of a job from this one on.
    pub(super) fn settle_waiting(&mut self, job_id: JobId, from: u32, outcome: Outcome) {
        let Some(job) = self.jobs.get_mut(&job_id) else { return };
        for calls in job.drain_from(from) {
            self.counters.gave_up_waiting(calls.len() as u64);
            job.unsettled -= calls.len() as u32;
            self.actions.push_back(Action::Settle { job: job_id, calls, outcome });
        }
        self.drop_if_done(job_id);
    }

    /// Settles a call in flight without a reply.
    pub(super) fn settle_in_flight(&mut self, job_id: JobId, call: u32, outcome: Outcome) {
        self.push_settle(job_id, call..call + 1, outcome);
        self.book_settled(job_id, call..call + 1, true);
    }

    /// Books calls in flight as settled, with what follows for their keys and their job. Their caller is told
    /// otherwise.
    pub(super) fn book_settled(&mut self, job_id: JobId, calls: Range<u32>, failed: bool) {
        self.counters.finished(calls.len() as u64, failed);
        if !self.paused.is_empty() {
            self.paused.retain(|(paused, call)| *paused != job_id || !calls.contains(call));
        }
        let Some(job) = self.jobs.get_mut(&job_id) else { return };
        job.unsettled -= calls.len() as u32;
        let skipped = job.settled(calls, failed);
        job.unsettled -= skipped.len() as u32;
        self.counters.gave_up_waiting(skipped.len() as u64);
        for call in skipped {
            self.push_settle(job_id, call..call + 1, Outcome::Skipped);
        }
        self.drop_if_done(job_id);
    }

    /// Adds an action, or extends the last one if these calls continue it.
    fn push_settle(&mut self, job_id: JobId, calls: Range<u32>, outcome: Outcome) {
        if let Some(Action::Settle { job: last_job, calls: last, outcome: last_outcome }) =
            self.actions.back_mut()
            && *last_job == job_id
            && *last_outcome == outcome
            && last.end == calls.start
        {
            last.end = calls.end;
            return;
        }
        self.actions.push_back(Action::Settle { job: job_id, calls, outcome });
    }

    /// Takes a job without waiting calls out of the queue, and ends it if it has no others either.
    fn drop_if_done(&mut self, job_id: JobId) {
        self.dequeue_if_empty(job_id);
        if self.jobs.get(&job_id).is_some_and(|job| job.unsettled == 0) {
            self.jobs.remove(&job_id);
        }
    }

    /// Takes a job without waiting calls out of the queue.
    pub(super) fn dequeue_if_empty(&mut self, job_id: JobId) {
        if let Some(job) = self.jobs.get(&job_id).filter(|job| job.waiting() == 0) {
            self.queue.remove(&(job.order, job_id));
        }
    }
}
