//! The state machine itself: what callers do and what happens to workers, as events. What follows from them is in the
//! modules below.

mod dispatch;
mod lease;
mod settle;
mod time;
mod workers;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use super::chunk::Costs;
use super::job::Job;
use super::stats::{Durations, Stats, WorkerState, WorkerStats};
use super::worker::{CallState, Flight, FlightCall, Phase, Retire, Worker, is_reached};
use super::{
    Action, Answered, Config, FrameId, JobId, JobSpec, Outcome, Refused, Reply, Run, Violation, WorkerId,
};

/// How often in a row all boots may fail before what waits is rejected.
const MAX_BOOT_FAILURES: u32 = 3;
const FIRST_BACKOFF: Duration = Duration::from_millis(50);
const MAX_BACKOFF: Duration = Duration::from_secs(5);
/// A worker that was asked to exit has at least this long, whatever the grace period.
const MIN_STOP_GRACE: Duration = Duration::from_secs(5);
const MIN_TICK: Duration = Duration::from_millis(1);
const MAX_TICK: Duration = Duration::from_millis(50);
/// A worker that has answered nothing for so long may lose calls that it has not begun to an idle one.
pub(super) const RECALL_AFTER: Duration = Duration::from_millis(10);
/// A worker that may take only so few more calls that they will be done within this has its successor started.
const BOOT_AHEAD: Duration = Duration::from_millis(500);
/// A call that was given up has so long to return before another worker takes over from its, where several run at
/// the same time.
const MIN_PATIENCE: Duration = Duration::from_millis(50);
/// Chunks that one worker has at the same time at most.
const MAX_FLIGHTS: usize = 2;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Open,
    /// Accepted work is finished, new work is refused.
    Closing,
    /// Everything is settled; only workers are left to go.
    Terminated,
}

/// See the [module](super).
pub struct Engine {
    config: Config,
    mode: Mode,
    jobs: BTreeMap<JobId, Job>,
    /// Jobs with waiting calls. Older jobs first, so what goes back is at the head again.
    queue: BTreeSet<JobId>,
    workers: BTreeMap<WorkerId, Worker>,
    costs: Costs,
    actions: VecDeque<Action>,
    next_job: u64,
    next_worker: u32,
    next_frame: u32,
    uses: u64,
    /// Calls in `queue`'s jobs that wait.
    waiting: u64,
    /// Calls that are in flight and wanted.
    running: u64,
    /// Somebody waits for all workers to be ready.
    ready_awaited: bool,
    /// Rounds in a row in which no worker could be brought up, and workers of this one.
    boot_failures: u32,
    boot_failures_of_round: u32,
    /// Workers in a row that could not be brought up, whoever else serves.
    failed_boots: u32,
    /// Running time until the next start of a worker is allowed.
    backoff: Duration,
    /// The interval that was last asked for, and when the last tick was.
    tick: Option<(Duration, Duration)>,
    /// A tick has passed, and whether it asks for a recall has not been looked at.
    recall_due: bool,
    closed_told: bool,
    /// No more workers are to be had for now.
    is_denied: bool,
    /// Others wait for so many of its workers, and whether some get no more calls for that.
    asked: usize,
    is_yielding: bool,
    done: u64,
    failed: u64,
    restarts: u64,
    wait_time: Durations,
    run_time: Durations,
}

impl Engine {
    pub fn new(config: Config) -> Engine {
        Engine {
            config: Config {
                workers: config.workers.max(1),
                concurrency: config.concurrency.max(1),
                ..config
            },
            mode: Mode::Open,
            jobs: BTreeMap::new(),
            queue: BTreeSet::new(),
            workers: BTreeMap::new(),
            costs: Costs::default(),
            actions: VecDeque::new(),
            next_job: 0,
            next_worker: 0,
            next_frame: 0,
            uses: 0,
            waiting: 0,
            running: 0,
            ready_awaited: false,
            boot_failures: 0,
            boot_failures_of_round: 0,
            failed_boots: 0,
            backoff: Duration::ZERO,
            tick: None,
            recall_due: false,
            closed_told: false,
            is_denied: false,
            asked: 0,
            is_yielding: false,
            done: 0,
            failed: 0,
            restarts: 0,
            wait_time: Durations::new(),
            run_time: Durations::new(),
        }
    }

    // ---- What callers do -------------------------------------------------------------------------------

