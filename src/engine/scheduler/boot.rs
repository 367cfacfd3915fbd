//! Bringing workers up: what a boot that succeeds or fails leads to, and who waits for all of them.
//!
//! Must not depend on calls, beyond some of them waiting.

use std::time::Duration;

use super::super::roster::Group;
use super::super::worker::{Phase, Retirement};
use super::super::{Action, ExitReason, JobId, Outcome, WorkerId};
use super::{Engine, Mode};

/// How many rounds in a row, in each of which all boots failed, lead to the rejection of what waits.
pub(super) const MAX_FAILED_ROUNDS: u32 = 3;
const MIN_BACKOFF: Duration = Duration::from_millis(50);
const MAX_BACKOFF: Duration = Duration::from_secs(5);

impl Engine {
    pub(super) fn showed_life(&mut self, worker_id: WorkerId) {
        let Some(worker) = self.workers.get_mut(&worker_id) else { return };
        worker.silent_for = None;
        let Some(worker) = self.workers.get(&worker_id) else { return };
        let is_starting = worker.phase == Phase::Starting;
        if is_starting && worker.standby_for.is_none() && self.is_up_to_index(worker) {
            self.replace_one();
        }
    }

    /// A worker was not killed for its silence after all.
    pub(super) fn was_spared(&mut self, worker_id: WorkerId) {
        let Some(worker) = self.workers.get_mut(&worker_id) else { return };
        // It may have been killed for another reason since.
        if worker.phase == Phase::Starting && worker.may_be_spared {
            worker.killed_for = None;
        }
        self.showed_life(worker_id);
    }

    /// A replacement is up: one of the workers that waited for one can go.
    fn replace_one(&mut self) {
        self.workers.refresh();
        let replaced = self.workers.members(Group::Replaceable).next().map(|(worker_id, _)| worker_id);
        if let Some(replaced) = replaced {
            self.retire(replaced, Retirement::Now);
        }
    }

    pub(super) fn booted(&mut self, worker_id: WorkerId) {
        let Some(worker) = self.workers.get_mut(&worker_id) else { return };
        if worker.phase != Phase::Starting || worker.is_killed() {
            return;
        }
        worker.phase = Phase::Ready;
        self.failed_rounds = 0;
        self.failed_boots_of_round = 0;
        self.failed_boots = 0;
        self.backoff = Duration::ZERO;
        if worker.standby_for.is_some() {
            return;
        }
        self.replace_one();
        self.check_ready_awaited();
    }

    pub(super) fn could_not_load(&mut self, worker_id: WorkerId) {
        if let Some(worker) = self.workers.get_mut(&worker_id)
            && worker.phase == Phase::Starting
        {
            let chunks = std::mem::take(&mut worker.chunks);
            worker.deferred = None;
            let is_standby = worker.is_standby();
            self.release_keys(worker_id);
            for call in chunks.into_iter().flat_map(|chunk| chunk.calls).rev() {
                if call.state.is_wanted() {
                    self.put_back(call.job, call.index);
                }
            }
            self.stop(worker_id, ExitReason::BootFailed);
            if !is_standby {
                self.tell_ready(Err(Outcome::BootFailed(worker_id)));
            }
            self.boot_failed(worker_id, 1);
        }
    }

    /// A worker could not be brought up. Once none could, `max_rounds` times in a row, the calls that wait are
    /// rejected.
    pub(super) fn boot_failed(&mut self, worker_id: WorkerId, max_rounds: u32) {
        let doublings = (self.failed_boots as usize / self.config.workers).min(16) as u32;
        self.failed_boots = self.failed_boots.saturating_add(1);
        self.backoff = MAX_BACKOFF.min(MIN_BACKOFF * 2u32.pow(doublings));
        self.workers.refresh();
        if self.workers.count(Group::ServingAndReady) > 0 {
            return;
        }
        // Others may still come up, but while one after another fails there is always one that is starting.
        self.failed_boots_of_round += 1;
        let is_starting = self.workers.count(Group::Serving) > 0;
        if is_starting && (self.failed_boots_of_round as usize) < self.config.workers {
            return;
        }
        self.failed_boots_of_round = 0;
        self.failed_rounds += 1;
        if self.failed_rounds < max_rounds {
            return;
        }
        self.failed_rounds = 0;
        // Callers who try again after the rejection get a fresh start, without a long back-off: the cause may be gone.
        self.failed_boots = 0;
        self.backoff = Duration::ZERO;
        self.tell_ready(Err(Outcome::BootFailed(worker_id)));
        let job_ids: Vec<JobId> = self.queue.iter().map(|&(_, job_id)| job_id).collect();
        for job_id in job_ids {
            self.settle_waiting(job_id, 0, Outcome::BootFailed(worker_id));
        }
    }

    pub(super) fn watch_ready(&mut self) {
        self.ready_awaited = true;
        if self.mode != Mode::Open {
            self.tell_ready(Err(Outcome::Closed));
        }
        self.check_ready_awaited();
    }

    /// Tells whoever waits for all workers once they are ready.
    pub(super) fn check_ready_awaited(&mut self) {
        if self.ready_awaited {
            self.workers.refresh();
            let count = self.workers.count(Group::LiveAndReady);
            // If others have the rest, having one must do.
            if count >= self.config.workers || (self.is_denied && count > 0) {
                self.tell_ready(Ok(()));
            }
        }
    }

    /// Tells whoever waits for all workers what came of it.
    pub(super) fn tell_ready(&mut self, outcome: Result<(), Outcome>) {
        if std::mem::take(&mut self.ready_awaited) {
            self.actions.push_back(Action::Ready { outcome });
        }
    }
}
