//! The workers of a [`World`]: what they are sent, how far they have come, and what they say of it.

use std::collections::VecDeque;

use super::*;

/// A call as its worker knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SentCall {
    pub(super) chunk: ChunkId,
    pub(super) offset: u32,
    pub(super) seq: u32,
    pub(super) job: JobId,
    pub(super) index: u32,
}

/// A call whose frame is still being encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DeferredCall {
    pub(super) chunk: ChunkId,
    pub(super) job: JobId,
    pub(super) index: u32,
}

/// The other side of a worker: it begins its calls in the order in which they were sent.
#[derive(Default)]
pub(super) struct FakeWorker {
    /// `None` while it waits for one, and where workers have none.
    pub(super) index: Option<u32>,
    pub(super) alive: bool,
    pub(super) booted: bool,
    pub(super) killed: bool,
    /// It was to be killed because it had given no sign of life, and may be spared yet.
    pub(super) is_silenced: bool,
    /// It was killed for another reason.
    pub(super) is_doomed: bool,
    pub(super) stopping: bool,
    /// Calls that it has not begun.
    pub(super) calls: VecDeque<SentCall>,
    pub(super) running: Vec<SentCall>,
    /// Calls that it has finished, or failed, and has not said so.
    pub(super) unsaid: Vec<(SentCall, bool)>,
    pub(super) last_begun: u32,
    pub(super) revoked: Vec<u32>,
    /// The calls that it is not to begin: from, until.
    pub(super) recalled: (u32, u32),
    /// Keys, by job, whose calls it skips because one has failed.
    pub(super) stopped: Vec<(JobId, u32)>,
    /// How many calls it ran.
    pub(super) ran: u64,
    pub(super) deferred: Option<DeferredCall>,
}

impl FakeWorker {
    pub(super) fn is_free(&self) -> bool {
        let has_none = self.calls.is_empty() && self.running.is_empty() && self.unsaid.is_empty();
        has_none && self.deferred.is_none()
    }

    pub(super) fn is_recalled(&self, seq: u32) -> bool {
        let (from, until) = self.recalled;
        from != 0 && seq.wrapping_sub(from) < until.wrapping_sub(from)
    }

    /// Whether the range of calls that it is not to begin still matters to it.
    pub(super) fn needs_recall_range(&self) -> bool {
        let waits = |call: &SentCall| !is_reached(self.last_begun, call.seq) && self.is_recalled(call.seq);
        self.calls.iter().any(waits)
    }
}

/// The workers' side.
impl World {
    /// One of the workers that exist; `None` if there are none.
    pub(super) fn worker(&self, nth: usize) -> Option<WorkerId> {
        let count = self.workers.len();
        (count > 0).then(|| *self.workers.keys().nth(nth % count).unwrap())
    }

    pub(super) fn show_life(&mut self, worker_id: WorkerId) {
        let fake = self.workers.get_mut(&worker_id).unwrap();
        // What it says now was said before it was killed, and it is not spared.
        fake.is_silenced = false;
        if !fake.alive {
            fake.alive = true;
            self.engine.alive(worker_id);
            self.pump();
        }
    }

    pub(super) fn boot(&mut self, worker_id: WorkerId) {
        self.show_life(worker_id);
        let Some(fake) = self.workers.get_mut(&worker_id) else { return };
        if !fake.booted && (fake.index.is_some() || !self.has_indices) {
            fake.booted = true;
            self.engine.ready(worker_id);
            self.pump();
        }
    }

    /// It was not killed for its silence after all.
    pub(super) fn spare(&mut self, worker_id: WorkerId) {
        let fake = self.workers.get_mut(&worker_id).unwrap();
        if std::mem::take(&mut fake.is_silenced) {
            (fake.killed, fake.alive) = (fake.is_doomed, true);
            self.engine.spared(worker_id);
            self.pump();
        }
    }

    pub(super) fn boot_all(&mut self) {
        let worker_ids: Vec<WorkerId> = self.workers.keys().copied().collect();
        for worker_id in worker_ids {
            self.boot(worker_id);
        }
    }

