//! The two contracts between a pool and whatever carries its calls to workers and the results back.
//!
//! - [`Carrier`], down: what a pool asks for. Implemented in `carriers`, called by `pool` only.
//! - [`Upcalls`], up: what a carrier, the environment and the event loop report. Implemented in `pool`. Whoever holds
//!   it holds it weakly: the pool owns its carrier.
//!
//! Both are complete: nothing passes between the two sides by another way. A carrier moves things and decides nothing.
//! Must not depend on any carrier, nor on the pool.
//!
//! Everything here happens on the JavaScript thread. JavaScript may call back into the pool whenever it runs, so
//! neither side holds a borrow while it calls the other.

use std::io;

use serde_json::Value as Json;

use super::event_loop::Readiness;
use super::idle_process::IdleProcess;
use super::js::{PassedParts, Value};
use crate::engine::{ChunkId, History, JobId, ProtocolViolation, Reply, Run, SettledRun, WorkerId};
use crate::process::{ProcessEvent, Stream};
use crate::registry::{Place, PlaceId};
use crate::wire::PartHeader;

/// What a pool asks of its carrier.
pub trait Carrier {
    // ---- The life of a worker: when the engine says so --------------------------------------------------

    /// Starts a worker. Its place, if it has one, is kept until it is gone.
    fn start(&self, worker: WorkerId, place: Option<Place<IdleProcess>>) -> io::Result<()>;
    /// Asks a worker to exit.
    fn stop(&self, worker: WorkerId);
    /// Ends a worker, whatever it does.
    fn kill(&self, worker: WorkerId);
    /// The same to one that has given no sign of life. For carriers whose workers give one.
    fn kill_silent(&self, worker: WorkerId) {
        self.kill(worker);
    }
    /// The worker does not end although it was killed: it is as good as gone from now on.
    fn abandon_one(&self, _worker: WorkerId) {}
    /// This process ends in an orderly way: a worker that has nothing to do may, too. For carriers whose workers
    /// outlive the environment.
    fn say_farewell(&self, _worker: WorkerId) {}
    /// The worker is gone: frees its place, and what was shared with it. Its exit report is still needed.
    fn release(&self, _worker: WorkerId) {}
    /// The worker is gone, and everybody has been told.
    fn forget(&self, worker: WorkerId);

    // ---- Calls: when the engine says so -----------------------------------------------------------------

    /// Has these calls encoded, numbered on from `seq`, and sends them as one chunk.
    fn send(&self, worker: WorkerId, frame: ChunkId, seq: u32, runs: &[Run]);
    /// Tells a worker that these calls are no longer wanted.
    fn cancel(&self, worker: WorkerId, seqs: &[u32]);
    /// Tells a worker not to begin the calls `from <= seq < until`, and returns the number of the call that it had
    /// begun last; `None` where it cannot be told.
    fn recall(&self, worker: WorkerId, from: u32, until: u32) -> Option<u32>;

    // ---- What is known: at any time ---------------------------------------------------------------------

    /// The number of the call that this worker began last; 0 before the first.
    fn last_begun(&self, worker: WorkerId) -> u32;
    /// The process id, where the worker is a process and known.
    fn pid(&self, worker: WorkerId) -> Option<i32>;
    /// What is known of a worker's end, as it is told with every call that ends by it.
    fn exit_report(&self, worker: WorkerId) -> Option<Json>;
    /// How a worker ended, or why it did not start.
    fn set_exit_report(&self, worker: WorkerId, report: Json);
    /// Bytes sent and received so far, by all workers.
    fn traffic(&self) -> (u64, u64);

    // ---- Receiving: when the event loop says so, or the pool wants to know ------------------------------

    /// Hands in whatever this worker has sent so far.
    fn catch_up(&self, worker: WorkerId);
    /// The descriptor of a worker can be read or written. For carriers that have descriptors.
    fn on_readiness(&self, _worker: WorkerId, _ready: Readiness) {}
    /// Something happened to the process of a worker. For carriers whose workers are processes.
    fn on_process_event(&self, _worker: WorkerId, _event: ProcessEvent) {}
    /// Tells all workers whether [`Carrier::has_pending`] is looked at before this thread sleeps.
    fn set_awake(&self, _awake: bool) {}
    /// Whether something waits in shared memory, of which no descriptor tells.
    fn has_pending(&self) -> bool {
        false
    }
    /// Hands it in.
    fn receive_pending(&self) {}

