//! The pool as JavaScript sees it: the napi class, and nothing else.
//!
//! Called by `lib/jobs/worker-pool.js` and the carriers in `lib/`. Must not depend on anything but the pool: here
//! arguments become Rust's, and results JavaScript's.

use std::ops::Range;
use std::rc::Rc;

use napi::bindgen_prelude::{Function, Object, Uint32Array};
use napi::{Env, Error, JsValue, Result};
use napi_derive::napi;
use serde_json::Value as Json;

use super::js::{Registers, halves};
use super::pool::{NativeState, create};
use crate::engine::{ChunkId, JobId, ProtocolViolation, SubmitError, WorkerId};
use crate::pool::{PartCount, PoolConfig, SettledPart};

/// A pool of workers. Internal: `lib/jobs/worker-pool.js` is its only user.
#[napi]
pub struct NativePool {
    state: Rc<NativeState>,
}

#[napi]
impl NativePool {
    /// `config` is JSON; `initParts` are handed to each process when it starts; `hooks` has the methods of `Hooks` in
    /// `pool/hooks.rs`, where workers are no processes those of `Hooks` in `carriers/script.rs`, and where they are
    /// threads those in `carriers/thread.rs`. `registers` is of `lib/transport/registers.js`.
    #[napi(constructor, catch_unwind)]
    pub fn new(
        env: Env,
        config: String,
        hooks: Object,
        init_parts: Object,
        registers: Object,
    ) -> Result<NativePool> {
        let config = PoolConfig::parse(&config).map_err(Error::from_reason)?;
        let registers = Registers::new(env.raw(), registers.raw())?;
        Ok(NativePool { state: create(&env, &config, hooks.raw(), init_parts.raw(), registers)? })
    }

