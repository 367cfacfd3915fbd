//! What JavaScript calls, `lib/fallback/wasm-pool.js` only: the methods of the class that the addon has, with numbers
//! for arguments, and texts and lists in memory, see [`memory`].
//!
//! Must not depend on anything but the pool: here arguments become Rust's, and results numbers.

use std::cell::OnceCell;

use serde_json::Value as Json;

use super::host::{WasmHost, WasmState, panicked};
use super::memory::{self, give_numbers, give_text, passed_bytes, passed_numbers, passed_text};
use crate::engine::{ChunkId, JobId, SubmitError, WorkerId};
use crate::pool::{Carrier, Host, PartCount, Pool, PoolConfig, Reports, SettledPart};

thread_local! {
    /// Leaked: it lives as long as the instance.
    static POOL: OnceCell<&'static WasmState> = const { OnceCell::new() };
}

/// The pool that this instance is. JavaScript calls `create` before all else.
pub fn pool() -> &'static WasmState {
    POOL.with(|pool| *pool.get().expect("`create` comes first"))
}

/// Room for so many bytes that are passed to one of the functions below.
#[unsafe(no_mangle)]
extern "C" fn inbox(len: usize) -> *mut u8 {
    memory::inbox(len)
}

/// Where the last result is.
#[unsafe(no_mangle)]
extern "C" fn outbox() -> *const u8 {
    memory::outbox()
}

/// Makes the pool, of so many bytes of configuration. Its workers start with `start`. Returns the length of the text
/// that says why it cannot be made; 0: it is.
#[unsafe(no_mangle)]
extern "C" fn create(config_len: usize) -> usize {
    std::panic::set_hook(Box::new(|info| panicked(&info.to_string())));
    match PoolConfig::parse(&passed_text(config_len)) {
        Ok(config) => {
            let made: &'static WasmState = Box::leak(Box::new(Pool::new(WasmHost::new(), &config)));
            let set = POOL.with(|pool| pool.set(made));
            debug_assert!(set.is_ok(), "an instance is one pool");
            0
        }
        Err(why) => give_text(&why),
    }
}

#[unsafe(no_mangle)]
extern "C" fn start() {
    pool().start(None);
}

// ---- Jobs ----------------------------------------------------------------------------------------------------

/// Queues a job and returns its number; -1 when closed, -2 minus the number of waiting calls when the queue is full.
/// `keys`: how many there are in the inbox; -1: none are given.
#[unsafe(no_mangle)]
extern "C" fn submit(
    calls: u32,
    retries: u32,
    task: u32,
    chunk_size: u32,
    flags: u32,
    priority: i32,
    keys: i32,
    timeout: f64,
) -> f64 {
    let keys = usize::try_from(keys).ok().map(passed_numbers);
    // No calls for single workers: only a host has those, and it needs the addon.
    match pool().submit([calls, retries, task, chunk_size, flags, priority.cast_unsigned(), 0], keys, timeout)
    {
        Ok(job) => job.0 as f64,
        Err(SubmitError::Closed) => -1.0,
        Err(SubmitError::QueueFull { waiting }) => -2.0 - waiting as f64,
    }
}

#[unsafe(no_mangle)]
extern "C" fn flush() {
    pool().pump();
}

#[unsafe(no_mangle)]
extern "C" fn cancel(job: f64) {
    pool().cancel(JobId(job as u64));
}

#[unsafe(no_mangle)]
extern "C" fn drop_calls(job: f64, from: u32) {
    pool().drop_calls(JobId(job as u64), from);
}

#[unsafe(no_mangle)]
extern "C" fn remaining_calls(job: f64, only_begun: bool) -> u32 {
    pool().remains(JobId(job as u64), only_begun) as u32
}

#[unsafe(no_mangle)]
extern "C" fn kill_remaining(job: f64) {
    pool().kill_remains(JobId(job as u64));
}

#[unsafe(no_mangle)]
extern "C" fn set_spin_cpus(cpus: u32) {
    pool().set_spin_cpus(cpus as usize);
}

#[unsafe(no_mangle)]
extern "C" fn calls_ahead(task: u32) -> u32 {
    pool().calls_ahead(task)
}

#[unsafe(no_mangle)]
extern "C" fn is_deferred(worker: u32, frame: u32) -> bool {
    pool().is_deferred(WorkerId(worker), ChunkId(frame))
}

#[unsafe(no_mangle)]
extern "C" fn send_deferred(worker: u32, frame: u32) {
    pool().send_deferred(WorkerId(worker), ChunkId(frame));
}

/// The call in flight that a worker gave this number, if its caller still waits: 3 numbers in the outbox, which are
/// job, call and retries so far; else 0.
#[unsafe(no_mangle)]
extern "C" fn wanted_call(worker: u32, seq: u32) -> usize {
    match pool().wanted_call(WorkerId(worker), seq) {
        Some((job, call, retries)) => give_numbers([job.0 as f64, call.into(), retries.into()].into_iter()),
        None => 0,
    }
}

/// So many of the values that a call yields were taken so far.
#[unsafe(no_mangle)]
extern "C" fn demand(job: f64, call: u32, taken: u32) {
    pool().demand(JobId(job as u64), call, taken);
}

/// A call waits for whoever reads what it yields: its time does not pass before the next `demand`.
#[unsafe(no_mangle)]
extern "C" fn pause(job: f64, call: u32) {
    pool().pause(JobId(job as u64), call);
}

