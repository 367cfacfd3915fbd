//! Which worker gets which calls: what the state asks for, once events have changed it.
//!
//! Must not depend on what becomes of calls in flight.

use std::cmp::Reverse;
use std::ops::Range;
use std::time::Duration;

use super::super::chunk::{CallState, Chunk, ChunkCall};
use super::super::chunk_size::{Cost, MAX_SCANTY, MIN_WORK, Sharers, fair_share};
use super::super::job::{FreeWorker, Job};
use super::super::prefetch::{MAX_BYTES, MAX_CALLS, MAX_CHUNKS, MIN_CHUNKS};
use super::super::roster::{Group, Roster};
use super::super::worker::{Phase, Worker};
use super::super::{Action, ChunkId, ExitReason, JobId, Run, WorkerId};
use super::{Engine, Mode};

/// How long the calls of one key in a chunk may take. The rest of the key waits for them, and then for a round trip.
const KEY_RUN: Duration = Duration::from_millis(4);

/// How long the calls of a chunk should take at least, for each lane that there is. About half of the lanes run at a
/// time, so this makes 1,000 chunks per second, however many lanes there are: a chunk costs this process two thirds of
/// a millisecond, and the engine between the machines half of one.
const PER_LANE: Duration = Duration::from_micros(500);

/// The calls of a chunk that is being put together.
struct Draft {
    runs: Vec<Run>,
    calls: u32,
    /// How long the calls should take; `None` if the cost of any is unknown.
    expected: Option<Duration>,
    /// How many bytes their results should have.
    result_bytes: u64,
    is_timed: bool,
    /// Whether nobody is in a hurry for any of them.
    is_patient: bool,
}

impl Engine {
    /// Hands out calls, starts and stops workers: whatever the state asks for.
    pub(super) fn advance(&mut self, now: Duration) {
        // Before anything is sent behind them. (All that was sent has its numbers: there is no other action.)
        if std::mem::take(&mut self.is_overtaking_due) && self.overtake() {
            return;
        }
        self.retire_spent();
        self.place_standbys();
        self.assign_indices();
        self.dispatch(now);
        self.start_needed();
        if self.mode != Mode::Open && self.jobs.is_empty() {
            // A worker that still runs a call which is no longer wanted has its grace period first.
            let is_leased = self.config.lease.is_some();
            let may_go = |worker: &Worker| !(worker.is_busy() || (is_leased && worker.is_spare()));
            for worker_id in self.workers_that(may_go) {
                self.stop(worker_id, ExitReason::Closed);
            }
            if self.workers.is_empty() && !self.closed_told {
                self.closed_told = true;
                self.actions.push_back(Action::Closed);
            }
        }
        // Only once there is no other action do calls that are being sent have their numbers.
        if self.is_recall_due && self.actions.is_empty() {
            self.is_recall_due = self.recall_for_idle();
        }
        if self.is_leveling_due && self.actions.is_empty() {
            self.is_leveling_due = false;
            self.level();
        }
    }

    /// First every worker that could run more calls at once gets a chunk: the least busy one first, and of several such
    /// the one used last. Then workers whose chunk will soon be done get a second one, so that they need not wait out a
    /// round trip; and where the caller is late, those with the least work ahead get more. A worker that is starting
    /// gets its call of a spread job ahead, which saves the first result a round trip.
    ///
    /// Each worker gets one chunk at most: before the next, it must be known whether that one fits into its frame.
    fn dispatch(&mut self, now: Duration) {
        if self.counters.waiting() == 0 {
            return;
        }
        self.pick_preempted(now);
        self.workers.refresh();
        let workers = self.workers.count(Group::Serving);
        let limit = self.chunk_limit_of_next(workers);
        let enough = limit * MIN_CHUNKS as u32;
        let mut idle: Vec<(bool, Reverse<u32>, u64, Reverse<WorkerId>)> = Vec::new();
        let mut soon: Vec<(Duration, WorkerId)> = Vec::new();
        for (worker_id, worker) in self.candidates() {
            if worker.is_condemned() || worker.deferred.is_some() || worker.is_preempted {
                continue;
            }
            let load = worker.load();
            if self.lacking(load) > 0 {
                // Of those that are starting, the first one started will be ready first.
                idle.push((
                    worker.phase == Phase::Ready,
                    Reverse(load),
                    worker.last_used,
                    Reverse(worker_id),
                ));
            } else if !self.config.lanes
                && let Some(ahead) = worker.ahead()
                && self.may_have_more(worker, ahead, enough)
            {
                soon.push((ahead, worker_id));
            }
        }
        idle.sort_unstable_by(|one, two| two.cmp(one));
        soon.sort_unstable();
        let mut sharers = Sharers {
            workers,
            idle: idle.iter().filter(|(is_ready, Reverse(load), ..)| *is_ready && *load == 0).count(),
            are_fresh: false,
        };
        sharers.are_fresh = sharers.idle == sharers.workers;
        let mut is_idle_served = false;
        for (is_ready, Reverse(load), _, Reverse(worker_id)) in idle {
            let is_served = self.send_chunk(worker_id, self.lacking(load), sharers, now);
            if is_ready && load == 0 {
                is_idle_served |= is_served;
                sharers.idle -= 1;
            }
        }
        // Who was idle has the least ahead, and is next.
        let least = soon.first().filter(|_| !is_idle_served).map_or(Duration::ZERO, |&(ahead, _)| ahead);
        for (ahead, worker_id) in soon {
            if ahead <= enough || ahead <= least + self.lag.chunk().max(limit) {
                self.send_chunk(worker_id, 0, sharers, now);
            }
        }
    }

