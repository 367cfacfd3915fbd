//! A look at the loop once per turn, right before it sleeps.
//!
//! Called by the poll before sleep, and by pools whose workers are on lease. Must not depend on what is done then.

use std::ffi::c_int;
use std::time::Duration;

use super::handle::{Called, EventLoop, Handle, OpenError};
use super::uv::{
    UV_IDLE, UV_PREPARE, UvHandle, uv_idle_init, uv_idle_start, uv_idle_stop, uv_prepare_init,
    uv_prepare_start, uv_prepare_stop,
};

/// The sleep that a loop is about to begin.
pub struct Sleep {
    /// A timer ends it by then.
    pub for_at_most: Duration,
    descriptor: c_int,
}

impl Sleep {
    /// Whether something has come that would end it, or would have kept it from beginning.
    pub fn is_over(&self) -> bool {
        let mut polled = libc::pollfd { fd: self.descriptor, events: libc::POLLIN, revents: 0 };
        // SAFETY: one live structure; it does not wait.
        unsafe { libc::poll(&mut polled, 1, 0) != 0 }
    }
}

/// What a loop does after [`Prepare`] has called back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// It sleeps, if there is nothing to do.
    MaySleep,
    /// It comes back soon: timers, what has come from elsewhere, and whatever else is due have their turn before.
    Again,
}

/// Calls back once per turn, before the loop looks for what has come, while it is started: with the sleep that it would
/// begin, or nothing where it will not sleep. Does not hold the loop.
pub struct Prepare(Handle);

type OnTurn = dyn Fn(Option<&Sleep>) -> Turn;

struct PrepareData {
    callback: Box<OnTurn>,
    idle: Idle,
}

impl Prepare {
    pub fn new(
        event_loop: &EventLoop,
        callback: impl Fn(Option<&Sleep>) -> Turn + 'static,
    ) -> Result<Prepare, OpenError> {
        let data = PrepareData { callback: Box::new(callback), idle: Idle::new(event_loop)? };
        // SAFETY: the loop is alive and the handle large enough.
        let init = |uv_loop, handle| unsafe { uv_prepare_init(uv_loop, handle) };
        Ok(Prepare(event_loop.open(UV_PREPARE, data, init)?))
    }

    pub fn start(&self) {
        // SAFETY: the handle is open. Starting it again changes nothing.
        unsafe { uv_prepare_start(self.0.as_ptr(), on_prepare) };
    }

    pub fn stop(&self) {
        // SAFETY: the handle is open.
        unsafe { uv_prepare_stop(self.0.as_ptr()) };
    }
}

extern "C" fn on_prepare(handle: *mut UvHandle) {
    // SAFETY: libuv calls this, for handles that `Prepare::new` has opened.
    let called = unsafe { Called::by(handle) };
    let Some(PrepareData { callback, idle }) = called.data() else { return };
    let (timeout, descriptor) = called.next_sleep();
    // 0: it will not sleep; negative: until something comes.
    let for_at_most = u64::try_from(timeout).map_or(Duration::MAX, Duration::from_millis);
    let sleeps = timeout != 0 && descriptor >= 0;
    let turn = callback(sleeps.then_some(Sleep { for_at_most, descriptor }).as_ref());
    // The callback may have dropped it; its data stay until it is closed.
    if turn == Turn::Again && !called.is_closing() {
        idle.start();
    }
}

/// Keeps the loop from sleeping in the turn in which it is started. Does not hold it.
struct Idle(Handle);

impl Idle {
    fn new(event_loop: &EventLoop) -> Result<Idle, OpenError> {
        // SAFETY: the loop is alive and the handle large enough.
        let init = |uv_loop, handle| unsafe { uv_idle_init(uv_loop, handle) };
        Ok(Idle(event_loop.open(UV_IDLE, (), init)?))
    }

    fn start(&self) {
        // SAFETY: the handle is open. Starting it again changes nothing.
        unsafe { uv_idle_start(self.0.as_ptr(), on_idle) };
    }
}

/// In the next turn, before `prepare`.
extern "C" fn on_idle(handle: *mut UvHandle) {
    // SAFETY: libuv calls this for open handles only.
    unsafe { uv_idle_stop(handle) };
}
