//! How many workers there are: starting, replacing, stopping and killing them, and what follows when none comes up.
//!
//! It knows no calls but as something that waits.

use std::time::Duration;

use super::super::worker::{Phase, Retire, Worker};
use super::super::{Action, JobId, Outcome, WorkerId};
use super::{BOOT_AHEAD, Engine, FIRST_BACKOFF, MAX_BACKOFF, Mode};

impl Engine {
    pub(super) fn start_one(&mut self) -> WorkerId {
        let id = self.add_worker();
        self.actions.push_back(Action::Spawn { worker: id });
        id
    }

    pub(super) fn add_worker(&mut self) -> WorkerId {
        let id = WorkerId(self.next_worker);
        self.next_worker += 1;
        self.workers.insert(id, Worker::new());
        id
    }

    /// Brings up the successor of a worker that goes: its standby, else a new one.
    pub(super) fn succeed(&mut self, id: WorkerId) -> WorkerId {
        let Some(standby) = self.standby_of(id) else { return self.start_one() };
        if let Some(worker) = self.workers.get_mut(&standby) {
            worker.standby_for = None;
        }
        standby
    }

    /// How many workers there are that count.
    pub(in crate::engine) fn live(&self) -> usize {
        self.workers.values().filter(|worker| worker.is_live()).count()
    }

    pub(super) fn start_up_to(&mut self, count: usize) {
        self.place_standbys();
        for _ in self.live()..count.min(self.config.workers) {
            self.start_one();
        }
    }

    /// Starts workers for what waits, as far as they are missing.
    pub(super) fn start_needed(&mut self) {
        if !self.backoff.is_zero() || self.is_denied {
            return;
        }
        if let Some(wanted) = self.wanted_workers() {
            self.start_up_to(wanted);
        }
    }

    /// How many workers there is something to do for, if that may be more than there are.
    pub(super) fn wanted_workers(&self) -> Option<usize> {
        if self.mode == Mode::Terminated {
            None
        } else if self.ready_awaited {
            Some(self.config.workers)
        } else if self.waiting > 0 {
            let busy = self.workers.values().filter(|worker| worker.is_live() && worker.is_busy()).count();
            Some(busy.saturating_add(usize::try_from(self.waiting).unwrap_or(usize::MAX)))
        } else {
            None
        }
    }

    /// A worker could not be brought up. When all of them could not `allowed` times in a row, what waits is told.
    pub(super) fn boot_failed(&mut self, id: WorkerId, allowed: u32) {
        let doublings = (self.failed_boots as usize / self.config.workers).min(16) as u32;
        self.failed_boots = self.failed_boots.saturating_add(1);
        self.backoff = MAX_BACKOFF.min(FIRST_BACKOFF * 2u32.pow(doublings));
        let serving = |worker: &Worker| worker.can_serve() && worker.phase == Phase::Ready;
        if self.workers.values().any(serving) {
            return;
        }
        // Others may still come up; but where one after another fails, there is always one that is starting.
        self.boot_failures_of_round += 1;
        let starting = self.workers.values().any(Worker::can_serve);
        if starting && (self.boot_failures_of_round as usize) < self.config.workers {
            return;
        }
        self.boot_failures_of_round = 0;
        self.boot_failures += 1;
        if self.boot_failures < allowed {
            return;
        }
        self.boot_failures = 0;
        // Whoever is told and tries again starts anew: the cause may be gone, and should not be long in coming.
        self.failed_boots = 0;
        self.backoff = Duration::ZERO;
        self.tell_ready(Err(Outcome::BootFailed(id)));
        let jobs: Vec<JobId> = self.queue.iter().copied().collect();
        for job in jobs {
            self.settle_waiting(job, 0, Outcome::BootFailed(id));
        }
    }

    pub(super) fn stop(&mut self, id: WorkerId) {
        let Some(worker) = self.workers.get_mut(&id) else { return };
        if matches!(worker.phase, Phase::Starting | Phase::Ready) {
            worker.phase = Phase::Stopping { waited: Duration::ZERO };
            self.release(id);
            self.actions.push_back(Action::Stop { worker: id });
        }
    }

    pub(super) fn kill(&mut self, id: WorkerId) {
        let Some(worker) = self.workers.get_mut(&id) else { return };
        if worker.phase != Phase::Dying {
            worker.phase = Phase::Dying;
            self.release(id);
            self.actions.push_back(Action::Kill { worker: id });
        }
    }

