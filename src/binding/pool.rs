//! A pool of workers, as `lib/` uses it: an engine, and a carrier to its workers.
//!
//! Translates between the engine, the carrier and JavaScript. It decides nothing.
//!
//! JavaScript may call back into the pool at any time (a getter in a value that is encoded may submit), so
//! no borrow is held while JavaScript runs, and `pump` does not nest.

mod sharing;

use std::cell::{Cell, OnceCell, RefCell};
use std::ffi::CString;
use std::ops::Range;
use std::rc::{Rc, Weak};
use std::time::{Duration, Instant};

use napi::bindgen_prelude::{Function, Object, Uint32Array};
use napi::{Env, JsValue, Result};
use napi_derive::napi;
use serde::Deserialize;
use serde_json::json;

use super::carrier::Carrier;
use super::environment::Environment;
use super::event_loop::{Readiness, Timer};
use super::js::{Callback, PassedParts, Registers, Value, buffer, halves, null, number, optional_text, text};
use super::process_carrier::ProcessCarrier;
use super::script_carrier::ScriptCarrier;
use super::spin::{Spin, Watch};
use crate::engine::{
    Action, ChunkId, Config, Engine, JobId, JobSpec, Outcome, Reply, Run, SettledRun, SubmitError, WorkerId,
};
use crate::process::{ProcessEvent, SpawnSpec, Stderr, Stdout, Stream};
use crate::registry::Lessee;
use crate::wire::{PART_FAILED, PART_SKIPPED, PartHeader};
use sharing::Sharing;

/// How long the work of one frame should take, where its cost is known.
const TARGET: Duration = Duration::from_millis(1);
/// How long a process that others wait for may be used before it goes to them, which takes a fraction of a millisecond;
/// and a thread, whose successor has to start.
const PROCESS_LEASE: Duration = Duration::from_millis(10);
const THREAD_LEASE: Duration = Duration::from_secs(1);

/// Flags of a job, as `lib/worker-pool.js` numbers them.
const JOB_STOPS_KEY: u32 = 1;
const JOB_SPREAD: u32 = 2;
const JOB_UNBOUNDED: u32 = 4;
const JOB_SENT_ONCE: u32 = 8;

/// How long a process may run before its first line of JavaScript has. That takes some tens of milliseconds of one CPU:
/// of which there may be a few hundredths, that other workers and what users preload want too.
fn boot_limit(workers: usize) -> Duration {
    Duration::from_secs(30) + Duration::from_millis(250) * workers as u32
}

/// Everything that a pool is told when it is made. Durations are milliseconds, sizes bytes; 0 is "none".
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PoolConfig {
    workers: usize,
    max_queue: Option<u64>,
    max_calls_per_worker: u64,
    max_worker_memory: u64,
    idle_timeout: f64,
    grace_period: f64,
    lazy: bool,
    concurrency: u32,
    /// CPUs that may be kept awake; 0: none.
    spin_cpus: usize,
    /// Pools of one key share their workers, in all environments.
    share_key: Option<String>,
    /// How to start processes; without it `hooks` looks after the workers.
    process: Option<ProcessConfig>,
}

#[derive(Deserialize)]
struct ProcessConfig {
    /// Path of the node binary.
    program: String,
    args: Vec<String>,
    env: Vec<String>,
    stdio: Stdio,
    /// Handed to each worker as it is, with the parts that the constructor got.
    init: String,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Stdio {
    Inherit,
    Forward,
    Ignore,
}

/// A pool of workers. Internal: `lib/worker-pool.js` is its only user.
#[napi]
pub struct NativePool {
    state: Rc<PoolState>,
}

#[napi]
impl NativePool {
    /// `config` is JSON; `initParts` are handed to each process when it starts; `hooks` has the methods `encode`, `answered`, `ended`, `ready`, `output`, `printed`,
    /// `event` and `closed`, and where workers are no processes `startWorker`, `sendCalls`, `cancelCalls`,
    /// `recallCalls`, `stopWorker`, `killWorker`, `catchUp`, `takeCome` and `markOf`. `registers` is of `lib/registers.js`.
    #[napi(constructor, catch_unwind)]
    pub fn new(
        env: Env,
        config: String,
        hooks: Object,
        init_parts: Object,
        registers: Object,
    ) -> Result<NativePool> {
        let config: PoolConfig = serde_json::from_str(&config)
            .map_err(|error| napi::Error::from_reason(format!("bad configuration: {error}")))?;
        let registers = Registers::new(env.raw(), registers.raw())?;
        Ok(NativePool { state: PoolState::new(&env, config, hooks.raw(), init_parts.raw(), registers)? })
    }

