//! The scheduler: which worker runs which call, when, and what becomes of a call whose worker dies.
//!
//! A pure state machine. It is told what happened (events: the `&mut self` methods of [`Engine`]) and says what is
//! to be done ([`Action`]s, taken with [`Engine::next_action`]). A worker is a number, a call is an index into a
//! job, and time is a value that events bring along, so tests can drive it through any order of events.
//!
//! Must not depend on napi, files, clocks, threads or processes.
//!
//! # Terms
//!
//! - A *job* is a list of calls that were submitted together. Its calls are numbered from 0.
//! - A *chunk* is what one message carries to a worker: runs of consecutive calls, of one or several jobs. On the
//!   wire it becomes a frame.
//! - A *task* is what the calls of several jobs have in common; what they cost is remembered per task.
//! - A call is *in flight* from being handed out in a chunk until its worker has replied to it or is gone. A chunk is
//!   in flight while any of its calls is.
//! - A call has *begun* once its worker has said so (in a counter in shared memory that is read when it matters), is
//!   *replied to* once its result has arrived, and *settles*, exactly once, when its caller is told the outcome.
//! - A call in flight is *wanted* until it settles.
//!
//! # Three ways to withdraw calls
//!
//! - [`Engine::cancel`]: the whole job settles at once; calls that are running have the grace period to stop.
//! - [`Engine::drop_calls`]: the same for the calls from one index on, but what runs may take as long as it likes.
//! - [`Engine::cut`]: calls of a chunk that did not fit into its frame wait again, as if never handed out.
//!
//! A call whose frame takes long to encode is deferred ([`Engine::defer`]): it is in flight, and its worker gets
//! nothing else, until [`Engine::undefer`] says that the frame is ready or no longer wanted.
//!
//! # The life of a worker
//!
//! 1. `Starting`: spawned and loading the user's module, which may take as long as it likes. It gets at most one call
//!    ahead, from a job that has one for each worker. It is killed if it gives no sign of life in time, because Node
//!    waits forever for threads that the system has refused it. Killed in this phase it remains in it, so that its end
//!    counts as a failed boot, and gets nothing more unless it turns out to have been spared ([`Engine::spared`]).
//! 2. `Ready`: it gets chunks. Three ways lead out of this phase:
//! 3. `Stopping`: asked to exit with nothing in flight. It is killed if it has not exited in time.
//! 4. `Dying`: killed. What its channel still holds counts. One that does not end in time (the system does not let it
//!    be signalled, or it does not get out of a system call) is abandoned. Either way this lasts until
//! 5. [`Engine::exited`]: calls that were replied to keep their results; a call that had begun uses a retry or fails;
//!    the others return to the head of their queue without using a retry.
//!
//! A worker that is to be replaced goes on until its successor has started. If the calls that it may still take will
//! soon be done, its successor is started early and stands by, without calls, until it is needed. Where a worker runs
//! several calls at once and one of them was given up, it gets no more; once all the others have settled its successor
//! takes over, and the call that was given up keeps its grace period.
//!
//! Each worker has an index below [`Config::workers`], which no other worker has until it is gone: user code may open
//! the port or the file of that number. A worker that starts while all indices are taken is started without one: it
//! gets as far as it can without user code, and loads that once it is assigned an index that has become free
//! ([`Action::Assign`]). One that stands by is assigned none before it is needed.
//!
//! # Recall
//!
//! A call that was sent ahead must not wait, behind a long one or behind many, while another worker is idle. Parent and
//! worker agree on which calls are recalled through words of the page that they share:
//!
//! 1. Once a worker has not replied for `RECALL_AFTER` while another is idle, or has more work than twice the target
//!    when a turn ends in which another has none, the calls `from <= seq < until` that it has not begun are recalled
//!    ([`Action::Recall`]). The parent stores `until`, then `from` (0 means none, and is stored first if an earlier
//!    range is over), then loads the number of the call begun last. All of these accesses are sequentially consistent.
//! 2. The worker stores the number of a call as begun, then loads the range, and does not run a call within it but
//!    replies that it was skipped. So either the parent sees that the call has begun, or the worker sees that it is
//!    recalled, or both.
//! 3. A call that is not seen to have begun is recalled at once ([`Engine::recalled`]): it waits again at the head of
//!    its queue without using a retry. The reply that it was skipped, which comes later, changes nothing.
//! 4. A call that is seen to have begun is not recalled. If the worker replies that it was skipped nevertheless, it
//!    waits again from then on.
//! 5. A range that still holds calls which the worker has not passed is only ever extended.
//!
//! Three kinds of calls never are in a range: those with a key, which stay on their key's worker; those of a chunk of
//! requested size once its first call has begun; and those that can be sent only once.
//!
//! # Keys
//!
//! The calls of a key run in order, on one worker for as long as it lives. At most one of them is in flight, or a run
//! of consecutive ones within one chunk ([`JobSpec::key_runs`]). Where a call has failed and the rest of its key is to
//! be skipped, the engine skips those that wait; the worker itself skips those that it has, and replies so.
//!
//! # Priorities
//!
//! Jobs with a higher priority go first, and among those of the same priority the oldest. What waits gains one level
//! per second of running time. Since everything that waits gains at the same rate, that is a fixed order: by the
//! running time at the submission, less a second for each level. A job that comes before calls that were sent ahead and
//! have not begun has these recalled, whatever turn they were sent in. Calls that are never recalled stay where they
//! are.
//!
//! # Streams
//!
//! While a call waits for whoever reads what it yields ([`Engine::pause`]), its time does not pass. Once it has yielded
//! anything it is not run again ([`Engine::forbid_retries`]).
//!
//! # Workers far away
//!
//! A worker may stand for a chunk in flight to some other machine: a *lane*. Their number follows that of the machines
//! ([`Engine::set_workers`]); a lane has one chunk at a time, and no index ([`Config::lanes`]). A chunk may come back
//! because nobody there could take it ([`Engine::returned`]): its calls wait again, and no one of them is to blame. A
//! process over there may die over a call while the lane goes on ([`Reply::died`]). Recalled calls are only asked for:
//! they wait again once the reply says that they were skipped, and run where they are if it does not.
//!
//! # A late caller
//!
//! What a worker has in flight must last until the caller looks after it again. [`Engine::turned`] tells how long that
//! was busy with other things; `prefetch` says what follows from it.
//!
//! # Time
//!
//! Limits count *running* time: the sum of the steps between ticks, each capped at twice the interval that was asked
//! for. A process that was frozen for an hour sees one long tick, which counts as two short ones.