    /// Starts the workers, unless they are to start with the first job.
    pub fn start(&mut self) {
        self.start_some(self.config.workers);
    }

    /// Starts so many workers at most, unless they are to start with the first job.
    pub fn start_some(&mut self, most: usize) {
        if !self.config.lazy {
            self.start_up_to(most);
        }
    }

    /// Takes a job: all of its calls, or none.
    pub fn submit(&mut self, spec: JobSpec, now: Duration) -> Result<JobId, Refused> {
        if self.mode != Mode::Open {
            return Err(Refused::Closed);
        }
        debug_assert!(spec.keys.as_ref().is_none_or(|keys| keys.len() == spec.calls as usize));
        let calls = u64::from(spec.calls);
        if let Some(max) = self.config.max_queue.filter(|_| !spec.unbounded) {
            let busy = self.workers.values().filter(|worker| worker.is_live() && worker.is_busy()).count();
            let free = self.config.workers.saturating_sub(busy) as u64;
            if self.waiting + calls > max.saturating_add(free) {
                return Err(Refused::QueueFull { waiting: self.waiting });
            }
        }
        let id = JobId(self.next_job);
        self.next_job += 1;
        if calls > 0 {
            self.jobs.insert(id, Job::new(spec, now));
            self.queue.insert(id);
            self.waiting += calls;
            self.start_needed();
            let next_worker = WorkerId(self.next_worker);
            if let Some(job) = self.jobs.get_mut(&id) {
                job.spread_over(next_worker);
            }
        }
        Ok(id)
    }

    /// Settles what is left of a job as aborted, at once. What runs is told to stop, and its worker is
    /// replaced when it does not.
    pub fn cancel(&mut self, job: JobId) {
        self.give_back(job, 0, true);
    }

    /// Settles the calls of a job from this one on as aborted, at once. What runs is told to stop, but nothing
    /// is done when it does not.
    pub fn drop_calls(&mut self, job: JobId, from: u32) {
        self.give_back(job, from, false);
    }

    fn give_back(&mut self, job: JobId, from: u32, kill: bool) {
        self.settle_waiting(job, from, Outcome::Aborted);
        let mut hits = Vec::new();
        for (&id, worker) in &mut self.workers {
            let mut seqs = Vec::new();
            for flight in &mut worker.flights {
                for offset in 0..flight.calls.len() {
                    let call = &mut flight.calls[offset];
                    if call.job == job && call.index >= from && call.state.is_wanted() {
                        let begun = matches!(call.state, CallState::Begun { .. });
                        flight.watched |= kill;
                        if kill {
                            flight.expected = None;
                        }
                        call.state = match (kill, begun) {
                            (true, true) => CallState::Abandoned { since: Duration::ZERO },
                            (true, false) => CallState::Revoked,
                            (false, begun) => CallState::Dropped { begun },
                        };
                        hits.push(call.index);
                        seqs.push(flight.seq(offset));
                    }
                }
            }
            if !seqs.is_empty() && matches!(worker.phase, Phase::Starting | Phase::Ready) {
                self.actions.push_back(Action::Cancel { worker: id, seqs });
            }
        }
        hits.sort_unstable();
        for call in hits {
            self.settle_in_flight(job, call, Outcome::Aborted);
        }
    }

    /// Asks for an [`Action::Ready`] once all workers are ready, or cannot be.
    pub fn await_ready(&mut self) {
        self.ready_awaited = true;
        if self.mode != Mode::Open {
            self.tell_ready(Err(Outcome::Closed));
        }
        self.check_ready_awaited();
    }

    /// Refuses new work, finishes what was accepted, then stops the workers.
    pub fn close(&mut self) {
        if self.mode == Mode::Open {
            self.mode = Mode::Closing;
            self.tell_ready(Err(Outcome::Closed));
        }
    }

    /// Settles everything as closed and kills the workers, at once.
    pub fn terminate(&mut self) {
        self.mode = Mode::Terminated;
        self.tell_ready(Err(Outcome::Closed));
        self.settle_everything(Outcome::Closed);
        let ids: Vec<WorkerId> = self.workers.keys().copied().collect();
        for id in ids {
            // What is on lease and idle others can go on with.
            let is_spare = self.workers.get(&id).is_some_and(Worker::is_spare);
            if self.config.lease.is_none() || !is_spare {
                self.kill(id);
            }
        }
    }

