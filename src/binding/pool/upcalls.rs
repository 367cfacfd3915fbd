//! What a pool's carrier and its environment report, told to the engine and to JavaScript.
//!
//! Called through [`Upcalls`], whose methods say when. Must not depend on any carrier.

use serde_json::Value as Json;

use super::state::PoolState;
use crate::binding::carrier::Upcalls;
use crate::binding::event_loop::Readiness;
use crate::binding::js::{PassedParts, Value};
use crate::engine::{ChunkId, JobId, ProtocolViolation, Reply, Run, SettledRun, WorkerId};
use crate::process::{ProcessEvent, Stream};
use crate::protocol::NO_CODEC;
use crate::wire::{PART_FAILED, PartHeader};

impl Upcalls for PoolState {
    fn on_readiness(&self, worker: WorkerId, ready: Readiness) {
        self.woken();
        self.core.environment.context.enter(|| {
            self.core.carrier().on_readiness(worker, ready);
            self.pump();
        });
    }

    fn on_process_event(&self, worker: WorkerId, event: ProcessEvent) {
        self.core.carrier().on_process_event(worker, event);
        self.pump();
    }

    fn say_farewell(&self, all: bool) {
        self.say_farewell(all);
    }

    fn abandon(&self) {
        self.end();
    }

    fn worker_alive(&self, worker: WorkerId) {
        self.core.engine.borrow_mut().alive(worker);
    }

    fn worker_ready(&self, worker: WorkerId) {
        self.core.event(worker, "ready", &Json::Null);
        self.core.engine.borrow_mut().ready(worker);
    }

    fn load_failed(&self, worker: WorkerId) {
        self.core.event(worker, "loadFailed", &Json::Null);
        self.core.engine.borrow_mut().load_failed(worker);
    }

    fn worker_memory(&self, worker: WorkerId, bytes: u64) {
        self.core.engine.borrow_mut().memory(worker, bytes);
    }

    fn give_up(&self, worker: WorkerId) {
        self.core.engine.borrow_mut().give_up(worker);
    }

    fn worker_gone(&self, worker: WorkerId) {
        self.core.worker_gone(worker);
        self.pump();
    }

    fn event(&self, worker: WorkerId, name: &'static str, detail: &Json) {
        self.core.event(worker, name, detail);
    }

    fn worker_may_spin(&self) -> bool {
        self.worker_may_spin()
    }

    fn encode(&self, worker: WorkerId, frame: ChunkId, run: &Run, before: u32) -> Option<PassedParts> {
        self.core.hooks.encode(worker, frame, run, before)
    }

    fn filled(&self, run: &Run, calls: u32) {
        self.core.engine.borrow_mut().filled(run.job, calls, (calls as usize) < run.calls.len());
    }

    fn encoded(&self, worker: WorkerId, frame: ChunkId, bytes: u64) {
        self.core.engine.borrow_mut().encoded(worker, frame, bytes);
    }

    fn cut(&self, worker: WorkerId, frame: ChunkId, kept: u32) {
        self.core.engine.borrow_mut().cut(worker, frame, kept);
    }

    fn defer(&self, worker: WorkerId, frame: ChunkId) {
        self.core.engine.borrow_mut().defer(worker, frame);
    }

    fn encode_failed(&self, worker: WorkerId, frame: ChunkId, offset: u32) {
        self.core.engine.borrow_mut().encode_failed(worker, frame, offset);
    }

    fn settle_unsent(&self, job: JobId, call: u32, why: &str) {
        self.core.hooks.ended(job, call..call + 1, "unsent", Some(why));
    }

    fn begun(&self, worker: WorkerId, last_begun: u32) {
        self.core.engine.borrow_mut().begun(worker, last_begun);
    }

    fn answered(&self, worker: WorkerId, reply: Reply) -> Result<Vec<SettledRun>, ProtocolViolation> {
        self.core.engine.borrow_mut().replied(worker, reply)
    }

    fn settle_answered(
        &self,
        answered: &[SettledRun],
        part: PartHeader,
        value: Value,
        extras: Option<Value>,
    ) {
        for run in answered {
            self.core.hooks.answered(run, part, value, extras);
        }
    }

    fn settle_unreadable(&self, answered: &[SettledRun], part: PartHeader, why: &str) {
        let part = PartHeader { codec: NO_CODEC, flags: part.flags | PART_FAILED, ..part };
        self.settle_answered(answered, part, self.core.hooks.text(Some(why)), None);
    }

    fn output(&self, worker: WorkerId, seq: u32, parts: Value) {
        let call = self.core.engine.borrow().call_of(worker, seq);
        self.core.hooks.message(call.map(|(job, _)| job), parts, worker);
    }

    fn printed(&self, worker: WorkerId, stream: Stream, bytes: &[u8]) {
        self.core.hooks.written(worker, stream, bytes);
    }
}
