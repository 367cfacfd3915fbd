//! Chunks from being encoded until their last reply.
//!
//! Must not depend on which worker gets which call.

use std::collections::BTreeMap;
use std::time::Duration;

use super::super::chunk::{CallState, ChunkCall, is_reached};
use super::super::job::Job;
use super::super::{ChunkId, JobId, Outcome, ProtocolViolation, Reply, Run, SettledRun, WorkerId};
use super::Engine;

impl Engine {
    /// Only the first `kept` calls of a chunk are sent.
    pub(super) fn shorten(&mut self, worker_id: WorkerId, chunk_id: ChunkId, kept: u32) {
        let Some(worker) = self.workers.get_mut(&worker_id) else { return };
        let Some(chunk) = worker.chunks.back_mut().filter(|chunk| chunk.chunk_id == chunk_id) else { return };
        let rest = chunk.calls.split_off(chunk.calls.len().min(kept as usize));
        let unsent = rest.len() as u32;
        chunk.outstanding -= rest.iter().filter(|call| call.state != CallState::Replied).count() as u32;
        chunk.recalled -= rest.iter().filter(|call| call.state == CallState::Recalled).count() as u32;
        // Their numbers go to the calls of the next chunk, unless the worker is about to be told to skip some of these.
        if rest.iter().all(|call| call.state == CallState::Sent) {
            worker.next_seq = worker.next_seq.wrapping_sub(unsent);
        }
        worker.given -= u64::from(unsent);
        worker.uncounted -= rest.iter().filter(|call| !call.is_counted).count() as u64;
        if chunk.outstanding == 0 {
            worker.chunks.pop_back();
        }
        for call in rest.into_iter().rev().filter(|call| call.state.is_wanted()) {
            self.put_back(call.job, call.index);
        }
    }

    /// The arguments of a chunk take up this many bytes.
    pub(super) fn book_size(&mut self, worker_id: WorkerId, chunk_id: ChunkId, bytes: u64) {
        let Some(worker) = self.workers.get_mut(&worker_id) else { return };
        if let Some(chunk) = worker.chunks.iter_mut().find(|chunk| chunk.chunk_id == chunk_id) {
            chunk.argument_bytes = bytes;
        }
    }

    /// The chunk is sent without this call.
    pub(super) fn drop_unencodable(&mut self, worker_id: WorkerId, chunk_id: ChunkId, offset: u32) {
        let Some(worker) = self.workers.get_mut(&worker_id) else { return };
        let Some(place) = worker.chunks.iter().position(|chunk| chunk.chunk_id == chunk_id) else { return };
        let chunk = &mut worker.chunks[place];
        let Some(call) = chunk.calls.get_mut(offset as usize) else { return };
        let (job_id, index, is_wanted) = (call.job, call.index, call.state.is_wanted());
        let state = std::mem::replace(&mut call.state, CallState::Replied);
        chunk.outstanding -= u32::from(state != CallState::Replied);
        chunk.recalled -= u32::from(state == CallState::Recalled);
        if chunk.outstanding == 0 {
            worker.chunks.remove(place);
        }
        if is_wanted {
            self.book_settled(job_id, index..index + 1, true);
        }
    }

    /// Keeps only the first call of a chunk, whose frame is still being encoded.
    pub(super) fn put_off(&mut self, worker_id: WorkerId, chunk_id: ChunkId) {
        self.shorten(worker_id, chunk_id, 1);
        let Some(worker) = self.workers.get_mut(&worker_id) else { return };
        if worker.chunks.back().is_some_and(|chunk| chunk.chunk_id == chunk_id) {
            worker.deferred = Some(chunk_id);
        }
    }

    /// Returns the deferred call and its number if it is still wanted; otherwise forgets it.
    pub(super) fn end_deferral(&mut self, worker_id: WorkerId, chunk_id: ChunkId) -> Option<(u32, Run)> {
        let is_wanted = self.is_deferred(worker_id, chunk_id);
        let worker = self.workers.get_mut(&worker_id).filter(|worker| worker.deferred == Some(chunk_id))?;
        worker.deferred = None;
        let chunk = worker.chunks.back().filter(|chunk| chunk.chunk_id == chunk_id)?;
        if is_wanted {
            let &ChunkCall { job, index, .. } = chunk.calls.first()?;
            return Some((chunk.first_seq, Run { job, calls: index..index + 1 }));
        }
        // Its worker has never heard of it, and may yet be spared if it was killed for its silence.
        let unsent = worker.chunks.pop_back()?;
        for call in unsent.calls.into_iter().filter(|call| call.state.is_wanted()) {
            self.put_back(call.job, call.index);
        }
        None
    }

    /// Books the calls up to this number as begun.
    pub(super) fn mark_begun(&mut self, worker_id: WorkerId, last_begun: u32) {
        let Some(worker) = self.workers.get_mut(&worker_id) else { return };
        for chunk in &mut worker.chunks {
            for offset in 0..chunk.calls.len() {
                if !is_reached(last_begun, chunk.seq(offset)) {
                    return;
                }
                let call = &mut chunk.calls[offset];
                match call.state {
                    CallState::Sent => call.state = CallState::Begun { ran: Duration::ZERO },
                    CallState::Revoked => call.state = CallState::Abandoned { since: Duration::ZERO },
                    CallState::Dropped { .. } => call.state = CallState::Dropped { begun: true },
                    CallState::Begun { .. }
                    | CallState::Abandoned { .. }
                    | CallState::Recalled
                    | CallState::Replied => {}
                }
            }
        }
    }

