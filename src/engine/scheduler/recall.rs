//! Recalling calls that wait in a worker while another is idle. The [engine](super::super) has the protocol.
//!
//! There are two reasons for it. A worker may be *stuck* in a call that takes long: then everything behind that call is
//! recalled, and nothing more is sent behind it. Or it may have been sent more than its share ahead: then everything
//! that it has not begun is recalled and shared out anew, at the end of a turn, once all answers of that turn are in.
//!
//! A lane cannot be told so that both sides know: its calls are asked back, and those that its host has not begun wait
//! again once it says that it has skipped them. Until then they are its.
//!
//! Must not depend on how a worker is told.

use std::time::Duration;

use super::super::chunk::{CallState, ChunkCall};
use super::super::roster::Group;
use super::super::worker::Worker;
use super::super::{Action, WorkerId};
use super::Engine;

/// Once a worker has not replied for this long, it may lose calls that it has not begun to an idle one.
pub(in crate::engine) const RECALL_AFTER: Duration = Duration::from_millis(10);

impl Engine {
    /// If a worker is idle and has found nothing to do, recalls calls that are stuck behind another one. Returns
    /// whether there were any.
    pub(super) fn recall_for_idle(&mut self) -> bool {
        self.workers.refresh();
        if self.workers.count(Group::Idle) == 0 {
            return false;
        }
        let limit = self.recall_after();
        let is_quiet = |worker: &Worker| worker.quiet_for.is_some_and(|quiet| quiet >= limit);
        self.workers_that(is_quiet).into_iter().any(|worker_id| self.recall(worker_id))
    }

    /// How long a worker may be quiet. A lane should not reply before its chunk is done.
    pub(super) fn recall_after(&self) -> Duration {
        if self.config.lanes { self.config.target.max(RECALL_AFTER) } else { RECALL_AFTER }
    }

    /// Whether a worker is idle and no call waits, while another worker has too much ahead.
    pub(super) fn is_uneven(&self) -> bool {
        let is_idle = |(_, worker): (WorkerId, &Worker)| worker.is_idle() && !worker.is_preempted;
        let has_excess = |(_, worker): (WorkerId, &Worker)| {
            worker.ahead().is_some_and(|ahead| self.lag.is_excess(ahead)) && worker.may_be_leveled()
        };
        self.counters.waiting() == 0
            && self.workers.members(Group::Free).any(is_idle)
            && self.workers.members(Group::Busy).any(has_excess)
    }

    /// Recalls what workers have ahead while others are idle: from as many workers as are idle, and from those first
    /// that have most.
    pub(super) fn level(&mut self) {
        self.workers.refresh();
        if !self.is_uneven() {
            return;
        }
        let idle = self.workers_that(|worker| worker.is_idle() && !worker.is_preempted).len();
        let mut uneven: Vec<(Duration, WorkerId)> = (self.workers.iter())
            .filter(|(_, worker)| worker.may_be_leveled())
            .map(|(&worker_id, worker)| (worker.recallable(), worker_id))
            .filter(|&(ahead, _)| self.lag.is_excess(ahead))
            .collect();
        uneven.sort_unstable_by(|one, two| two.cmp(one));
        for (_, worker_id) in uneven.into_iter().take(idle) {
            self.recall_all(worker_id, true);
        }
    }

    /// If the call that is next comes before calls that were sent ahead, recalls these. Returns whether there were any.
    pub(super) fn overtake(&mut self) -> bool {
        let Some(&(next, _)) = self.queue.first() else { return false };
        self.workers.refresh();
        let comes_after = |call: &ChunkCall| {
            call.is_movable
                && call.state == CallState::Sent
                && self.jobs.get(&call.job).is_some_and(|job| job.order > next)
        };
        let is_overtaken = |worker: &Worker| worker.may_be_leveled() && worker.calls().any(comes_after);
        let busy = self.workers.members(Group::Busy);
        let overtaken: Vec<WorkerId> =
            busy.filter(|(_, worker)| is_overtaken(worker)).map(|(worker_id, _)| worker_id).collect();
        let mut is_any = false;
        for worker_id in overtaken {
            is_any |= self.recall_all(worker_id, true);
        }
        is_any
    }

    /// Recalls what can be recalled from a worker that is stuck in a call; whether there was anything.
    pub(in crate::engine) fn recall(&mut self, worker_id: WorkerId) -> bool {
        self.recall_all(worker_id, false)
    }

    fn recall_all(&mut self, worker_id: WorkerId, is_being_leveled: bool) -> bool {
        let Some(worker) = self.workers.get_mut(&worker_id) else { return false };
        if !worker.is_recallable() {
            return false;
        }
        let Some((from, until)) = worker.recall_range() else { return false };
        worker.quiet_for = None;
        worker.is_being_leveled = is_being_leveled;
        self.actions.push_back(Action::Recall { worker: worker_id, from, until });
        true
    }

    /// The recalled calls that the worker has not begun wait again.
    pub(super) fn take_back(&mut self, worker_id: WorkerId, last_begun: Option<u32>, from: u32, until: u32) {
        let Some(worker) = self.workers.get_mut(&worker_id) else { return };
        let Some(last_begun) = last_begun else {
            worker.hears_recalls = false;
            return;
        };
        worker.recalled_from = Some(from);
        self.mark_begun(worker_id, last_begun);
        let Some(worker) = self.workers.get_mut(&worker_id) else { return };
        if self.config.lanes {
            worker.asked_until = Some(until);
            return;
        }
        let deferred = worker.deferred;
        let is_stuck = !worker.is_being_leveled;
        let mut returning = Vec::new();
        for chunk in worker.chunks.iter_mut().filter(|chunk| deferred != Some(chunk.chunk_id)) {
            if is_stuck {
                // It takes longer than expected: nothing more may be sent behind it.
                chunk.per_call = None;
            }
            for offset in 0..chunk.calls.len() {
                let is_within = chunk.seq(offset).wrapping_sub(from) < until.wrapping_sub(from);
                let call = &mut chunk.calls[offset];
                // Among them may be calls that should stay, if the worker was about to begin them: it will skip those.
                if is_within && call.state == CallState::Sent {
                    call.state = CallState::Recalled;
                    chunk.recalled += 1;
                    returning.push((call.job, call.index));
                }
            }
        }
        self.return_calls(worker_id, &returning);
    }
}
