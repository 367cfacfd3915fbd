//! Workers on lease: the part of the engine that gives workers back, where several engines share a set of them.
//!
//! It is told whether a worker that it wanted was to be had ([`Engine::denied`], [`Engine::adopted`]), and how many
//! others wait for ([`Engine::set_demand`]). It says which workers it can do without ([`Engine::spare`]), and whether
//! it wants more than it has ([`Engine::wants_more`]).
//!
//! A worker is handed back between two chunks only, so that it has nothing in flight. One that others wait for gets no
//! more calls once it was used for the time of the lease; it finishes what it has in flight.
//!
//! Must not depend on who shares with whom.

use std::time::Duration;

use super::super::worker::{Phase, Worker};
use super::super::{ExitReason, History, WorkerId};
use super::{Engine, Mode};

/// Queries.
impl Engine {
    /// Whether a worker was denied that is still wanted.
    pub fn wants_more(&self) -> bool {
        let lacks = |wanted: usize| self.live() < wanted.min(self.config.workers);
        self.is_denied && self.backoff.is_zero() && self.wanted_workers().is_some_and(lacks)
    }

    /// What the next engine must know of a worker that is handed back.
    pub fn history(&self, worker_id: WorkerId) -> Option<History> {
        self.workers.get(&worker_id).map(Worker::history)
    }

    /// Workers that can be handed back now: with `unused`, all that there is no work for; otherwise those that others
    /// wait for. To be asked when there is no action left.
    pub fn spare(&self, unused: bool) -> Vec<WorkerId> {
        if self.config.lease.is_none() || self.ready_awaited {
            return Vec::new();
        }
        let is_over = self.mode != Mode::Open && self.jobs.is_empty();
        let is_all = is_over || (unused && self.unused() > 0);
        let mut spare = self.idle_workers();
        spare.truncate(if is_all { usize::MAX } else { self.unmet_demand() });
        spare
    }

    /// Workers that have nothing in flight and could go on elsewhere.
    pub fn idle_workers(&self) -> Vec<WorkerId> {
        self.workers_that(Worker::is_spare)
    }

    /// How many workers there is no work for, and will be none as far as is known.
    pub fn unused(&self) -> usize {
        // Calls that are stuck behind another may be recalled for an idle one.
        if self.ready_awaited || self.workers.values().any(Worker::is_recallable) {
            return 0;
        }
        self.workers.values().filter(|worker| worker.is_spare()).count()
    }

    /// How many workers others wait for, less those that are on their way out.
    fn unmet_demand(&self) -> usize {
        if self.demand == 0 {
            return 0;
        }
        self.demand.saturating_sub(self.workers.values().filter(|worker| !worker.can_serve()).count())
    }
}

impl Engine {
    pub(super) fn do_without(&mut self, worker_id: WorkerId) {
        self.workers.remove(&worker_id);
        self.is_denied = true;
        // All workers that can be ready may be.
        self.check_ready_awaited();
    }

    pub(super) fn resume(&mut self, worker_id: WorkerId, history: History) {
        if let Some(worker) = self.workers.get_mut(&worker_id) {
            worker.resume(history);
            self.booted(worker_id);
        }
    }

    pub(super) fn let_go(&mut self, worker_id: WorkerId) {
        self.workers.remove(&worker_id);
        self.release_keys(worker_id);
        self.demand = self.demand.saturating_sub(1);
    }

    pub(super) fn end_spare(&mut self, worker_id: WorkerId) {
        if self.mode == Mode::Terminated {
            self.kill(worker_id, ExitReason::Closed);
        } else {
            self.stop(worker_id, ExitReason::Closed);
        }
    }

    /// Picks the workers that get no more calls because others wait for them: of those that were used for long enough,
    /// the ones that will be done soonest.
    pub(super) fn pick_preempted(&mut self, now: Duration) {
        let Some(lease) = self.config.lease.filter(|_| self.demand > 0 || self.has_preempted) else { return };
        let is_due = |worker: &Worker| {
            let used = worker.used_since.map(|since| now.saturating_sub(since));
            worker.phase == Phase::Ready
                && worker.retirement.is_none()
                && used.is_some_and(|used| used >= lease)
        };
        let mut due: Vec<(u32, WorkerId)> = (self.workers.iter())
            .filter(|(_, worker)| is_due(worker))
            .map(|(&worker_id, worker)| (worker.load(), worker_id))
            .collect();
        due.sort_unstable();
        due.truncate(self.unmet_demand());
        self.has_preempted = !due.is_empty();
        for (worker_id, worker) in self.workers.iter_mut() {
            worker.is_preempted = due.iter().any(|(_, due)| due == worker_id);
        }
    }
}