    /// Settles everything as closed and lets go of the workers: the idle are stopped, the busy killed. The
    /// next job starts new ones.
    pub fn remove_workers(&mut self) {
        self.tell_ready(Err(Outcome::Closed));
        self.settle_everything(Outcome::Closed);
        let ids: Vec<WorkerId> = self.workers.keys().copied().collect();
        for id in ids {
            let Some(worker) = self.workers.get_mut(&id) else { continue };
            // Nobody is to take its place before there is work again.
            worker.retire = Some(Retire::Now);
            match worker.phase {
                Phase::Ready if !worker.is_busy() => self.stop(id),
                Phase::Stopping { .. } => {}
                _ => self.kill(id),
            }
        }
    }

    // ---- What happened ---------------------------------------------------------------------------------

    /// The worker runs, and is about to load the user's module.
    pub fn alive(&mut self, id: WorkerId) {
        if let Some(worker) = self.workers.get_mut(&id) {
            worker.silent = None;
        }
    }

    /// The worker has loaded the user's module.
    pub fn ready(&mut self, id: WorkerId) {
        let Some(worker) = self.workers.get_mut(&id) else { return };
        if worker.phase != Phase::Starting {
            return;
        }
        worker.phase = Phase::Ready;
        self.boot_failures = 0;
        self.boot_failures_of_round = 0;
        self.failed_boots = 0;
        self.backoff = Duration::ZERO;
        if worker.standby_for.is_some() {
            return;
        }
        // A replacement is up: one of those that waited for one can go.
        let replaced = |worker: &Worker| worker.retire == Some(Retire::WhenReplaced);
        let old = self.workers.iter().find(|(_, worker)| replaced(worker)).map(|(&id, _)| id);
        if let Some(old) = old {
            self.retire(old, Retire::Now);
        }
        self.check_ready_awaited();
    }

    /// The user's module does not load in this worker.
    pub fn load_failed(&mut self, id: WorkerId) {
        if let Some(worker) = self.workers.get_mut(&id)
            && worker.phase == Phase::Starting
        {
            let flights = std::mem::take(&mut worker.flights);
            let is_standby = worker.is_standby();
            self.release(id);
            for call in flights.into_iter().flat_map(|flight| flight.calls).rev() {
                if call.state.is_wanted() {
                    self.running -= 1;
                    self.put_back(call.job, call.index);
                }
            }
            self.stop(id);
            if !is_standby {
                self.tell_ready(Err(Outcome::BootFailed(id)));
            }
            self.boot_failed(id, 1);
        }
    }

    /// Calls up to this number, in the worker's count, have begun.
    pub fn begun(&mut self, id: WorkerId, mark: u32) {
        let Some(worker) = self.workers.get_mut(&id) else { return };
        for flight in &mut worker.flights {
            for offset in 0..flight.calls.len() {
                if !is_reached(mark, flight.seq(offset)) {
                    return;
                }
                let call = &mut flight.calls[offset];
                match call.state {
                    CallState::Sent => call.state = CallState::Begun { ran: Duration::ZERO },
                    CallState::Revoked => call.state = CallState::Abandoned { since: Duration::ZERO },
                    CallState::Dropped { .. } => call.state = CallState::Dropped { begun: true },
                    _ => {}
                }
            }
        }
    }

    /// A worker was told not to begin these calls; after that, `mark` was the last that it had begun. Without one it
    /// cannot be told.
    pub fn recalled(&mut self, id: WorkerId, mark: Option<u32>, from: u32, until: u32) {
        let Some(worker) = self.workers.get_mut(&id) else { return };
        let Some(mark) = mark else {
            worker.hears_recalls = false;
            return;
        };
        worker.recalled_from = Some(from);
        self.begun(id, mark);
        let Some(worker) = self.workers.get_mut(&id) else { return };
        let unsent = worker.unsent;
        let mut back = Vec::new();
        for flight in worker.flights.iter_mut().filter(|flight| unsent != Some(flight.frame)) {
            // It takes longer than that, so nothing more is to be sent behind it.
            flight.expected = None;
            for offset in 0..flight.calls.len() {
                let within = flight.seq(offset).wrapping_sub(from) < until.wrapping_sub(from);
                let call = &mut flight.calls[offset];
                // Also what should stay, but began to be skipped a moment ago.
                if within && call.state == CallState::Sent {
                    call.state = CallState::Recalled;
                    back.push((call.job, call.index));
                }
            }
        }
        self.return_calls(id, &back);
    }

