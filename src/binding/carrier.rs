//! What carries calls to workers and results back: the one contract that every kind of worker fulfils.
//!
//! A carrier moves things; it decides nothing. It reports what happens to its pool: `worker_alive`,
//! `worker_ready`, `load_failed`, `answered`, `begun`, `worker_memory`, `worker_gone`.

use std::io;

use serde_json::Value;

use super::event_loop::Readiness;
use super::idle_process::IdleProcess;
use super::pool::PoolState;
use crate::engine::{ChunkId, History, Run, WorkerId};
use crate::process::ProcessEvent;
use crate::registry::{Place, PlaceId};

pub(super) trait Carrier {
    /// Starts a worker. Its place, if it has one, is kept until it is gone.
    fn start(&self, worker: WorkerId, place: Option<Place<IdleProcess>>) -> io::Result<()>;
    /// What is known of a worker's end, or of why it did not start.
    fn set_fate(&self, worker: WorkerId, fate: Value);
    /// Has these calls encoded, numbered on from `seq`, and sends them as one chunk.
    fn send(&self, worker: WorkerId, frame: ChunkId, seq: u32, runs: &[Run]);
    /// Tells a worker that these calls are no longer wanted.
    fn cancel(&self, worker: WorkerId, seqs: &[u32]);
    /// Tells a worker not to begin the calls `from <= seq < until`, and returns the number of the call that it had
    /// begun last; `None` where it cannot be told.
    fn recall(&self, worker: WorkerId, from: u32, until: u32) -> Option<u32>;
    /// Asks a worker to exit.
    fn stop(&self, worker: WorkerId);
    /// Ends a worker, whatever it does.
    fn kill(&self, worker: WorkerId);
    /// The same to one that has given no sign of life. For carriers whose workers give one.
    fn kill_silent(&self, worker: WorkerId) {
        self.kill(worker);
    }
    /// Hands in what has come from this worker and was not looked at.
    fn catch_up(&self, worker: WorkerId);
    /// The number of the call that this worker began last; 0 before the first.
    fn mark(&self, worker: WorkerId) -> u32;
    /// The process id, where the worker is a process and known.
    fn pid(&self, worker: WorkerId) -> Option<i32>;
    /// What is known of a worker's end, as it is told with every call that ends by it.
    fn fate(&self, worker: WorkerId) -> Option<Value>;
    /// The worker is gone, and everybody has been told.
    fn forget(&self, worker: WorkerId);
    /// Says to all workers whether [`Carrier::has_come`] is looked at without pause.
    fn poll(&self, _polls: bool) {}
    /// Whether something has come through shared memory, of which no descriptor tells.
    fn has_come(&self) -> bool {
        false
    }
    /// Hands it in.
    fn take_come(&self) {}
    /// Bytes sent and received so far, by all workers.
    fn traffic(&self) -> (u64, u64);
    /// The worker is gone; its place is free.
    fn ended(&self, _worker: WorkerId) {}
    /// The place of a worker that may go on elsewhere. For carriers whose workers are processes.
    fn place(&self, _worker: WorkerId) -> Option<PlaceId> {
        None
    }
    /// Whether something of this worker is being handled, so that it must stay for the moment.
    fn is_lent(&self, _worker: WorkerId) -> bool {
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
    /// The environment ends: closes every handle. JavaScript must not be called any more.
    fn abandon(&self);
    /// The descriptor of a worker can be read or written. For carriers that have descriptors.
    fn on_readiness(&self, _worker: WorkerId, _ready: Readiness) {}
    /// Something happened to the process of a worker. For carriers whose workers are processes.
    fn on_process_event(&self, _pool: &PoolState, _worker: WorkerId, _event: ProcessEvent) {}
}
