//! A world around an engine: workers that do as a test says, and a ledger of what settled.

use std::collections::{BTreeMap, VecDeque};

use super::*;

pub(super) const MS: Duration = Duration::from_millis(1);

/// A configuration with no limits but a grace period of 500 ms.
pub(super) fn config(workers: usize) -> Config {
    Config {
        workers,
        max_queue: None,
        max_calls_per_worker: None,
        max_worker_memory: None,
        idle_timeout: None,
        grace_period: 500 * MS,
        target: MS,
        lanes: false,
        concurrency: 1,
        lazy: false,
        boot_limit: None,
        kill_limit: None,
        lease: None,
    }
}

/// A reply to calls that were run, with empty results.
pub(super) fn reply(chunk: ChunkId, offset: u32, calls: u32, failed: bool, elapsed: Duration) -> Reply {
    Reply { chunk, offset, calls, failed, skipped: false, died: false, elapsed, bytes: 0 }
}

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
    /// It was killed, because it had given no sign of life.
    pub(super) is_silenced: bool,
    pub(super) stopping: bool,
    /// Calls that it has not begun.
    pub(super) calls: VecDeque<SentCall>,
    pub(super) running: Vec<SentCall>,
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
        self.calls.is_empty() && self.running.is_empty() && self.deferred.is_none()
    }

    pub(super) fn is_recalled(&self, seq: u32) -> bool {
        let (from, until) = self.recalled;
        from != 0 && seq.wrapping_sub(from) < until.wrapping_sub(from)
    }

    /// Whether the range of calls that it is not to begin still matters to it.
    fn needs_recall_range(&self) -> bool {
        let waits =
            |seq: u32| !is_reached(self.last_begun, seq) && self.calls.iter().any(|call| call.seq == seq);
        let (from, until) = self.recalled;
        let mut range = std::iter::successors(Some(from), |seq| Some(seq.wrapping_add(1)));
        from != 0 && range.by_ref().take_while(|&seq| seq != until).any(waits)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Settled {
    Replied { failed: bool },
    Ended(Outcome),
}

pub(super) struct World {
    pub(super) engine: Engine,
    pub(super) now: Duration,
    pub(super) workers: BTreeMap<WorkerId, FakeWorker>,
    pub(super) settled: BTreeMap<(JobId, u32), Settled>,
    pub(super) specs: BTreeMap<JobId, JobSpec>,
    pub(super) executions: BTreeMap<(JobId, u32), u32>,
    pub(super) begun_order: Vec<(JobId, u32)>,
    pub(super) ready: Vec<Result<(), Outcome>>,
    pub(super) closed: u32,
    /// Workers that did not end although they were killed.
    pub(super) abandoned: Vec<WorkerId>,
    /// How long a call runs.
    pub(super) cost: Duration,
    /// Bytes of an argument.
    pub(super) argument_size: u64,
    /// Bytes of a result.
    pub(super) result_size: u64,
    pub(super) concurrency: usize,
    pub(super) max_workers: u32,
    /// How many calls fit into a frame.
    pub(super) fitting: u32,
    /// Whether frames take long to encode.
    pub(super) is_deferring: bool,
    /// Whether the caller has ever been late.
    pub(super) is_late: bool,
    pub(super) recalls: u32,
    /// Calls that were skipped although their worker was taken to have begun them.
    pub(super) missed: u32,
    /// Whether workers wait for an index before they load anything.
    pub(super) has_indices: bool,
    /// Whether the workers are lanes, whose calls are theirs until they say that they have skipped them.
    pub(super) has_lanes: bool,
    /// Where its workers come from if they are on lease.
    pub(super) lease_set: Option<lease::FakeLeaseSet>,
}

/// The engine's side.
impl World {
    pub(super) fn new(config: Config) -> World {
        World::with(config, None)
    }

    pub(super) fn with(config: Config, lease_set: Option<lease::FakeLeaseSet>) -> World {
        let concurrency = config.concurrency as usize;
        let max_workers = config.workers as u32;
        let has_indices = config.lease.is_none() && !config.lanes;
        let has_lanes = config.lanes;
        let mut world = World {
            engine: Engine::new(config),
            now: Duration::ZERO,
            workers: BTreeMap::new(),
            settled: BTreeMap::new(),
            specs: BTreeMap::new(),
            executions: BTreeMap::new(),
            begun_order: Vec::new(),
            ready: Vec::new(),
            closed: 0,
            abandoned: Vec::new(),
            cost: 10 * MS,
            argument_size: 0,
            result_size: 0,
            concurrency,
            max_workers,
            fitting: u32::MAX,
            is_deferring: false,
            is_late: false,
            recalls: 0,
            missed: 0,
            has_indices,
            has_lanes,
            lease_set,
        };
        world.engine.start();
        world.pump();
        world
    }

    pub(super) fn submit(&mut self, spec: JobSpec) -> Result<JobId, SubmitError> {
        let job_id = self.engine.submit(spec.clone(), self.now)?;
        self.specs.insert(job_id, spec.clone());
        self.pump();
        Ok(job_id)
    }

    /// Submits a job of plain calls.
    pub(super) fn calls(&mut self, calls: u32) -> JobId {
        self.submit(JobSpec { calls, ..JobSpec::default() }).unwrap()
    }

    pub(super) fn settle(&mut self, job_id: JobId, call: u32, how: Settled) {
        let before = self.settled.insert((job_id, call), how);
        assert_eq!(before, None, "call {call} of {job_id:?} settled twice");
    }

    pub(super) fn outcome(&self, job_id: JobId, call: u32) -> Option<Settled> {
        self.settled.get(&(job_id, call)).copied()
    }

    /// Does what the engine wants done.
    pub(super) fn pump(&mut self) {
        loop {
            while let Some(action) = self.engine.next_action(self.now) {
                self.perform(action);
            }
            if !self.hand_back(false) && !self.is_offered() {
                break;
            }
        }
    }

    fn perform(&mut self, action: Action) {
        match action {
            Action::Spawn { worker, .. } if self.lease_set.is_some() => self.lease(worker),
            Action::Spawn { worker, index } => {
                let fake = FakeWorker { index, ..FakeWorker::default() };
                assert!(self.workers.insert(worker, fake).is_none());
                self.check_indices();
            }
            Action::Assign { worker, index } => {
                let before = self.workers.get_mut(&worker).unwrap().index.replace(index);
                assert_eq!(before, None, "assigned twice");
                self.check_indices();
            }
            Action::Send { worker, chunk, seq, runs } => self.send(worker, chunk, seq, runs),
            Action::Cancel { worker, seqs } => {
                self.workers.get_mut(&worker).unwrap().revoked.extend(seqs);
            }
            Action::Recall { worker, from, until } => self.recall(worker, from, until),
            Action::Stop { worker } => {
                let fake = self.workers.get_mut(&worker).unwrap();
                assert!(fake.calls.is_empty() && fake.running.is_empty(), "stopped while it has work");
                fake.stopping = true;
            }
            Action::Kill { worker } => {
                let fake = self.workers.get_mut(&worker).unwrap();
                (fake.killed, fake.is_silenced) = (true, false);
            }
            Action::Abandon { worker } => {
                self.abandoned.push(worker);
                self.die(worker);
            }
            Action::KillSilent { worker } => {
                let fake = self.workers.get_mut(&worker).unwrap();
                assert!(!fake.alive && !fake.booted, "it had shown that it runs");
                (fake.killed, fake.is_silenced) = (true, true);
            }
            Action::Settle { job, calls, outcome } => {
                for call in calls {
                    self.settle(job, call, Settled::Ended(outcome));
                }
            }
            Action::Ready { outcome } => self.ready.push(outcome),
            Action::Closed => self.closed += 1,
        }
    }

    fn send(&mut self, worker_id: WorkerId, chunk: ChunkId, seq: u32, runs: Vec<Run>) {
        let spread = runs.iter().all(|run| self.specs[&run.job].spread);
        let fake = self.workers.get_mut(&worker_id).expect("sent to a worker that exists");
        assert!(fake.booted || spread, "only calls of spread jobs are sent ahead of its start");
        assert!(!fake.killed && !fake.stopping, "sent to one that can work");
        let calls = runs.into_iter().flat_map(|run| run.calls.map(move |call| (run.job, call)));
        let calls: Vec<(JobId, u32)> = calls.collect();
        assert_eq!(fake.deferred, None, "sent something before what is deferred");
        if self.is_deferring {
            let (job, index) = calls[0];
            fake.deferred = Some(DeferredCall { chunk, job, index });
            return self.engine.defer(worker_id, chunk);
        }
        let kept = self.fitting.min(calls.len() as u32);
        for (offset, &(job, index)) in (0..kept).zip(&calls) {
            let seq = seq.wrapping_add(offset);
            assert!(!fake.is_recalled(seq), "sent under a number that is recalled");
            fake.calls.push_back(SentCall { chunk, offset, seq, job, index });
        }
        let mut chunks: Vec<u32> = fake.running.iter().chain(&fake.calls).map(|call| call.chunk.0).collect();
        chunks.sort_unstable();
        chunks.dedup();
        let max_chunks = if self.is_late { MAX_CHUNKS } else { MIN_CHUNKS };
        assert!(chunks.len() <= self.concurrency.max(max_chunks), "more chunks in flight than allowed");
        if (kept as usize) < calls.len() {
            self.engine.filled(calls[0].0, kept, true);
            self.engine.cut(worker_id, chunk, kept);
        }
        self.engine.encoded(worker_id, chunk, self.argument_size * u64::from(kept));
    }

    fn recall(&mut self, worker_id: WorkerId, from: u32, until: u32) {
        self.recalls += 1;
        let fake = self.workers.get_mut(&worker_id).unwrap();
        let (old_from, old_until) = fake.recalled;
        let is_needed = fake.needs_recall_range();
        assert!(from != 0 && (!is_needed || from == old_from), "a range that matters is only extended");
        fake.recalled = (from, until);
        assert!(!is_needed || fake.is_recalled(old_until.wrapping_sub(1)));
        for call in fake.calls.iter().filter(|call| fake.is_recalled(call.seq)) {
            let spec = &self.specs[&call.job];
            let may_go = spec.keys.is_none() && !spec.sent_once;
            let is_over = self.settled.contains_key(&(call.job, call.index));
            assert!(may_go || is_over, "one that must stay was recalled");
        }
        self.engine.recalled(worker_id, Some(fake.last_begun), from, until);
    }
}

/// The workers' side.
impl World {
    /// One of the workers that exist; `None` if there are none.
    pub(super) fn worker(&self, nth: usize) -> Option<WorkerId> {
        let count = self.workers.len();
        (count > 0).then(|| *self.workers.keys().nth(nth % count).unwrap())
    }

    pub(super) fn boot(&mut self, worker_id: WorkerId) {
        let fake = self.workers.get_mut(&worker_id).unwrap();
        // What it says now was said before it was killed, and it is not spared.
        fake.is_silenced = false;
        if !fake.alive {
            fake.alive = true;
            self.engine.alive(worker_id);
            self.pump();
        }
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
            (fake.killed, fake.alive) = (false, true);
            self.engine.spared(worker_id);
            self.pump();
        }
    }

    /// No two workers that are there have the same index.
    fn check_indices(&self) {
        let mut indices: Vec<u32> = self.workers.values().filter_map(|fake| fake.index).collect();
        let count = indices.len();
        indices.sort_unstable();
        indices.dedup();
        assert_eq!(indices.len(), count, "two workers of one index");
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
            fake.calls.push_back(SentCall { chunk, offset: 0, seq, job, index });
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
        let is_skipped = |call: &&SentCall| call.chunk == chunk && fake.is_recalled(call.seq);
        let count = fake.calls.iter().take_while(is_skipped).count();
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
        let fake = self.workers.get_mut(&worker_id).unwrap();
        if fake.running.is_empty() {
            return;
        }
        let SentCall { chunk, offset, job, index, .. } = fake.running.remove(nth % fake.running.len());
        let spec = &self.specs[&job];
        if let Some(keys) = spec.keys.as_ref().filter(|_| failed && spec.stop_key_on_error && spec.key_runs) {
            fake.stopped.push((job, keys[index as usize]));
        }
        let reply = Reply { bytes: self.result_size, ..reply(chunk, offset, 1, failed, self.cost) };
        for run in self.engine.replied(worker_id, reply).unwrap() {
            assert_eq!((run.job, run.calls.clone(), run.offset), (job, index..index + 1, 0));
            self.settle(job, index, Settled::Replied { failed });
        }
        self.pump();
    }

    /// The last chunk of a worker comes back, if nothing of it has begun.
    pub(super) fn return_chunk(&mut self, worker_id: WorkerId) {
        let fake = self.workers.get_mut(&worker_id).unwrap();
        let Some(&SentCall { chunk, .. }) = fake.calls.back() else { return };
        let mut seqs = fake.calls.iter().filter(|call| call.chunk == chunk).map(|call| call.seq);
        let has_begun = seqs.any(|seq| is_reached(fake.last_begun, seq))
            || fake.running.iter().any(|call| call.chunk == chunk);
        if fake.killed || has_begun {
            return;
        }
        fake.calls.retain(|call| call.chunk != chunk);
        self.engine.returned(worker_id, chunk);
        self.pump();
    }

    /// Something dies over the oldest call that a worker runs.
    pub(super) fn die_afar(&mut self, worker_id: WorkerId) {
        let fake = self.workers.get_mut(&worker_id).unwrap();
        let Some(&SentCall { chunk, offset, job, index, .. }) = fake.running.first() else { return };
        if self.specs[&job].key_runs {
            // Its worker would have to know whether there is a retry.
            return;
        }
        fake.running.remove(0);
        let died = Reply { died: true, ..reply(chunk, offset, 1, true, self.cost) };
        for run in self.engine.replied(worker_id, died).unwrap() {
            assert_eq!((run.job, run.calls.clone(), run.offset), (job, index..index + 1, 0));
            self.settle(job, index, Settled::Replied { failed: true });
        }
        self.pump();
    }

    pub(super) fn die(&mut self, worker_id: WorkerId) {
        let fake = self.workers.remove(&worker_id).unwrap();
        self.engine.exited(worker_id, fake.last_begun);
        self.pump();
    }
}