    /// The function that queues a job and returns its number; -1 when closed, -2 minus the number of waiting calls when
    /// the queue is full. Nothing is sent before the one of `flusher` is called. In the registers: calls, retries, task
    /// (from 1 on; 0: none), calls per chunk (0: as many as fit), flags.
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
            Ok(state.submit(keys, timeout))
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

    /// Settles what is left of a job as aborted.
    #[napi(catch_unwind)]
    pub fn cancel(&self, job: f64) {
        self.state.engine.borrow_mut().cancel(JobId(job as u64));
        self.state.pump();
    }

    /// Settles the calls of a job from this one on as aborted, and lets those that run run.
    #[napi(catch_unwind)]
    pub fn drop_calls(&self, job: f64, from: u32) {
        self.state.engine.borrow_mut().drop_calls(JobId(job as u64), from);
        self.state.pump();
    }

    /// How many calls of a job that has settled workers still run, or (unless only those count) have yet to skip.
    #[napi(catch_unwind)]
    pub fn remains(&self, job: f64, only_begun: bool) -> u32 {
        self.state.read_marks();
        self.state.engine.borrow().remains(JobId(job as u64), only_begun) as u32
    }

    /// Ends the workers that still run such calls.
    #[napi(catch_unwind)]
    pub fn kill_remains(&self, job: f64) {
        self.state.read_marks();
        self.state.engine.borrow_mut().kill_remains(JobId(job as u64));
        self.state.pump();
    }

    /// How many calls of this task a worker gets at once, by what is known of their cost.
    #[napi(catch_unwind)]
    pub fn calls_per_frame(&self, task: u32) -> u32 {
        self.state.engine.borrow().calls_per_chunk(task)
    }

    /// Whether a frame that was put off by the hook `encode` is still of use.
    #[napi(catch_unwind)]
    pub fn is_deferred(&self, worker: u32, frame: u32) -> bool {
        self.state.engine.borrow().is_deferred(WorkerId(worker), ChunkId(frame))
    }

    /// Has a frame that was put off encoded, now at once, and sends it, unless it is of no use any more.
    #[napi(catch_unwind)]
    pub fn send_deferred(&self, worker: u32, frame: u32) {
        let (worker, frame) = (WorkerId(worker), ChunkId(frame));
        let sent = self.state.engine.borrow_mut().undefer(worker, frame);
        if let Some((seq, run)) = sent {
            self.state.carrier().send(worker, frame, seq, &[run]);
        }
        self.state.pump();
    }

    /// The hook `ready` is called once all workers are up, or cannot be.
    #[napi(catch_unwind)]
    pub fn await_ready(&self) {
        self.state.engine.borrow_mut().await_ready();
        self.state.pump();
    }

    /// Finishes what was accepted, then stops the workers; the hook `closed` is called after the last.
    #[napi(catch_unwind)]
    pub fn close(&self) {
        self.state.adopt_all(Lessee::close);
        self.state.engine.borrow_mut().close();
        self.state.pump();
    }

    /// Settles everything as closed and kills the workers.
    #[napi(catch_unwind)]
    pub fn terminate(&self) {
        self.state.adopt_all(Lessee::close);
        self.state.engine.borrow_mut().terminate();
        self.state.pump();
    }

    /// Settles everything as closed and lets the workers go; the next job starts new ones.
    #[napi(catch_unwind)]
    pub fn remove_workers(&self) {
        self.state.adopt_all(Lessee::take_all);
        self.state.engine.borrow_mut().remove_workers();
        self.state.pump();
    }

    /// A picture of now, as JSON.
    #[napi(catch_unwind)]
    pub fn stats(&self) -> String {
        self.state.stats().to_string()
    }

    // What JavaScript says of workers that it looks after itself.

    /// The worker has loaded the user's module.
    #[napi(catch_unwind)]
    pub fn worker_ready(&self, worker: u32) {
        self.state.worker_ready(WorkerId(worker));
        self.state.pump();
    }

