//! What a pool is told when it is made, and what follows from it for the engine.
//!
//! Called by the constructors of pools. Must not depend on anything that lives.

use std::time::Duration;

use serde::Deserialize;

use crate::engine::Config;

/// How long the work of one frame should take, where its cost is known.
const TARGET: Duration = Duration::from_millis(1);
/// The same where nobody is in a hurry for single answers. A worker that shares its CPU with the caller loses some 70
/// microseconds whenever that is woken.
const PATIENT_TARGET: Duration = Duration::from_millis(5);
/// The same where it travels to another machine, which takes a message of its engine, a millisecond's worth of CPU.
const REMOTE_TARGET: Duration = Duration::from_millis(60);
/// How long a process may take to end once it was killed: the system may have a lot of memory to free.
const KILL_LIMIT: Duration = Duration::from_secs(5);
/// How long a process that others wait for may be used before it goes to them, which takes a fraction of a millisecond;
/// and a thread, whose successor has to start.
const PROCESS_LEASE: Duration = Duration::from_millis(10);
const THREAD_LEASE: Duration = Duration::from_secs(1);

/// Everything that a pool is told when it is made, as `lib/jobs/worker-config.js` writes it. Durations are
/// milliseconds, sizes bytes; 0 is "none".
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PoolConfig {
    pub workers: usize,
    max_queue: Option<u64>,
    max_calls_per_worker: u64,
    max_worker_memory: u64,
    idle_timeout: f64,
    grace_period: f64,
    lazy: bool,
    concurrency: u32,
    /// Whether its workers run on the caller's own thread.
    pub inline: bool,
    /// Whether JavaScript keeps a timeline.
    pub traces: bool,
    /// Whether they stand for chunks in flight to other machines.
    pub remote: bool,
    /// Pools of one key share their workers, in all environments.
    pub share_key: Option<String>,
    /// How to start processes; `None` where workers are threads, or run on the caller's own.
    pub process: Option<ProcessConfig>,
}

/// How processes are started.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProcessConfig {
    /// Path of the node binary.
    pub program: String,
    pub args: Vec<String>,
    pub env: Vec<String>,
    pub stdio: Stdio,
    /// Whether it runs nothing before a debugger is attached.
    waits_for_debugger: bool,
    /// Handed to each worker as it is, with the parts that the constructor got.
    pub init: String,
}

/// What becomes of the output of processes.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stdio {
    Inherit,
    Forward,
    Ignore,
}

impl PoolConfig {
    pub fn parse(json: &str) -> Result<PoolConfig, String> {
        serde_json::from_str(json).map_err(|error| format!("bad configuration: {error}"))
    }

    /// What the engine is told of it.
    pub fn engine(&self) -> Config {
        let lease = if self.process.is_some() { PROCESS_LEASE } else { THREAD_LEASE };
        Config {
            workers: self.workers,
            max_queue: self.max_queue,
            max_calls_per_worker: some_unless_zero(self.max_calls_per_worker),
            max_worker_memory: some_unless_zero(self.max_worker_memory),
            idle_timeout: millis(self.idle_timeout),
            grace_period: Duration::from_secs_f64(self.grace_period / 1000.0),
            target: if self.remote { REMOTE_TARGET } else { TARGET },
            // On the caller's own thread nothing else happens during a chunk.
            patient_target: if self.inline { TARGET } else { PATIENT_TARGET },
            lanes: self.remote,
            concurrency: self.concurrency,
            lazy: self.lazy,
            boot_limit: self.process.as_ref().and_then(|process| process.boot_limit(self.workers)),
            kill_limit: self.process.is_some().then_some(KILL_LIMIT),
            lease: self.share_key.as_ref().map(|_| lease),
        }
    }

    /// Whether workers without work stay with the pool that has them: of threads none can go elsewhere, and who stops
    /// idle ones after a time wants them until then.
    pub fn keeps_idle(&self) -> bool {
        self.process.is_none() || self.idle_timeout > 0.0
    }
}

impl ProcessConfig {
    /// How long a process may run before its first line of JavaScript has. That takes some tens of milliseconds of one
    /// CPU: of which there may be a few hundredths, that other workers and what users preload want too.
    fn boot_limit(&self, workers: usize) -> Option<Duration> {
        let limit = Duration::from_secs(30) + Duration::from_millis(250) * workers as u32;
        (!self.waits_for_debugger).then_some(limit)
    }
}

/// A duration of so many milliseconds; `None` for 0.
pub fn millis(value: f64) -> Option<Duration> {
    (value > 0.0).then(|| Duration::try_from_secs_f64(value / 1000.0).unwrap_or(Duration::MAX))
}

fn some_unless_zero(value: u64) -> Option<u64> {
    (value != 0).then_some(value)
}
