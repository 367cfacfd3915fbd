//! Recalling calls that wait in a worker behind one that takes long. The [engine](super::super) has the protocol.
//!
//! Must not depend on how a worker is told.

use std::time::Duration;

use super::super::chunk::CallState;
use super::super::worker::Worker;
use super::super::{Action, WorkerId};
use super::Engine;

/// Once a worker has not replied for this long, it may lose calls that it has not begun to an idle one.
pub(in crate::engine) const RECALL_AFTER: Duration = Duration::from_millis(10);

impl Engine {
    /// If a worker is idle and found nothing to do, recalls calls from one that has some stuck behind another. Whether
    /// there was such a worker.
    pub(super) fn recall_for_idle(&mut self) -> bool {
        if !self.workers.values().any(Worker::is_idle) {
            return false;
        }
        let is_quiet = |worker: &Worker| worker.quiet_for.is_some_and(|quiet| quiet >= RECALL_AFTER);
        self.workers_that(is_quiet).into_iter().any(|worker_id| self.recall(worker_id))
    }

    /// Recalls what can be recalled from a worker; whether there was anything.
    pub(in crate::engine) fn recall(&mut self, worker_id: WorkerId) -> bool {
        let Some(worker) = self.workers.get_mut(&worker_id) else { return false };
        if !worker.is_recallable() {
            return false;
        }
        let Some((from, until)) = worker.recall_range() else { return false };
        worker.quiet_for = None;
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
        let deferred = worker.deferred;
        let mut returning = Vec::new();
        for chunk in worker.chunks.iter_mut().filter(|chunk| deferred != Some(chunk.chunk_id)) {
            // It takes longer than expected, so nothing more is to be sent behind it.
            chunk.expected = None;
            for offset in 0..chunk.calls.len() {
                let is_within = chunk.seq(offset).wrapping_sub(from) < until.wrapping_sub(from);
                let call = &mut chunk.calls[offset];
                // This includes calls that should stay if the worker was about to begin them, and will skip them.
                if is_within && call.state == CallState::Sent {
                    call.state = CallState::Recalled;
                    returning.push((call.job, call.index));
                }
            }
        }
        self.return_calls(worker_id, &returning);
    }
}