    /// The user's module does not load; `fate` (JSON) says why.
    #[napi(catch_unwind)]
    pub fn worker_load_failed(&self, worker: u32, fate: String) {
        self.state.carrier().set_fate(WorkerId(worker), parse(&fate));
        self.state.load_failed(WorkerId(worker));
        self.state.pump();
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
        let parts: Vec<(u32, u16)> = parts.chunks_exact(2).map(|part| (part[0], part[1] as u16)).collect();
        let settled =
            self.state.book_reply(WorkerId(worker), ChunkId(frame), offset, micros, bytes, &parts)?;
        Ok(settled.iter().flat_map(|(index, run)| described(*index, run)).collect())
    }

    /// The function that does the same for a reply of one part; in the registers: worker, frame, offset, microseconds, bytes,
    /// the part's number of calls and its flags. Where calls of one run settle by it, its job (two words), first call,
    /// count and offset in the part are there then, and it returns `null`.
    #[napi(catch_unwind, ts_return_type = "() => number[] | null")]
    pub fn replier<'env>(&self, env: &'env Env) -> Result<Function<'env, (), Option<Vec<f64>>>> {
        let state = self.state.clone();
        env.create_function_from_closure("replied", move |_| {
            let [worker, frame, offset, micros, bytes, calls, flags] = state.registers.arguments();
            let parts = [(calls, flags as u16)];
            let (worker, frame) = (WorkerId(worker), ChunkId(frame));
            let settled = state.book_reply(worker, frame, offset, micros.into(), bytes.into(), &parts)?;
            if let [(_, run)] = &settled[..] {
                let [low, high] = halves(run.job.0);
                let Range { start, end } = run.calls;
                state.registers.set([low, high, start, end - start, run.offset]);
                return Ok(None);
            }
            Ok(Some(settled.iter().flat_map(|(index, run)| described(*index, run)).collect()))
        })
    }

    /// The worker uses so many bytes.
    #[napi(catch_unwind)]
    pub fn worker_memory(&self, worker: u32, bytes: f64) {
        self.state.worker_memory(WorkerId(worker), bytes as u64);
    }

    /// The job of the call that a worker gave this number, while it is in flight; else -1.
    #[napi(catch_unwind)]
    pub fn job_of(&self, worker: u32, seq: u32) -> f64 {
        let call = self.state.engine.borrow().call_of(WorkerId(worker), seq);
        call.map_or(-1.0, |(job, _)| job.0 as f64)
    }

    /// The worker cannot be worked with any more, and is to be killed.
    #[napi(catch_unwind)]
    pub fn worker_given_up(&self, worker: u32) {
        self.state.give_up(WorkerId(worker));
        self.state.pump();
    }

    /// The worker is gone, and all that it had sent has been handed in; `fate` (JSON) says how.
    #[napi(catch_unwind)]
    pub fn worker_exited(&self, worker: u32, fate: String) {
        let fate = parse(&fate);
        let shown = json!({ "exitCode": fate["exitCode"], "signal": fate["signal"] });
        self.state.event(WorkerId(worker), "exited", &shown);
        self.state.carrier().set_fate(WorkerId(worker), fate);
        self.state.worker_gone(WorkerId(worker));
    }
}

/// Calls that settle by a part of a reply, as JavaScript is told of them.
fn described(part: usize, run: &SettledRun) -> [f64; 5] {
    let count = run.calls.end - run.calls.start;
    let [start, count, offset] = [run.calls.start, count, run.offset].map(f64::from);
    [part as f64, run.job.0 as f64, start, count, offset]
}

fn parse(json: &str) -> serde_json::Value {
    serde_json::from_str(json).unwrap_or_default()
}

/// The functions of `lib/` that are called from here.
struct Hooks {
    /// In the registers: worker, job (two words), first call, end, frame, how many calls that has already. → Parts that
    /// account for these calls, or for the first of them, at least one, where the others do not fit into a frame. Nothing:
    /// the first takes long.
    encode: Callback,
    /// `(value, extras)`, and in the registers the part's numbers, job (two words), first call, count, offset: a reply
    /// settles calls.
    answered: Callback,
    /// `(job, first call, end, outcome, detail)`: calls settle without a reply.
    ended: Callback,
    /// `(outcome or null, detail)`.
    ready: Callback,
    /// `(job or -1, parts)`: a worker has something to print.
    output: Callback,
    /// `(worker, stream, buffer)`: output of a worker that was written to its descriptors.
    printed: Callback,
    /// `(JSON)`: something in the life of a worker, for `debug`.
    event: Callback,
    closed: Callback,
}

