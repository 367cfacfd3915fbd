//! What the passing of time does: limits that run out, and how often to be told the time.
//!
//! Only running time counts, see the [engine](crate::engine).

use std::time::Duration;

use super::super::worker::{CallState, Phase, Retire, Worker};
use super::super::{Action, Outcome, WorkerId};
use super::{Engine, MAX_TICK, MIN_PATIENCE, MIN_STOP_GRACE, MIN_TICK, RECALL_AFTER};

impl Engine {
    pub(super) fn tick_worker(&mut self, id: WorkerId, step: Duration) {
        let (grace, stop_grace) = (self.config.grace, self.config.grace.max(MIN_STOP_GRACE));
        let Some(worker) = self.workers.get_mut(&id) else { return };
        let is_standby = worker.is_standby();
        let mut overdue = false;
        match &mut worker.phase {
            Phase::Stopping { waited } => {
                *waited += step;
                overdue = *waited >= stop_grace;
            }
            // It stays as long as the one that it waits for.
            Phase::Ready if is_standby => return,
            Phase::Ready if worker.flights.is_empty() => {
                worker.idle += step;
                if self.config.idle_timeout.is_some_and(|limit| worker.idle >= limit)
                    && worker.retire.is_none()
                {
                    self.stop(id);
                }
                return;
            }
            Phase::Ready => worker.quiet = Some(worker.quiet.map_or(Duration::ZERO, |quiet| quiet + step)),
            Phase::Starting => {
                if let (Some(silent), Some(limit)) = (&mut worker.silent, self.config.boot_limit) {
                    *silent += step;
                    if *silent >= limit {
                        worker.silent = None;
                        // It goes on as one that starts, so that its end counts as a failed boot.
                        self.actions.push_back(Action::KillSilent { worker: id });
                    }
                }
                return;
            }
            Phase::Dying => return,
        }
        let mut timed_out = Vec::new();
        let mut seqs = Vec::new();
        let mut given_up = Duration::ZERO;
        for flight in worker.flights.iter_mut().filter(|flight| flight.watched) {
            for offset in 0..flight.calls.len() {
                let call = &mut flight.calls[offset];
                match &mut call.state {
                    CallState::Begun { ran } => {
                        *ran += step;
                        let timeout = self.jobs.get(&call.job).and_then(|job| job.timeout);
                        if timeout.is_some_and(|timeout| *ran >= timeout) {
                            call.state = CallState::Abandoned { since: Duration::ZERO };
                            flight.expected = None;
                            timed_out.push((call.job, call.index));
                            seqs.push(flight.seq(offset));
                        }
                    }
                    CallState::Abandoned { since } => {
                        *since += step;
                        given_up = given_up.max(*since);
                        overdue |= *since >= grace;
                    }
                    CallState::Sent
                    | CallState::Revoked
                    | CallState::Dropped { .. }
                    | CallState::Recalled
                    | CallState::Answered => {}
                }
            }
        }
        // What it runs beside is over: nobody need wait for the end of the grace period.
        let is_left = self.config.concurrency > 1 && given_up >= grace.min(MIN_PATIENCE);
        let is_left = is_left && worker.is_live() && !worker.is_wanted();
        if !seqs.is_empty() {
            self.actions.push_back(Action::Cancel { worker: id, seqs });
        }
        for (job, call) in timed_out {
            self.settle_in_flight(job, call, Outcome::TimedOut);
        }
        if overdue {
            self.kill(id);
        } else if is_left {
            self.retire(id, Retire::Now);
        }
    }

    pub(super) fn wanted_tick(&self) -> Option<Duration> {
        let mut wanted: Option<Duration> = None;
        let mut want = |left: Duration, limit: Duration| {
            // Fine enough for the limit, and no later than what is left of it.
            let interval = (limit / 20).clamp(MIN_TICK, MAX_TICK).min(left.max(MIN_TICK));
            wanted = Some(wanted.map_or(interval, |other| other.min(interval)));
        };
        let has_idle = self.workers.values().any(Worker::is_idle);
        for worker in self.workers.values() {
            if has_idle && worker.is_recallable() {
                want(RECALL_AFTER.saturating_sub(worker.quiet.unwrap_or_default()), RECALL_AFTER * 20);
            }
            match worker.phase {
                Phase::Stopping { .. } => want(MAX_TICK, MAX_TICK * 20),
                Phase::Ready if worker.is_standby() => {}
                Phase::Ready if worker.flights.is_empty() => {
                    if let Some(limit) = self.config.idle_timeout {
                        want(limit.saturating_sub(worker.idle), limit);
                    }
                }
                Phase::Ready => {
                    let watched = worker.flights.iter().filter(|flight| flight.watched);
                    for call in watched.flat_map(|flight| &flight.calls) {
                        let timeout = || self.jobs.get(&call.job).and_then(|job| job.timeout);
                        match call.state {
                            CallState::Sent => {
                                if let Some(limit) = timeout() {
                                    want(limit, limit);
                                }
                            }
                            CallState::Begun { ran } => {
                                if let Some(limit) = timeout() {
                                    want(limit.saturating_sub(ran), limit);
                                }
                            }
                            CallState::Abandoned { since } => {
                                want(self.config.grace.saturating_sub(since), self.config.grace);
                            }
                            CallState::Revoked => want(self.config.grace, self.config.grace),
                            CallState::Dropped { .. } | CallState::Recalled | CallState::Answered => {}
                        }
                    }
                }
                Phase::Starting => {
                    if let (Some(silent), Some(limit)) = (worker.silent, self.config.boot_limit) {
                        want(limit.saturating_sub(silent), limit);
                    }
                }
                Phase::Dying => {}
            }
        }
        if !self.backoff.is_zero() && (self.waiting > 0 || self.ready_awaited) {
            want(self.backoff, self.backoff);
        }
        wanted
    }
}
