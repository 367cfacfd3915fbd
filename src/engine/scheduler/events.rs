//! Everything that an engine can be told, grouped by who tells it. In debug builds the invariants are checked after
//! each event.
//!
//! Must not depend on what an event leads to: each is handed on to the module of its subject.

use std::time::Duration;

use super::super::{
    Action, ChunkId, Departure, History, JobId, JobSpec, ProtocolViolation, Reply, Run, SettledRun,
    SubmitError, WorkerId,
};
use super::Engine;

/// What callers do.
impl Engine {
    /// Starts the workers, unless they are to start with the first job.
    pub fn start(&mut self) {
        self.start_some(self.config.workers);
    }

    /// Starts up to `count` workers, unless they are to start with the first job.
    pub fn start_some(&mut self, count: usize) {
        self.event(|engine| {
            if !engine.config.lazy {
                engine.start_up_to(count);
            }
        });
    }

    /// Accepts a job: all of its calls, or none.
    pub fn submit(&mut self, spec: JobSpec, now: Duration) -> Result<JobId, SubmitError> {
        self.event(|engine| engine.accept(spec, now))
    }

    /// Settles what is left of a job as aborted, at once. Calls that run are told to stop, and their worker is replaced
    /// if they do not within the grace period.
    pub fn cancel(&mut self, job_id: JobId) {
        self.event(|engine| engine.withdraw(job_id, 0, true));
    }

    /// Settles the calls of a job from this one on as aborted, at once. Calls that run are told to stop, but nothing is
    /// done if they do not.
    pub fn drop_calls(&mut self, job_id: JobId, from: u32) {
        self.event(|engine| engine.withdraw(job_id, from, false));
    }

    /// While `paused`, the time of this call in flight does not pass, because it waits for its caller.
    pub fn pause(&mut self, job_id: JobId, call: u32, paused: bool) {
        self.event(|engine| engine.set_paused(job_id, call, paused));
    }

    /// No call of this job is to be run again: its caller has something of it already.
    pub fn forbid_retries(&mut self, job_id: JobId) {
        self.event(|engine| {
            if let Some(job) = engine.jobs.get_mut(&job_id) {
                job.forbid_retries();
            }
        });
    }

    /// Kills the workers that still run calls of a job that has settled, whatever is left of their grace period.
    pub fn kill_remains(&mut self, job_id: JobId) {
        self.event(|engine| engine.kill_runners(job_id));
    }

    /// There may be this many lanes from now on, at least 1. Missing ones are started, unless they start with the
    /// first job; of those that are too many the idle ones are stopped, and busy ones once they have nothing left.
    pub fn set_workers(&mut self, count: usize) {
        self.event(|engine| engine.resize(count));
    }

    /// Asks for an [`Action::Ready`] once all workers are ready, or cannot be.
    pub fn await_ready(&mut self) {
        self.event(Engine::watch_ready);
    }

    /// Refuses new work, finishes what was accepted, then stops the workers.
    pub fn close(&mut self) {
        self.event(Engine::begin_closing);
    }

    /// Settles everything as closed and kills the workers, at once. Idle ones on lease are kept for others.
    pub fn terminate(&mut self) {
        self.event(Engine::end_everything);
    }

    /// Settles everything as closed and lets go of the workers: the idle ones are stopped, the busy ones killed. The
    /// next job starts new ones.
    pub fn remove_workers(&mut self) {
        self.event(Engine::let_workers_go);
    }
}

/// What a carrier reports of its workers.
impl Engine {
    /// The worker runs, and is about to load the user's module.
    pub fn alive(&mut self, worker_id: WorkerId) {
        self.event(|engine| engine.showed_life(worker_id));
    }

    /// The worker was to be killed for its silence and was not: it has a reason, and may take its time.
    pub fn spared(&mut self, worker_id: WorkerId) {
        self.event(|engine| engine.was_spared(worker_id));
    }

    /// The worker has loaded the user's module.
    pub fn ready(&mut self, worker_id: WorkerId) {
        self.event(|engine| engine.booted(worker_id));
    }

    /// The worker cannot load the user's module.
    pub fn load_failed(&mut self, worker_id: WorkerId) {
        self.event(|engine| engine.could_not_load(worker_id));
    }

    /// The calls up to this number, in the worker's count, have begun.
    pub fn begun(&mut self, worker_id: WorkerId, last_begun: u32) {
        self.event(|engine| engine.mark_begun(worker_id, last_begun));
    }

    /// A worker was told not to begin the calls `from <= seq < until`; after that, `last_begun` was the last that it
    /// had begun. `None`: it cannot be told.
    pub fn recalled(&mut self, worker_id: WorkerId, last_begun: Option<u32>, from: u32, until: u32) {
        self.event(|engine| engine.take_back(worker_id, last_begun, from, until));
    }

    /// A worker has replied to calls of a chunk. Returns those that settle by it. The others had settled before, and
    /// their results are dropped, or they were skipped and wait again.
    pub fn replied(
        &mut self,
        worker_id: WorkerId,
        reply: Reply,
    ) -> Result<Vec<SettledRun>, ProtocolViolation> {
        self.event(|engine| engine.book_reply(worker_id, reply))
    }

    /// Nobody has taken this chunk, and its worker is free again. The calls wait again, as if never handed out.
    pub fn returned(&mut self, worker_id: WorkerId, chunk_id: ChunkId) {
        self.event(|engine| engine.put_chunk_back(worker_id, chunk_id));
    }

