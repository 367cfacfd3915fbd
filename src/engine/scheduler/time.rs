//! What the passing of time leads to: limits that run out, and how often the engine wants to be told the time.
//!
//! Only running time counts, see the [engine](super::super).
//!
//! Must not depend on clocks.

use std::time::Duration;

use super::super::chunk::{CallState, ChunkCall};
use super::super::roster::Group;
use super::super::worker::{Phase, Retirement, Worker};
use super::super::{Action, ExitReason, Outcome, WorkerId};
use super::{Clock, Engine};

/// A worker that was asked to exit has at least this long, whatever the grace period.
const MIN_STOP_GRACE: Duration = Duration::from_secs(5);
const MIN_TICK: Duration = Duration::from_millis(1);
const MAX_TICK: Duration = Duration::from_millis(50);
/// How many ticks there should be until a limit runs out.
const TICKS_PER_LIMIT: u32 = 20;
/// Where several calls run at once, one that was given up has this long to return, or the grace period if that is
/// shorter, before another worker takes over from its.
const MAX_PATIENCE: Duration = Duration::from_millis(50);

impl Engine {
    pub(super) fn pass_time(&mut self, now: Duration) {
        self.count_running(now);
        let Some(clock) = &mut self.clock else { return };
        let step = now.saturating_sub(clock.last_tick).min(clock.interval * 2);
        clock.last_tick = now;
        self.backoff = self.backoff.saturating_sub(step);
        for worker_id in self.workers() {
            self.tick_worker(worker_id, step);
        }
        self.is_recall_due = true;
    }

    /// Counts the running time until now. While nothing is watched, that is all of the time.
    pub(super) fn count_running(&mut self, now: Duration) {
        let step = now.saturating_sub(self.counted_until);
        self.running += self.clock.map_or(step, |clock| step.min(clock.interval * 2));
        self.counted_until = now;
    }

    pub(super) fn set_clock(&mut self, now: Duration) -> Option<Duration> {
        self.count_running(now);
        let wanted = self.wanted_tick();
        let last_tick = self.clock.map_or(now, |clock| clock.last_tick);
        self.clock = wanted.map(|interval| Clock { interval, last_tick });
        wanted
    }

    /// A worker has had `step` more running time.
    fn tick_worker(&mut self, worker_id: WorkerId, step: Duration) {
        let Some(worker) = self.workers.get_mut(&worker_id) else { return };
        if let (Some(killed), Some(limit)) = (&mut worker.killed_for, self.config.kill_limit) {
            *killed += step;
            if *killed >= limit {
                worker.killed_for = None;
                self.actions.push_back(Action::Abandon { worker: worker_id });
                return;
            }
        }
        let (is_standby, is_killed) = (worker.is_standby(), worker.is_killed());
        match &mut worker.phase {
            Phase::Stopping { waited } => {
                *waited += step;
                if *waited >= self.config.grace_period.max(MIN_STOP_GRACE) {
                    self.kill(worker_id, ExitReason::Killed);
                }
            }
            // It stays for as long as the one that it waits for.
            Phase::Ready if is_standby => {}
            Phase::Ready if worker.chunks.is_empty() => {
                worker.idle_for += step;
                let is_over = self.config.idle_timeout.is_some_and(|limit| worker.idle_for >= limit);
                if is_over && worker.retirement.is_none() {
                    self.stop(worker_id, ExitReason::Idle);
                }
            }
            Phase::Ready => {
                worker.quiet_for = Some(worker.quiet_for.map_or(Duration::ZERO, |quiet| quiet + step));
                self.tick_calls(worker_id, step);
            }
            Phase::Starting if is_killed => {}
            Phase::Starting => {
                if let (Some(silent), Some(limit)) = (&mut worker.silent_for, self.config.boot_limit) {
                    *silent += step;
                    if *silent >= limit {
                        worker.silent_for = None;
                        // It remains one that boots, so that its end counts as a failed boot.
                        self.send_kill(worker_id, Action::KillSilent { worker: worker_id });
                    }
                }
            }
            Phase::Dying => {}
        }
    }

