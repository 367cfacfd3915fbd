//! Workers that come and go with machines elsewhere, and chunks that come back from there.
//!
//! Must not depend on which calls there are, nor on what a machine is.

use std::cmp::Reverse;

use super::super::chunk::CallState;
use super::super::worker::{Phase, Retirement, Worker};
use super::super::{ChunkId, ExitReason, WorkerId};
use super::{Engine, Mode};

impl Engine {
    pub(super) fn resize(&mut self, count: usize) {
        debug_assert!(self.config.lanes, "only the number of lanes changes");
        self.config.workers = count.max(1);
        for worker_id in self.surplus() {
            let Some(worker) = self.workers.get_mut(&worker_id) else { continue };
            if worker.is_busy() {
                worker.retirement = Some(Retirement::Now);
                self.release_keys(worker_id);
            } else {
                self.stop(worker_id, ExitReason::Idle);
            }
        }
        if self.mode == Mode::Open && !self.config.lazy && self.backoff.is_zero() && !self.is_denied {
            self.start_up_to(self.config.workers);
        }
        self.check_ready_awaited();
    }

    /// The workers that are more than there may be: first those that are not ready, then the least busy, then the
    /// youngest.
    fn surplus(&mut self) -> Vec<WorkerId> {
        let count = self.live_now().saturating_sub(self.config.workers);
        let live = self.workers.iter().filter(|(_, worker)| worker.is_live());
        let mut live: Vec<(bool, u32, Reverse<WorkerId>)> = live.map(rank).collect();
        live.sort_unstable();
        live.into_iter().take(count).map(|(.., Reverse(worker_id))| worker_id).collect()
    }

    /// The calls of a chunk wait again, as if they had not been handed out.
    pub(super) fn put_chunk_back(&mut self, worker_id: WorkerId, chunk_id: ChunkId) {
        let Some(worker) = self.workers.get_mut(&worker_id) else { return };
        let Some(place) = worker.chunks.iter().position(|chunk| chunk.chunk_id == chunk_id) else { return };
        let Some(chunk) = worker.chunks.remove(place) else { return };
        let is_owed = |state| !matches!(state, CallState::Replied | CallState::Recalled);
        worker.given -= chunk.calls.iter().filter(|call| is_owed(call.state)).count() as u64;
        worker.quiet_for = None;
        if worker.deferred == Some(chunk_id) {
            worker.deferred = None;
        }
        for call in chunk.calls.into_iter().rev().filter(|call| call.state.is_wanted()) {
            self.put_back(call.job, call.index);
        }
    }
}

fn rank((&worker_id, worker): (&WorkerId, &Worker)) -> (bool, u32, Reverse<WorkerId>) {
    (worker.phase == Phase::Ready, worker.load(), Reverse(worker_id))
}