    /// The worker's resident set has this many bytes.
    pub fn memory(&mut self, worker_id: WorkerId, bytes: u64) {
        self.event(|engine| engine.limit_memory(worker_id, bytes));
    }

    /// The worker is to be killed: it broke the protocol, or its channel is gone.
    pub fn give_up(&mut self, worker_id: WorkerId) {
        self.event(|engine| engine.kill_unusable(worker_id));
    }

    /// The worker is gone, and its channel has been read to the end; `last_begun` is the last call that it began.
    /// Returns what there is to say of it; `None` where it was not known any more.
    pub fn exited(&mut self, worker_id: WorkerId, last_begun: u32) -> Option<Departure> {
        self.event(|engine| engine.bury(worker_id, last_begun))
    }
}

/// What a carrier reports of a chunk that it encodes. To be reported before anything else of that worker.
impl Engine {
    /// A frame was filled with this many calls of a job: all that were meant for it or, with `cut`, as many as fitted.
    pub fn filled(&mut self, job_id: JobId, calls: u32, cut: bool) {
        self.event(|engine| {
            if let Some(job) = engine.jobs.get_mut(&job_id) {
                job.sizer.filled(calls, cut);
            }
        });
    }

    /// Only the first `kept` calls of a chunk fitted into its frame, which is sent with these. The others wait again.
    pub fn cut(&mut self, worker_id: WorkerId, chunk_id: ChunkId, kept: u32) {
        self.event(|engine| engine.shorten(worker_id, chunk_id, kept));
    }

    /// This call of a chunk could not be encoded, and its caller has been told. The chunk is sent without it.
    pub fn encode_failed(&mut self, worker_id: WorkerId, chunk_id: ChunkId, offset: u32) {
        self.event(|engine| engine.drop_unencodable(worker_id, chunk_id, offset));
    }

    /// The frame of a chunk has this many bytes.
    pub fn encoded(&mut self, worker_id: WorkerId, chunk_id: ChunkId, bytes: u64) {
        self.event(|engine| engine.book_size(worker_id, chunk_id, bytes));
    }

    /// The frame for the first call of a chunk is still being encoded. The other calls wait again.
    pub fn defer(&mut self, worker_id: WorkerId, chunk_id: ChunkId) {
        self.event(|engine| engine.put_off(worker_id, chunk_id));
    }

    /// A deferred frame is ready, or was given up. Returns its call and the number of that if it is to be sent;
    /// otherwise it is forgotten.
    pub fn undefer(&mut self, worker_id: WorkerId, chunk_id: ChunkId) -> Option<(u32, Run)> {
        self.event(|engine| engine.end_deferral(worker_id, chunk_id))
    }
}

/// What is reported of workers on lease. See the module `lease`.
impl Engine {
    /// There is no worker to be had, so this one will not start.
    pub fn denied(&mut self, worker_id: WorkerId) {
        self.event(|engine| engine.do_without(worker_id));
    }

    /// It is worth asking for a worker again.
    pub fn offered(&mut self) {
        self.event(|engine| engine.is_denied = false);
    }

    /// Instead of this worker, which was to start, there is one that has run calls before.
    pub fn adopted(&mut self, worker_id: WorkerId, history: History) {
        self.event(|engine| engine.resume(worker_id, history));
    }

    /// Takes on a worker that was not asked for, to do with it as with all the others.
    pub fn adopt(&mut self, history: History) -> WorkerId {
        self.event(|engine| {
            let worker_id = engine.add_worker();
            engine.resume(worker_id, history);
            worker_id
        })
    }

    /// Other engines wait for this many of its workers.
    pub fn set_demand(&mut self, count: usize) {
        self.event(|engine| engine.demand = count);
    }

    /// The worker belongs to somebody else now.
    pub fn handed_back(&mut self, worker_id: WorkerId) {
        self.event(|engine| engine.let_go(worker_id));
    }

    /// The worker cannot be handed back: it ends instead.
    pub fn not_taken_back(&mut self, worker_id: WorkerId) {
        self.event(|engine| engine.end_spare(worker_id));
    }
}

/// What the event loop does.
impl Engine {
    /// A turn of the loop ends, which was busy for this long, after everything that had come in it was handed in. To be
    /// told while anything is under way.
    pub fn turned(&mut self, busy: Duration, now: Duration) {
        self.event(|engine| {
            engine.lag.observe(busy, now);
            engine.is_leveling_due = engine.is_uneven();
        });
    }

    /// Time has passed. To be called about as often as [`Engine::next_tick`] says, after what the channels held was
    /// handed in.
    pub fn tick(&mut self, now: Duration) {
        self.event(|engine| engine.pass_time(now));
    }

    /// How long until the next tick is wanted; `None` while there is nothing to watch. The count starts at `now` if it
    /// was not running.
    pub fn next_tick(&mut self, now: Duration) -> Option<Duration> {
        self.set_clock(now)
    }

    /// Takes the next thing to be done. To be called after other events until there is none left.
    pub fn next_action(&mut self, now: Duration) -> Option<Action> {
        if self.actions.is_empty() {
            self.event(|engine| engine.advance(now));
        }
        self.actions.pop_front()
    }
}

impl Engine {
    /// Everything from outside that changes what an engine knows passes through here.
    fn event<R>(&mut self, act: impl FnOnce(&mut Engine) -> R) -> R {
        let result = act(self);
        self.workers.refresh();
        self.check_invariants();
        result
    }
}
