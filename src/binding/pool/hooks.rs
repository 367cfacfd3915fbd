//! The functions of `lib/jobs/worker-pool.js` that a pool calls, as methods.
//!
//! Called by the pool, on the JavaScript thread and within a scope. Must not depend on the pool: what a call means is
//! known on both sides of this, and not here.

use std::ops::Range;
use std::rc::Rc;

use napi::{Result, sys};
use serde_json::Value as Json;

use crate::binding::carrier::Answerer;
use crate::binding::js::{
    Callback, PassedParts, Registers, Value, buffer, halves, null, number, optional_text, text,
};
use crate::engine::{ChunkId, JobId, Run, SettledRun, WorkerId};
use crate::process::Stream;
use crate::wire::PartHeader;

pub struct Hooks {
    env: sys::napi_env,
    registers: Rc<Registers>,
    encode: Callback,
    answered: Callback,
    ended: Callback,
    ready: Callback,
    emitted: Callback,
    message: Callback,
    written: Callback,
    event: Callback,
    closed: Callback,
}

impl Hooks {
    /// Takes the methods of an object.
    pub fn new(env: sys::napi_env, object: Value, registers: Rc<Registers>) -> Result<Hooks> {
        let hook = |name| Callback::method(env, object, name);
        Ok(Hooks {
            env,
            registers,
            encode: hook("encode")?,
            answered: hook("answered")?,
            ended: hook("ended")?,
            ready: hook("ready")?,
            emitted: hook("emitted")?,
            message: hook("message")?,
            written: hook("written")?,
            event: hook("event")?,
            closed: hook("closed")?,
        })
    }

    /// `encode()`, and in the registers: worker, job (two words), first call, end, frame, how many calls that has
    /// already. → Parts that account for these calls, or for the first of them, at least one, where the others do not
    /// fit into a frame. Nothing: the first takes long.
    pub fn encode(&self, worker: WorkerId, frame: ChunkId, run: &Run, before: u32) -> Option<PassedParts> {
        let Range { start, end } = run.calls;
        let [low, high] = halves(run.job.0);
        self.registers.set([worker.0, low, high, start, end, frame.0, before]);
        let encoded = self.encode.call(&[])?;
        Some(self.registers.passed(encoded))
    }

    /// `answered(value, extras)`, and in the registers: the part's numbers, job (two words), first call, count, offset,
    /// worker, frame, and for how many microseconds these calls ran. A reply settles calls.
    pub fn answered(
        &self,
        from: Answerer,
        run: &SettledRun,
        part: PartHeader,
        value: Value,
        extras: Option<Value>,
    ) {
        let Range { start, end } = run.calls;
        let [low, high] = halves(run.job.0);
        let extras = extras.unwrap_or_else(|| null(self.env));
        let Answerer { worker, reply } = from;
        let micros =
            reply.elapsed.as_secs_f64() * 1e6 * f64::from(end - start) / f64::from(reply.calls.max(1));
        self.registers.pass_header(part);
        self.registers.set([
            low,
            high,
            start,
            end - start,
            run.offset,
            worker.0,
            reply.chunk.0,
            micros as u32,
        ]);
        self.answered.call(&[value, extras]);
    }

    /// `ended(job, first call, end, outcome, detail)`: calls settle without a reply.
    pub fn ended(&self, job: JobId, calls: Range<u32>, outcome: &str, detail: Option<&str>) {
        let [job, start, end] =
            [job.0 as f64, calls.start.into(), calls.end.into()].map(|field| number(self.env, field));
        self.ended.call(&[job, start, end, self.text(Some(outcome)), self.text(detail)]);
    }

    /// `ready(outcome or null, detail)`.
    pub fn ready(&self, outcome: Option<&str>, detail: Option<&str>) {
        self.ready.call(&[self.text(outcome), self.text(detail)]);
    }

    /// `emitted(job, call, retries so far, index of the worker, parts)`: a call has emitted or yielded a value.
    pub fn emitted(&self, job: JobId, call: u32, retries: u32, index: u32, parts: Value) {
        let [job, call, retries, index] =
            [job.0 as f64, call.into(), retries.into(), index.into()].map(|field| number(self.env, field));
        self.emitted.call(&[job, call, retries, index, parts]);
    }

    /// `message(job or -1, parts, worker)`: a worker has something to print.
    pub fn message(&self, job: Option<JobId>, parts: Value, worker: WorkerId) {
        let job = job.map_or(-1.0, |job| job.0 as f64);
        self.message.call(&[number(self.env, job), parts, number(self.env, worker.0.into())]);
    }

    /// `written(worker, stream, buffer)`: output of a worker that was written to its descriptors.
    pub fn written(&self, worker: WorkerId, stream: Stream, bytes: &[u8]) {
        let name = if stream == Stream::Stdout { "stdout" } else { "stderr" };
        if let Ok(bytes) = buffer(self.env, bytes) {
            self.written.call(&[number(self.env, worker.0.into()), self.text(Some(name)), bytes]);
        }
    }

    /// `event(JSON)`: something in the life of a worker, or of the queue.
    pub fn event(&self, event: &Json) {
        if let Ok(event) = text(self.env, &event.to_string()) {
            self.event.call(&[event]);
        }
    }

    /// `closed(JSON)`: the last worker of a closed pool is gone, but for those that were killed and have not ended,
    /// whose exit reports these are.
    pub fn closed(&self, outliving: &Json) {
        if let Ok(outliving) = text(self.env, &outliving.to_string()) {
            self.closed.call(&[outliving]);
        }
    }

    /// A text or `null`, to be passed as a value.
    pub fn text(&self, content: Option<&str>) -> Value {
        optional_text(self.env, content)
    }
}
