//! The scheduler with two meters: how much CPU time and how much memory it takes.
//!
//! Must not depend on what is simulated around it.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, AtomicIsize, Ordering};
use std::time::Duration;

use crate::engine::{Action, Config, Engine};

/// Bytes that were allocated while the scheduler ran, less those freed while it ran.
static HELD: AtomicIsize = AtomicIsize::new(0);
static MAX_HELD: AtomicIsize = AtomicIsize::new(0);
static IS_RUNNING: AtomicBool = AtomicBool::new(false);

/// Counts what the scheduler allocates. There is one thread, so relaxed accesses are exact.
struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: all requests are passed on unchanged; counting neither allocates nor unwinds.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: the caller's promises are those that `System` asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        // SAFETY: as above; the pointer came from `System`.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size as isize - layout.size() as isize);
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

fn count(bytes: isize) {
    if IS_RUNNING.load(Ordering::Relaxed) {
        let held = HELD.fetch_add(bytes, Ordering::Relaxed) + bytes;
        MAX_HELD.fetch_max(held, Ordering::Relaxed);
    }
}

/// A scheduler under observation.
pub struct Measured {
    engine: Engine,
    cpu: Duration,
}

impl Measured {
    pub fn new(config: Config) -> Measured {
        HELD.store(0, Ordering::Relaxed);
        MAX_HELD.store(0, Ordering::Relaxed);
        IS_RUNNING.store(true, Ordering::Relaxed);
        let engine = Engine::new(config);
        IS_RUNNING.store(false, Ordering::Relaxed);
        Measured { engine, cpu: Duration::ZERO }
    }

    /// Hands the scheduler to `act` and returns its result with the CPU time that this took. What the scheduler gives
    /// away must also be dropped by `act`.
    pub fn run<R>(&mut self, act: impl FnOnce(&mut Engine) -> R) -> (R, Duration) {
        let before = thread_time();
        IS_RUNNING.store(true, Ordering::Relaxed);
        let result = act(&mut self.engine);
        IS_RUNNING.store(false, Ordering::Relaxed);
        let took = thread_time().saturating_sub(before);
        self.cpu += took;
        (result, took)
    }

    /// Takes the next action; `act` must not keep any of it.
    pub fn next_action(&mut self, now: Duration, act: &mut dyn FnMut(&Action)) -> (bool, Duration) {
        self.run(|engine| {
            let action = engine.next_action(now);
            if let Some(action) = &action {
                IS_RUNNING.store(false, Ordering::Relaxed);
                act(action);
                IS_RUNNING.store(true, Ordering::Relaxed);
            }
            action.is_some()
        })
    }

    /// All CPU time so far.
    pub fn cpu(&self) -> Duration {
        self.cpu
    }

    /// The most memory that it had at once, in bytes.
    pub fn max_memory(&self) -> u64 {
        u64::try_from(MAX_HELD.load(Ordering::Relaxed)).unwrap_or(0)
    }
}

/// The CPU time of this thread.
fn thread_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is valid for writes, and the clock exists on Linux and macOS.
    let code = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    assert_eq!(code, 0, "the thread's CPU clock cannot be read");
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
