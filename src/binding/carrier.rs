//! What the addon adds to the contracts between a pool and whatever carries its calls, see [`crate::pool::Carrier`] and
//! [`Reports`]: processes, descriptors, leases, and values of JavaScript.
//!
//! - [`NativeCarrier`], down: implemented in `carriers`, called by `pool` only.
//! - [`Upcalls`], up: what a carrier, the environment and the event loop report. Implemented in `pool`. Whoever holds
//!   it holds it weakly: the pool owns its carrier.
//!
//! Both are complete: nothing passes between the two sides in another way. Must not depend on any carrier, nor on the
//! pool.

use std::io;

use super::event_loop::Readiness;
use super::idle_process::IdleProcess;
use super::js::{PassedParts, Value};
use crate::engine::{ChunkId, History, Reply, Run, SettledRun, WorkerId};
use crate::pool::{Carrier, Reports};
use crate::process::{ProcessEvent, Stream};
use crate::registry::{Place, PlaceId};
use crate::wire::PartHeader;

/// What a pool in the addon asks of its carrier.
pub trait NativeCarrier: Carrier {
    // ---- The life of a worker: when the engine says so --------------------------------------------------

    /// Starts a worker. Its place, if it has one, is kept until it is gone.
    fn start(
        &self,
        worker: WorkerId,
        index: Option<u32>,
        place: Option<Place<IdleProcess>>,
    ) -> io::Result<()>;
    /// This process ends in an orderly way: a worker that has nothing to do may, too. For carriers whose workers
    /// outlive the environment.
    fn say_farewell(&self, _worker: WorkerId) {}

    // ---- Receiving: when the event loop says so ---------------------------------------------------------

    /// The descriptor of a worker can be read or written. For carriers that have descriptors.
    fn on_readiness(&self, _worker: WorkerId, _ready: Readiness) {}
    /// Something happened to the process of a worker. For carriers whose workers are processes.
    fn on_process_event(&self, _worker: WorkerId, _event: ProcessEvent) {}
    /// Handles what a worker has put into shared memory and whose turn it is; false: that is being done already,
    /// further up the stack. For carriers whose workers have another way besides, which is JavaScript's.
    fn receive_shared(&self, _worker: WorkerId) -> bool {
        true
    }

    // ---- Leases: when the registry is told. For carriers whose workers may go on elsewhere --------------

    /// The worker's place.
    fn place(&self, _worker: WorkerId) -> Option<PlaceId> {
        None
    }
    /// The index of a worker in the set that it belongs to; `None` where it belongs to none.
    fn index_in_set(&self, _worker: WorkerId) -> Option<u32> {
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

/// Who has answered, and how it was booked.
#[derive(Clone, Copy)]
pub struct Answerer {
    pub worker: WorkerId,
    pub reply: Reply,
}

/// What a pool in the addon is told.
pub trait Upcalls: Reports {
    // ---- Entrances: by the event loop and the environment. The pool does what follows from them ---------

    /// The descriptor of a worker can be read or written.
    fn on_readiness(&self, worker: WorkerId, ready: Readiness);
    /// Something happened to the process of a worker.
    fn on_process_event(&self, worker: WorkerId, event: ProcessEvent);
    /// The environment is about to end in an orderly way. With `all` the whole process is.
    fn say_farewell(&self, all: bool);
    /// The environment ends: closes every handle. JavaScript must not be called any more.
    fn abandon(&self);

    // ---- Sending: by the carrier, during `Carrier::send` ------------------------------------------------

    /// Has the first calls of a run encoded, for a frame that has `before` others; `None` where JavaScript has failed.
    fn encode(&self, worker: WorkerId, frame: ChunkId, run: &Run, before: u32) -> Option<PassedParts>;

    // ---- Receiving: by the carrier, while it handles what a worker has sent -----------------------------

    /// Has calls settled with the value of the part that answers them.
    fn settle_answered(
        &self,
        from: Answerer,
        answered: &[SettledRun],
        part: PartHeader,
        value: Value,
        extras: Option<Value>,
    );
    /// Has calls settled that were answered with what cannot be read here.
    fn settle_unreadable(&self, from: Answerer, answered: &[SettledRun], part: PartHeader, why: &str);
    /// A call has emitted or yielded a value; with the index of its worker.
    fn emitted(&self, worker: WorkerId, seq: u32, index: u32, parts: Value);
    /// A worker has something to print, said during call `seq`.
    fn output(&self, worker: WorkerId, seq: u32, parts: Value);
    /// A worker has written to one of its descriptors.
    fn printed(&self, worker: WorkerId, stream: Stream, bytes: &[u8]);
}
