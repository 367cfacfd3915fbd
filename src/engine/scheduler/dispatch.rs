//! Which worker gets which calls: what the present state asks for, once events have changed it.
//!
//! It decides on calls that wait; what becomes of those that are in flight is not its business.

use std::cmp::Reverse;
use std::time::Duration;

use super::super::chunk::share;
use super::super::worker::{CallState, Flight, FlightCall, Phase, Worker};
use super::super::{Action, FrameId, JobId, Run, WorkerId};
use super::{Engine, MAX_FLIGHTS, Mode, RECALL_AFTER};

impl Engine {
    /// Hands out calls, starts and stops workers: whatever the present state asks for.
    pub(super) fn advance(&mut self, now: Duration) {
        self.retire_spent();
        self.place_standbys();
        self.dispatch(now);
        self.start_needed();
        if self.mode != Mode::Open && self.jobs.is_empty() {
            // One that still runs a call that nobody wants has its grace period first.
            let on_lease = self.config.lease.is_some();
            let idle = |worker: &Worker| !(worker.is_busy() || (on_lease && worker.is_spare()));
            let ids: Vec<WorkerId> =
                self.workers.iter().filter(|(_, worker)| idle(worker)).map(|(&id, _)| id).collect();
            for id in ids {
                self.stop(id);
            }
            if self.workers.is_empty() && !self.closed_told {
                self.closed_told = true;
                self.actions.push_back(Action::Closed);
            }
        }
        // What was sent has its numbers only then.
        if self.recall_due && self.actions.is_empty() {
            self.recall_due = self.recall_for_idle();
        }
    }

    /// First every worker that could run more at the same time gets a chunk: the least busy, and of these the
    /// warmest, first. Then workers whose chunk will soon be done get a second one, so that they need not wait
    /// out a round trip. A worker that is starting gets its call of a spread job ahead, which saves the first
    /// result a round trip.
    pub(super) fn dispatch(&mut self, now: Duration) {
        if self.waiting == 0 {
            return;
        }
        self.choose_yielding(now);
        let takes = |worker: &Worker| match worker.phase {
            Phase::Starting => !worker.is_busy() && worker.is_live(),
            Phase::Ready => worker.can_serve() && !worker.is_condemned(),
            Phase::Stopping { .. } | Phase::Dying => false,
        };
        let mut idle: Vec<(bool, Reverse<u32>, u64, Reverse<WorkerId>)> = Vec::new();
        let mut soon: Vec<(Duration, WorkerId)> = Vec::new();
        for (&id, worker) in self.workers.iter().filter(|(_, worker)| takes(worker)) {
            if worker.unsent.is_some() || worker.yields {
                continue;
            }
            let load = worker.load();
            if load < self.config.concurrency {
                // Of those that are starting, the one that was first will be ready first.
                idle.push((worker.phase == Phase::Ready, Reverse(load), worker.last_used, Reverse(id)));
            } else if worker.flights.len() < MAX_FLIGHTS
                && let Some(expected) = worker.flights.back().and_then(|flight| flight.expected)
                && expected <= self.config.target * 2
            {
                soon.push((expected, id));
            }
        }
        idle.sort_unstable_by(|one, two| two.cmp(one));
        for (_, Reverse(load), _, Reverse(id)) in idle {
            self.send_chunk(id, self.config.concurrency - load, now);
        }
        soon.sort_unstable();
        for (_, id) in soon {
            self.send_chunk(id, 0, now);
        }
    }

    /// Where a worker has nothing to do, and there was nothing for it, takes back calls from one that others wait
    /// behind. Whether there was such a one.
    pub(super) fn recall_for_idle(&mut self) -> bool {
        if !self.workers.values().any(Worker::is_idle) {
            return false;
        }
        let is_quiet = |worker: &Worker| worker.quiet.is_some_and(|quiet| quiet >= RECALL_AFTER);
        let quiet: Vec<WorkerId> =
            self.workers.iter().filter(|(_, worker)| is_quiet(worker)).map(|(&id, _)| id).collect();
        quiet.into_iter().any(|id| self.recall(id))
    }

    /// Takes back what can be taken back from a worker, if there is anything.
    pub(in crate::engine) fn recall(&mut self, id: WorkerId) -> bool {
        let Some(worker) = self.workers.get_mut(&id) else { return false };
        if !worker.is_recallable() {
            return false;
        }
        let Some((from, until)) = worker.recall_range() else { return false };
        worker.quiet = None;
        self.actions.push_back(Action::Recall { worker: id, from, until });
        true
    }

