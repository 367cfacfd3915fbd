//! What can be asked of an engine without changing it.
//!
//! Must not depend on who asks, or why.

use std::time::Duration;

use super::super::chunk::{CallState, Chunk, ChunkCall};
use super::super::prefetch::MAX_BYTES;
use super::super::roster::Group;
use super::super::stats::{Stats, WorkerState, WorkerStats};
use super::super::worker::{Phase, Worker};
use super::super::{ChunkId, JobId, QueueLoad, WorkerId};
use super::{Engine, Mode};

impl Engine {
    /// Whether anything is under way that the process should stay alive for.
    pub fn is_held(&self) -> bool {
        !self.jobs.is_empty() || self.ready_awaited || (self.mode != Mode::Open && !self.closed_told)
    }

    /// Every worker that is not known to be gone.
    pub fn workers(&self) -> Vec<WorkerId> {
        self.workers.keys().copied().collect()
    }

    /// The workers that have nothing in flight, whether they are still starting or already told to stop.
    pub fn unoccupied(&self) -> Vec<WorkerId> {
        self.workers_that(|worker| !worker.is_busy() && worker.phase != Phase::Dying)
    }

    /// How many workers have something in flight.
    pub fn busy_workers(&self) -> usize {
        self.workers.count(Group::Busy)
    }

    /// Whether this is the first of the chunks that a worker has, and so finds it with nothing to do.
    pub fn is_first_chunk(&self, worker_id: WorkerId, chunk_id: ChunkId) -> bool {
        let first = self.workers.get(&worker_id).and_then(|worker| worker.chunks.front());
        first.is_some_and(|chunk| chunk.chunk_id == chunk_id)
    }

    /// Whether it is not over with what was sent: calls wait, or workers have more than one chunk.
    pub fn has_more_to_send(&self) -> bool {
        self.counters.waiting() > 0
            || self.workers.members(Group::Busy).any(|(_, worker)| worker.chunks.len() > 1)
    }

    /// How many calls wait, and whether that is as many as may.
    pub fn queue_load(&self) -> QueueLoad {
        let waiting = self.counters.waiting();
        let is_full =
            self.config.max_queue.is_some_and(|max| waiting >= max.saturating_add(self.free_slots()));
        QueueLoad { waiting, is_full }
    }

    /// Whether there is something to do that depends on how far each worker has come ([`Engine::begun`]).
    pub fn is_leveling_due(&self) -> bool {
        self.is_leveling_due
    }

    /// How many calls of a task are half of what a worker may have in flight, judging by their known cost and the
    /// caller's lag; 1 while nothing is known.
    pub fn calls_ahead(&self, task: u32) -> u32 {
        let cost = self.costs.of(task);
        let target = match self.config.lanes {
            true => self.chunk_target(self.workers.count(Group::Serving)),
            false => self.config.target,
        };
        let in_one_chunk = cost.calls_in(target).max(1);
        let in_memory = MAX_BYTES / 2 / cost.result_bytes().max(1);
        let in_window =
            cost.calls_in(self.lag.window() / 2).min(u32::try_from(in_memory).unwrap_or(u32::MAX));
        in_window.max(in_one_chunk)
    }

    /// How long a call of this task takes, as far as is known.
    pub fn call_cost(&self, task: u32) -> Option<Duration> {
        self.costs.of(task).expected(1)
    }

    /// The job and index of the call that has this number in the worker's count, while its chunk is in flight.
    pub fn call_of(&self, worker_id: WorkerId, seq: u32) -> Option<(JobId, u32)> {
        let chunks = &self.workers.get(&worker_id)?.chunks;
        let call =
            chunks.iter().find_map(|chunk| chunk.calls.get(seq.wrapping_sub(chunk.first_seq) as usize));
        call.map(|call| (call.job, call.index))
    }

