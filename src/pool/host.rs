//! The contracts of a pool with what is around it.
//!
//! - [`Host`], down: time, the event loop and JavaScript's hooks. Implemented once by the addon, and once by the
//!   WebAssembly build.
//! - [`Carrier`], down: what a pool asks of whatever moves calls to its workers.
//! - [`Reports`], up: what a carrier reports. Implemented by the pool, for every host.
//!
//! Must not depend on any host or carrier, nor on the pool's own state.
//!
//! Everything here happens on one thread, the JavaScript thread. JavaScript may call back into the pool whenever it
//! runs, so neither side holds a borrow while it calls the other.

use std::io;
use std::ops::Range;
use std::time::Duration;

use serde_json::Value as Json;

use super::state::Pool;
use crate::engine::{ChunkId, JobId, ProtocolViolation, Reply, Run, SettledRun, WorkerId};
use crate::pace::Waiting;

/// What is around a pool. Calls are resolved when the pool is compiled for its host: none of them costs anything.
pub trait Host: Sized {
    type Carrier: Carrier + ?Sized;

    fn carrier(&self) -> &Self::Carrier;

    // ---- Time and the event loop ------------------------------------------------------------------------

    /// The engine's clock.
    fn now(&self) -> Duration;
    /// Whether the environment ends: JavaScript must not be called any more.
    fn is_ending(&self) -> bool {
        false
    }
    /// Has [`Pool::on_timer`] called once, after this time, in place of what was wanted before.
    fn start_timer(&self, after: Duration);
    /// It is not wanted any more.
    fn stop_timer(&self);
    /// Something is under way from now on, or nothing any more: the event loop lives as long as something is.
    fn set_held(&self, held: bool);
    /// Something has come from a worker; `held`: and something is under way.
    fn woken(&self, _held: bool) {}
    /// Whether this thread stays awake for what is expected, instead of sleeping at once.
    fn stays_awake(&self) -> bool {
        false
    }

    // ---- Workers ----------------------------------------------------------------------------------------

    /// Starts a worker, or has [`Pool::spawn_failed`] told. Without an index it loads nothing before
    /// [`Carrier::assign`]; where workers are shared, the set has its index.
    fn start_worker(pool: &Pool<Self>, worker: WorkerId, index: Option<u32>);
    /// The index of a worker in the set that is shared with others; `None` where none is.
    fn index_in_set(&self, _worker: WorkerId) -> Option<u32> {
        None
    }
    /// After a round of actions: exchanges workers with others who share them. Returns whether there is more to do.
    fn exchange_workers(_pool: &Pool<Self>) -> bool {
        false
    }
    /// Takes in the idle workers of those who share them, for good where the pool closes.
    fn take_idle_workers(_pool: &Pool<Self>, _closes: bool) {}

    // ---- JavaScript's hooks -----------------------------------------------------------------------------

    /// Calls settle without a reply.
    fn ended(&self, job: JobId, calls: Range<u32>, outcome: &str, detail: Option<&str>);
    /// All workers are up (no outcome), or cannot be.
    fn ready(&self, outcome: Option<&str>, detail: Option<&str>);
    /// Something happened in the life of a worker, or to the queue.
    fn event(&self, event: &Json);
    /// The last worker of a closed pool is gone, except those that were killed and have not ended, whose exit reports
    /// these are.
    fn closed(&self, outliving: &Json);
}

/// What a pool asks of its carrier. A carrier moves things and decides nothing.
pub trait Carrier {
    // ---- The life of a worker: when the engine says so --------------------------------------------------

    /// Has a worker that was started without an index load what it is to run.
    fn assign(&self, worker: WorkerId, index: u32);
    /// Asks a worker to exit.
    fn stop(&self, worker: WorkerId);
    /// Ends a worker, whatever it does.
    fn kill(&self, worker: WorkerId);
    /// The same for one that has given no sign of life. For carriers whose workers give one.
    fn kill_silent(&self, worker: WorkerId) {
        self.kill(worker);
    }
    /// The worker does not end although it was killed: it is as good as gone from now on.
    fn abandon_one(&self, _worker: WorkerId) {}
    /// The worker is gone: frees its place, and what was shared with it. Its exit report is still needed.
    fn release(&self, _worker: WorkerId) {}
    /// The worker is gone, and everybody has been told.
    fn forget(&self, worker: WorkerId);

    // ---- Calls: when the engine says so -----------------------------------------------------------------

    /// Has these calls encoded, numbered on from `seq`, and sends them as one chunk. With `patient` nobody is in a
    /// hurry for single answers.
    fn send(&self, worker: WorkerId, frame: ChunkId, seq: u32, runs: &[Run], patient: bool);
    /// Tells a worker that these calls are no longer wanted.
    fn cancel(&self, worker: WorkerId, seqs: &[u32]);
    /// Tells a worker not to begin the calls `from <= seq < until`, and returns the number of the call that it had
    /// begun last; `None` where it cannot be told.
    fn recall(&self, worker: WorkerId, from: u32, until: u32) -> Option<u32>;
    /// Tells a worker how many of the values that a call yields were taken so far; `u32::MAX`: no more are wanted.
    fn demand(&self, worker: WorkerId, seq: u32, taken: u32);

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
    /// Tells all workers whether [`Carrier::has_pending`] is looked at before this thread sleeps.
    fn set_awake(&self, _awake: bool) {}
    /// Whether something waits in shared memory, of which no descriptor tells.
    fn has_pending(&self) -> bool {
        false
    }
    /// Hands it in.
    fn receive_pending(&self) {}
    /// Moves one of the workers that were woken, and wait for a CPU, to that of this thread, which is about to sleep.
    fn fetch_woken(&self) {}
}

/// What a carrier reports.
pub trait Reports {
    // ---- The life of a worker: as it happens ------------------------------------------------------------

    /// It has given its first sign of life.
    fn worker_alive(&self, worker: WorkerId);
    /// It was not killed for giving none: it has a reason.
    fn worker_spared(&self, worker: WorkerId);
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
    /// Something happened in its life.
    fn event(&self, worker: WorkerId, name: &'static str, detail: &Json);

    // ---- Sending: during `Carrier::send` ----------------------------------------------------------------

    /// How a worker is to wait for the next call after this one.
    fn worker_waiting(&self) -> Waiting;
    /// Whether it matters on which CPU the worker of a chunk wakes: it has nothing to do, and there are several.
    fn cares_where_it_wakes(&self, worker: WorkerId, frame: ChunkId) -> bool;
    /// Whether this thread goes on using its CPU: it will poll for the answer, or has more to send.
    fn keeps_cpu(&self) -> bool;
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

    // ---- Receiving: while the carrier handles what a worker has sent ------------------------------------

    /// The number of the call that a worker began last.
    fn begun(&self, worker: WorkerId, last_begun: u32);
    /// Books an answer and returns the calls that settle by it.
    fn answered(&self, worker: WorkerId, reply: Reply) -> Result<Vec<SettledRun>, ProtocolViolation>;
}

/// Why a worker could not be started, as its exit report says it.
pub fn spawn_report(error: &io::Error) -> Json {
    serde_json::json!({ "errno": error.raw_os_error(), "message": error.to_string() })
}
