//! What JavaScript asks of a pool, and what it reports of workers that it looks after itself.
//!
//! Called by the bindings. Must not depend on how arguments are passed.

use std::time::Duration;

use serde_json::{Value as Json, json};

use super::config::millis;
use super::host::{Carrier, Host, Reports};
use super::reply::Apportioned;
use super::state::Pool;
use crate::engine::{ChunkId, JobId, JobSpec, ProtocolViolation, SettledRun, SubmitError, WorkerId};
use crate::protocol::{
    ANSWERED_FIELDS, JOB_BULK, JOB_KEY_RUNS, JOB_PINNED, JOB_SENT_ONCE, JOB_SPREAD, JOB_STOPS_KEY,
    JOB_UNBOUNDED, MAX_COUNT,
};

/// The number of calls of a part, and its flags.
pub type PartCount = (u32, u16);

/// Calls that settle by a part of a reply.
pub struct SettledPart {
    /// The index of the part.
    part: usize,
    pub run: SettledRun,
}

impl SettledPart {
    /// As JavaScript is told of them: part, job, first call, count, offset in the part.
    pub fn fields(&self) -> [f64; ANSWERED_FIELDS] {
        let SettledRun { job, calls, offset } = &self.run;
        let count = calls.end - calls.start;
        let [start, count, offset] = [calls.start, count, *offset].map(f64::from);
        [self.part as f64, job.0 as f64, start, count, offset]
    }
}

/// What a job is described by: how many calls, retries, task (from 1 on; 0: none), calls per chunk (0: as many as
/// fit), flags, priority, the index of the worker that its first call is for if it is pinned.
type JobFields = [u32; 7];

impl<H: Host> Pool<H> {
    // ---- Jobs -------------------------------------------------------------------------------------------

    /// Queues a job. Nothing is sent before the next `pump`.
    pub fn submit(
        &self,
        [calls, retries, task, chunk, flags, priority, first_worker]: JobFields,
        keys: Option<Vec<u32>>,
        timeout: f64,
    ) -> Result<JobId, SubmitError> {
        let spec = JobSpec {
            calls,
            keys,
            stop_key_on_error: flags & JOB_STOPS_KEY != 0,
            key_runs: flags & JOB_KEY_RUNS != 0,
            timeout: millis(timeout),
            retries,
            spread: flags & JOB_SPREAD != 0,
            task: (task > 0).then_some(task),
            chunk_size: (chunk > 0).then_some(chunk),
            unbounded: flags & JOB_UNBOUNDED != 0,
            sent_once: flags & JOB_SENT_ONCE != 0,
            priority: priority.cast_signed(),
            pinned: flags & JOB_PINNED != 0,
            bulk: flags & JOB_BULK != 0,
            first_worker,
        };
        self.engine.borrow_mut().submit(spec, self.host.now())
    }

    /// Settles what is left of a job as aborted.
    pub fn cancel(&self, job: JobId) {
        self.read_answers();
        self.engine.borrow_mut().cancel(job);
        self.pump();
    }

    /// What has been answered is done, though nobody has looked yet; but for a worker whose answers are being handled
    /// right now, further up the stack.
    fn read_answers(&self) {
        let workers = self.engine.borrow().workers();
        // Nothing follows from them before what was asked for: that may be about calls which have not been sent.
        self.without_pumping(|| workers.into_iter().for_each(|worker| self.host.carrier().catch_up(worker)));
    }

    /// Settles the calls of a job from this one on as aborted, and lets those that run run.
    pub fn drop_calls(&self, job: JobId, from: u32) {
        self.engine.borrow_mut().drop_calls(job, from);
        self.pump();
    }

    /// How many calls of a job that has settled workers still run, or (unless only those count) have yet to skip.
    pub fn remains(&self, job: JobId, only_begun: bool) -> usize {
        self.read_last_begun();
        self.engine.borrow().remains(job, only_begun)
    }

    /// Ends the workers that still run such calls.
    pub fn kill_remains(&self, job: JobId) {
        self.read_last_begun();
        self.engine.borrow_mut().kill_remains(job);
        self.pump();
    }

    /// How many calls of this task are half of what a worker may have in flight, by what is known of their cost.
    pub fn calls_ahead(&self, task: u32) -> u32 {
        self.engine.borrow().calls_ahead(task)
    }

    /// How long a call of this task takes, in microseconds, as far as is known; 0: nothing is.
    pub fn call_cost(&self, task: u32) -> f64 {
        let cost = self.engine.borrow().call_cost(task);
        cost.unwrap_or_default().as_secs_f64() * 1e6
    }

    /// Whether a frame that was put off is still of use.
    pub fn is_deferred(&self, worker: WorkerId, frame: ChunkId) -> bool {
        self.engine.borrow().is_deferred(worker, frame)
    }

    /// Has a frame that was put off encoded, now at once, and sends it, unless it is of no use any more.
    pub fn send_deferred(&self, worker: WorkerId, frame: ChunkId) {
        let sent = self.engine.borrow_mut().undefer(worker, frame);
        if let Some((seq, run)) = sent {
            self.host.carrier().send(worker, frame, seq, &[run], false);
        }
        self.pump();
    }

    /// The job of the call that a worker gave this number, while it is in flight.
    pub fn job_of(&self, worker: WorkerId, seq: u32) -> Option<JobId> {
        self.engine.borrow().call_of(worker, seq).map(|(job, _)| job)
    }