    /// Calls of a frame were answered. Returns those that settle by it; the others had settled before, and their
    /// results are dropped, or were skipped and wait again.
    pub fn replied(&mut self, id: WorkerId, reply: Reply) -> Result<Vec<Answered>, Violation> {
        let Reply { frame, offset, calls, failed, skipped, elapsed, bytes } = reply;
        let worker = self.workers.get_mut(&id).ok_or(Violation("a reply of an unknown worker"))?;
        let place = worker.flights.iter().position(|flight| flight.frame == frame);
        let place = place.ok_or(Violation("a reply to a frame that it does not have"))?;
        let flight = &mut worker.flights[place];
        let range = offset as usize..offset as usize + calls as usize;
        let answers =
            flight.calls.get_mut(range).ok_or(Violation("a reply to calls that it does not have"))?;
        if answers.iter().any(|call| call.state == CallState::Answered) {
            return Err(Violation("a second reply to a call"));
        }
        if skipped && worker.recalled_from.is_none() && answers.iter().any(|call| call.state.is_wanted()) {
            return Err(Violation("it skipped a call that is wanted"));
        }
        let mut back = Vec::new();
        let mut taken_back = 0;
        let mut answered: Vec<Answered> = Vec::new();
        for (at, call) in (offset..).zip(answers) {
            let state = std::mem::replace(&mut call.state, CallState::Answered);
            taken_back += u64::from(state == CallState::Recalled);
            if !state.is_wanted() {
                continue;
            }
            if skipped {
                back.push((call.job, call.index));
                continue;
            }
            match answered.last_mut() {
                Some(last) if last.job == call.job && last.calls.end == call.index => last.calls.end += 1,
                _ => {
                    let calls = call.index..call.index + 1;
                    answered.push(Answered { job: call.job, calls, offset: at - offset });
                }
            }
        }
        flight.unanswered -= calls;
        let size = flight.calls.len() as u32;
        let is_over = flight.unanswered == 0;
        if is_over {
            worker.flights.remove(place);
        }
        let done = u64::from(calls) - taken_back - back.len() as u64;
        worker.done += done;
        worker.ran += elapsed;
        worker.failed += if failed || skipped { done } else { 0 };
        worker.idle = Duration::ZERO;
        worker.quiet = None;
        if skipped {
            self.return_calls(id, &back);
            return Ok(answered);
        }
        self.run_time.record(elapsed / calls.max(1), calls.into());
        for run in &answered {
            if let Some(job) = self.jobs.get_mut(&run.job) {
                self.costs.observe(
                    job.task,
                    &mut job.pace,
                    elapsed / (calls.max(1) * self.config.concurrency),
                    bytes / u64::from(calls.max(1)),
                );
                if is_over {
                    job.pace.grow(size);
                }
            }
            self.running -= run.calls.len() as u64;
            self.count_settled(run.job, run.calls.clone(), failed);
        }
        Ok(answered)
    }

    /// This call of a chunk that is being sent could not be encoded, and its caller has been told. The chunk
    /// goes without it.
    pub fn encode_failed(&mut self, id: WorkerId, frame: FrameId, offset: u32) {
        let Some(worker) = self.workers.get_mut(&id) else { return };
        let Some(place) = worker.flights.iter().position(|flight| flight.frame == frame) else { return };
        let flight = &mut worker.flights[place];
        let Some(call) = flight.calls.get_mut(offset as usize) else { return };
        let (job, index, wanted) = (call.job, call.index, call.state.is_wanted());
        if call.state != CallState::Answered {
            call.state = CallState::Answered;
            flight.unanswered -= 1;
        }
        if flight.unanswered == 0 {
            worker.flights.remove(place);
        }
        if wanted {
            self.running -= 1;
            self.count_settled(job, index..index + 1, true);
        }
    }

    /// Only the first calls of a chunk fitted into its frame, and it goes with these. The others wait again.
    /// To be told before anything else of that worker.
    pub fn cut(&mut self, id: WorkerId, frame: FrameId, kept: u32) {
        let Some(worker) = self.workers.get_mut(&id) else { return };
        let Some(flight) = worker.flights.back_mut().filter(|flight| flight.frame == frame) else { return };
        let rest = flight.calls.split_off(flight.calls.len().min(kept as usize));
        let unsent = rest.len() as u32;
        flight.unanswered -= rest.iter().filter(|call| call.state != CallState::Answered).count() as u32;
        flight.expected =
            flight.expected.map(|cost| cost.mul_f64(f64::from(kept) / f64::from(kept + unsent)));
        worker.next_seq = worker.next_seq.wrapping_sub(unsent);
        worker.given -= u64::from(unsent);
        if flight.unanswered == 0 {
            worker.flights.pop_back();
        }
        for call in rest.into_iter().rev().filter(|call| call.state.is_wanted()) {
            self.running -= 1;
            self.put_back(call.job, call.index);
        }
    }

