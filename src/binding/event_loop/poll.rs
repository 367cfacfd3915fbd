//! Polling a descriptor.
//!
//! Called by whoever owns one. Must not depend on what comes through it.

use std::any::Any;
use std::ffi::c_int;
use std::os::fd::RawFd;

use super::handle::{Called, EventLoop, Handle, OpenError};
use super::uv::{UV_POLL, UV_READABLE, UV_WRITABLE, UvHandle, uv_poll_init, uv_poll_start};

/// What a polled descriptor is ready for. Errors and hang-ups count as readable: reading tells them.
#[derive(Clone, Copy, Debug)]
pub struct Readiness {
    pub readable: bool,
    pub writable: bool,
}

/// Polls one descriptor, level-triggered. Dropping it ends the polling.
pub struct Poll(Handle);

struct PollData {
    callback: Box<dyn Fn(Readiness)>,
    _keep: Box<dyn Any>,
}

impl Poll {
    /// Prepares to poll `fd`, which `keep` owns: it is dropped only when libuv is done with the descriptor.
    /// Does not hold the loop until [`Poll::hold`] says so.
    pub fn new(
        event_loop: &EventLoop,
        fd: RawFd,
        keep: impl Any,
        callback: impl Fn(Readiness) + 'static,
    ) -> Result<Poll, OpenError> {
        let data = PollData { callback: Box::new(callback), _keep: Box::new(keep) };
        // SAFETY: the loop is alive, the handle is large enough, `fd` is open.
        let init = |uv_loop, handle| unsafe { uv_poll_init(uv_loop, handle, fd) };
        Ok(Poll(event_loop.open(UV_POLL, data, init)?))
    }

    /// Starts polling, or changes what for: always readable, and writable too if asked.
    pub fn start(&self, writable: bool) {
        let events = if writable { UV_READABLE | UV_WRITABLE } else { UV_READABLE };
        // SAFETY: the handle is open.
        let status = unsafe { uv_poll_start(self.0.as_ptr(), events, on_polled) };
        // libuv refuses a handle that is closing, or a descriptor that another handle polls: neither is ours.
        debug_assert_eq!(status, 0);
    }

    /// Whether the loop stays alive for this handle.
    pub fn hold(&self, held: bool) {
        self.0.hold(held);
    }
}

extern "C" fn on_polled(handle: *mut UvHandle, status: c_int, events: c_int) {
    // SAFETY: libuv calls this, for handles that `Poll::new` has opened.
    let called = unsafe { Called::by(handle) };
    if let Some(PollData { callback, .. }) = called.data() {
        let failed = status < 0;
        callback(Readiness {
            readable: failed || events & !UV_WRITABLE != 0,
            writable: events & UV_WRITABLE != 0,
        });
    }
}