pub(super) struct PoolState {
    environment: Rc<Environment>,
    hooks: Hooks,
    registers: Registers,
    engine: RefCell<Engine>,
    /// Set before anything is done; it refers back to the pool.
    carrier: OnceCell<Box<dyn Carrier>>,
    /// Set with it where workers are shared.
    sharing: OnceCell<Sharing>,
    /// Workers whose end is being told; their fate is needed until that is done.
    gone: RefCell<Vec<WorkerId>>,
    timer: RefCell<Option<Timer>>,
    spin: RefCell<Option<Spin>>,
    spin_cpus: usize,
    /// The interval that the timer runs with.
    armed: Cell<Option<Duration>>,
    pumping: Cell<bool>,
    held: Cell<bool>,
    started: Instant,
}

impl PoolState {
    fn new(
        env: &Env,
        config: PoolConfig,
        hooks_object: Value,
        init_parts: Value,
        registers: Registers,
    ) -> Result<Rc<PoolState>> {
        let environment = Environment::get(env)?;
        let hook = |name| Callback::method(env.raw(), hooks_object, name);
        let hooks = Hooks {
            encode: hook("encode")?,
            answered: hook("answered")?,
            ended: hook("ended")?,
            ready: hook("ready")?,
            output: hook("output")?,
            printed: hook("printed")?,
            event: hook("event")?,
            closed: hook("closed")?,
        };
        let lease = if config.process.is_some() { PROCESS_LEASE } else { THREAD_LEASE };
        // Of threads none can go elsewhere, and who stops idle ones after a time wants them until then.
        let keeps_idle = config.process.is_none() || config.idle_timeout > 0.0;
        let mut key = config.share_key.map(String::into_bytes);
        let engine = Engine::new(Config {
            workers: config.workers,
            max_queue: config.max_queue,
            max_calls_per_worker: some_unless_zero(config.max_calls_per_worker),
            max_worker_memory: some_unless_zero(config.max_worker_memory),
            idle_timeout: millis(config.idle_timeout),
            grace_period: Duration::from_secs_f64(config.grace_period / 1000.0),
            target: TARGET,
            concurrency: config.concurrency,
            lazy: config.lazy,
            boot_limit: config.process.is_some().then(|| boot_limit(config.workers)),
            lease: key.as_ref().map(|_| lease),
        });
        let state = Rc::new(PoolState {
            environment: environment.clone(),
            hooks,
            registers,
            engine: RefCell::new(engine),
            carrier: OnceCell::new(),
            sharing: OnceCell::new(),
            gone: RefCell::default(),
            timer: RefCell::default(),
            spin: RefCell::default(),
            spin_cpus: config.spin_cpus,
            armed: Cell::new(None),
            pumping: Cell::new(false),
            held: Cell::new(false),
            started: Instant::now(),
        });
        let weak = Rc::downgrade(&state);
        let carrier: Box<dyn Carrier> = match config.process {
            Some(process) => {
                let spec = spawn_spec(&process)?;
                let init = ProcessCarrier::init_frame(env.raw(), &process.init, init_parts)?;
                // Who was told something else at the start is not the same.
                key.iter_mut().for_each(|key| key.extend_from_slice(&init));
                Box::new(ProcessCarrier::new(weak, environment.clone(), spec, init))
            }
            None => Box::new(ScriptCarrier::new(env.raw(), weak, hooks_object)?),
        };
        // Set once, here.
        let _ = state.carrier.set(carrier);
        let weak = Rc::downgrade(&state);
        if let Some(key) = key {
            let sharing = Sharing::join(&environment, key, config.workers, keeps_idle, &weak)?;
            let _ = state.sharing.set(sharing);
        }
        let timer = Timer::new(&environment.event_loop, move || {
            if let Some(state) = weak.upgrade() {
                state.environment.context.enter(|| state.on_timer());
            }
        })?;
        *state.timer.borrow_mut() = Some(timer);
        if config.spin_cpus > 0 {
            let weak = Rc::downgrade(&state);
            *state.spin.borrow_mut() = Some(Spin::new(&environment.event_loop, Waiting(weak))?);
        }
        environment.add_pool(&state);
        match state.sharing().map(Sharing::unstarted) {
            None => state.engine.borrow_mut().start(),
            // Others may have started them.
            Some(unstarted) => state.engine.borrow_mut().start_some(unstarted),
        }
        state.pump();
        Ok(state)
    }