/// Time.
impl World {
    /// A turn of the caller's loop has passed, which was busy for this long.
    pub(super) fn turn(&mut self, busy: Duration) {
        self.now += busy;
        self.is_late |= busy > MS;
        self.engine.turned(busy, self.now);
        if self.engine.is_leveling_due() {
            for (&worker_id, fake) in &self.workers {
                self.engine.begun(worker_id, fake.last_begun);
            }
        }
        self.pump();
    }

    pub(super) fn tick(&mut self, passed: Duration) {
        self.engine.next_tick(self.now);
        self.now += passed;
        self.engine.tick(self.now);
        for (&worker_id, fake) in &self.workers {
            self.engine.begun(worker_id, fake.last_begun);
        }
        self.pump();
    }

    /// Time passes, in the steps that the engine asks for.
    pub(super) fn pass(&mut self, duration: Duration) {
        let end = self.now + duration;
        while self.now < end {
            let step = self.engine.next_tick(self.now).unwrap_or(end - self.now);
            self.tick(step.min(end - self.now));
        }
    }

    /// Everybody works until every call has settled and nobody has any left.
    pub(super) fn run_to_end(&mut self) {
        for _ in 0..100_000 {
            let worker_ids: Vec<WorkerId> = self.workers.keys().copied().collect();
            for worker_id in worker_ids {
                self.work(worker_id);
            }
            let submitted = self.specs.values().map(|spec| spec.calls as usize).sum::<usize>();
            if self.settled.len() == submitted && self.workers.values().all(FakeWorker::is_free) {
                return;
            }
            if self.engine.next_tick(self.now).is_some() {
                self.tick(100 * MS);
            }
        }
        panic!("work is left forever");
    }

    /// A worker does what it has to do next, if it is still here.
    fn work(&mut self, worker_id: WorkerId) {
        let Some(fake) = self.workers.get(&worker_id) else { return };
        if fake.killed || fake.stopping {
            return self.die(worker_id);
        }
        if !fake.booted {
            return self.boot(worker_id);
        }
        let finish = |world: &mut World, worker_id| world.finish(worker_id, false);
        for act in [World::send_deferred, World::begin, finish] {
            if self.workers.contains_key(&worker_id) {
                act(self, worker_id);
            }
        }
    }
}
