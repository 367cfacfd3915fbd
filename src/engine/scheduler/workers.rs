//! How many workers there are: starting, replacing, stopping, killing and burying them.
//!
//! Must not depend on calls, beyond some of them waiting or being in flight.

use std::time::Duration;

use super::super::chunk::{CallState, Chunk};
use super::super::job::{MAX_STRIKES, MAX_UNUSABLE_STRIKES};
use super::super::roster::Group;
use super::super::worker::{Phase, Retirement, Worker};
use super::super::{Action, Departure, ExitReason, JobId, Outcome, WorkerId};
use super::boot::MAX_FAILED_ROUNDS;
use super::{Engine, Mode};

/// A worker whose remaining calls will be done within this time has its successor started early.
const BOOT_AHEAD: Duration = Duration::from_millis(500);

/// Starting.
impl Engine {
    pub(super) fn start_one(&mut self) -> WorkerId {
        let index = self.take_index();
        self.start_with(index)
    }

    fn start_with(&mut self, index: Option<u32>) -> WorkerId {
        let worker_id = self.add_worker();
        if let Some(worker) = self.workers.get_mut(&worker_id) {
            worker.index = index;
        }
        self.lacks_index |= index.is_none() && self.has_indices();
        self.actions.push_back(Action::Spawn { worker: worker_id, index });
        worker_id
    }

    /// The lowest index that no worker has, be it one that is on its way out.
    fn take_index(&mut self) -> Option<u32> {
        if !self.has_indices() {
            return None;
        }
        self.free_indices.pop_first().or_else(|| {
            let index = self.next_index;
            let is_one = (index as usize) < self.config.workers;
            self.next_index += u32::from(is_one);
            is_one.then_some(index)
        })
    }

    /// Assigns the indices that have become free to workers that wait for one.
    pub(super) fn assign_indices(&mut self) {
        if !self.lacks_index {
            return;
        }
        self.lacks_index = false;
        let waits = |worker: &Worker| worker.index.is_none() && worker.phase == Phase::Starting;
        for worker_id in self.workers_that(waits) {
            // One that stands by takes over from another, which still has its index. One that was killed has no use for
            // it.
            let needs_one = |worker: &Worker| worker.standby_for.is_none() && !worker.is_killed();
            let index = match self.workers.get(&worker_id).is_some_and(needs_one) {
                true => self.take_index(),
                false => None,
            };
            self.lacks_index |= index.is_none();
            if let (Some(index), Some(worker)) = (index, self.workers.get_mut(&worker_id)) {
                worker.index = Some(index);
                self.actions.push_back(Action::Assign { worker: worker_id, index });
            }
        }
    }

    /// Whether each worker has an index in this engine. Those on lease have one in the set that they are shared in. A
    /// lane has none: it is no place where user code could keep anything.
    pub(super) fn has_indices(&self) -> bool {
        self.config.lease.is_none() && !self.config.lanes
    }

    /// Whether this worker was started and waits for an index, without which it loads nothing.
    pub(super) fn waits_for_index(&self, worker: &Worker) -> bool {
        worker.index.is_none() && self.has_indices()
    }

    pub(super) fn add_worker(&mut self) -> WorkerId {
        let worker_id = WorkerId(self.next_worker);
        self.next_worker += 1;
        self.workers.insert(worker_id, Worker::new());
        worker_id
    }

    /// How many workers count towards the number that there should be.
    pub(in crate::engine) fn live(&self) -> usize {
        self.workers.count(Group::Live)
    }

    /// The same in the middle of an event.
    pub(super) fn live_now(&mut self) -> usize {
        self.workers.refresh();
        self.live()
    }

    pub(super) fn start_up_to(&mut self, count: usize) {
        self.place_standbys();
        for _ in self.live_now()..count.min(self.config.workers) {
            self.start_one();
        }
    }

    /// Starts the workers that are missing for the calls that wait.
    pub(super) fn start_needed(&mut self) {
        if !self.backoff.is_zero() || self.is_denied {
            return;
        }
        self.workers.refresh();
        if let Some(wanted) = self.wanted_workers() {
            self.start_up_to(wanted);
        }
    }

    /// Whether calls wait that are for one worker each.
    fn is_each_wanted(&self) -> bool {
        let is_pinned = |&(_, job_id): &(i64, JobId)| self.jobs.get(&job_id).is_some_and(|job| job.is_pinned);
        self.has_pinned && self.queue.iter().any(is_pinned)
    }

    /// How many workers there is something to do for, if that may be more than there are.
    pub(super) fn wanted_workers(&self) -> Option<usize> {
        let waiting = self.counters.waiting();
        if self.mode == Mode::Terminated {
            None
        } else if self.ready_awaited || self.is_each_wanted() {
            Some(self.config.workers)
        } else if waiting > 0 {
            let busy = self.workers.count(Group::LiveAndBusy);
            Some(busy.saturating_add(usize::try_from(waiting).unwrap_or(usize::MAX)))
        } else {
            None
        }
    }
}

