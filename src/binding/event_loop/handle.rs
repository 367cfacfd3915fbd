//! The loop of an environment, and what its handles have in common: opening, closing, and the data between.
//!
//! Called by each kind of handle. Must not depend on any kind.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::ffi::{c_int, c_void};
use std::ptr::{self, NonNull};
use std::rc::Rc;
use std::time::Duration;
use std::{fmt, io};

use napi::sys;

use super::uv::{
    UvHandle, UvLoop, uv_backend_fd, uv_backend_timeout, uv_close, uv_handle_get_data, uv_handle_set_data,
    uv_handle_size, uv_is_closing, uv_metrics_idle_time, uv_ref, uv_unref,
};
use crate::binding::js::check;

/// The event loop of one environment. Clones are the same loop.
#[derive(Clone)]
pub struct EventLoop(Rc<LoopState>);

struct LoopState {
    raw: *mut UvLoop,
    /// Invariant: one for each handle from `open` to `on_closed`.
    handles: Cell<usize>,
    /// Drops every handle that is left; taken when the environment ends.
    on_end: RefCell<Option<Box<dyn FnOnce()>>>,
    /// Set once the environment is ending: to be removed with the last handle.
    hook: Cell<sys::napi_async_cleanup_hook_handle>,
}

/// Why there is no handle.
#[derive(Debug)]
pub enum OpenError {
    /// The environment is ending.
    Ending,
    OutOfMemory,
    /// libuv does not take it.
    SubmitError(io::Error),
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OpenError::Ending => f.write_str("the environment is ending"),
            OpenError::OutOfMemory => f.write_str("no memory"),
            OpenError::SubmitError(error) => write!(f, "libuv refuses a handle: {error}"),
        }
    }
}

impl std::error::Error for OpenError {}

impl From<OpenError> for napi::Error {
    fn from(error: OpenError) -> napi::Error {
        napi::Error::from_reason(error.to_string())
    }
}

impl From<OpenError> for io::Error {
    fn from(error: OpenError) -> io::Error {
        io::Error::other(error)
    }
}

impl EventLoop {
    /// The loop of this environment. `on_end` is called when that ends and must drop all handles.
    pub fn new(env: sys::napi_env, on_end: impl FnOnce() + 'static) -> napi::Result<EventLoop> {
        let mut raw = ptr::null_mut();
        // SAFETY: `env` is the current environment; the loop outlives everything that hooks are run for.
        check(unsafe { sys::napi_get_uv_event_loop(env, &mut raw) }, "no event loop")?;
        let state = Rc::new(LoopState {
            raw: raw.cast(),
            handles: Cell::new(0),
            on_end: RefCell::new(Some(Box::new(on_end))),
            hook: Cell::new(ptr::null_mut()),
        });
        let data = Rc::into_raw(state.clone()).cast_mut().cast();
        // SAFETY: `data` is the strong count that the hook gives back; it runs once, on this thread.
        let status =
            unsafe { sys::napi_add_async_cleanup_hook(env, Some(on_environment_end), data, ptr::null_mut()) };
        check(status, "no cleanup hook")?;
        Ok(EventLoop(state))
    }

    /// Whether the environment is ending, so that JavaScript can no longer be called.
    pub fn is_ending(&self) -> bool {
        self.0.on_end.borrow().is_none()
    }

    /// For how long it has slept so far, waiting for something to come; zero if that is not counted.
    pub fn idle_time(&self) -> Duration {
        // SAFETY: the loop is alive until its environment has ended.
        Duration::from_nanos(unsafe { uv_metrics_idle_time(self.0.raw) })
    }

    /// Allocates a handle that keeps `data` until it is closed, and does not hold the loop. `init` is libuv's own
    /// initializer for this kind.
    pub(super) fn open(
        &self,
        kind: c_int,
        data: impl Any,
        init: impl FnOnce(*mut UvLoop, *mut UvHandle) -> c_int,
    ) -> Result<Handle, OpenError> {
        if self.is_ending() {
            return Err(OpenError::Ending);
        }
        // SAFETY: a pure function of libuv.
        let words = unsafe { uv_handle_size(kind) }.div_ceil(size_of::<u64>());
        // Words, for the alignment that every handle needs.
        let memory = Box::into_raw(vec![0u64; words].into_boxed_slice());
        let raw = NonNull::new(memory.cast::<UvHandle>()).ok_or(OpenError::OutOfMemory)?;
        let status = init(self.0.raw, raw.as_ptr());
        if status != 0 {
            // SAFETY: made above, and libuv does not know it.
            drop(unsafe { Box::from_raw(memory) });
            return Err(OpenError::SubmitError(io::Error::from_raw_os_error(-status)));
        }
        self.0.handles.set(self.0.handles.get() + 1);
        let opened = Box::new(Opened { memory, state: self.0.clone(), data: Box::new(data) });
        // SAFETY: the handle is initialized; the data is taken back in `on_closed`.
        unsafe { uv_handle_set_data(raw.as_ptr(), Box::into_raw(opened).cast()) };
        let handle = Handle(raw);
        handle.hold(false);
        Ok(handle)
    }
}