mod chunk;
mod chunk_size;
mod error;
mod job;
mod keyed;
mod prefetch;
mod roster;
mod scheduler;
mod stats;
#[cfg(test)]
mod tests;
mod worker;

use std::ops::Range;
use std::time::Duration;

#[cfg_attr(target_family = "wasm", expect(unused_imports, reason = "nobody fetches workers there"))]
pub use chunk::is_reached;
pub use error::{ProtocolViolation, SubmitError};
pub use scheduler::Engine;

/// A worker, from its start to its end. Numbers are never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkerId(pub u32);

/// Calls that were submitted together. Numbers are never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(pub u64);

/// A chunk in flight. Numbers wrap around, long after the chunk that had one before is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ChunkId(pub u32);

/// What stays the same throughout an engine's life.
#[derive(Clone, Debug)]
pub struct Config {
    /// How many workers there may be at first; at least 1. See [`Engine::set_workers`].
    pub workers: usize,
    /// How many calls may wait, beyond those that free workers can take at once. `None`: any number.
    pub max_queue: Option<u64>,
    /// A worker is replaced after this many calls. `None`: never.
    pub max_calls_per_worker: Option<u64>,
    /// A worker is replaced once its resident set exceeds this many bytes. `None`: never.
    pub max_worker_memory: Option<u64>,
    /// A worker is stopped after this much running time without work. `None`: never.
    pub idle_timeout: Option<Duration>,
    /// How long a cancelled call may go on before its worker is killed.
    pub grace_period: Duration,
    /// How long the calls of one chunk should take together.
    pub target: Duration,
    /// The most that they should take where nobody is in a hurry for single answers: in bulk jobs ([`JobSpec::bulk`]),
    /// and while so much of a job waits that they come late in any case. Lanes do without.
    pub patient_target: Duration,
    /// Whether the workers are lanes to other machines. A lane is sent nothing ahead of the chunk that it has, gets a
    /// chunk of its own for a good part of `target` only, and has no index. Only the number of lanes can change.
    pub lanes: bool,
    /// How many calls a worker runs at once; at least 1.
    pub concurrency: u32,
    /// Whether workers start with the first submission instead of at [`Engine::start`].
    pub lazy: bool,
    /// How long a worker may take until its first sign of life ([`Engine::alive`]). `None`: its workers give none.
    pub boot_limit: Option<Duration>,
    /// How long a worker may take to end once it was killed. `None`: as long as it takes.
    pub kill_limit: Option<Duration>,
    /// Workers are leased and other engines may wait for them: one is given up once it was used for this long.
    /// `None`: the workers belong to this engine alone.
    pub lease: Option<Duration>,
}