    pub(super) fn registers(&self) -> &Registers {
        &self.registers
    }

    fn carrier(&self) -> &dyn Carrier {
        self.carrier.get().expect("set by the constructor").as_ref()
    }

    fn sharing(&self) -> Option<&Sharing> {
        self.sharing.get()
    }

    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    /// Queues the job that the registers describe.
    fn submit(&self, keys: Option<Vec<u32>>, timeout: f64) -> f64 {
        let [calls, retries, task, chunk, flags] = self.registers.arguments();
        let spec = JobSpec {
            calls,
            keys,
            stop_key_on_error: flags & JOB_STOPS_KEY != 0,
            timeout: millis(timeout),
            retries,
            spread: flags & JOB_SPREAD != 0,
            task: (task > 0).then_some(task),
            chunk_size: (chunk > 0).then_some(chunk),
            unbounded: flags & JOB_UNBOUNDED != 0,
            sent_once: flags & JOB_SENT_ONCE != 0,
        };
        let submitted = self.engine.borrow_mut().submit(spec, self.now());
        match submitted {
            Ok(job) => job.0 as f64,
            Err(SubmitError::Closed) => -1.0,
            Err(SubmitError::QueueFull { waiting }) => -2.0 - waiting as f64,
        }
    }

    // ---- Doing what the engine says --------------------------------------------------------------------

    fn pump(&self) {
        if self.environment.event_loop.is_ending() || self.pumping.replace(true) {
            return;
        }
        loop {
            while let Some(action) = self.next_action() {
                self.perform(action);
            }
            if !self.hand_back_spare(false) && !self.settle_lease() {
                break;
            }
        }
        self.pumping.set(false);
        for worker in self.gone.take() {
            self.carrier().forget(worker);
        }
        self.arm_timer();
        self.update_hold();
    }

    fn next_action(&self) -> Option<Action> {
        self.engine.borrow_mut().next_action(self.now())
    }

    fn perform(&self, action: Action) {
        let env = self.environment.env;
        match action {
            Action::Spawn { worker } => self.start_worker(worker),
            Action::Send { worker, chunk: frame, seq, runs } => {
                self.carrier().send(worker, frame, seq, &runs)
            }
            Action::Cancel { worker, seqs } => self.carrier().cancel(worker, &seqs),
            Action::Recall { worker, from, until } => {
                let mark = self.carrier().recall(worker, from, until);
                self.engine.borrow_mut().recalled(worker, mark, from, until);
            }
            Action::Stop { worker } => self.carrier().stop(worker),
            Action::Kill { worker } => {
                self.event(worker, "kill", &serde_json::Value::Null);
                self.carrier().kill(worker);
            }
            Action::KillSilent { worker } => {
                self.event(worker, "silent", &serde_json::Value::Null);
                self.carrier().kill_silent(worker);
            }
            Action::Settle { job, calls, outcome } => {
                let (name, detail) = self.describe(outcome);
                let [job, start, end] =
                    [job.0 as f64, calls.start.into(), calls.end.into()].map(|field| number(env, field));
                let name = optional_text(env, Some(name));
                self.hooks.ended.call(&[job, start, end, name, optional_text(env, detail.as_deref())]);
            }
            Action::Ready { outcome } => {
                let described = outcome.err().map(|outcome| self.describe(outcome));
                let name = described.as_ref().map(|(name, _)| *name);
                let detail = described.as_ref().and_then(|(_, detail)| detail.as_deref());
                self.hooks.ready.call(&[optional_text(env, name), optional_text(env, detail)]);
            }
            Action::Closed => {
                self.hooks.closed.call(&[]);
            }
        }
    }

