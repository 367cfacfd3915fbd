//! The scheduler: which worker runs which call, when, and what becomes of a call whose worker dies.
//!
//! A pure state machine. It is told what happened (events: the public methods) and says what is to be done
//! ([`Action`]s, taken with [`Engine::next_action`]). It knows neither napi nor files nor clocks nor
//! processes: a worker is a number, a call is an index into a job, and time is a value that events bring
//! along. That is what lets tests drive it through any order of events.
//!
//! # Words
//!
//! - A *job* is a list of calls that were submitted together. Calls are numbered from 0 within it.
//! - A *chunk* is what one frame carries to a worker: runs of consecutive calls, of one or several jobs.
//! - A *flight* is a chunk that a worker has and has not answered wholly.
//! - A *task* is what the calls of several jobs have in common: what is learned of their cost stays with it.
//! - A call is *begun* when its worker has said so (a counter in shared memory that is read when it
//!   matters), *answered* when its result has come, *settled* when its caller has been told the outcome.
//!   It settles exactly once.
//!
//! # Three ways out for a job
//!
//! - [`Engine::cancel`]: all of it settles at once; what runs has the grace period to stop in.
//! - [`Engine::drop_calls`]: the same for its calls from one on, but what runs may take as long as it likes.
//! - [`Engine::cut`]: calls of a chunk that did not fit into its frame wait again, as if never handed out.
//!
//! A call whose frame takes long to make is put off ([`Engine::defer`]): it is in flight, and its worker gets
//! nothing else, until [`Engine::undefer`] says that the frame is made, or that nobody wants it any more.
//!
//! # The life of a worker
//!
//! 1. `Starting`: spawned, loading the user's module, which may take as long as it likes. It gets at most one call
//!    ahead, of a job that has one for each worker. It is killed when nothing shows in time that it runs at all: Node
//!    waits for ever for threads that the system has refused it.
//! 2. `Ready`: it gets chunks. Out of it leads one of three ways:
//! 3. `Stopping`: asked to exit, nothing in flight. It is killed when it has not gone in time.
//! 4. `Dying`: killed. What its channel still holds counts, until
//! 5. [`Engine::exited`]: answered calls keep their results; a call that had begun uses a retry or fails;
//!    the others go back to the head of their queue, uncounted.
//!
//! A worker that is to be replaced goes on until its successor is up. One that may take so few more calls that they
//! will soon be done has its successor booted beforehand; that stands by, without calls, until it is needed.
//! Where a worker runs several calls at the same time and one was given up, it gets no more; once all the others
//! are settled, its successor takes over, and what was given up keeps its grace period.
//!
//! # Recall
//!
//! A call that was sent ahead must not wait behind one that takes long while another worker has nothing to do.
//! Parent and worker agree on which calls are taken back by words of the page that they share:
//!
//! 1. Once a worker has answered nothing for `RECALL_AFTER` while another is idle,
//!    the calls `from <= seq < until` that it has not begun are recalled ([`Action::Recall`]). The parent stores
//!    `until`, then `from` (0: none; stored first where an earlier range is over), then loads what was begun last,
//!    all of it sequentially consistent.
//! 2. The worker stores the number of a call as begun, then loads the range, and does not run a call within:
//!    it answers it as skipped. So either the parent sees that the call has begun, or the worker that it is
//!    recalled, or both.
//! 3. A call that is not seen to have begun is taken back at once ([`Engine::recalled`]): it waits again at the
//!    head of its queue, uncounted. That it is answered as skipped later is nothing new.
//! 4. A call that is seen to have begun is not. Where it is answered as skipped nevertheless, it waits
//!    again then.
//! 5. A range that still holds calls not passed by the worker is only made longer.
//!
//! Calls with a key stay with its worker, those of a chunk that was asked for stay together once the first has
//! begun, and those that can be sent only once stay where they are: no range holds one of these.
//!
//! # Time
//!
//! Limits count *running* time: the sum of the steps between ticks, each cut to twice the interval that was
//! asked for. A process that was frozen for an hour sees one long tick, which counts as two short ones.

mod chunk;
mod job;
mod keyed;
mod scheduler;
mod stats;
#[cfg(test)]
mod tests;
mod worker;

use std::ops::Range;
use std::time::Duration;

pub use scheduler::Engine;

/// A worker, from its start to its end. Numbers are not used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkerId(pub u32);

/// Calls that were submitted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(pub u64);

/// A chunk on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FrameId(pub u32);

