//! What the loop, the environment and the carrier of a pool in the addon report, told to the pool and to JavaScript.
//!
//! Called through [`Upcalls`], which says when. Must not depend on any carrier.

use super::host::NativeState;
use crate::binding::carrier::{Answerer, Upcalls};
use crate::binding::event_loop::Readiness;
use crate::binding::js::{PassedParts, Value};
use crate::engine::{ChunkId, Run, SettledRun, WorkerId};
use crate::pool::Host;
use crate::process::{ProcessEvent, Stream};
use crate::protocol::NO_CODEC;
use crate::wire::{PART_FAILED, PartHeader};

impl Upcalls for NativeState {
    fn on_readiness(&self, worker: WorkerId, ready: Readiness) {
        self.woken();
        self.host.environment.context.enter(|| {
            self.host.carrier().on_readiness(worker, ready);
            self.pump();
        });
    }

    fn on_process_event(&self, worker: WorkerId, event: ProcessEvent) {
        self.host.carrier().on_process_event(worker, event);
        self.pump();
    }

    fn say_farewell(&self, all: bool) {
        self.dismiss(all);
    }

    fn abandon(&self) {
        self.end();
    }

    fn encode(&self, worker: WorkerId, frame: ChunkId, run: &Run, before: u32) -> Option<PassedParts> {
        self.host.hooks.encode(worker, frame, run, before)
    }

    fn settle_answered(
        &self,
        from: Answerer,
        answered: &[SettledRun],
        part: PartHeader,
        value: Value,
        extras: Option<Value>,
    ) {
        for run in answered {
            self.host.hooks.answered(from, run, part, value, extras);
        }
    }

    fn settle_unreadable(&self, from: Answerer, answered: &[SettledRun], part: PartHeader, why: &str) {
        let part = PartHeader { codec: NO_CODEC, flags: part.flags | PART_FAILED, ..part };
        self.settle_answered(from, answered, part, self.host.hooks.text(Some(why)), None);
    }

    fn emitted(&self, worker: WorkerId, seq: u32, index: u32, parts: Value) {
        let call = self.engine.borrow().wanted_call(worker, seq);
        if let Some((job, call, retries)) = call {
            self.host.hooks.emitted(job, call, retries, index, parts);
        }
    }

    fn output(&self, worker: WorkerId, seq: u32, parts: Value) {
        let call = self.engine.borrow().call_of(worker, seq);
        self.host.hooks.message(call.map(|(job, _)| job), parts, worker);
    }

    fn printed(&self, worker: WorkerId, stream: Stream, bytes: &[u8]) {
        self.host.hooks.written(worker, stream, bytes);
    }
}