    /// The function that queues a job and returns its number; -1 when closed, -2 minus the number of waiting calls when
    /// the queue is full. Nothing is sent before the one of `flusher` is called. In the registers: calls, retries, task
    /// (from 1 on; 0: none), calls per chunk (0: as many as fit), flags, priority, the index of the worker that the
    /// first call is for.
    ///
    /// (Functions by themselves: as methods they would cost twice as much, which shows in a round trip.)
    #[napi(catch_unwind, ts_return_type = "(keys?: Uint32Array | null, timeout?: number) => number")]
    pub fn submitter<'env>(&self, env: &'env Env) -> Result<Function<'env, (), f64>> {
        let state = self.state.clone();
        env.create_function_from_closure("submit", move |call| {
            let keys = match call.length() {
                0 => None,
                _ => call.get::<Option<Uint32Array>>(0)?.map(|keys| keys.to_vec()),
            };
            let timeout = if call.length() < 2 { 0.0 } else { call.get(1)? };
            Ok(match state.submit(state.host.registers.arguments(), keys, timeout) {
                Ok(job) => job.0 as f64,
                Err(SubmitError::Closed) => -1.0,
                Err(SubmitError::QueueFull { waiting }) => -2.0 - waiting as f64,
            })
        })
    }

    /// The function that does what there is to do.
    #[napi(catch_unwind, ts_return_type = "() => void")]
    pub fn flusher<'env>(&self, env: &'env Env) -> Result<Function<'env, (), ()>> {
        let state = self.state.clone();
        env.create_function_from_closure("flush", move |_| {
            state.pump();
            Ok(())
        })
    }

    /// So many CPUs may be kept awake by polling; with 0, who waits gives way. Neither until then. (To count them takes
    /// long enough for the first worker to be started before.)
    #[napi(catch_unwind)]
    pub fn set_spin_cpus(&self, cpus: u32) {
        self.state.set_spin_cpus(cpus as usize);
    }

    /// Settles what is left of a job as aborted.
    #[napi(catch_unwind)]
    pub fn cancel(&self, job: f64) {
        self.state.cancel(JobId(job as u64));
    }

    /// Settles the calls of a job from this one on as aborted, and lets those that run run.
    #[napi(catch_unwind)]
    pub fn drop_calls(&self, job: f64, from: u32) {
        self.state.drop_calls(JobId(job as u64), from);
    }

    /// How many calls of a job that has settled workers still run, or (unless only those count) have yet to skip.
    #[napi(catch_unwind)]
    pub fn remaining_calls(&self, job: f64, only_begun: bool) -> u32 {
        self.state.remains(JobId(job as u64), only_begun) as u32
    }

    /// Ends the workers that still run such calls.
    #[napi(catch_unwind)]
    pub fn kill_remaining(&self, job: f64) {
        self.state.kill_remains(JobId(job as u64));
    }

    /// How many calls of this task are half of what a worker may have in flight, by what is known of their cost.
    #[napi(catch_unwind)]
    pub fn calls_ahead(&self, task: u32) -> u32 {
        self.state.calls_ahead(task)
    }

    /// How long a call of this task takes, in microseconds, as far as is known; 0: nothing is.
    #[napi(catch_unwind)]
    pub fn call_cost(&self, task: u32) -> f64 {
        self.state.call_cost(task)
    }

    /// Whether a frame that was put off by the hook `encode` is still of use.
    #[napi(catch_unwind)]
    pub fn is_deferred(&self, worker: u32, frame: u32) -> bool {
        self.state.is_deferred(WorkerId(worker), ChunkId(frame))
    }

    /// Has a frame that was put off encoded, now at once, and sends it, unless it is of no use any more.
    #[napi(catch_unwind)]
    pub fn send_deferred(&self, worker: u32, frame: u32) {
        self.state.send_deferred(WorkerId(worker), ChunkId(frame));
    }

    /// There may be this many workers from now on, at least one.
    #[napi(catch_unwind)]
    pub fn set_workers(&self, count: u32) {
        self.state.set_workers(count);
    }

    /// The hook `ready` is called once all workers are up, or cannot be.
    #[napi(catch_unwind)]
    pub fn await_ready(&self) {
        self.state.await_ready();
    }

    /// Finishes what was accepted, then stops the workers; the hook `closed` is called after the last.
    #[napi(catch_unwind)]
    pub fn close(&self) {
        self.state.close();
    }

    /// Settles as closed what has not been answered, and kills the workers.
    #[napi(catch_unwind)]
    pub fn terminate(&self) {
        self.state.terminate();
    }

    /// Settles as closed what has not been answered, and lets the workers go; the next job starts new ones.
    #[napi(catch_unwind)]
    pub fn remove_workers(&self) {
        self.state.remove_workers();
    }

    /// From now on the hook `event` is told when calls begin to wait, when no more may, and when none waits any more.
    #[napi(catch_unwind)]
    pub fn watch_queue(&self) {
        self.state.watch_queue();
    }

    /// A picture of now, as JSON.
    #[napi(catch_unwind)]
    pub fn stats(&self) -> String {
        self.state.stats().to_string()
    }

    // What JavaScript says of workers that it looks after itself.

    /// The worker runs.
    #[napi(catch_unwind)]
    pub fn worker_alive(&self, worker: u32) {
        self.state.script_worker_alive(WorkerId(worker));
    }

    /// The worker has loaded the user's module.
    #[napi(catch_unwind)]
    pub fn worker_ready(&self, worker: u32) {
        self.state.script_worker_ready(WorkerId(worker));
    }

    /// The user's module does not load; `report` (JSON) says why.
    #[napi(catch_unwind)]
    pub fn worker_load_failed(&self, worker: u32, report: String) {
        self.state.script_worker_load_failed(WorkerId(worker), parse(&report));
    }

    /// Calls of a frame from `offset` on were answered: `parts` has the number of calls and the flags of each
    /// part. Returns `[part, job, first call, count, offset in the part, …]` for those that settle by it.
    #[napi(catch_unwind)]
    pub fn worker_replied(
        &self,
        worker: u32,
        frame: u32,
        offset: u32,
        micros: f64,
        bytes: f64,
        parts: Vec<u32>,
    ) -> Result<Vec<f64>> {
        let parts: Vec<PartCount> = parts.chunks_exact(2).map(|part| (part[0], part[1] as u16)).collect();
        let (worker, frame) = (WorkerId(worker), ChunkId(frame));
        let settled = self.state.script_worker_replied(worker, frame, offset, micros, bytes, &parts);
        Ok(settled.map_err(violation)?.iter().flat_map(SettledPart::fields).collect())
    }

    /// The function that does the same for a reply of one part; in the registers: worker, frame, offset, microseconds,
    /// bytes, the part's number of calls and its flags. Where calls of one run settle by it, its job (two words), first
    /// call, count and offset in the part are there then, and it returns `null`.
    #[napi(catch_unwind, ts_return_type = "() => number[] | null")]
    pub fn replier<'env>(&self, env: &'env Env) -> Result<Function<'env, (), Option<Vec<f64>>>> {
        let state = self.state.clone();
        env.create_function_from_closure("replied", move |_| {
            let [worker, frame, offset, micros, bytes, calls, flags] = state.host.registers.arguments();
            let parts = [(calls, flags as u16)];
            let (worker, frame) = (WorkerId(worker), ChunkId(frame));
            let settled = state
                .script_worker_replied(worker, frame, offset, micros.into(), bytes.into(), &parts)
                .map_err(violation)?;
            if let [SettledPart { run, .. }] = &settled[..] {
                let [low, high] = halves(run.job.0);
                let Range { start, end } = run.calls;
                state.host.registers.set([low, high, start, end - start, run.offset]);
                return Ok(None);
            }
            Ok(Some(settled.iter().flat_map(SettledPart::fields).collect()))
        })
    }

    /// The function that handles what a thread has put into shared memory and whose turn it is, after the frames that
    /// it has posted: `(worker, whether this thread was woken)`. It returns false where that is being done already,
    /// further up the stack.
    #[napi(catch_unwind, ts_return_type = "(worker: number, wasWoken: boolean) => boolean")]
    pub fn shared_receiver<'env>(&self, env: &'env Env) -> Result<Function<'env, (), bool>> {
        let state = self.state.clone();
        env.create_function_from_closure("receiveShared", move |call| {
            Ok(state.receive_shared(WorkerId(call.get(0)?), call.get(1)?))
        })
    }

    /// Nobody has taken a frame that was sent: its calls wait again, and the worker is free.
    #[napi(catch_unwind)]
    pub fn worker_returned(&self, worker: u32, frame: u32) {
        self.state.script_worker_returned(WorkerId(worker), ChunkId(frame));
    }

    /// The worker uses so many bytes.
    #[napi(catch_unwind)]
    pub fn worker_memory(&self, worker: u32, bytes: f64) {
        self.state.script_worker_memory(WorkerId(worker), bytes as u64);
    }

    /// The job of the call that a worker gave this number, while it is in flight; else -1.
    #[napi(catch_unwind)]
    pub fn job_of(&self, worker: u32, seq: u32) -> f64 {
        self.state.job_of(WorkerId(worker), seq).map_or(-1.0, |job| job.0 as f64)
    }

    /// The call in flight that a worker gave this number, if its caller still waits: job, number, retries so far.
    #[napi(catch_unwind)]
    pub fn wanted_call(&self, worker: u32, seq: u32) -> Option<Vec<f64>> {
        let (job, call, retries) = self.state.wanted_call(WorkerId(worker), seq)?;
        Some(vec![job.0 as f64, call.into(), retries.into()])
    }

    /// So many of the values that a call yields were taken so far.
    #[napi(catch_unwind)]
    pub fn demand(&self, job: f64, call: u32, taken: u32) {
        self.state.demand(JobId(job as u64), call, taken);
    }

    /// A call waits for whoever reads what it yields: its time does not pass before the next `demand`.
    #[napi(catch_unwind)]
    pub fn pause(&self, job: f64, call: u32) {
        self.state.pause(JobId(job as u64), call);
    }

    /// Nobody wants any more of what the only call of this job yields, and it is not run again. If it runs, it is told
    /// so, and its answer comes once it is closed; `false`: nothing was done.
    #[napi(catch_unwind)]
    pub fn leave(&self, job: f64) -> bool {
        self.state.leave(JobId(job as u64))
    }

    /// The calls of this job are not run again.
    #[napi(catch_unwind)]
    pub fn forbid_retries(&self, job: f64) {
        self.state.forbid_retries(JobId(job as u64));
    }

    /// The worker cannot be worked with any more, and is to be killed.
    #[napi(catch_unwind)]
    pub fn give_up_worker(&self, worker: u32) {
        self.state.script_worker_given_up(WorkerId(worker));
    }

    /// Whether the event loop is not held, although something is under way: what that waits for is then noticed to be
    /// nothing.
    #[napi(catch_unwind)]
    pub fn suspend_hold(&self, suspended: bool) {
        self.state.suspend_hold(suspended);
    }

    /// The worker is gone, and all that it had sent has been handed in; `report` (JSON) says how.
    #[napi(catch_unwind)]
    pub fn worker_exited(&self, worker: u32, report: String) {
        self.state.script_worker_exited(WorkerId(worker), parse(&report));
    }
}

fn violation(violation: ProtocolViolation) -> Error {
    Error::from_reason(violation.to_string())
}

fn parse(json: &str) -> Json {
    serde_json::from_str(json).unwrap_or_default()
}