/// What an engine must know of a worker that has run calls for another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct History {
    /// The number that its next call gets; the worker may remember earlier ones.
    pub next_seq: u32,
    /// Calls that it was given, less those recalled.
    pub given: u64,
    /// Calls that it has replied to, failed ones included.
    pub done: u64,
    /// Calls that it has replied to with an error.
    pub failed: u64,
    /// How long the calls that it has replied to ran, in total.
    pub ran: Duration,
}

/// What is submitted. The default is a job without calls and without options.
#[derive(Clone, Debug, Default)]
pub struct JobSpec {
    /// How many calls.
    pub calls: u32,
    /// The key of each call; keys are numbered from 0 in the order of their first call. The calls of a key run in
    /// order, one at a time, on one worker for as long as it lives.
    pub keys: Option<Vec<u32>>,
    /// Whether a failed call causes the later ones of its key to be skipped.
    pub stop_key_on_error: bool,
    /// Whether a chunk may have several calls of a key. Whoever encodes them then tells the worker which calls have the
    /// same key, so that it skips those after one that has failed. Holds where workers run one call at a time, and for
    /// calls without a timeout.
    pub key_runs: bool,
    /// How much running time one call may take. `None`: any.
    pub timeout: Option<Duration>,
    /// How often a call is run again if its worker died while running it.
    pub retries: u32,
    /// One call for each worker: no worker gets a second one while others that existed or were on their way at the
    /// submission are still starting.
    pub spread: bool,
    /// What its calls have in common with those of other jobs, so that the cost of one tells that of the others.
    pub task: Option<u32>,
    /// Calls per chunk, whatever they cost. `None`: as many as take about [`Config::target`].
    pub chunk_size: Option<u32>,
    /// The caller limits itself: [`Config::max_queue`] does not apply to this job.
    pub unbounded: bool,
    /// The values of its calls are gone once they were sent, so these calls are never recalled.
    pub sent_once: bool,
    /// Nobody waits for any of its calls alone, so that chunks of them may take up to [`Config::patient_target`].
    pub bulk: bool,
    /// Jobs with a higher one go first.
    pub priority: i32,
    /// Each call is for one worker: call `i` runs on the worker with the index `first_worker + i`, and does not count
    /// for [`Config::max_calls_per_worker`]. Where workers are leased they have no index that counts. Any lane can have
    /// such a call: where that leads is not the engine's business, and nothing is asked back from there.
    pub pinned: bool,
    /// Invariant: there may be as many workers as these calls are for.
    pub first_worker: u32,
}