    // ---- Leases: when the registry is told. For carriers whose workers may go on elsewhere --------------

    /// The worker's place.
    fn place(&self, _worker: WorkerId) -> Option<PlaceId> {
        None
    }
    /// Whether something of this worker is being handled, or waits to be, so that it must stay for the moment.
    fn is_in_use(&self, _worker: WorkerId) -> bool {
        false
    }
    /// Gives up an idle worker that has a place. No JavaScript runs meanwhile.
    fn detach(&self, _worker: WorkerId, _history: History) -> Option<IdleProcess> {
        None
    }
    /// Goes on with a worker that was given up elsewhere.
    fn adopt(&self, _worker: WorkerId, _place: PlaceId, _idle: IdleProcess) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    // ---- The end ----------------------------------------------------------------------------------------

    /// The environment ends: closes every handle. JavaScript must not be called any more.
    fn abandon(&self);
}

/// What a pool is told.
pub trait Upcalls {
    // ---- Entrances: by the event loop and the environment. The pool does what follows from them ---------

    /// The descriptor of a worker can be read or written.
    fn on_readiness(&self, worker: WorkerId, ready: Readiness);
    /// Something happened to the process of a worker.
    fn on_process_event(&self, worker: WorkerId, event: ProcessEvent);
    /// The environment is about to end in an orderly way. With `all` the whole process is.
    fn say_farewell(&self, all: bool);
    /// The environment ends: closes every handle. JavaScript must not be called any more.
    fn abandon(&self);

    // ---- The life of a worker: by its carrier, as it happens --------------------------------------------

    /// It has given its first sign of life, or has a reason to give none.
    fn worker_alive(&self, worker: WorkerId);
    /// It has loaded the user's module.
    fn worker_ready(&self, worker: WorkerId);
    /// The user's module does not load.
    fn load_failed(&self, worker: WorkerId);
    /// It uses so many bytes.
    fn worker_memory(&self, worker: WorkerId, bytes: u64);
    /// It cannot be worked with any more, and is to be killed.
    fn give_up(&self, worker: WorkerId);
    /// It is gone, and all that it had sent has been handed in.
    fn worker_gone(&self, worker: WorkerId);
    /// Something happened in its life, for `debug`.
    fn event(&self, worker: WorkerId, name: &'static str, detail: &Json);

    // ---- Sending: by the carrier, during `Carrier::send` ------------------------------------------------

    /// Whether a worker may stay awake for the next call after this one.
    fn worker_may_spin(&self) -> bool;
    /// Has the first calls of a run encoded, for a frame that has `before` others; `None` where JavaScript has failed.
    fn encode(&self, worker: WorkerId, frame: ChunkId, run: &Run, before: u32) -> Option<PassedParts>;
    /// Of a run, so many calls went into the frame.
    fn filled(&self, run: &Run, calls: u32);
    /// The frame of a chunk has so many bytes.
    fn encoded(&self, worker: WorkerId, frame: ChunkId, bytes: u64);
    /// Only so many calls of a chunk went into its frame.
    fn cut(&self, worker: WorkerId, frame: ChunkId, kept: u32);
    /// The first call of a frame takes long to encode: nothing was sent.
    fn defer(&self, worker: WorkerId, frame: ChunkId);
    /// A call of the frame could not be encoded.
    fn encode_failed(&self, worker: WorkerId, frame: ChunkId, offset: u32);
    /// Has the caller of such a call told why, unless JavaScript has found out by itself.
    fn settle_unsent(&self, job: JobId, call: u32, why: &str);

    // ---- Receiving: by the carrier, while it handles what a worker has sent -----------------------------

    /// The number of the call that a worker began last.
    fn begun(&self, worker: WorkerId, last_begun: u32);
    /// Books an answer and returns the calls that settle by it.
    fn answered(&self, worker: WorkerId, reply: Reply) -> Result<Vec<SettledRun>, ProtocolViolation>;
    /// Has calls settled with the value of the part that answers them.
    fn settle_answered(&self, answered: &[SettledRun], part: PartHeader, value: Value, extras: Option<Value>);
    /// Has calls settled that were answered with what cannot be read here.
    fn settle_unreadable(&self, answered: &[SettledRun], part: PartHeader, why: &str);
    /// A worker has something to print, said during call `seq`.
    fn output(&self, worker: WorkerId, seq: u32, parts: Value);
    /// A worker has written to one of its descriptors.
    fn printed(&self, worker: WorkerId, stream: Stream, bytes: &[u8]);
}