    /// The name of an outcome, and what is known of the worker that it is about.
    fn describe(&self, outcome: Outcome) -> (&'static str, Option<String>) {
        let fate = |worker: WorkerId| {
            let mut fate = self.carrier().fate(worker)?;
            fate["worker"] = worker.0.into();
            fate["pid"] = self.carrier().pid(worker).into();
            Some(fate.to_string())
        };
        match outcome {
            Outcome::Aborted => ("aborted", None),
            Outcome::TimedOut => ("timedOut", None),
            Outcome::Closed => ("closed", None),
            Outcome::Skipped => ("skipped", None),
            Outcome::Exited(worker) => ("exited", fate(worker)),
            Outcome::BootFailed(worker) => ("bootFailed", fate(worker)),
        }
    }

    fn arm_timer(&self) {
        let wanted = self.engine.borrow_mut().next_tick(self.now());
        let timer = self.timer.borrow();
        let Some(timer) = &*timer else { return };
        match (wanted, self.armed.get()) {
            (None, Some(_)) => timer.stop(),
            (Some(wanted), armed) if armed.is_none_or(|armed| wanted < armed) => timer.start(wanted),
            _ => return,
        }
        self.armed.set(wanted);
    }

    fn update_hold(&self) {
        let held = self.engine.borrow().is_held();
        if held != self.held.replace(held) {
            self.environment.hold(held);
            if let Some(spin) = &*self.spin.borrow() {
                if held { spin.start() } else { spin.stop() }
            }
        }
    }

    /// Whether an answer is expected, and there is a CPU for whoever waits for it beside those who work on it.
    fn may_spin(&self) -> bool {
        let busy = self.engine.borrow().busy_workers();
        busy > 0 && busy < self.spin_cpus
    }

    /// Whether a worker may stay awake for the next call after this one: it and those that work need a CPU each,
    /// and so does this thread.
    pub(super) fn worker_may_spin(&self) -> bool {
        self.spin_cpus > 0 && self.engine.borrow().busy_workers() < self.spin_cpus
    }

    /// Something has come from a worker.
    fn woken(&self) {
        if let Some(spin) = &*self.spin.borrow() {
            spin.woken();
        }
    }

    // ---- What the loop and the supervisor say ----------------------------------------------------------

    pub(super) fn on_readiness(&self, worker: WorkerId, ready: Readiness) {
        self.woken();
        self.environment.context.enter(|| {
            self.carrier().on_readiness(worker, ready);
            self.pump();
        });
    }

    pub(super) fn on_process_event(&self, worker: WorkerId, event: ProcessEvent) {
        self.carrier().on_process_event(self, worker, event);
        self.pump();
    }

    fn on_timer(&self) {
        self.armed.set(None);
        let workers = self.engine.borrow().workers();
        // What has been answered must not time out.
        for &worker in &workers {
            self.carrier().catch_up(worker);
        }
        self.engine.borrow_mut().tick(self.now());
        self.read_marks();
        self.pump();
    }

    /// Has the engine know which calls have begun.
    fn read_marks(&self) {
        let workers = self.engine.borrow().workers();
        for worker in workers {
            let mark = self.carrier().mark(worker);
            self.engine.borrow_mut().begun(worker, mark);
        }
    }

    // ---- What the carrier says -------------------------------------------------------------------------

    pub(super) fn worker_ready(&self, worker: WorkerId) {
        self.event(worker, "ready", &serde_json::Value::Null);
        self.engine.borrow_mut().ready(worker);
    }

    pub(super) fn load_failed(&self, worker: WorkerId) {
        self.event(worker, "loadFailed", &serde_json::Value::Null);
        self.engine.borrow_mut().load_failed(worker);
    }

    pub(super) fn worker_alive(&self, worker: WorkerId) {
        self.engine.borrow_mut().alive(worker);
    }

    pub(super) fn begun(&self, worker: WorkerId, mark: u32) {
        self.engine.borrow_mut().begun(worker, mark);
    }

    pub(super) fn worker_memory(&self, worker: WorkerId, bytes: u64) {
        self.engine.borrow_mut().memory(worker, bytes);
    }

    pub(super) fn give_up(&self, worker: WorkerId) {
        self.engine.borrow_mut().give_up(worker);
    }