/// Consecutive calls of one job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    pub job: JobId,
    pub calls: Range<u32>,
}

/// A worker's reply to consecutive calls of a chunk.
#[derive(Clone, Copy, Debug)]
pub struct Reply {
    pub chunk: ChunkId,
    /// The place of the first of these calls within the chunk.
    pub offset: u32,
    /// How many calls it replies to.
    pub calls: u32,
    /// Whether they failed.
    pub failed: bool,
    /// Whether they were not run at all.
    pub skipped: bool,
    /// Whether whatever ran them has died over them, further away than the worker that says so: each is run again if it
    /// has a retry left, and has failed otherwise.
    pub died: bool,
    /// How long they ran, in total.
    pub elapsed: Duration,
    /// The size of their results, in total.
    pub bytes: u64,
}

/// Consecutive calls of one job that a reply has settled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettledRun {
    pub job: JobId,
    pub calls: Range<u32>,
    /// The place of the first one's result within the reply.
    pub offset: u32,
}

/// What became of calls that settled without a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The job was cancelled.
    Aborted,
    /// It ran for longer than its timeout.
    TimedOut,
    /// The engine was terminated, or its workers were removed.
    Closed,
    /// This worker died while running it.
    Exited(WorkerId),
    /// No worker could be brought up; this one was the last to fail.
    BootFailed(WorkerId),
    /// An earlier call of its key failed.
    Skipped,
}

/// Why a worker has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitReason {
    /// The engine was closed or terminated, its workers were removed, or nobody wants this one back.
    Closed,
    /// There was nothing to do for it.
    Idle,
    /// It has run as many calls, or uses as much memory, as it may.
    Recycled,
    /// It ended by itself, or somebody else killed it.
    Crashed,
    /// The engine had it killed: a call did not stop when it had to, or nothing could be done with the worker.
    Killed,
    /// It was never ready.
    BootFailed,
}

/// What there is to say of a worker that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Departure {
    pub reason: ExitReason,
    /// Calls that it has replied to, failed ones included.
    pub calls: u64,
    /// Whether it counts as replaced.
    pub is_restart: bool,
}

/// How many calls wait, as whoever limits itself wants to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueLoad {
    pub waiting: u64,
    /// Whether one more call would be refused.
    pub is_full: bool,
}

/// Something that the engine wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Start a worker. Without an index it loads nothing before an [`Action::Assign`]; where workers are leased, the
    /// index is its place's.
    Spawn { worker: WorkerId, index: Option<u32> },
    /// Have a worker that was started without an index load what it is to run.
    Assign { worker: WorkerId, index: u32 },
    /// Encode these calls and send them. The first one gets the number `seq` in the worker's own count. `patient`:
    /// nobody is in a hurry for single answers, so that the worker may hold them back for some milliseconds.
    Send { worker: WorkerId, chunk: ChunkId, seq: u32, runs: Vec<Run>, patient: bool },
    /// Tell the worker that these calls are no longer wanted: it skips them, or fires their abort signal.
    Cancel { worker: WorkerId, seqs: Vec<u32> },
    /// Tell the worker not to begin the calls `from <= seq < until`, then report to [`Engine::recalled`] which of them
    /// it had begun.
    Recall { worker: WorkerId, from: u32, until: u32 },
    /// Ask the worker to exit.
    Stop { worker: WorkerId },
    /// Kill the worker.
    Kill { worker: WorkerId },
    /// Kill the worker because it has given no sign of life.
    KillSilent { worker: WorkerId },
    /// Give up a worker that does not end although it was killed, then report it to [`Engine::exited`].
    Abandon { worker: WorkerId },
    /// Tell the callers of these calls what became of them.
    Settle { job: JobId, calls: Range<u32>, outcome: Outcome },
    /// What [`Engine::await_ready`] asked for has happened, or cannot happen.
    Ready { outcome: Result<(), Outcome> },
    /// The engine was closed or terminated, and its last worker is gone.
    Closed,
}