    /// Books a reply, and returns the calls that settle by it.
    pub(super) fn book_reply(
        &mut self,
        worker_id: WorkerId,
        reply: Reply,
    ) -> Result<Vec<SettledRun>, ProtocolViolation> {
        let Reply { chunk: chunk_id, offset, calls, failed, skipped, died, elapsed, bytes } = reply;
        let worker = self.workers.get_mut(&worker_id).ok_or(ProtocolViolation::UnknownWorker)?;
        let place = worker.chunks.iter().position(|chunk| chunk.chunk_id == chunk_id);
        let place = place.ok_or(ProtocolViolation::UnknownChunk)?;
        let chunk = &mut worker.chunks[place];
        let range = offset as usize..offset as usize + calls as usize;
        let replied = chunk.calls.get_mut(range).ok_or(ProtocolViolation::UnknownCalls)?;
        if replied.iter().any(|call| call.state == CallState::Replied) {
            return Err(ProtocolViolation::RepeatedReply);
        }
        let is_stopped =
            |call: &ChunkCall| self.jobs.get(&call.job).is_some_and(|job| job.is_stopped(call.index));
        let may_skip = |call: &ChunkCall| !call.state.is_wanted() || is_stopped(call);
        if skipped && worker.recalled_from.is_none() && !replied.iter().all(may_skip) {
            return Err(ProtocolViolation::UnexpectedSkip);
        }
        let mut returning = Vec::new();
        let mut recalled = 0;
        let mut settled: Vec<SettledRun> = Vec::new();
        for (at, call) in (0..).zip(replied) {
            let state = std::mem::replace(&mut call.state, CallState::Replied);
            recalled += u64::from(state == CallState::Recalled);
            if !state.is_wanted() {
                continue;
            }
            if skipped || (died && runs_again(&mut self.jobs, call)) {
                returning.push((call.job, call.index));
                continue;
            }
            match settled.last_mut() {
                Some(last) if last.job == call.job && last.calls.end == call.index => last.calls.end += 1,
                _ => {
                    let calls = call.index..call.index + 1;
                    settled.push(SettledRun { job: call.job, calls, offset: at });
                }
            }
        }
        chunk.outstanding -= calls;
        chunk.recalled -= recalled as u32;
        let size = chunk.calls.len() as u32;
        let is_over = chunk.outstanding == 0;
        if is_over {
            worker.chunks.remove(place);
        }
        let done = u64::from(calls) - recalled - returning.len() as u64;
        worker.done += done;
        worker.ran += elapsed;
        worker.failed += if failed || skipped || died { done } else { 0 };
        worker.idle_for = Duration::ZERO;
        worker.quiet_for = None;
        if skipped {
            self.return_calls(worker_id, &returning);
            return Ok(settled);
        }
        if died {
            // How long they ran says nothing of what such calls take.
            for &(job_id, call) in returning.iter().rev() {
                self.put_back(job_id, call);
            }
            for run in &settled {
                self.book_settled(run.job, run.calls.clone(), true);
            }
            return Ok(settled);
        }
        let calls = calls.max(1);
        // What comes from far away says what a call costs there.
        let at_once = if self.config.lanes { 1 } else { self.config.concurrency };
        self.run_time.record(elapsed / calls, reply.calls.into());
        for run in &settled {
            if let Some(job) = self.jobs.get_mut(&run.job) {
                let took = elapsed / (calls * at_once);
                self.costs.observe(job.task, &mut job.sizer, took, bytes / u64::from(calls));
                if is_over {
                    job.sizer.came_back(size);
                }
            }
            self.book_settled(run.job, run.calls.clone(), failed);
        }
        Ok(settled)
    }

    /// Calls that a worker has not run wait again, at the head, and do not count for it.
    pub(super) fn return_calls(&mut self, worker_id: WorkerId, calls: &[(JobId, u32)]) {
        if let Some(worker) = self.workers.get_mut(&worker_id) {
            worker.given -= calls.len() as u64;
        }
        for &(job_id, call) in calls.iter().rev() {
            self.put_back(job_id, call);
        }
    }

    /// A call that was in flight waits again, at the head. One whose key was stopped is skipped.
    pub(super) fn put_back(&mut self, job_id: JobId, call: u32) {
        self.paused.remove(&(job_id, call));
        let Some(job) = self.jobs.get_mut(&job_id) else { return };
        if job.put_back(call) {
            self.queue.insert((job.order, job_id));
            self.counters.returned(1);
        } else {
            self.settle_in_flight(job_id, call, Outcome::Skipped);
        }
    }
}

/// Whether a call that something has died over runs again, for which it uses a retry. One whose key was stopped goes
/// back to be skipped.
fn runs_again(jobs: &mut BTreeMap<JobId, Job>, call: &ChunkCall) -> bool {
    jobs.get_mut(&call.job).is_some_and(|job| job.is_stopped(call.index) || job.use_retry(call.index))
}