    /// The same for a call whose caller still waits, and how often it was begun before.
    pub fn wanted_call(&self, worker_id: WorkerId, seq: u32) -> Option<(JobId, u32, u32)> {
        let chunks = &self.workers.get(&worker_id)?.chunks;
        let call =
            chunks.iter().find_map(|chunk| chunk.calls.get(seq.wrapping_sub(chunk.first_seq) as usize))?;
        let job = self.jobs.get(&call.job).filter(|_| call.state.is_wanted())?;
        Some((call.job, call.index, job.retries_used(call.index)))
    }

    /// The worker that has a call in flight whose caller still waits, and the call's number there.
    pub fn place_of(&self, job_id: JobId, index: u32) -> Option<(WorkerId, u32)> {
        let is_it = |call: &ChunkCall| call.job == job_id && call.index == index && call.state.is_wanted();
        self.workers.iter().find_map(|(&worker_id, worker)| {
            let seq_in = |chunk: &Chunk| chunk.calls.iter().position(is_it).map(|offset| chunk.seq(offset));
            worker.chunks.iter().find_map(seq_in).map(|seq| (worker_id, seq))
        })
    }

    /// The same for a call that is known to have begun.
    pub fn begun_place_of(&self, job_id: JobId, index: u32) -> Option<(WorkerId, u32)> {
        let (worker_id, seq) = self.place_of(job_id, index)?;
        let chunks = &self.workers.get(&worker_id)?.chunks;
        let has_begun = chunks.iter().any(|chunk| chunk.is_running(seq));
        has_begun.then_some((worker_id, seq))
    }

    /// The index of a worker; `None` while it waits for one, and where workers are leased.
    pub fn index_of(&self, worker_id: WorkerId) -> Option<u32> {
        self.workers.get(&worker_id)?.index
    }

    /// Whether a deferred frame is still wanted.
    pub fn is_deferred(&self, worker_id: WorkerId, chunk_id: ChunkId) -> bool {
        let worker = self.workers.get(&worker_id).filter(|worker| worker.deferred == Some(chunk_id));
        let Some(worker) = worker else { return false };
        let chunk = worker.chunks.back().filter(|chunk| chunk.chunk_id == chunk_id);
        !worker.is_killed()
            && chunk.is_some_and(|chunk| chunk.calls.iter().any(|call| call.state.is_wanted()))
    }

    /// How many calls of a job that has settled are still run by workers or, unless `only_begun`, have yet to be
    /// skipped. A worker that is being killed has its calls until it is gone.
    pub fn remains(&self, job_id: JobId, only_begun: bool) -> usize {
        let remains = |worker: &Worker, call: &ChunkCall| {
            let is_unskipped = call.state == CallState::Revoked && worker.phase == Phase::Ready;
            call.job == job_id && (call.state.is_running() || (is_unskipped && !only_begun))
        };
        let count = |worker: &Worker| worker.calls().filter(|call| remains(worker, call)).count();
        self.workers.values().map(count).sum()
    }

    /// A snapshot of the engine.
    pub fn stats(&self) -> Stats {
        let workers = self.workers.iter().map(|(worker_id, worker)| WorkerStats {
            worker_id: worker_id.0,
            state: match worker.phase {
                Phase::Starting if self.is_up_to_index(worker) => WorkerState::Ready,
                Phase::Starting => WorkerState::Starting,
                Phase::Ready if worker.is_busy() => WorkerState::Busy,
                Phase::Ready => WorkerState::Ready,
                Phase::Stopping { .. } | Phase::Dying => WorkerState::Stopping,
            },
            done: worker.done,
            failed: worker.failed,
        });
        Stats {
            workers: workers.collect(),
            waiting: self.counters.waiting(),
            running: self.counters.running(),
            done: self.counters.done(),
            failed: self.counters.failed(),
            restarts: self.restarts,
            bytes_in_flight: self.workers.values().map(Worker::bytes).sum(),
            lag: self.lag.recent().as_secs_f64() * 1000.0,
            wait_time: self.wait_time.summary(),
            run_time: self.run_time.summary(),
        }
    }
}