    /// Sends one chunk to a worker, if there is one for it. So many calls it could begin at once; where that
    /// is none, it gets calls of known cost only: one that may be long must not wait behind others.
    pub(super) fn send_chunk(&mut self, id: WorkerId, lacking: u32, now: Duration) {
        let known = lacking == 0;
        let workers = self.workers.values().filter(|worker| worker.can_serve()).count();
        let free: Vec<(WorkerId, bool)> = (self.workers.iter())
            .filter(|(other, worker)| **other != id && worker.can_serve() && !worker.is_busy())
            .map(|(&other, worker)| (other, worker.phase == Phase::Starting))
            .collect();
        let first = self.queue.first().and_then(|job| self.jobs.get(job));
        let cost = first.map(|job| self.costs.of(job.task, &job.pace)).unwrap_or_default();
        let fair = share(self.waiting, workers, cost);
        let Some(worker) = self.workers.get_mut(&id) else { return };
        let allowed = match self.config.max_calls_per_worker {
            Some(max) => u32::try_from(max.saturating_sub(worker.given)).unwrap_or(u32::MAX),
            None => u32::MAX,
        };
        let ahead = worker.phase == Phase::Starting;
        let mut room = fair.min(allowed).min(if ahead { 1 } else { u32::MAX });
        let mut budget = self.config.target;
        let mut expected = Some(Duration::ZERO);
        let mut runs: Vec<Run> = Vec::new();
        let mut watched = false;
        let mut count = 0;
        let mut emptied = Vec::new();
        for &job_id in &self.queue {
            let Some(job) = self.jobs.get_mut(&job_id) else { continue };
            let cost = self.costs.of(job.task, &job.pace);
            if (known && cost.expected(1).is_none()) || (ahead && !job.goes_ahead_to(id)) {
                continue;
            }
            if job.chunk.is_some() && !runs.is_empty() {
                break;
            }
            let lacks = lacking.saturating_sub(count);
            let mut most = match job.chunk {
                Some(chunk) => {
                    room = chunk.min(allowed);
                    room
                }
                None if budget.is_zero() => lacks.min(room),
                None => job.pace.calls_in(cost, budget).max(lacks).min(room),
            };
            while most > 0
                && let Some(calls) = job.take(id, most, &free)
            {
                let taken = calls.len() as u32;
                most -= taken;
                room -= taken;
                count += taken;
                watched |= job.timeout.is_some();
                self.wait_time.record(now.saturating_sub(job.submitted), taken.into());
                let cost = cost.expected(taken);
                budget = budget.saturating_sub(cost.unwrap_or(budget));
                expected = expected.zip(cost).map(|(sum, cost)| sum + cost);
                match runs.last_mut() {
                    Some(last) if last.job == job_id && last.calls.end == calls.start => {
                        last.calls.end = calls.end
                    }
                    _ => runs.push(Run { job: job_id, calls }),
                }
            }
            if job.waiting() == 0 {
                emptied.push(job_id);
            }
            if (budget.is_zero() && count >= lacking) || room == 0 || job.chunk.is_some() {
                break;
            }
        }
        for job in emptied {
            self.queue.remove(&job);
        }
        if runs.is_empty() {
            return;
        }
        self.launch(id, runs, expected, watched, now);
    }

    /// Books a chunk as in flight and has it sent.
    pub(super) fn launch(
        &mut self,
        id: WorkerId,
        runs: Vec<Run>,
        expected: Option<Duration>,
        watched: bool,
        now: Duration,
    ) {
        let Some(worker) = self.workers.get_mut(&id) else { return };
        let calls: Vec<FlightCall> = runs
            .iter()
            .flat_map(|run| run.calls.clone().map(|index| (run.job, index)))
            .map(|(job, index)| {
                let is_movable = self.jobs.get(&job).is_some_and(|job| job.is_movable);
                FlightCall { job, index, state: CallState::Sent, is_movable }
            })
            .collect();
        let together = runs.iter().any(|run| self.jobs.get(&run.job).is_some_and(|job| job.chunk.is_some()));
        let count = calls.len() as u32;
        let frame = FrameId(self.next_frame);
        self.next_frame = self.next_frame.wrapping_add(1);
        let seq = worker.next_seq;
        worker.next_seq = seq.wrapping_add(count);
        worker.given += u64::from(count);
        worker.idle = Duration::ZERO;
        self.uses += 1;
        worker.used_since.get_or_insert(now);
        worker.last_used = self.uses;
        if !worker.is_busy() {
            worker.quiet = None;
        }
        worker.flights.push_back(Flight {
            frame,
            first_seq: seq,
            calls,
            unanswered: count,
            expected,
            watched,
            together,
        });
        self.waiting -= u64::from(count);
        self.running += u64::from(count);
        self.actions.push_back(Action::Send { worker: id, frame, seq, runs });
    }

    /// A call that was in flight waits again, at the head.
    pub(super) fn put_back(&mut self, job: JobId, call: u32) {
        if let Some(state) = self.jobs.get_mut(&job) {
            state.put_back(call);
            self.queue.insert(job);
            self.waiting += 1;
        }
    }

    /// Calls that a worker has not run wait again, at the head, and do not count for it.
    pub(super) fn return_calls(&mut self, id: WorkerId, calls: &[(JobId, u32)]) {
        self.running -= calls.len() as u64;
        if let Some(worker) = self.workers.get_mut(&id) {
            worker.given -= calls.len() as u64;
        }
        for &(job, call) in calls.iter().rev() {
            self.put_back(job, call);
        }
    }
}