    /// The calls of a worker have had `step` more running time.
    fn tick_calls(&mut self, worker_id: WorkerId, step: Duration) {
        let grace_period = self.config.grace_period;
        let Some(worker) = self.workers.get_mut(&worker_id) else { return };
        let mut is_overdue = false;
        let mut timed_out = Vec::new();
        let mut seqs = Vec::new();
        let mut longest_abandoned = Duration::ZERO;
        for chunk in worker.chunks.iter_mut().filter(|chunk| chunk.is_timed) {
            for offset in 0..chunk.calls.len() {
                let call = &mut chunk.calls[offset];
                match &mut call.state {
                    // It waits for whoever reads what it yields.
                    CallState::Begun { .. } if self.paused.contains(&(call.job, call.index)) => {}
                    CallState::Begun { ran } => {
                        *ran += step;
                        let timeout = self.jobs.get(&call.job).and_then(|job| job.timeout);
                        if timeout.is_some_and(|timeout| *ran >= timeout) {
                            call.state = CallState::Abandoned { since: Duration::ZERO };
                            chunk.per_call = None;
                            timed_out.push((call.job, call.index));
                            seqs.push(chunk.seq(offset));
                        }
                    }
                    CallState::Abandoned { since } => {
                        *since += step;
                        longest_abandoned = longest_abandoned.max(*since);
                        is_overdue |= *since >= grace_period;
                    }
                    CallState::Sent
                    | CallState::Revoked
                    | CallState::Dropped { .. }
                    | CallState::Recalled
                    | CallState::Replied => {}
                }
            }
        }
        // The calls beside it are done: nobody need wait for the end of the grace period.
        let is_left = self.config.concurrency > 1
            && !self.config.lanes
            && longest_abandoned >= grace_period.min(MAX_PATIENCE);
        let is_left = is_left && !worker.is_wanted();
        let is_alone = is_left && worker.is_live();
        if !seqs.is_empty() {
            self.actions.push_back(Action::Cancel { worker: worker_id, seqs });
        }
        for (job_id, call) in timed_out {
            self.settle_in_flight(job_id, call, Outcome::TimedOut);
        }
        if is_overdue {
            self.kill(worker_id, ExitReason::Killed);
        } else if is_alone {
            self.retire(worker_id, Retirement::Now);
        }
        // Its successor needs its index to do what waits.
        if is_left && self.lacks_index && self.counters.waiting() > 0 {
            self.kill(worker_id, ExitReason::Killed);
        }
    }

    /// How long until the next tick is wanted; `None` while nothing is watched.
    fn wanted_tick(&self) -> Option<Duration> {
        let mut wanted = Interval::default();
        if self.workers.count(Group::Idle) > 0 {
            for (_, worker) in self.workers.members(Group::Busy).filter(|(_, worker)| worker.is_recallable())
            {
                let quiet = worker.quiet_for.unwrap_or_default();
                let limit = self.recall_after();
                wanted.watch(limit.saturating_sub(quiet), limit * TICKS_PER_LIMIT);
            }
        }
        for (_, worker) in self.workers.members(Group::Watched) {
            self.watch_worker(worker, &mut wanted);
        }
        if self.has_priorities && self.counters.waiting() > 0 {
            // What waits gains by it.
            wanted.watch(MAX_TICK, MAX_TICK * TICKS_PER_LIMIT);
        }
        if !self.backoff.is_zero() && (self.counters.waiting() > 0 || self.ready_awaited) {
            wanted.watch(self.backoff, self.backoff);
        }
        wanted.0
    }

    fn watch_worker(&self, worker: &Worker, wanted: &mut Interval) {
        if let (Some(killed), Some(limit)) = (worker.killed_for, self.config.kill_limit) {
            wanted.watch(limit.saturating_sub(killed), limit);
        }
        match worker.phase {
            Phase::Stopping { .. } => wanted.watch(MAX_TICK, MAX_TICK * TICKS_PER_LIMIT),
            Phase::Ready if worker.is_standby() => {}
            Phase::Ready if worker.chunks.is_empty() => {
                if let Some(limit) = self.config.idle_timeout {
                    wanted.watch(limit.saturating_sub(worker.idle_for), limit);
                }
            }
            Phase::Ready => {
                let timed = worker.chunks.iter().filter(|chunk| chunk.is_timed);
                timed.flat_map(|chunk| &chunk.calls).for_each(|call| self.watch_call(call, wanted));
            }
            Phase::Starting if worker.is_killed() => {}
            Phase::Starting => {
                if let (Some(silent), Some(limit)) = (worker.silent_for, self.config.boot_limit) {
                    wanted.watch(limit.saturating_sub(silent), limit);
                }
            }
            Phase::Dying => {}
        }
    }

    fn watch_call(&self, call: &ChunkCall, wanted: &mut Interval) {
        let timeout = || self.jobs.get(&call.job).and_then(|job| job.timeout);
        let grace_period = self.config.grace_period;
        match call.state {
            CallState::Sent => {
                if let Some(limit) = timeout() {
                    wanted.watch(limit, limit);
                }
            }
            CallState::Begun { .. } if self.paused.contains(&(call.job, call.index)) => {}
            CallState::Begun { ran } => {
                if let Some(limit) = timeout() {
                    wanted.watch(limit.saturating_sub(ran), limit);
                }
            }
            CallState::Abandoned { since } => {
                wanted.watch(grace_period.saturating_sub(since), grace_period);
            }
            CallState::Revoked => wanted.watch(grace_period, grace_period),
            CallState::Dropped { .. } | CallState::Recalled | CallState::Replied => {}
        }
    }
}

/// The interval between ticks that everything watched so far asks for.
#[derive(Clone, Copy, Debug, Default)]
struct Interval(Option<Duration>);

impl Interval {
    /// Of this limit, `left` is left.
    fn watch(&mut self, left: Duration, limit: Duration) {
        // Fine enough for the limit, and no later than its end.
        let interval = (limit / TICKS_PER_LIMIT).clamp(MIN_TICK, MAX_TICK).min(left.max(MIN_TICK));
        self.0 = Some(self.0.map_or(interval, |other| other.min(interval)));
    }
}