/// Ending.
impl Engine {
    pub(super) fn stop(&mut self, worker_id: WorkerId, reason: ExitReason) {
        let Some(worker) = self.workers.get_mut(&worker_id) else { return };
        if matches!(worker.phase, Phase::Starting | Phase::Ready) {
            worker.phase = Phase::Stopping { waited: Duration::ZERO };
            worker.exit_reason.get_or_insert(reason);
            self.release_keys(worker_id);
            self.actions.push_back(Action::Stop { worker: worker_id });
        }
    }

    pub(super) fn kill(&mut self, worker_id: WorkerId, reason: ExitReason) {
        let Some(worker) = self.workers.get_mut(&worker_id) else { return };
        if worker.phase != Phase::Dying {
            worker.phase = Phase::Dying;
            worker.exit_reason.get_or_insert(reason);
            self.release_keys(worker_id);
            self.send_kill(worker_id, Action::Kill { worker: worker_id });
        }
    }

    pub(super) fn kill_unusable(&mut self, worker_id: WorkerId) {
        match self.workers.get(&worker_id).map(|worker| worker.phase) {
            // It remains one that boots, so that its end counts as a failed boot.
            Some(Phase::Starting) => self.send_kill(worker_id, Action::Kill { worker: worker_id }),
            Some(phase) => {
                if let Some(worker) = self.workers.get_mut(&worker_id) {
                    // What has been killed for another reason says nothing about what it was sent.
                    worker.is_unusable |= phase != Phase::Dying;
                }
                self.kill(worker_id, ExitReason::Killed);
            }
            None => {}
        }
    }

    /// Has a worker killed. From then on its end is waited for.
    pub(super) fn send_kill(&mut self, worker_id: WorkerId, kill: Action) {
        if let Some(worker) = self.workers.get_mut(&worker_id) {
            worker.killed_for.get_or_insert(Duration::ZERO);
            worker.may_be_spared = matches!(kill, Action::KillSilent { .. });
        }
        self.actions.push_back(kill);
    }

    /// Removes a worker that is gone, and decides what becomes of its calls and who succeeds it.
    pub(super) fn bury(&mut self, worker_id: WorkerId, last_begun: u32) -> Option<Departure> {
        self.mark_begun(worker_id, last_begun);
        let mut worker = self.workers.remove(&worker_id)?;
        self.free_indices.extend(worker.index);
        self.release_keys(worker_id);
        self.end_calls(worker_id, &mut worker);
        let is_open = self.mode == Mode::Open;
        match worker.phase {
            Phase::Starting => self.boot_failed(worker_id, MAX_FAILED_ROUNDS),
            // It had proved itself: a successor will too, and the next call should find it ready.
            Phase::Ready | Phase::Dying if worker.given > 0 && worker.retirement.is_none() && is_open => {
                self.restarts += 1;
                worker.is_restart = true;
                // One may have been started already for the calls that wait.
                if self.live_now() < self.config.workers {
                    self.bring_up_successor(worker_id);
                }
            }
            _ if worker.is_succeeded_at_exit && is_open && self.live_now() < self.config.workers => {
                self.start_one();
            }
            _ => {}
        }
        let of_itself =
            if worker.phase == Phase::Starting { ExitReason::BootFailed } else { ExitReason::Crashed };
        let Worker { exit_reason, done: calls, is_restart, .. } = worker;
        Some(Departure { reason: exit_reason.unwrap_or(of_itself), calls, is_restart })
    }

    /// The calls that a dead worker had in flight fail or wait again.
    fn end_calls(&mut self, worker_id: WorkerId, worker: &mut Worker) {
        // A worker that dies before it has begun anything that it has says nothing about these calls, but several such
        // deaths do. If it was killed as unusable, each call of the frame that it was sent may be the cause: to blame
        // one call at a time would take many workers.
        let has_begun = worker.chunks.iter().any(Chunk::has_begun);
        let is_unusable = worker.is_unusable;
        let mut is_suspect = !has_begun && (worker.phase == Phase::Ready || is_unusable);
        let suspects = worker.chunks.front().filter(|chunk| worker.deferred != Some(chunk.chunk_id));
        let mut suspects = suspects.map_or(0, |chunk| chunk.calls.len());
        let mut returning = Vec::new();
        for call in worker.chunks.drain(..).flat_map(|chunk| chunk.calls) {
            let is_in_first = suspects > 0;
            suspects = suspects.saturating_sub(1);
            if !call.state.is_wanted() {
                continue;
            }
            let Some(job) = self.jobs.get_mut(&call.job) else { continue };
            let begun = matches!(call.state, CallState::Begun { .. });
            let is_cause = match is_unusable {
                true => is_suspect && is_in_first && job.strike(call.index, MAX_UNUSABLE_STRIKES),
                false => std::mem::take(&mut is_suspect) && job.strike(call.index, MAX_STRIKES),
            };
            // One that was to be skipped has not run, whatever the worker has passed.
            let has_run = (is_cause || begun) && !job.is_stopped(call.index);
            if has_run && !job.use_retry(call.index) {
                self.settle_in_flight(call.job, call.index, Outcome::Exited(worker_id));
            } else {
                returning.push((call.job, call.index));
            }
        }
        for &(job_id, call) in returning.iter().rev() {
            self.put_back(job_id, call);
        }
    }