    /// How many more calls a worker with so many could begin at once. A lane has one chunk, or none.
    fn lacking(&self, load: u32) -> u32 {
        match self.config.lanes && load > 0 {
            true => 0,
            false => self.config.concurrency.saturating_sub(load),
        }
    }

    /// The workers that may get a chunk.
    fn candidates(&self) -> impl Iterator<Item = (WorkerId, &Worker)> {
        // A late caller sends more ahead than what usually leaves no room.
        let sends_ahead = self.lag.is_felt() && !self.config.lanes;
        let ready = if sends_ahead { Group::Busy } else { Group::Open };
        let also_free = sends_ahead.then(|| self.workers.members(Group::Open));
        let also_free = also_free.into_iter().flatten().filter(|(_, worker)| !worker.is_busy());
        let is_ready = |(_, worker): &(WorkerId, &Worker)| worker.phase == Phase::Ready && worker.can_serve();
        let is_spread = |(_, job_id): &(i64, JobId)| self.jobs.get(job_id).is_some_and(Job::is_spread);
        let may_go_ahead = self.workers.count(Group::Starting) > 0 && self.queue.iter().any(is_spread);
        let starting = may_go_ahead.then(|| self.workers.members(Group::Starting));
        let starting = starting.into_iter().flatten().filter(|(_, worker)| !self.waits_for_index(worker));
        self.workers.members(ready).filter(is_ready).chain(also_free).chain(starting)
    }

    /// Whether a worker that could not begin a call at once may be sent some all the same, with so much ahead, where so
    /// much is enough for a quick caller.
    fn may_have_more(&self, worker: &Worker, ahead: Duration, enough: Duration) -> bool {
        if worker.chunks.len() < MIN_CHUNKS && ahead <= enough {
            return true;
        }
        // Others that wait for a worker would wait for all of it.
        self.lag.is_felt()
            && self.demand == 0
            && ahead < self.lag.window()
            && worker.chunks.len() < MAX_CHUNKS
            && worker.load() < MAX_CALLS
            && worker.bytes() < MAX_BYTES
    }

    /// Sends one chunk to a worker that could begin `lacking` calls at once, if there is one for it. If that is none,
    /// it gets calls of known cost only, because one that may be long must not wait behind others. Returns whether it
    /// got any.
    fn send_chunk(&mut self, worker_id: WorkerId, lacking: u32, sharers: Sharers, now: Duration) -> bool {
        let Some(draft) = self.draft_chunk(worker_id, lacking, sharers, now) else { return false };
        for run in &draft.runs {
            self.dequeue_if_empty(run.job);
        }
        self.launch(worker_id, draft, now);
        true
    }

    /// How long the calls of a chunk should take: as long as suits one worker, or as keeps down the number of chunks to
    /// other machines.
    pub(super) fn chunk_target(&self, workers: usize) -> Duration {
        self.lag.chunk().max(self.paced(workers))
    }

    /// The most that a chunk may take.
    fn most_in_chunk(&self) -> Duration {
        // Others that wait for a worker would wait for all of it.
        if self.demand > 0 { self.config.target } else { self.config.patient_target }
    }

    /// How long a chunk of the job at the head of the queue may take.
    fn chunk_limit_of_next(&self, workers: usize) -> Duration {
        let first = self.queue.first().and_then(|(_, job_id)| self.jobs.get(job_id));
        let (target, most) = (self.config.target, self.most_in_chunk());
        first.map_or(target, |job| job.chunk_limit(&self.costs, workers, target, most))
    }