/// An open handle. Dropping it closes it.
pub(super) struct Handle(NonNull<UvHandle>);

impl Handle {
    pub(super) fn as_ptr(&self) -> *mut UvHandle {
        self.0.as_ptr()
    }

    /// Whether the loop stays alive for this handle.
    pub(super) fn hold(&self, held: bool) {
        // SAFETY: the handle is open.
        unsafe { if held { uv_ref(self.as_ptr()) } else { uv_unref(self.as_ptr()) } };
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // SAFETY: the handle is open, and closed only here. `uv_close` stops it.
        unsafe { uv_close(self.as_ptr(), on_closed) };
    }
}

/// What belongs to a handle from its opening to its closing.
struct Opened {
    memory: *mut [u64],
    state: Rc<LoopState>,
    data: Box<dyn Any>,
}

/// What libuv calls back for.
pub(super) struct Called<'a> {
    handle: *mut UvHandle,
    opened: &'a Opened,
}

impl<'a> Called<'a> {
    /// # Safety
    /// libuv is calling back for this handle, which `open` has made. What is returned is not used after that call.
    pub(super) unsafe fn by(handle: *mut UvHandle) -> Called<'a> {
        // SAFETY: as the caller promises. The data lives until `on_closed`, which libuv calls in a later turn, even
        // when the callback drops its `Handle`.
        Called { handle, opened: unsafe { &*uv_handle_get_data(handle).cast::<Opened>() } }
    }

    /// The data that the handle was opened with.
    pub(super) fn data<T: Any>(&self) -> Option<&'a T> {
        let data = self.opened.data.downcast_ref();
        debug_assert!(data.is_some(), "the data of another kind of handle");
        data
    }

    /// Whether its `Handle` was dropped meanwhile.
    pub(super) fn is_closing(&self) -> bool {
        // SAFETY: the memory of the handle lives until `on_closed`.
        unsafe { uv_is_closing(self.handle) != 0 }
    }

    /// For how long the loop would sleep now, in milliseconds (0: not at all; negative: until something comes), and the
    /// descriptor that it sleeps on.
    pub(super) fn next_sleep(&self) -> (c_int, c_int) {
        let raw = self.opened.state.raw;
        // SAFETY: the loop is running.
        unsafe { (uv_backend_timeout(raw), uv_backend_fd(raw)) }
    }
}

extern "C" fn on_environment_end(hook: sys::napi_async_cleanup_hook_handle, data: *mut c_void) {
    // SAFETY: `data` is the count that `EventLoop::new` gave away, and the hook runs once.
    let state = unsafe { Rc::from_raw(data.cast::<LoopState>()) };
    state.hook.set(hook);
    let on_end = state.on_end.borrow_mut().take();
    if let Some(on_end) = on_end {
        on_end();
    }
    state.let_go_when_empty();
}

impl LoopState {
    fn let_go_when_empty(&self) {
        if self.handles.get() == 0 && !self.hook.get().is_null() {
            // SAFETY: the handle came with the hook's call, and is removed once.
            unsafe { sys::napi_remove_async_cleanup_hook(self.hook.replace(ptr::null_mut())) };
        }
    }
}

extern "C" fn on_closed(handle: *mut UvHandle) {
    // SAFETY: set in `open`, and this is the only place that takes it back.
    let opened = unsafe { Box::from_raw(uv_handle_get_data(handle).cast::<Opened>()) };
    // SAFETY: made in `open`; libuv is done with the handle.
    drop(unsafe { Box::from_raw(opened.memory) });
    let state = opened.state.clone();
    drop(opened);
    debug_assert!(state.handles.get() > 0, "more handles were closed than opened");
    state.handles.set(state.handles.get() - 1);
    state.let_go_when_empty();
}
