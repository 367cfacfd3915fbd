//! What a carrier reports, told to the engine and to JavaScript.
//!
//! Called through [`Reports`], which says when. Must not depend on any carrier.

use serde_json::Value as Json;

use super::host::{Host, Reports};
use super::state::Pool;
use crate::engine::{ChunkId, JobId, ProtocolViolation, Reply, Run, SettledRun, WorkerId};
use crate::pace::Waiting;

impl<H: Host> Reports for Pool<H> {
    fn worker_alive(&self, worker: WorkerId) {
        self.engine.borrow_mut().alive(worker);
    }

    fn worker_spared(&self, worker: WorkerId) {
        self.engine.borrow_mut().spared(worker);
    }

    fn worker_ready(&self, worker: WorkerId) {
        self.tell_event(worker, "ready", &Json::Null);
        self.engine.borrow_mut().ready(worker);
    }

    fn load_failed(&self, worker: WorkerId) {
        self.tell_event(worker, "loadFailed", &Json::Null);
        self.engine.borrow_mut().load_failed(worker);
    }

    fn worker_memory(&self, worker: WorkerId, bytes: u64) {
        self.engine.borrow_mut().memory(worker, bytes);
    }

    fn give_up(&self, worker: WorkerId) {
        self.engine.borrow_mut().give_up(worker);
    }

    fn worker_gone(&self, worker: WorkerId) {
        self.end_worker(worker);
        self.pump();
    }

    fn event(&self, worker: WorkerId, name: &'static str, detail: &Json) {
        self.tell_event(worker, name, detail);
    }

    fn worker_waiting(&self) -> Waiting {
        self.waiting_of_worker()
    }

    fn cares_where_it_wakes(&self, worker: WorkerId, frame: ChunkId) -> bool {
        self.looks_after_cpus() && self.engine.borrow().is_first_chunk(worker, frame)
    }

    fn keeps_cpu(&self) -> bool {
        let polls = self.waiting_of_worker() == Waiting::Polling && self.host.stays_awake();
        polls || self.engine.borrow().has_more_to_send()
    }

    fn filled(&self, run: &Run, calls: u32) {
        self.engine.borrow_mut().filled(run.job, calls, (calls as usize) < run.calls.len());
    }

    fn encoded(&self, worker: WorkerId, frame: ChunkId, bytes: u64) {
        self.engine.borrow_mut().encoded(worker, frame, bytes);
    }

    fn cut(&self, worker: WorkerId, frame: ChunkId, kept: u32) {
        self.engine.borrow_mut().cut(worker, frame, kept);
    }

    fn defer(&self, worker: WorkerId, frame: ChunkId) {
        self.engine.borrow_mut().defer(worker, frame);
    }

    fn encode_failed(&self, worker: WorkerId, frame: ChunkId, offset: u32) {
        self.engine.borrow_mut().encode_failed(worker, frame, offset);
    }

    fn settle_unsent(&self, job: JobId, call: u32, why: &str) {
        self.host.ended(job, call..call + 1, "unsent", Some(why));
    }

    fn begun(&self, worker: WorkerId, last_begun: u32) {
        self.engine.borrow_mut().begun(worker, last_begun);
    }

    fn answered(&self, worker: WorkerId, reply: Reply) -> Result<Vec<SettledRun>, ProtocolViolation> {
        self.engine.borrow_mut().replied(worker, reply)
    }
}