    /// A worker takes no more calls: the keys that it had may move to others.
    pub(super) fn release_keys(&mut self, worker_id: WorkerId) {
        for job in self.jobs.values_mut() {
            job.release_home(worker_id);
        }
    }
}

/// Replacing.
impl Engine {
    pub(super) fn limit_memory(&mut self, worker_id: WorkerId, bytes: u64) {
        let Some(limit) = self.config.max_worker_memory else { return };
        if bytes > limit && self.workers.get(&worker_id).is_some_and(Worker::is_live) {
            // On lease there may be no place for both.
            let is_leased = self.config.lease.is_some();
            self.retire(worker_id, if is_leased { Retirement::Now } else { Retirement::WhenReplaced });
        }
    }

    /// Has a worker replaced.
    pub(super) fn retire(&mut self, worker_id: WorkerId, when: Retirement) {
        let Some(worker) = self.workers.get_mut(&worker_id) else { return };
        let is_first = worker.retirement.is_none();
        worker.retirement = Some(when);
        worker.is_restart |= is_first && self.mode == Mode::Open;
        if when == Retirement::Now {
            self.release_keys(worker_id);
        }
        if is_first && self.mode == Mode::Open {
            self.restarts += 1;
            if self.config.lease.is_some() {
                // Its successor has to wait until it is gone: there may be no place for both.
                if let Some(worker) = self.workers.get_mut(&worker_id) {
                    worker.is_succeeded_at_exit = true;
                }
                return;
            }
            let successor = self.bring_up_successor(worker_id);
            if self.workers.get(&successor).is_some_and(|worker| self.is_up_to_index(worker)) {
                self.retire(worker_id, Retirement::Now);
            }
        }
    }

    /// Whether a worker has come as far as it can: it is ready, or waits for an index and has shown that it runs.
    pub(super) fn is_up_to_index(&self, worker: &Worker) -> bool {
        match worker.phase {
            Phase::Ready => true,
            Phase::Starting => {
                self.waits_for_index(worker) && worker.silent_for.is_none() && !worker.is_killed()
            }
            Phase::Stopping { .. } | Phase::Dying => false,
        }
    }

    /// Provides the successor of a worker that goes: its standby, or else a new one.
    fn bring_up_successor(&mut self, worker_id: WorkerId) -> WorkerId {
        let Some(standby) = self.standby_of(worker_id) else { return self.start_one() };
        if let Some(worker) = self.workers.get_mut(&standby) {
            worker.standby_for = None;
        }
        standby
    }

    /// Stops workers that are to be replaced and have nothing left to do.
    pub(super) fn retire_spent(&mut self) {
        if let Some(max) = self.config.max_calls_per_worker {
            // Also one that was to go on until it is replaced: the keys that it has would wait for that.
            for worker_id in self.workers_that(|worker| worker.counted() >= max && worker.can_serve()) {
                self.retire(worker_id, Retirement::Now);
            }
            self.start_standbys(max);
        }
        for worker_id in self.members_now(Group::Spent) {
            self.stop(worker_id, ExitReason::Recycled);
        }
    }

    /// Starts the successors of workers that will soon have had as many calls as they may.
    fn start_standbys(&mut self, max: u64) {
        // On lease there may be no place for them.
        if self.mode != Mode::Open || !self.backoff.is_zero() || self.config.lease.is_some() {
            return;
        }
        let ends_soon = |worker: &Worker| {
            worker.phase == Phase::Ready
                && worker.is_live()
                && worker.is_near((max + worker.uncounted).saturating_sub(worker.done), BOOT_AHEAD)
        };
        for worker_id in self.workers_that(ends_soon) {
            if self.standby_of(worker_id).is_none() {
                let standby = self.start_with(None);
                if let Some(worker) = self.workers.get_mut(&standby) {
                    worker.standby_for = Some(worker_id);
                }
            }
        }
    }

    fn standby_of(&mut self, worker_id: WorkerId) -> Option<WorkerId> {
        self.workers.refresh();
        let mut standbys = self.workers.members(Group::Standby);
        standbys.find(|(_, worker)| worker.standby_for == Some(worker_id)).map(|(standby, _)| standby)
    }

    /// A standby whose worker has gone early, or was told to go, takes its place, or goes too.
    pub(super) fn place_standbys(&mut self) {
        for worker_id in self.members_now(Group::Standby) {
            let place = self.workers.get(&worker_id).and_then(|worker| worker.standby_for);
            if place.and_then(|place| self.workers.get(&place)).is_some_and(Worker::is_live) {
                continue;
            }
            let live = self.live_now();
            let Some(worker) = self.workers.get_mut(&worker_id) else { continue };
            worker.standby_for = None;
            if live >= self.config.workers || self.counters.waiting() == 0 {
                self.stop(worker_id, ExitReason::Idle);
            }
        }
    }
}