    /// The frame of the first call of a chunk is still being made. The other calls wait again.
    /// To be told before anything else of that worker.
    pub fn defer(&mut self, id: WorkerId, frame: FrameId) {
        self.cut(id, frame, 1);
        let Some(worker) = self.workers.get_mut(&id) else { return };
        if worker.flights.back().is_some_and(|flight| flight.frame == frame) {
            worker.unsent = Some(frame);
        }
    }

    /// Whether a frame that was put off is still of use.
    pub fn is_deferred(&self, id: WorkerId, frame: FrameId) -> bool {
        let Some(worker) = self.workers.get(&id).filter(|worker| worker.unsent == Some(frame)) else {
            return false;
        };
        let flight = worker.flights.back().filter(|flight| flight.frame == frame);
        worker.phase != Phase::Dying
            && flight.is_some_and(|flight| flight.calls.iter().any(|call| call.state.is_wanted()))
    }

    /// A frame that was put off is made, or given up. Returns its call and the number of that if it is to be
    /// sent; otherwise it is forgotten.
    pub fn undefer(&mut self, id: WorkerId, frame: FrameId) -> Option<(u32, Run)> {
        let wanted = self.is_deferred(id, frame);
        let worker = self.workers.get_mut(&id).filter(|worker| worker.unsent == Some(frame))?;
        worker.unsent = None;
        let flight = worker.flights.back().filter(|flight| flight.frame == frame)?;
        if wanted {
            let &FlightCall { job, index, .. } = flight.calls.first()?;
            return Some((flight.first_seq, Run { job, calls: index..index + 1 }));
        }
        // One that dies gives back what it has by itself.
        if worker.phase != Phase::Dying {
            worker.flights.pop_back();
        }
        None
    }

    /// A frame was filled with the calls of a job that were meant for it: all, or, with `cut`, as many as
    /// fitted.
    pub fn filled(&mut self, job: JobId, calls: u32, cut: bool) {
        if let Some(job) = self.jobs.get_mut(&job) {
            job.pace.sent(calls, cut);
        }
    }

    /// How many calls of a task make a chunk, by what is known of their cost; 1 while nothing is.
    pub fn calls_per_chunk(&self, task: u32) -> u32 {
        self.costs.calls_in(task, self.config.target)
    }

    /// How many workers have something to work on.
    pub fn busy_workers(&self) -> usize {
        self.workers.values().filter(|worker| worker.is_busy()).count()
    }

    /// Every worker that is not gone.
    pub fn workers(&self) -> Vec<WorkerId> {
        self.workers.keys().copied().collect()
    }

    /// The call that a worker gave this number, while it is in flight.
    pub fn call_of(&self, id: WorkerId, seq: u32) -> Option<(JobId, u32)> {
        let flights = &self.workers.get(&id)?.flights;
        let found =
            flights.iter().find_map(|flight| flight.calls.get(seq.wrapping_sub(flight.first_seq) as usize));
        found.map(|call| (call.job, call.index))
    }

    /// How many calls of a job that has settled workers still run, or (unless only those count) have yet to skip. One
    /// that is being killed has them until it is gone.
    pub fn remains(&self, job: JobId, only_begun: bool) -> usize {
        let counts = |worker: &Worker, call: &FlightCall| {
            let unskipped = call.state == CallState::Revoked && worker.phase == Phase::Ready;
            call.job == job && (call.state.has_begun() || (unskipped && !only_begun))
        };
        let count = |worker: &Worker| {
            worker.flights.iter().flat_map(|flight| &flight.calls).filter(|call| counts(worker, call)).count()
        };
        self.workers.values().map(count).sum()
    }

    /// Ends the workers that still run calls of a job that has settled, whatever is left of their grace period.
    pub fn kill_remains(&mut self, job: JobId) {
        let runs = |worker: &Worker| {
            let mut calls = worker.flights.iter().flat_map(|flight| &flight.calls);
            calls.any(|call| call.job == job && call.state.has_begun())
        };
        let ids: Vec<WorkerId> =
            self.workers.iter().filter(|(_, worker)| runs(worker)).map(|(&id, _)| id).collect();
        for id in ids {
            self.kill(id);
        }
    }