    /// The frame that was deferred is ready.
    pub(super) fn send_deferred(&mut self, worker_id: WorkerId) {
        let fake = self.workers.get_mut(&worker_id).unwrap();
        let Some(DeferredCall { chunk, job, index }) = fake.deferred.take() else { return };
        let is_settled = self.settled.contains_key(&(job, index));
        let sent = self.engine.undefer(worker_id, chunk);
        assert_eq!(sent.is_none(), is_settled || fake.killed, "sent if somebody waits for it");
        assert!(!self.engine.is_deferred(worker_id, chunk));
        if let Some((seq, run)) = sent {
            assert_eq!(run, Run { job, calls: index..index + 1 });
            assert!(!fake.is_recalled(seq), "sent under a number that is recalled");
            if self.mishaps.unencodable & 1 == 0 {
                fake.calls.push_back(SentCall { chunk, offset: 0, seq, job, index });
                self.engine.encoded(worker_id, chunk, self.argument_size);
            } else {
                self.fail_to_encode(worker_id, SentCall { chunk, offset: 0, seq, job, index });
            }
        }
        self.pump();
    }

    /// The worker says that it begins its next call, and has yet to look whether that is recalled.
    pub(super) fn publish(&mut self, worker_id: WorkerId) {
        let concurrency = self.concurrency;
        let fake = self.workers.get_mut(&worker_id).unwrap();
        if !fake.killed && fake.running.len() < concurrency && fake.booted {
            fake.last_begun = fake.calls.front().map_or(fake.last_begun, |call| call.seq);
        }
    }

    /// The worker begins its next call, or skips those that are unwanted or recalled.
    pub(super) fn begin(&mut self, worker_id: WorkerId) {
        let concurrency = self.concurrency;
        let fake = self.workers.get_mut(&worker_id).unwrap();
        if fake.killed || fake.running.len() >= concurrency || !fake.booted {
            return;
        }
        let Some(&SentCall { chunk, offset, seq, job, index }) = fake.calls.front() else { return };
        let key = self.specs[&job].keys.as_ref().map(|keys| (job, keys[index as usize]));
        if key.is_some_and(|key| fake.stopped.contains(&key)) {
            fake.calls.pop_front();
            let skipped = Reply { skipped: true, ..reply(chunk, offset, 1, false, Duration::ZERO) };
            assert!(self.engine.replied(worker_id, skipped).unwrap().is_empty(), "a skipped call settles");
            return self.pump();
        }
        if fake.revoked.contains(&seq) {
            fake.calls.pop_front();
            let skipped = Reply { skipped: true, ..reply(chunk, offset, 1, false, Duration::ZERO) };
            let settled = self.engine.replied(worker_id, skipped).unwrap();
            assert!(settled.is_empty(), "a revoked call had settled");
            return self.pump();
        }
        fake.last_begun = seq;
        let is_skipped = |(at, call): &(u32, &SentCall)| {
            call.chunk == chunk && call.offset == offset + at && fake.is_recalled(call.seq)
        };
        let count = (0..).zip(&fake.calls).take_while(is_skipped).count();
        if count > 0 {
            fake.calls.drain(..count);
            let waiting = self.engine.stats().waiting;
            let skipped =
                Reply { skipped: true, ..reply(chunk, offset, count as u32, false, Duration::ZERO) };
            assert!(self.engine.replied(worker_id, skipped).unwrap().is_empty(), "a skipped call settles");
            self.missed += (self.engine.stats().waiting - waiting) as u32;
            return self.pump();
        }
        fake.running.extend(fake.calls.pop_front());
        let JobSpec { pinned: is_pinned, first_worker, .. } = self.specs[&job];
        let is_its = fake.index == Some(index + first_worker);
        assert!(!is_pinned || self.has_lanes || is_its, "a call that is for another worker");
        fake.ran += u64::from(!is_pinned || self.has_lanes);
        *self.executions.entry((job, index)).or_default() += 1;
        self.begun_order.push((job, index));
    }

    /// The worker finishes the oldest call that it runs.
    pub(super) fn finish(&mut self, worker_id: WorkerId, failed: bool) {
        self.finish_nth(worker_id, 0, failed);
    }

    /// The worker finishes one of the calls that it runs.
    pub(super) fn finish_nth(&mut self, worker_id: WorkerId, nth: usize, failed: bool) {
        self.finish_quietly(worker_id, nth, failed);
        self.say(worker_id);
    }

    /// The worker finishes one of the calls that it runs, and says so later.
    pub(super) fn finish_quietly(&mut self, worker_id: WorkerId, nth: usize, failed: bool) {
        let fake = self.workers.get_mut(&worker_id).unwrap();
        if fake.running.is_empty() {
            return;
        }
        let call @ SentCall { job, index, .. } = fake.running.remove(nth % fake.running.len());
        let spec = &self.specs[&job];
        if let Some(keys) = spec.keys.as_ref().filter(|_| failed && spec.stop_key_on_error && spec.key_runs) {
            fake.stopped.push((job, keys[index as usize]));
        }
        fake.unsaid.push((call, failed));
        // What has a key must not be run again after a later call of that.
        if spec.keys.is_some() {
            self.say(worker_id);
        }
    }

