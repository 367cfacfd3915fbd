//! A world around an engine: workers that do as a test says, and a ledger of what settled.

use std::collections::BTreeMap;

use super::events::{Event, apply};
use super::workers::{DeferredCall, SentCall};
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
        patient_target: 5 * MS,
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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Settled {
    Replied { failed: bool },
    Ended(Outcome),
}

/// What goes wrong, or happens in the middle of something else.
#[derive(Default)]
pub(super) struct Mishaps {
    /// So many of the next workers cannot be started.
    pub(super) failing_spawns: u32,
    /// Nobody can be told of recalls. A lane can, and runs what it is asked for all the same.
    pub(super) is_deaf: bool,
    /// Calls at these places of a chunk cannot be encoded; a bit for each.
    pub(super) unencodable: u32,
    /// The next chunk cannot be sent at all.
    pub(super) fails_to_send: bool,
    /// What happens while the next chunk is encoded.
    pub(super) while_encoding: Vec<Event>,
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
    /// Whether it was closed or terminated.
    pub(super) is_closed: bool,
    /// Workers that have ended.
    pub(super) gone: Vec<WorkerId>,
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
    pub(super) mishaps: Mishaps,
    /// The number of the first call of each worker: so many were there before.
    pub(super) first_seq: u32,
    /// Whether it does what the engine wants done.
    is_pumping: bool,
}

/// The engine's side.
impl World {
    pub(super) fn new(config: Config) -> World {
        World::with(config, None)
    }

    pub(super) fn with(config: Config, lease_set: Option<lease::FakeLeaseSet>) -> World {
        World::counting_from(1, config, lease_set)
    }