    /// The worker's resident set is this large.
    pub fn memory(&mut self, id: WorkerId, bytes: u64) {
        let Some(limit) = self.config.max_worker_memory else { return };
        if bytes > limit && self.workers.get(&id).is_some_and(|worker| worker.is_live()) {
            // On lease there may be no place for both.
            let on_lease = self.config.lease.is_some();
            self.retire(id, if on_lease { Retire::Now } else { Retire::WhenReplaced });
        }
    }

    /// The worker is gone, and its channel has been read to the end; `mark` is the last call that it began.
    pub fn exited(&mut self, id: WorkerId, mark: u32) {
        self.begun(id, mark);
        let Some(mut worker) = self.workers.remove(&id) else { return };
        let phase = worker.phase;
        self.release(id);
        // A worker that dies before it has begun anything of what it has says nothing about these calls,
        // but several such deaths do.
        let innocent = worker.flights.iter().any(Flight::begun_any);
        let mut suspect = !innocent && matches!(phase, Phase::Ready);
        let mut back = Vec::new();
        for flight in worker.flights.drain(..) {
            for call in flight.calls {
                if !call.state.is_wanted() {
                    continue;
                }
                self.running -= 1;
                let Some(job) = self.jobs.get_mut(&call.job) else { continue };
                let begun = matches!(call.state, CallState::Begun { .. });
                let struck = std::mem::take(&mut suspect) && job.strike(call.index);
                if (struck || begun) && !job.use_retry(call.index) {
                    self.settle_ended(call.job, call.index, Outcome::Exited(id));
                } else {
                    back.push((call.job, call.index));
                }
            }
        }
        for &(job, call) in back.iter().rev() {
            self.put_back(job, call);
        }
        match phase {
            Phase::Starting => self.boot_failed(id, MAX_BOOT_FAILURES),
            // It had proved itself: a successor will too, and the next call should find it ready.
            Phase::Ready | Phase::Dying
                if worker.given > 0 && worker.retire.is_none() && self.mode == Mode::Open =>
            {
                self.restarts += 1;
                // What waits may have had another one started already.
                if self.live() < self.config.workers {
                    self.succeed(id);
                }
            }
            _ if worker.succeeded_at_exit && self.mode == Mode::Open && self.live() < self.config.workers => {
                self.start_one();
            }
            _ => {}
        }
    }

    /// Time has passed. Call it about as often as [`Engine::next_tick`] says, after what the channels held
    /// was handed in.
    pub fn tick(&mut self, now: Duration) {
        let Some((interval, last)) = self.tick else { return };
        let step = now.saturating_sub(last).min(interval * 2);
        self.tick = Some((interval, now));
        self.backoff = self.backoff.saturating_sub(step);
        let ids: Vec<WorkerId> = self.workers.keys().copied().collect();
        for id in ids {
            self.tick_worker(id, step);
        }
        self.recall_due = true;
    }

    /// How long until the next tick is wanted; `None` while there is nothing to watch. `now` starts the
    /// count where there was none.
    pub fn next_tick(&mut self, now: Duration) -> Option<Duration> {
        let wanted = self.wanted_tick();
        self.tick = match (wanted, self.tick) {
            (None, _) => None,
            (Some(interval), None) => Some((interval, now)),
            (Some(interval), Some((_, last))) => Some((interval, last)),
        };
        wanted
    }

    /// Whether anything is under way that the process should stay alive for.
    pub fn is_held(&self) -> bool {
        !self.jobs.is_empty() || self.ready_awaited || (self.mode != Mode::Open && !self.closed_told)
    }

    /// Takes the next thing to be done.
    pub fn next_action(&mut self, now: Duration) -> Option<Action> {
        if self.actions.is_empty() {
            self.advance(now);
        }
        self.actions.pop_front()
    }

    /// A picture of now.
    pub fn stats(&self) -> Stats {
        let workers = self.workers.iter().map(|(id, worker)| WorkerStats {
            id: id.0,
            state: match worker.phase {
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
            waiting: self.waiting,
            running: self.running,
            done: self.done,
            failed: self.failed,
            restarts: self.restarts,
            wait_time: self.wait_time.summary(),
            run_time: self.run_time.summary(),
        }
    }
}
