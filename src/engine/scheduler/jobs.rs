//! Jobs from submission to withdrawal, and the end of all of them.
//!
//! Must not depend on which worker gets which call.

use std::time::Duration;

use super::super::chunk::CallState;
use super::super::job::Job;
use super::super::roster::Group;
use super::super::worker::{Phase, Retirement, Worker};
use super::super::{Action, ExitReason, JobId, JobSpec, Outcome, SubmitError, WorkerId};
use super::{Engine, Mode};

impl Engine {
    pub(super) fn accept(&mut self, spec: JobSpec, now: Duration) -> Result<JobId, SubmitError> {
        if self.mode != Mode::Open {
            return Err(SubmitError::Closed);
        }
        debug_assert!(spec.keys.as_ref().is_none_or(|keys| keys.len() == spec.calls as usize));
        debug_assert!(
            !spec.pinned || self.has_indices() || self.config.lanes,
            "calls for workers that nobody can tell apart"
        );
        debug_assert!(
            !spec.pinned
                || self.config.lanes
                || u64::from(spec.first_worker) + u64::from(spec.calls) <= self.config.workers as u64,
            "calls for workers that there will never be"
        );
        let calls = u64::from(spec.calls);
        let waiting = self.counters.waiting();
        if let Some(max) = self.config.max_queue.filter(|_| !spec.unbounded)
            && waiting + calls > max.saturating_add(self.free_slots())
        {
            return Err(SubmitError::QueueFull { waiting });
        }
        let job_id = JobId(self.next_job);
        self.next_job += 1;
        if calls > 0 {
            self.count_running(now);
            let order = order_of(self.running, spec.priority);
            self.has_priorities |= spec.priority != 0;
            self.has_pinned |= spec.pinned;
            self.is_overtaking_due |= self.has_priorities;
            let in_order = self.config.concurrency == 1 && !self.config.lanes;
            // A lane's calls cannot be recalled from behind one that takes long.
            let spec = JobSpec { bulk: spec.bulk && !self.config.lanes, ..spec };
            let mut job = Job::new(spec, in_order, self.has_indices(), now);
            job.order = order;
            self.jobs.insert(job_id, job);
            self.queue.insert((order, job_id));
            self.counters.submitted(calls);
            self.start_needed();
            let next_worker = WorkerId(self.next_worker);
            if let Some(job) = self.jobs.get_mut(&job_id) {
                job.spread_over(next_worker);
            }
        }
        Ok(job_id)
    }

    /// How many calls workers that have none, or could be started, would take at once.
    pub(super) fn free_slots(&self) -> u64 {
        self.config.workers.saturating_sub(self.workers.count(Group::LiveAndBusy)) as u64
    }

    /// The time of a call in flight does not pass from now on, or passes again.
    pub(super) fn set_paused(&mut self, job_id: JobId, call: u32, paused: bool) {
        if !paused {
            self.paused.remove(&(job_id, call));
        } else if self.place_of(job_id, call).is_some() {
            self.paused.insert((job_id, call));
        }
    }

    /// Settles the calls of a job from this one on as aborted. Whoever runs one is told; with `kill`, its worker is
    /// killed if that does not help.
    pub(super) fn withdraw(&mut self, job_id: JobId, from: u32, kill: bool) {
        self.settle_waiting(job_id, from, Outcome::Aborted);
        let mut withdrawn = Vec::new();
        for (&worker_id, worker) in self.workers.iter_mut() {
            let mut seqs = Vec::new();
            for chunk in &mut worker.chunks {
                for offset in 0..chunk.calls.len() {
                    let call = &mut chunk.calls[offset];
                    if call.job == job_id && call.index >= from && call.state.is_wanted() {
                        let begun = matches!(call.state, CallState::Begun { .. });
                        chunk.is_timed |= kill;
                        if kill {
                            chunk.per_call = None;
                        }
                        call.state = match (kill, begun) {
                            (true, true) => CallState::Abandoned { since: Duration::ZERO },
                            (true, false) => CallState::Revoked,
                            (false, begun) => CallState::Dropped { begun },
                        };
                        withdrawn.push(call.index);
                        seqs.push(chunk.seq(offset));
                    }
                }
            }
            if !seqs.is_empty() && matches!(worker.phase, Phase::Starting | Phase::Ready) {
                self.actions.push_back(Action::Cancel { worker: worker_id, seqs });
            }
        }
        withdrawn.sort_unstable();
        for call in withdrawn {
            self.settle_in_flight(job_id, call, Outcome::Aborted);
        }
    }

    /// Kills the workers that run calls of this job.
    pub(super) fn kill_runners(&mut self, job_id: JobId) {
        let runs = |worker: &Worker| worker.calls().any(|call| call.job == job_id && call.state.is_running());
        for worker_id in self.workers_that(runs) {
            self.kill(worker_id, ExitReason::Killed);
        }
    }

    pub(super) fn begin_closing(&mut self) {
        if self.mode == Mode::Open {
            self.mode = Mode::Closing;
            self.tell_ready(Err(Outcome::Closed));
        }
    }

    pub(super) fn end_everything(&mut self) {
        self.mode = Mode::Terminated;
        self.tell_ready(Err(Outcome::Closed));
        self.settle_everything(Outcome::Closed);
        // Others can go on with what is on lease and idle.
        let is_leased = self.config.lease.is_some();
        for worker_id in self.workers_that(|worker| !(is_leased && worker.is_spare())) {
            self.kill(worker_id, ExitReason::Closed);
        }
    }

    pub(super) fn let_workers_go(&mut self) {
        self.tell_ready(Err(Outcome::Closed));
        self.settle_everything(Outcome::Closed);
        for worker_id in self.workers() {
            let Some(worker) = self.workers.get_mut(&worker_id) else { continue };
            // No worker is to take its place before there is work again.
            worker.retirement = Some(Retirement::Now);
            match worker.phase {
                Phase::Ready if !worker.is_busy() => self.stop(worker_id, ExitReason::Closed),
                Phase::Stopping { .. } => {}
                _ => self.kill(worker_id, ExitReason::Closed),
            }
        }
    }
}

/// The place among all jobs of one that is submitted after so much running time: a level counts as much as a second.
fn order_of(running: Duration, priority: i32) -> i64 {
    let running = i64::try_from(running.as_micros()).unwrap_or(i64::MAX);
    running.saturating_sub(i64::from(priority) * 1_000_000)
}