/// What does not change in an engine's life.
#[derive(Clone, Debug)]
pub struct Config {
    /// How many workers; at least 1.
    pub workers: usize,
    /// Calls that may wait, beyond those that free workers can take at once.
    pub max_queue: Option<u64>,
    /// A worker is replaced after so many calls.
    pub max_calls_per_worker: Option<u64>,
    /// A worker is replaced once its resident set is larger, in bytes.
    pub max_worker_memory: Option<u64>,
    /// A worker that has had nothing to do for so long is stopped.
    pub idle_timeout: Option<Duration>,
    /// How long a cancelled call may go on before its worker is killed.
    pub grace: Duration,
    /// How long the work of one chunk should take.
    pub target: Duration,
    /// How many calls a worker runs at the same time; at least 1.
    pub concurrency: u32,
    /// Whether workers start at the first submission instead of at [`Engine::start`].
    pub lazy: bool,
    /// How long one may take to its first sign of life ([`Engine::alive`]). `None`: they give none.
    pub boot_limit: Option<Duration>,
    /// Workers are on lease, and others may wait for them: one is given up once it was used for so long. `None`: they
    /// are all its own.
    pub lease: Option<Duration>,
}

/// What is to be known of a worker that has run calls before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct History {
    /// The number that its next call gets: it may remember earlier ones.
    pub next_seq: u32,
    /// Calls that it was given, and that it has answered.
    pub given: u64,
    pub done: u64,
    pub failed: u64,
    /// How long these ran, in all.
    pub ran: Duration,
}

/// What is submitted.
#[derive(Clone, Debug, Default)]
pub struct JobSpec {
    /// How many calls.
    pub calls: u32,
    /// The key of each call; keys are numbered from 0 in the order of their first call. Calls of one key
    /// run in order, one after another, on one worker as long as that lives.
    pub keys: Option<Vec<u32>>,
    /// Whether a failed call makes the later ones of its key be skipped.
    pub stop_key_on_error: bool,
    /// How long one call may run.
    pub timeout: Option<Duration>,
    /// How often a call whose worker died while running it is run again.
    pub retries: u32,
    /// One call to each worker: no worker gets a second one while others that were there, or on their way,
    /// at the submission are still starting.
    pub spread: bool,
    /// What its calls have in common with those of other jobs, so that what one has cost says what the
    /// others will.
    pub task: Option<u32>,
    /// So many calls to a chunk, whatever they cost.
    pub chunk: Option<u32>,
    /// The caller holds back by itself: `max_queue` is not for this job.
    pub unbounded: bool,
    /// What its calls are made of is gone once they were sent: they are not taken back.
    pub sent_once: bool,
}

/// Why a submission is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    QueueFull { waiting: u64 },
    Closed,
}

/// Consecutive calls of one job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    pub job: JobId,
    pub calls: Range<u32>,
}

/// A worker's answer to calls of a frame.
#[derive(Clone, Copy, Debug)]
pub struct Reply {
    pub frame: FrameId,
    /// The first of the calls within the frame, and how many follow.
    pub offset: u32,
    pub calls: u32,
    pub failed: bool,
    /// They were not run.
    pub skipped: bool,
    /// How long they ran, in all.
    pub elapsed: Duration,
    /// How large their results are, in all.
    pub bytes: u64,
}

/// Consecutive calls of one job that a reply has settled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    pub job: JobId,
    pub calls: Range<u32>,
    /// Where in the reply the result of the first of them is.
    pub offset: u32,
}

/// What became of calls that no reply settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The job was cancelled.
    Aborted,
    /// It ran longer than its timeout.
    TimedOut,
    /// The engine was terminated, or its workers removed.
    Closed,
    /// This worker died while running it.
    Exited(WorkerId),
    /// No worker could be brought up; this one was the last to fail.
    BootFailed(WorkerId),
    /// An earlier call of its key failed.
    Skipped,
}

/// Something that the engine wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Start a worker.
    Spawn { worker: WorkerId },
    /// Encode these calls and send them. Calls are numbered on from `seq` in the worker's own count.
    Send { worker: WorkerId, frame: FrameId, seq: u32, runs: Vec<Run> },
    /// Tell the worker that these calls are no longer wanted: skip them, or fire their signal.
    Cancel { worker: WorkerId, seqs: Vec<u32> },
    /// Tell the worker not to begin the calls `from <= seq < until`, and then [`Engine::recalled`] which it had.
    Recall { worker: WorkerId, from: u32, until: u32 },
    /// Ask the worker to exit.
    Stop { worker: WorkerId },
    /// Kill the worker.
    Kill { worker: WorkerId },
    /// Kill the worker, which has not given any sign of life.
    KillSilent { worker: WorkerId },
    /// Tell the callers.
    Settle { job: JobId, calls: Range<u32>, outcome: Outcome },
    /// What [`Engine::await_ready`] waited for has come, or cannot.
    Ready { outcome: Result<(), Outcome> },
    /// Closed or terminated, and the last worker is gone.
    Closed,
}

/// A worker said what cannot be; it is not to be believed further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Violation(pub &'static str);