    /// The worker is to be killed: it broke the protocol, or its channel is gone.
    pub fn give_up(&mut self, id: WorkerId) {
        // One that was still booting goes on as such, so that its end counts as a failed boot.
        match self.workers.get(&id).map(|worker| worker.phase) {
            Some(Phase::Starting) => self.actions.push_back(Action::Kill { worker: id }),
            Some(_) => self.kill(id),
            None => {}
        }
    }

    pub(super) fn check_ready_awaited(&mut self) {
        if self.ready_awaited {
            let ready = |worker: &&Worker| worker.phase == Phase::Ready && worker.is_live();
            let count = self.workers.values().filter(ready).count();
            // Where others have the rest, one is what can be had.
            if count >= self.config.workers || (self.is_denied && count > 0) {
                self.tell_ready(Ok(()));
            }
        }
    }

    pub(super) fn tell_ready(&mut self, outcome: Result<(), Outcome>) {
        if std::mem::take(&mut self.ready_awaited) {
            self.actions.push_back(Action::Ready { outcome });
        }
    }

    /// Stops workers that are to be replaced and have nothing left to do.
    pub(super) fn retire_spent(&mut self) {
        if let Some(max) = self.config.max_calls_per_worker {
            let spent = |worker: &Worker| worker.given >= max && worker.is_live();
            let ids: Vec<WorkerId> =
                self.workers.iter().filter(|(_, worker)| spent(worker)).map(|(&id, _)| id).collect();
            for id in ids {
                self.retire(id, Retire::Now);
            }
            self.start_standbys(max);
        }
        let spent = |worker: &Worker| {
            worker.phase == Phase::Ready && worker.retire == Some(Retire::Now) && !worker.is_busy()
        };
        let ids: Vec<WorkerId> =
            self.workers.iter().filter(|(_, worker)| spent(worker)).map(|(&id, _)| id).collect();
        for id in ids {
            self.stop(id);
        }
    }

    /// Starts the successors of workers that will soon have had as many calls as they may.
    pub(super) fn start_standbys(&mut self, max: u64) {
        // On lease there may be no place for them.
        if self.mode != Mode::Open || !self.backoff.is_zero() || self.config.lease.is_some() {
            return;
        }
        let ends_soon = |worker: &Worker| {
            worker.phase == Phase::Ready
                && worker.is_live()
                && worker.is_near(max.saturating_sub(worker.done), BOOT_AHEAD)
        };
        let ending: Vec<WorkerId> =
            self.workers.iter().filter(|(_, worker)| ends_soon(worker)).map(|(&id, _)| id).collect();
        for id in ending {
            if self.standby_of(id).is_none() {
                let standby = self.start_one();
                if let Some(worker) = self.workers.get_mut(&standby) {
                    worker.standby_for = Some(id);
                }
            }
        }
    }

    pub(super) fn standby_of(&self, id: WorkerId) -> Option<WorkerId> {
        let waits = |worker: &Worker| worker.is_standby() && worker.standby_for == Some(id);
        self.workers.iter().find(|(_, worker)| waits(worker)).map(|(&standby, _)| standby)
    }

    /// Standbys whose worker has gone before it was spent, or was told to go, take its place, or go too.
    pub(super) fn place_standbys(&mut self) {
        let live = |id: WorkerId| self.workers.get(&id).is_some_and(Worker::is_live);
        let left = |worker: &Worker| worker.is_standby() && !worker.standby_for.is_some_and(live);
        let ids: Vec<WorkerId> =
            self.workers.iter().filter(|(_, worker)| left(worker)).map(|(&id, _)| id).collect();
        for id in ids {
            let live = self.live();
            let Some(worker) = self.workers.get_mut(&id) else { continue };
            worker.standby_for = None;
            if live >= self.config.workers || self.waiting == 0 {
                self.stop(id);
            }
        }
    }

    pub(super) fn retire(&mut self, id: WorkerId, how: Retire) {
        let Some(worker) = self.workers.get_mut(&id) else { return };
        let first = worker.retire.is_none();
        worker.retire = Some(how);
        if how == Retire::Now {
            self.release(id);
        }
        if first && self.mode == Mode::Open {
            self.restarts += 1;
            if self.config.lease.is_some() {
                // Not before it is gone: there may be no place for both.
                if let Some(worker) = self.workers.get_mut(&id) {
                    worker.succeeded_at_exit = true;
                }
                return;
            }
            let successor = self.succeed(id);
            if self.workers.get(&successor).is_some_and(|worker| worker.phase == Phase::Ready) {
                self.retire(id, Retire::Now);
            }
        }
    }

    /// A worker takes no more calls: keys that it had move on.
    pub(super) fn release(&mut self, id: WorkerId) {
        for job in self.jobs.values_mut() {
            job.release_home(id);
        }
    }
}