    /// How much work a chunk needs if so many lanes are to have no more chunks per second than they may; zero for
    /// workers on this machine.
    fn paced(&self, workers: usize) -> Duration {
        let lanes = if self.config.lanes { u32::try_from(workers).unwrap_or(u32::MAX) } else { 0 };
        PER_LANE.saturating_mul(lanes)
    }

    /// Takes the calls of the next chunk for a worker from the jobs in the queue; `None` if there is none for it.
    fn draft_chunk(
        &mut self,
        worker_id: WorkerId,
        lacking: u32,
        sharers: Sharers,
        now: Duration,
    ) -> Option<Draft> {
        let cost = self.cost_of_next();
        let target = self.chunk_target(sharers.workers);
        let min_work = match self.config.lanes {
            true => (self.config.target / 8).max(self.paced(sharers.workers) / 2),
            false => self.lag.min_chunk(),
        };
        let mut fair = match !self.config.lanes && self.is_scanty() {
            true => u32::try_from(self.counters.waiting()).unwrap_or(u32::MAX),
            false => fair_share(self.counters.waiting(), sharers, cost, min_work),
        };
        if self.config.lanes {
            // It gets no second chunk beside its first: what could begin at once is to be in that one.
            let for_each = self.counters.waiting().div_ceil(sharers.idle.max(1) as u64);
            fair = fair.max(u64::from(lacking).min(for_each) as u32);
        }
        let worker = self.workers.get(&worker_id)?;
        let allowed = match self.config.max_calls_per_worker {
            Some(max) => u32::try_from(max.saturating_sub(worker.counted())).unwrap_or(u32::MAX),
            None => u32::MAX,
        };
        let is_ahead = worker.phase == Phase::Starting;
        let index = worker.index;
        let mut room = fair.min(allowed).min(MAX_CALLS).min(if is_ahead { 1 } else { u32::MAX });
        let most = self.most_in_chunk();
        let mut spent = Duration::ZERO;
        let mut draft = Draft::default();
        let mut free = None;
        let have_indices = self.has_indices();
        for &(_, job_id) in &self.queue {
            let Some(job) = self.jobs.get_mut(&job_id) else { continue };
            if job.is_spread() && free.is_none() {
                free = Some(free_workers(&mut self.workers, worker_id, have_indices));
            }
            let cost = job.cost(&self.costs);
            let is_unknown = cost.expected(1).is_none();
            let own_limit = job.chunk_limit(&self.costs, sharers.workers, self.config.target, most);
            let limit = target.max(own_limit);
            let budget = limit.saturating_sub(spent);
            if (lacking == 0 && is_unknown) || (is_ahead && !job.goes_ahead_to(worker_id)) {
                continue;
            }
            if job.chunk_size.is_some() && !draft.runs.is_empty() {
                break;
            }
            let lacks = lacking.saturating_sub(draft.calls);
            let mut max_calls = match job.chunk_size {
                Some(chunk_size) => {
                    room = chunk_size.min(allowed);
                    room
                }
                None if budget.is_zero() => lacks.min(room),
                None => job.sizer.calls_in(cost, budget).max(lacks).min(room),
            };
            while max_calls > 0 {
                // Nobody else can have what follows of a key that is begun here: it needs no fair share.
                let is_free = job.chunk_size.is_none() && !is_ahead;
                let run = if is_free { job.sizer.calls_in(cost, KEY_RUN) } else { max_calls };
                let max_run = run.max(max_calls).min(allowed - draft.calls);
                let Some(calls) =
                    job.take(worker_id, index, max_calls, max_run, free.as_deref().unwrap_or_default())
                else {
                    break;
                };
                let taken = calls.len() as u32;
                max_calls = max_calls.saturating_sub(taken);
                room = room.saturating_sub(taken);
                self.wait_time.record(now.saturating_sub(job.submitted), taken.into());
                let expected = cost.expected(taken);
                spent = spent.saturating_add(expected.unwrap_or(Duration::MAX));
                draft.expected = draft.expected.zip(expected).map(|(sum, expected)| sum + expected);
                draft.result_bytes =
                    draft.result_bytes.saturating_add(cost.result_bytes() * u64::from(taken));
                draft.is_timed |= job.timeout.is_some();
                draft.is_patient &= own_limit > self.config.target;
                draft.push(job_id, calls);
            }
            let is_full = spent >= limit && draft.calls >= lacking;
            if is_full || room == 0 || job.chunk_size.is_some() {
                break;
            }
        }
        (!draft.runs.is_empty()).then_some(draft)
    }