    /// The worker is gone, and all that it had sent has been handed in.
    pub(super) fn worker_gone(&self, worker: WorkerId) {
        self.carrier().ended(worker);
        let mark = self.carrier().mark(worker);
        self.engine.borrow_mut().exited(worker, mark);
        self.gone.borrow_mut().push(worker);
        self.pump();
    }

    /// Has the first calls of a run encoded, for a frame that has `before` others; `None` where JavaScript has failed.
    pub(super) fn encode(
        &self,
        worker: WorkerId,
        frame: ChunkId,
        run: &Run,
        before: u32,
    ) -> Option<PassedParts> {
        let Range { start, end } = run.calls;
        let [low, high] = halves(run.job.0);
        self.registers.set([worker.0, low, high, start, end, frame.0, before]);
        let encoded = self.hooks.encode.call(&[])?;
        Some(self.registers.passed(encoded))
    }

    /// The first call of a frame takes long to encode.
    pub(super) fn defer(&self, worker: WorkerId, frame: ChunkId) {
        self.engine.borrow_mut().defer(worker, frame);
    }

    /// Of a run, so many calls went into the frame.
    pub(super) fn filled(&self, run: &Run, calls: u32) {
        self.engine.borrow_mut().filled(run.job, calls, (calls as usize) < run.calls.len());
    }

    /// Only so many calls of a chunk went into its frame.
    pub(super) fn cut(&self, worker: WorkerId, frame: ChunkId, kept: u32) {
        self.engine.borrow_mut().cut(worker, frame, kept);
    }

    pub(super) fn encode_failed(&self, worker: WorkerId, frame: ChunkId, offset: u32) {
        self.engine.borrow_mut().encode_failed(worker, frame, offset);
    }

    /// Books a reply, of which the number of calls and the flags of each part are given, and returns the calls that settle by
    /// it, with the indices of their parts.
    fn book_reply(
        &self,
        worker: WorkerId,
        frame: ChunkId,
        offset: u32,
        micros: f64,
        bytes: f64,
        parts: &[(u32, u16)],
    ) -> Result<Vec<(usize, SettledRun)>> {
        self.woken();
        // What was skipped took no time.
        let ran = parts.iter().filter(|(_, flags)| flags & PART_SKIPPED == 0);
        let total: u32 = ran.fold(0u32, |sum, part| sum.saturating_add(part.0)).max(1);
        let mut settled = Vec::new();
        let mut offset = offset;
        for (index, &(calls, flags)) in parts.iter().enumerate() {
            let share = f64::from(calls) / f64::from(total);
            let reply = Reply {
                chunk: frame,
                offset,
                calls,
                failed: flags & PART_FAILED != 0,
                skipped: flags & PART_SKIPPED != 0,
                elapsed: Duration::try_from_secs_f64(micros * share / 1e6).unwrap_or_default(),
                bytes: (bytes * share) as u64,
            };
            let answered = self.answered(worker, reply).map_err(napi::Error::from_reason)?;
            settled.extend(answered.into_iter().map(|run| (index, run)));
            offset = offset.saturating_add(calls);
        }
        Ok(settled)
    }

    /// Books an answer and returns the calls that settle by it.
    pub(super) fn answered(
        &self,
        worker: WorkerId,
        reply: Reply,
    ) -> std::result::Result<Vec<SettledRun>, String> {
        let answered = self.engine.borrow_mut().replied(worker, reply);
        answered.map_err(|violation| violation.to_string())
    }

    /// Has calls settled with the value of the part that answers them.
    pub(super) fn settle_answered(
        &self,
        answered: &[SettledRun],
        part: PartHeader,
        value: Value,
        extras: Option<Value>,
    ) {
        let env = self.environment.env;
        let extras = extras.unwrap_or_else(|| null(env));
        for run in answered {
            let [low, high] = halves(run.job.0);
            let Range { start, end } = run.calls;
            self.registers.pass_header(part);
            self.registers.set([low, high, start, end - start, run.offset]);
            self.hooks.answered.call(&[value, extras]);
        }
    }

    /// Has calls settled that were answered with what cannot be read here.
    pub(super) fn settle_unreadable(&self, answered: &[SettledRun], part: PartHeader, why: &str) {
        let part = PartHeader { codec: 0, flags: part.flags | PART_FAILED, ..part };
        self.settle_answered(answered, part, optional_text(self.environment.env, Some(why)), None);
    }