    /// The call in flight that a worker gave this number, if its caller still waits: job, number, retries so far.
    pub fn wanted_call(&self, worker: WorkerId, seq: u32) -> Option<(JobId, u32, u32)> {
        self.engine.borrow().wanted_call(worker, seq)
    }

    /// So many of the values that a call yields were taken. Its time passes, whether or not it did before.
    pub fn demand(&self, job: JobId, call: u32, taken: u32) {
        self.engine.borrow_mut().pause(job, call, false);
        let place = self.engine.borrow().place_of(job, call);
        if let Some((worker, seq)) = place {
            self.host.carrier().demand(worker, seq, taken);
        }
        self.pump();
    }

    /// A call waits for whoever reads what it yields.
    pub fn pause(&self, job: JobId, call: u32) {
        self.engine.borrow_mut().pause(job, call, true);
    }

    /// Nobody wants any more of what the only call of this job yields: it is not run again. If it has begun, it is told
    /// so, and its answer comes once it is closed; `false`: nothing was done, since no worker is known to run it.
    pub fn leave(&self, job: JobId) -> bool {
        self.engine.borrow_mut().forbid_retries(job);
        self.read_last_begun();
        let place = self.engine.borrow().begun_place_of(job, 0);
        let Some((worker, _)) = place else { return false };
        self.demand(job, 0, MAX_COUNT);
        // A worker that is busy looks for what it is told once there is a cancellation, and there is none here.
        self.host.carrier().cancel(worker, &[]);
        true
    }

    /// The calls of this job are not run again.
    pub fn forbid_retries(&self, job: JobId) {
        self.engine.borrow_mut().forbid_retries(job);
    }

    // ---- All workers ------------------------------------------------------------------------------------

    /// There may be this many workers from now on.
    pub fn set_workers(&self, count: u32) {
        self.engine.borrow_mut().set_workers(count as usize);
        self.pump();
    }

    /// The hook `ready` is called once all workers are up, or cannot be.
    pub fn await_ready(&self) {
        self.engine.borrow_mut().await_ready();
        self.pump();
    }

    /// Finishes what was accepted, then stops the workers; the hook `closed` is called after the last.
    pub fn close(&self) {
        H::take_idle_workers(self, true);
        self.engine.borrow_mut().close();
        self.pump();
    }

    /// Settles as closed what has not been answered, and kills the workers.
    pub fn terminate(&self) {
        H::take_idle_workers(self, true);
        self.read_answers();
        self.engine.borrow_mut().terminate();
        self.pump();
    }

    /// Settles as closed what has not been answered, and lets the workers go; the next job starts new ones.
    pub fn remove_workers(&self) {
        H::take_idle_workers(self, false);
        self.read_answers();
        self.engine.borrow_mut().remove_workers();
        self.pump();
    }

    // ---- Workers that JavaScript looks after ------------------------------------------------------------

    /// The worker runs.
    pub fn script_worker_alive(&self, worker: WorkerId) {
        self.worker_alive(worker);
        self.pump();
    }

    /// The worker has loaded the user's module.
    pub fn script_worker_ready(&self, worker: WorkerId) {
        self.worker_ready(worker);
        self.pump();
    }

    /// The user's module does not load; `report` says why.
    pub fn script_worker_load_failed(&self, worker: WorkerId, report: Json) {
        self.host.carrier().set_exit_report(worker, report);
        self.load_failed(worker);
        self.pump();
    }

    /// Calls of a frame from `offset` on were answered by these parts. Returns the calls that settle by it.
    pub fn script_worker_replied(
        &self,
        worker: WorkerId,
        frame: ChunkId,
        offset: u32,
        micros: f64,
        bytes: f64,
        parts: &[PartCount],
    ) -> Result<Vec<SettledPart>, ProtocolViolation> {
        self.woken();
        let elapsed = Duration::try_from_secs_f64(micros / 1e6).unwrap_or_default();
        let mut reply = Apportioned::new(frame, offset, elapsed, parts.iter().copied());
        let mut settled = Vec::new();
        for (part, &(calls, flags)) in parts.iter().enumerate() {
            let bytes = (bytes * reply.share(calls)) as u64;
            let answered = self.answered(worker, reply.next(calls, flags, bytes))?;
            settled.extend(answered.into_iter().map(|run| SettledPart { part, run }));
        }
        Ok(settled)
    }

    /// Nobody has taken a frame: its calls wait again.
    pub fn script_worker_returned(&self, worker: WorkerId, frame: ChunkId) {
        self.engine.borrow_mut().returned(worker, frame);
        self.pump();
    }

    /// The worker cannot be worked with any more, and is to be killed.
    pub fn script_worker_given_up(&self, worker: WorkerId) {
        self.give_up(worker);
        self.pump();
    }

    /// The worker uses so many bytes.
    pub fn script_worker_memory(&self, worker: WorkerId, bytes: u64) {
        self.worker_memory(worker, bytes);
    }

    /// The worker is gone, and all that it had sent has been handed in; `report` says how.
    pub fn script_worker_exited(&self, worker: WorkerId, report: Json) {
        let (name, shown) = match report["errno"].as_i64() {
            Some(errno) => ("spawnFailed", json!({ "errno": errno, "message": report["message"] })),
            None => ("exited", json!({ "exitCode": report["exitCode"], "signal": report["signal"] })),
        };
        self.tell_event(worker, name, &shown);
        self.host.carrier().set_exit_report(worker, report);
        self.worker_gone(worker);
    }
}
