//! A one-shot timer.
//!
//! Called by pools. Must not depend on what it is for.

use std::time::Duration;

use super::handle::{Called, EventLoop, Handle, OpenError};
use super::uv::{UV_TIMER, UvHandle, uv_timer_init, uv_timer_start, uv_timer_stop};

/// A one-shot timer that does not hold the loop. Dropping it stops it.
pub struct Timer(Handle);

struct TimerData {
    callback: Box<dyn Fn()>,
}

impl Timer {
    pub fn new(event_loop: &EventLoop, callback: impl Fn() + 'static) -> Result<Timer, OpenError> {
        let data = TimerData { callback: Box::new(callback) };
        // SAFETY: the loop is alive and the handle large enough.
        let init = |uv_loop, handle| unsafe { uv_timer_init(uv_loop, handle) };
        Ok(Timer(event_loop.open(UV_TIMER, data, init)?))
    }

    /// (Re)starts the timer.
    pub fn start(&self, delay: Duration) {
        let millis = u64::try_from(delay.as_micros().div_ceil(1000)).unwrap_or(u64::MAX);
        // SAFETY: the handle is open.
        let status = unsafe { uv_timer_start(self.0.as_ptr(), on_timer, millis, 0) };
        debug_assert_eq!(status, 0);
    }

    pub fn stop(&self) {
        // SAFETY: the handle is open.
        unsafe { uv_timer_stop(self.0.as_ptr()) };
    }
}

extern "C" fn on_timer(handle: *mut UvHandle) {
    // SAFETY: libuv calls this, for handles that `Timer::new` has opened.
    let called = unsafe { Called::by(handle) };
    if let Some(TimerData { callback }) = called.data() {
        callback();
    }
}