/// Nobody wants any more of what the only call of this job yields; `false`: it does not run, and nothing was done.
#[unsafe(no_mangle)]
extern "C" fn leave(job: f64) -> bool {
    pool().leave(JobId(job as u64))
}

#[unsafe(no_mangle)]
extern "C" fn forbid_retries(job: f64) {
    pool().forbid_retries(JobId(job as u64));
}

#[unsafe(no_mangle)]
extern "C" fn job_of(worker: u32, seq: u32) -> f64 {
    pool().job_of(WorkerId(worker), seq).map_or(-1.0, |job| job.0 as f64)
}

// ---- The pool ------------------------------------------------------------------------------------------------

#[unsafe(no_mangle)]
extern "C" fn await_ready() {
    pool().await_ready();
}

#[unsafe(no_mangle)]
extern "C" fn close() {
    pool().close();
}

#[unsafe(no_mangle)]
extern "C" fn terminate() {
    pool().terminate();
}

#[unsafe(no_mangle)]
extern "C" fn remove_workers() {
    pool().remove_workers();
}

/// This process ends in an orderly way: workers that have nothing to do may, too.
#[unsafe(no_mangle)]
extern "C" fn dismiss() {
    let workers = pool().engine.borrow().unoccupied();
    for worker in workers {
        pool().host.carrier().say_farewell(worker);
    }
}

#[unsafe(no_mangle)]
extern "C" fn watch_queue() {
    pool().watch_queue();
}

/// Returns the length of the text, which is JSON.
#[unsafe(no_mangle)]
extern "C" fn stats() -> usize {
    give_text(&pool().stats().to_string())
}

#[unsafe(no_mangle)]
extern "C" fn suspend_hold(suspended: bool) {
    pool().suspend_hold(suspended);
}

/// The timer that `start_timer` was asked for.
#[unsafe(no_mangle)]
extern "C" fn on_timer() {
    pool().on_timer();
}

// ---- What JavaScript says of its workers ---------------------------------------------------------------------

#[unsafe(no_mangle)]
extern "C" fn worker_alive(worker: u32) {
    pool().script_worker_alive(WorkerId(worker));
}

#[unsafe(no_mangle)]
extern "C" fn worker_ready(worker: u32) {
    pool().script_worker_ready(WorkerId(worker));
}

/// It has begun the call with this number, 0: none yet, and so it runs.
#[unsafe(no_mangle)]
extern "C" fn worker_begun(worker: u32, seq: u32) {
    pool().worker_alive(WorkerId(worker));
    pool().begun(WorkerId(worker), seq);
}

#[unsafe(no_mangle)]
extern "C" fn worker_load_failed(worker: u32, report_len: usize) {
    pool().script_worker_load_failed(WorkerId(worker), passed_json(report_len));
}

/// `parts`: how many numbers are in the inbox, the number of calls and the flags of each part. Returns how many numbers
/// there are as a result, `[part, job, first call, count, offset in the part, …]` for the calls that settle. Negative:
/// the worker cannot have been asked this; the length of the text that says why.
#[unsafe(no_mangle)]
extern "C" fn worker_replied(
    worker: u32,
    frame: u32,
    offset: u32,
    micros: f64,
    bytes: f64,
    parts: usize,
) -> i32 {
    let numbers = passed_numbers(parts);
    let parts: Vec<PartCount> =
        numbers.as_chunks().0.iter().map(|&[calls, flags]| (calls, flags as u16)).collect();
    replied(worker, frame, offset, micros, bytes, &parts)
}

/// The same for a reply of one part.
#[unsafe(no_mangle)]
extern "C" fn worker_replied_once(
    worker: u32,
    frame: u32,
    offset: u32,
    micros: f64,
    bytes: f64,
    calls: u32,
    flags: u32,
) -> i32 {
    replied(worker, frame, offset, micros, bytes, &[(calls, flags as u16)])
}

fn replied(worker: u32, frame: u32, offset: u32, micros: f64, bytes: f64, parts: &[PartCount]) -> i32 {
    let settled =
        pool().script_worker_replied(WorkerId(worker), ChunkId(frame), offset, micros, bytes, parts);
    match settled {
        Ok(settled) => give_numbers(settled.iter().flat_map(SettledPart::fields)) as i32,
        Err(violation) => -(give_text(&violation.to_string()) as i32),
    }
}

#[unsafe(no_mangle)]
extern "C" fn worker_memory(worker: u32, bytes: f64) {
    pool().script_worker_memory(WorkerId(worker), bytes as u64);
}

#[unsafe(no_mangle)]
extern "C" fn give_up_worker(worker: u32) {
    pool().script_worker_given_up(WorkerId(worker));
}

/// What is known of the worker's end so far.
#[unsafe(no_mangle)]
extern "C" fn set_exit_report(worker: u32, report_len: usize) {
    pool().host.carrier().set_exit_report(WorkerId(worker), passed_json(report_len));
}

/// Something happened in its life, for `debug`: JSON, with the name as `event`.
#[unsafe(no_mangle)]
extern "C" fn worker_event(worker: u32, event_len: usize) {
    let mut event = passed_json(event_len);
    let name = event.as_object_mut().and_then(|event| event.remove("event"));
    if let Some(Json::String(name)) = name {
        pool().tell_event(WorkerId(worker), &name, &event);
    }
}

#[unsafe(no_mangle)]
extern "C" fn worker_exited(worker: u32, report_len: usize) {
    pool().script_worker_exited(WorkerId(worker), passed_json(report_len));
}

fn passed_json(len: usize) -> Json {
    serde_json::from_slice(&passed_bytes(len)).unwrap_or_default()
}