    /// Whether all calls that wait should take so little that they are not worth a second worker.
    fn is_scanty(&self) -> bool {
        if self.counters.waiting() > MAX_SCANTY {
            return false;
        }
        let mut left = MIN_WORK;
        self.queue.iter().filter_map(|(_, job_id)| self.jobs.get(job_id)).all(|job| {
            let calls = u32::try_from(job.waiting()).unwrap_or(u32::MAX);
            let expected = job.cost(&self.costs).expected(calls);
            let rest = expected.and_then(|expected| left.checked_sub(expected));
            left = rest.unwrap_or_default();
            rest.is_some() && job.may_go_together()
        })
    }

    /// The cost of the call that waits at the head of the queue.
    fn cost_of_next(&self) -> Cost {
        let first = self.queue.first().and_then(|(_, job_id)| self.jobs.get(job_id));
        first.map(|job| job.cost(&self.costs)).unwrap_or_default()
    }

    /// Books a chunk as in flight and has it sent.
    fn launch(&mut self, worker_id: WorkerId, draft: Draft, now: Duration) {
        let Some(worker) = self.workers.get_mut(&worker_id) else { return };
        let mut calls: Vec<ChunkCall> = Vec::with_capacity(draft.calls as usize);
        let mut is_sized = false;
        for run in &draft.runs {
            let job = self.jobs.get(&run.job);
            let is_movable = job.is_some_and(|job| job.is_movable);
            is_sized |= job.is_some_and(|job| job.chunk_size.is_some());
            let is_counted = self.config.lanes || !job.is_some_and(|job| job.is_pinned);
            worker.uncounted += if is_counted { 0 } else { run.calls.len() as u64 };
            let call =
                |index| ChunkCall { job: run.job, index, state: CallState::Sent, is_movable, is_counted };
            calls.extend(run.calls.clone().map(call));
        }
        let chunk_id = ChunkId(self.next_chunk);
        self.next_chunk = self.next_chunk.wrapping_add(1);
        let seq = worker.next_seq;
        worker.next_seq = seq.wrapping_add(draft.calls);
        worker.given += u64::from(draft.calls);
        worker.idle_for = Duration::ZERO;
        self.uses += 1;
        worker.used_since.get_or_insert(now);
        worker.last_used = self.uses;
        if !worker.is_busy() {
            worker.quiet_for = None;
        }
        worker.chunks.push_back(Chunk {
            chunk_id,
            first_seq: seq,
            calls,
            outstanding: draft.calls,
            recalled: 0,
            per_call: draft.expected.map(|expected| expected / draft.calls.max(1)),
            argument_bytes: 0,
            result_bytes: draft.result_bytes / u64::from(draft.calls.max(1)),
            is_timed: draft.is_timed,
            is_sized,
        });
        self.counters.started(draft.calls.into());
        let Draft { runs, is_patient: patient, .. } = draft;
        self.actions.push_back(Action::Send { worker: worker_id, chunk: chunk_id, seq, runs, patient });
    }
}

/// The other workers that have nothing to do.
fn free_workers(workers: &mut Roster, worker_id: WorkerId, have_indices: bool) -> Vec<FreeWorker> {
    workers.refresh();
    let is_starting = |worker: &Worker| worker.phase == Phase::Starting;
    // One that waits for its index may do so for as long as another one's call takes.
    let may_begin = |worker: &Worker| !have_indices || worker.index.is_some();
    let is_free = |&(other, worker): &(WorkerId, &Worker)| other != worker_id && may_begin(worker);
    let free = workers.members(Group::Free).filter(is_free);
    free.map(|(worker_id, worker)| FreeWorker { worker_id, is_starting: is_starting(worker) }).collect()
}

impl Default for Draft {
    /// Without calls.
    fn default() -> Draft {
        Draft {
            runs: Vec::new(),
            calls: 0,
            expected: Some(Duration::ZERO),
            result_bytes: 0,
            is_timed: false,
            is_patient: true,
        }
    }
}

impl Draft {
    fn push(&mut self, job_id: JobId, calls: Range<u32>) {
        self.calls += calls.len() as u32;
        match self.runs.last_mut() {
            Some(last) if last.job == job_id && last.calls.end == calls.start => last.calls.end = calls.end,
            _ => self.runs.push(Run { job: job_id, calls }),
        }
    }
}