    /// A worker has something to print, said during call `seq`.
    pub(super) fn output(&self, worker: WorkerId, seq: u32, parts: Value) {
        let call = self.engine.borrow().call_of(worker, seq);
        let job = call.map_or(-1.0, |(job, _)| job.0 as f64);
        let env = self.environment.env;
        self.hooks.output.call(&[number(env, job), parts, number(env, worker.0.into())]);
    }

    /// A worker has written to one of its descriptors.
    pub(super) fn printed(&self, worker: WorkerId, stream: Stream, bytes: &[u8]) {
        let env = self.environment.env;
        let name = if stream == Stream::Stdout { "stdout" } else { "stderr" };
        if let Ok(bytes) = buffer(env, bytes) {
            self.hooks.printed.call(&[number(env, worker.0.into()), optional_text(env, Some(name)), bytes]);
        }
    }

    /// Tells `debug` what happened to a worker.
    pub(super) fn event(&self, worker: WorkerId, name: &str, detail: &serde_json::Value) {
        let mut event = json!({ "event": name, "worker": worker.0, "pid": self.carrier().pid(worker) });
        for (key, value) in detail.as_object().into_iter().flatten() {
            event[key] = value.clone();
        }
        if let Ok(event) = text(self.environment.env, &event.to_string()) {
            self.hooks.event.call(&[event]);
        }
    }

    fn stats(&self) -> serde_json::Value {
        // Plain numbers and lists: cannot fail.
        let mut stats = serde_json::to_value(self.engine.borrow().stats()).unwrap_or_default();
        for worker in stats["workers"].as_array_mut().into_iter().flatten() {
            let id = worker["id"].as_u64().and_then(|id| u32::try_from(id).ok());
            worker["pid"] = id.and_then(|id| self.carrier().pid(WorkerId(id))).into();
        }
        let (sent, received) = self.carrier().traffic();
        stats["bytesSent"] = sent.into();
        stats["bytesReceived"] = received.into();
        stats
    }

    /// The environment ends: closes the handles. JavaScript must not be called any more.
    pub(super) fn abandon(self: &Rc<Self>) {
        self.leave();
        self.carrier().abandon();
        self.timer.take();
        self.spin.take();
    }
}

/// A pool that waits for its workers.
struct Waiting(Weak<PoolState>);

impl Watch for Waiting {
    fn is_wanted(&self) -> bool {
        self.0.upgrade().is_some_and(|state| state.may_spin())
    }

    fn poll(&self, polls: bool) {
        if let Some(state) = self.0.upgrade() {
            state.carrier().poll(polls);
        }
    }

    fn has_come(&self) -> bool {
        self.0.upgrade().is_some_and(|state| state.carrier().has_come())
    }

    fn take(&self) {
        if let Some(state) = self.0.upgrade() {
            state.environment.context.enter(|| {
                state.carrier().take_come();
                state.pump();
            });
        }
    }
}

impl Drop for PoolState {
    fn drop(&mut self) {
        if self.held.get() {
            self.environment.hold(false);
        }
    }
}

fn spawn_spec(config: &ProcessConfig) -> Result<SpawnSpec> {
    let (stdout, stderr) = match config.stdio {
        Stdio::Inherit => (Stdout::Inherit, Stderr::Inherit),
        Stdio::Forward => (Stdout::Forward, Stderr::Forward),
        Stdio::Ignore => (Stdout::Ignore, Stderr::Ignore),
    };
    Ok(SpawnSpec {
        program: c_string(&config.program)?,
        args: config.args.iter().map(|text| c_string(text)).collect::<Result<_>>()?,
        env: config.env.iter().map(|text| c_string(text)).collect::<Result<_>>()?,
        stdout,
        stderr,
    })
}

/// A duration of so many milliseconds; `None` for 0.
fn millis(value: f64) -> Option<Duration> {
    (value > 0.0).then(|| Duration::try_from_secs_f64(value / 1000.0).unwrap_or(Duration::MAX))
}

fn some_unless_zero(value: u64) -> Option<u64> {
    (value != 0).then_some(value)
}

fn c_string(value: &str) -> Result<CString> {
    CString::new(value)
        .map_err(|_| napi::Error::from_reason("a NUL byte in the environment or the arguments"))
}