    pub(super) fn counting_from(
        first_seq: u32,
        config: Config,
        lease_set: Option<lease::FakeLeaseSet>,
    ) -> World {
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
            is_closed: false,
            gone: Vec::new(),
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
            mishaps: Mishaps::default(),
            first_seq,
            is_pumping: false,
        };
        world.engine.start();
        world.pump();
        world
    }

    pub(super) fn submit(&mut self, spec: JobSpec) -> Result<JobId, SubmitError> {
        let job_id = self.accept(spec)?;
        self.pump();
        Ok(job_id)
    }

    /// Submits several jobs in one turn.
    pub(super) fn submit_all(&mut self, specs: &[JobSpec]) {
        for spec in specs {
            self.accept(spec.clone()).unwrap();
        }
        self.pump();
    }

    fn accept(&mut self, spec: JobSpec) -> Result<JobId, SubmitError> {
        let job_id = self.engine.submit(spec.clone(), self.now)?;
        self.specs.insert(job_id, spec);
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
        if std::mem::replace(&mut self.is_pumping, true) {
            return;
        }
        loop {
            while let Some(action) = self.engine.next_action(self.now) {
                self.perform(action);
            }
            if !self.hand_back(false) && !self.is_offered() {
                break;
            }
        }
        self.is_pumping = false;
    }

    fn perform(&mut self, action: Action) {
        match action {
            Action::Spawn { worker, .. } if self.lease_set.is_some() => self.lease(worker),
            Action::Spawn { worker, index } => {
                self.spawn(worker, index);
                self.check_indices();
            }
            Action::Assign { worker, index } => {
                let Some(fake) = self.unless_gone(worker) else { return };
                let before = fake.index.replace(index);
                assert_eq!(before, None, "assigned twice");
                self.check_indices();
            }
            Action::Send { worker, chunk, seq, runs, .. } => self.send(worker, chunk, seq, runs),
            Action::Cancel { worker, seqs } => {
                if let Some(fake) = self.unless_gone(worker) {
                    fake.revoked.extend(seqs);
                }
            }
            Action::Recall { worker, from, until } => self.recall(worker, from, until),
            Action::Stop { worker } => {
                let Some(fake) = self.unless_gone(worker) else { return };
                assert!(fake.calls.is_empty() && fake.running.is_empty(), "stopped while it has work");
                fake.stopping = true;
            }
            Action::Kill { worker } => {
                let Some(fake) = self.unless_gone(worker) else { return };
                (fake.killed, fake.is_doomed) = (true, true);
            }
            Action::Abandon { worker } => {
                self.abandoned.push(worker);
                self.die(worker);
            }
            Action::KillSilent { worker } => {
                let Some(fake) = self.unless_gone(worker) else { return };
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

    /// A worker that something was to be done with; `None` if it could not be started, which was not known then.
    fn unless_gone(&mut self, worker_id: WorkerId) -> Option<&mut FakeWorker> {
        let fake = self.workers.get_mut(&worker_id);
        assert!(fake.is_some() || self.gone.contains(&worker_id), "a worker that there never was");
        fake
    }

    /// No two workers that are there have the same index.
    fn check_indices(&self) {
        let mut indices: Vec<u32> = self.workers.values().filter_map(|fake| fake.index).collect();
        let count = indices.len();
        indices.sort_unstable();
        indices.dedup();
        assert_eq!(indices.len(), count, "two workers of one index");
    }

    fn send(&mut self, worker_id: WorkerId, chunk: ChunkId, seq: u32, runs: Vec<Run>) {
        let spread = runs.iter().all(|run| self.specs[&run.job].spread);
        let fake = self.workers.get_mut(&worker_id).expect("sent to a worker that exists");
        assert!(fake.booted || spread, "only calls of spread jobs are sent ahead of its start");
        assert!(!fake.killed && !fake.stopping, "sent to one that can work");
        let calls = runs.iter().cloned().flat_map(|run| run.calls.map(move |call| (run.job, call)));
        let calls: Vec<(JobId, u32)> = calls.collect();
        assert_eq!(fake.deferred, None, "sent something before what is deferred");
        for event in std::mem::take(&mut self.mishaps.while_encoding) {
            apply(self, event);
        }
        if std::mem::take(&mut self.mishaps.fails_to_send) {
            return self.engine.give_up(worker_id);
        }
        let fake = self.workers.get_mut(&worker_id).expect("nobody can be told of its end meanwhile");
        if self.is_deferring {
            let (job, index) = calls[0];
            fake.deferred = Some(DeferredCall { chunk, job, index });
            return self.engine.defer(worker_id, chunk);
        }
        let unencodable = self.mishaps.unencodable;
        let fails = |offset: u32| offset < u32::BITS && unencodable & (1 << offset) != 0;
        let mut kept = self.fitting.min(calls.len() as u32);
        // Of a key that is to stop there nothing more is encoded.
        let stops = |&offset: &u32| fails(offset) && self.specs[&calls[offset as usize].0].stop_key_on_error;
        if let Some(last) = (0..kept).find(stops) {
            kept = last + 1;
        }
        let mut failed = Vec::new();
        for (offset, &(job, index)) in (0..kept).zip(&calls) {
            let seq = seq.wrapping_add(offset);
            assert!(!fake.is_recalled(seq), "sent under a number that is recalled");
            let call = SentCall { chunk, offset, seq, job, index };
            if fails(offset) {
                failed.push(call);
            } else {
                fake.calls.push_back(call);
            }
        }
        let unsaid = fake.unsaid.iter().map(|(call, _)| call);
        let all = fake.running.iter().chain(&fake.calls).chain(unsaid);
        let mut chunks: Vec<u32> = all.map(|call| call.chunk.0).collect();
        chunks.sort_unstable();
        chunks.dedup();
        let max_chunks = if self.is_late { MAX_CHUNKS } else { MIN_CHUNKS };
        assert!(chunks.len() <= self.concurrency.max(max_chunks), "more chunks in flight than allowed");
        let mut left = kept;
        for run in &runs {
            let filled = left.min(run.calls.len() as u32);
            if filled > 0 {
                self.engine.filled(run.job, filled, (filled as usize) < run.calls.len());
            }
            left -= filled;
        }
        if (kept as usize) < calls.len() {
            self.engine.cut(worker_id, chunk, kept);
        }
        self.engine.encoded(worker_id, chunk, self.argument_size * u64::from(kept));
        for call in failed {
            self.fail_to_encode(worker_id, call);
        }
    }

    /// A call of a chunk cannot be encoded. Its caller is told, if it still waits.
    pub(super) fn fail_to_encode(&mut self, worker_id: WorkerId, call: SentCall) {
        let is_wanted = self.engine.place_of(call.job, call.index).is_some();
        self.engine.encode_failed(worker_id, call.chunk, call.offset);
        if is_wanted {
            self.settle(call.job, call.index, Settled::Replied { failed: true });
        }
    }

    /// A worker is started, or cannot be.
    pub(super) fn spawn(&mut self, worker_id: WorkerId, index: Option<u32>) {
        if let Some(left) = self.mishaps.failing_spawns.checked_sub(1) {
            self.mishaps.failing_spawns = left;
            self.gone.push(worker_id);
            self.engine.exited(worker_id, 0);
            return;
        }
        self.engine.count_from(worker_id, self.first_seq);
        let last_begun = self.first_seq.wrapping_sub(1);
        let fake = FakeWorker { index, last_begun, ..FakeWorker::default() };
        assert!(self.workers.insert(worker_id, fake).is_none());
    }

    fn recall(&mut self, worker_id: WorkerId, from: u32, until: u32) {
        self.recalls += 1;
        let fake = self.workers.get_mut(&worker_id).unwrap();
        if self.mishaps.is_deaf {
            let last_begun = self.has_lanes.then_some(fake.last_begun);
            return self.engine.recalled(worker_id, last_begun, from, until);
        }
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

/// Time.
impl World {
    /// A turn of the caller's loop has passed, which was busy for this long.
    pub(super) fn turn(&mut self, busy: Duration) {
        self.now += busy;
        self.is_late |= busy > MS;
        self.engine.turned(busy, self.now);
        if self.engine.is_leveling_due() {
            self.read_last_begun();
        }
        self.pump();
    }

    /// The engine is told how far each worker has come.
    pub(super) fn read_last_begun(&mut self) {
        for (&worker_id, fake) in &self.workers {
            self.engine.begun(worker_id, fake.last_begun);
        }
    }

    pub(super) fn tick(&mut self, passed: Duration) {
        self.engine.next_tick(self.now);
        self.now += passed;
        self.engine.tick(self.now);
        self.read_last_begun();
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

    /// Whatever the world knows that a worker runs, its engine knows to be there.
    pub(super) fn check_places(&self) {
        for (&worker_id, fake) in &self.workers {
            for call in fake.running.iter().chain(fake.unsaid.iter().map(|(call, _)| call)) {
                let SentCall { job, index, seq, .. } = *call;
                assert_eq!(self.engine.call_of(worker_id, seq), Some((job, index)));
                if !self.settled.contains_key(&(job, index)) {
                    assert_eq!(self.engine.place_of(job, index), Some((worker_id, seq)));
                    let wanted = self.engine.wanted_call(worker_id, seq);
                    assert_eq!(wanted.map(|(job, index, _)| (job, index)), Some((job, index)));
                }
            }
        }
    }

    /// Everybody works until every call has settled and nobody has any left.
    pub(super) fn run_to_end(&mut self) {
        for _ in 0..6000 {
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
        for act in [World::send_deferred, World::begin, finish, World::say] {
            if self.workers.contains_key(&worker_id) {
                act(self, worker_id);
            }
        }
    }
}