    /// The worker says what it has finished: of consecutive calls in one reply.
    pub(super) fn say(&mut self, worker_id: WorkerId) {
        while let Some(fake) = self.workers.get_mut(&worker_id)
            && let Some(&(SentCall { chunk, offset, .. }, failed)) = fake.unsaid.first()
        {
            let is_next = |(at, next): &(u32, &(SentCall, bool))| {
                next.0.chunk == chunk && next.0.offset == offset + at && next.1 == failed
            };
            let count = (0..).zip(&fake.unsaid).take_while(is_next).count();
            let said: Vec<SentCall> = fake.unsaid.drain(..count).map(|(call, _)| call).collect();
            let bytes = self.result_size * count as u64;
            let reply = reply(chunk, offset, count as u32, failed, self.cost * count as u32);
            self.book_reply(worker_id, Reply { bytes, ..reply }, &said);
        }
        self.pump();
    }

    /// The engine is told of a reply to these calls.
    fn book_reply(&mut self, worker_id: WorkerId, reply: Reply, said: &[SentCall]) {
        for run in self.engine.replied(worker_id, reply).unwrap() {
            let replied = &said[run.offset as usize..];
            for (index, call) in run.calls.zip(replied) {
                assert_eq!((run.job, index), (call.job, call.index));
                self.settle(run.job, index, Settled::Replied { failed: reply.failed });
            }
        }
    }

    /// The last chunk of a worker comes back, if nothing of it has begun.
    pub(super) fn return_chunk(&mut self, worker_id: WorkerId) {
        let fake = self.workers.get_mut(&worker_id).unwrap();
        let Some(&SentCall { chunk, .. }) = fake.calls.back() else { return };
        let mut seqs = fake.calls.iter().filter(|call| call.chunk == chunk).map(|call| call.seq);
        let has_begun = seqs.any(|seq| is_reached(fake.last_begun, seq))
            || fake.running.iter().any(|call| call.chunk == chunk)
            || fake.unsaid.iter().any(|(call, _)| call.chunk == chunk);
        if fake.killed || has_begun {
            return;
        }
        fake.calls.retain(|call| call.chunk != chunk);
        self.engine.returned(worker_id, chunk);
        self.pump();
    }

    /// Something dies over the oldest call that a worker runs, and over others in a row with it.
    pub(super) fn die_afar(&mut self, worker_id: WorkerId, count: usize) {
        let fake = self.workers.get_mut(&worker_id).unwrap();
        let Some(&SentCall { chunk, offset, .. }) = fake.running.first() else { return };
        let is_next = |(at, next): &(u32, &SentCall)| {
            // Of a run of one key, its worker would have to know whether there is a retry.
            next.chunk == chunk && next.offset == offset + at && !self.specs[&next.job].key_runs
        };
        let count = (0..).zip(&fake.running).take(count).take_while(is_next).count();
        if count == 0 {
            return;
        }
        let died: Vec<SentCall> = fake.running.drain(..count).collect();
        let reply = reply(chunk, offset, count as u32, true, self.cost);
        self.book_reply(worker_id, Reply { died: true, ..reply }, &died);
        self.pump();
    }

    pub(super) fn die(&mut self, worker_id: WorkerId) {
        let fake = self.workers.remove(&worker_id).unwrap();
        self.gone.push(worker_id);
        self.engine.exited(worker_id, fake.last_begun);
        self.pump();
    }

    /// What was reported of a worker before its end is known arrives after that.
    pub(super) fn report_of_the_gone(&mut self, nth: usize) {
        let count = self.gone.len();
        let Some(&worker_id) = self.gone.get(nth % count.max(1)) else { return };
        let engine = &mut self.engine;
        engine.alive(worker_id);
        engine.spared(worker_id);
        engine.ready(worker_id);
        engine.load_failed(worker_id);
        engine.begun(worker_id, 1);
        engine.recalled(worker_id, Some(1), 1, 2);
        engine.memory(worker_id, 5000);
        engine.give_up(worker_id);
        engine.returned(worker_id, ChunkId(0));
        assert_eq!(engine.undefer(worker_id, ChunkId(0)), None);
        let late = reply(ChunkId(0), 0, 1, false, MS);
        assert_eq!(engine.replied(worker_id, late), Err(ProtocolViolation::UnknownWorker));
        assert_eq!(engine.exited(worker_id, 1), None);
    }
}
