//! A small safe wrapper around the parts of libuv that are used: polling a descriptor, a timer, and a look at
//! the loop before it sleeps.
//!
//! Knows libuv and napi's cleanup hooks, nothing of what it is used for. The `uv_*` symbols are exported by
//! the node binary.
//!
//! # Ownership and teardown
//!
//! Node aborts the process when an environment ends with open handles in its loop, and a handle may not be
//! freed before libuv says so. Hence:
//!
//! 1. A handle lives on the heap, together with its callback and with whatever must outlive the polling
//!    (`keep`: the descriptor). The Rust value ([`Poll`], [`Timer`]) is only a pointer to it.
//! 2. Dropping the Rust value stops the handle and calls `uv_close`. Its callback is not called again.
//! 3. libuv calls `on_closed` in a later turn of the loop: only there is the memory freed, and `keep`
//!    dropped, which closes the descriptor.
//! 4. When the environment ends, the asynchronous cleanup hook runs `on_end`, which drops every value that
//!    is left. The hook is removed, which lets Node go on, once the last `on_closed` was called.
//!
//! `process.exit` runs no hooks at all; nothing relies on one there.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::ffi::{c_int, c_void};
use std::os::fd::RawFd;
use std::ptr::{self, NonNull};
use std::rc::Rc;
use std::time::Duration;

use napi::{Error, Result, sys};

use super::js::check;

/// libuv's `uv_loop_t` and every kind of `uv_handle_t`, whose layouts are its own business.
#[repr(C)]
struct UvLoop {
    opaque: [u8; 0],
}
#[repr(C)]
struct UvHandle {
    opaque: [u8; 0],
}

const UV_IDLE: c_int = 6;
const UV_POLL: c_int = 8;
const UV_PREPARE: c_int = 9;
const UV_TIMER: c_int = 13;
const UV_READABLE: c_int = 1;
const UV_WRITABLE: c_int = 2;

unsafe extern "C" {
    fn uv_handle_size(kind: c_int) -> usize;
    fn uv_handle_get_data(handle: *const UvHandle) -> *mut c_void;
    fn uv_handle_set_data(handle: *mut UvHandle, data: *mut c_void);
    fn uv_is_closing(handle: *const UvHandle) -> c_int;
    fn uv_close(handle: *mut UvHandle, callback: extern "C" fn(*mut UvHandle));
    fn uv_ref(handle: *mut UvHandle);
    fn uv_unref(handle: *mut UvHandle);
    fn uv_poll_init(uv_loop: *mut UvLoop, handle: *mut UvHandle, fd: c_int) -> c_int;
    fn uv_poll_start(
        handle: *mut UvHandle,
        events: c_int,
        callback: extern "C" fn(*mut UvHandle, c_int, c_int),
    ) -> c_int;
    fn uv_idle_init(uv_loop: *mut UvLoop, handle: *mut UvHandle) -> c_int;
    fn uv_idle_start(handle: *mut UvHandle, callback: extern "C" fn(*mut UvHandle)) -> c_int;
    fn uv_idle_stop(handle: *mut UvHandle) -> c_int;
    fn uv_prepare_init(uv_loop: *mut UvLoop, handle: *mut UvHandle) -> c_int;
    fn uv_prepare_start(handle: *mut UvHandle, callback: extern "C" fn(*mut UvHandle)) -> c_int;
    fn uv_prepare_stop(handle: *mut UvHandle) -> c_int;
    fn uv_backend_fd(uv_loop: *const UvLoop) -> c_int;
    fn uv_backend_timeout(uv_loop: *const UvLoop) -> c_int;
    fn uv_timer_init(uv_loop: *mut UvLoop, handle: *mut UvHandle) -> c_int;
    fn uv_timer_start(
        handle: *mut UvHandle,
        callback: extern "C" fn(*mut UvHandle),
        timeout: u64,
        repeat: u64,
    ) -> c_int;
    fn uv_timer_stop(handle: *mut UvHandle) -> c_int;
}

/// The event loop of one environment. Clones are the same loop.
#[derive(Clone)]
pub struct EventLoop(Rc<LoopState>);

struct LoopState {
    raw: *mut UvLoop,
    /// Handles that are open, or closing.
    handles: Cell<usize>,
    /// Drops every handle that is left; taken when the environment ends.
    on_end: RefCell<Option<Box<dyn FnOnce()>>>,
    /// Set once the environment is ending: to be removed with the last handle.
    hook: Cell<sys::napi_async_cleanup_hook_handle>,
}

impl EventLoop {
    /// The loop of this environment. `on_end` is called when that ends and must drop all handles.
    pub fn new(env: sys::napi_env, on_end: impl FnOnce() + 'static) -> Result<EventLoop> {
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

    /// Allocates a handle and its data. `init` is libuv's own initializer.
    fn open(
        &self,
        kind: c_int,
        data: Data,
        init: impl FnOnce(*mut UvLoop, *mut UvHandle) -> c_int,
    ) -> Result<NonNull<UvHandle>> {
        if self.is_ending() {
            return Err(Error::from_reason("the environment is ending"));
        }
        // SAFETY: a pure function of libuv.
        let words = unsafe { uv_handle_size(kind) }.div_ceil(size_of::<u64>());
        // Words, for the alignment that every handle needs.
        let memory = Box::into_raw(vec![0u64; words].into_boxed_slice());
        let handle =
            NonNull::new(memory.cast::<UvHandle>()).ok_or_else(|| Error::from_reason("no memory"))?;
        let status = init(self.0.raw, handle.as_ptr());
        if status != 0 {
            // SAFETY: made above, and libuv does not know it.
            drop(unsafe { Box::from_raw(memory) });
            return Err(Error::from_reason(format!(
                "libuv refuses a handle: {}",
                std::io::Error::from_raw_os_error(-status)
            )));
        }
        self.0.handles.set(self.0.handles.get() + 1);
        let data = Box::new(Opened { memory, state: self.0.clone(), data });
        // SAFETY: `handle` is initialized; the data is taken back in `on_closed`.
        unsafe { uv_handle_set_data(handle.as_ptr(), Box::into_raw(data).cast()) };
        Ok(handle)
    }
}

/// What belongs to a handle from its opening to its closing.
struct Opened {
    memory: *mut [u64],
    state: Rc<LoopState>,
    data: Data,
}

type OnTurn = dyn Fn(Option<&Sleep>) -> Turn;

enum Data {
    Poll { callback: Box<dyn Fn(Readiness)>, _keep: Box<dyn Any> },
    Timer { callback: Box<dyn Fn()> },
    Prepare { callback: Box<OnTurn>, idle: Idle },
    Idle,
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
    state.handles.set(state.handles.get() - 1);
    state.let_go_when_empty();
}

/// The data of an open handle.
///
/// # Safety
/// `handle` was made by `open`, and `on_closed` has not been called for it.
unsafe fn data_of<'a>(handle: *mut UvHandle) -> &'a Data {
    // SAFETY: as the caller promises.
    unsafe { &(*uv_handle_get_data(handle).cast::<Opened>()).data }
}

/// What a polled descriptor is ready for. Errors and hang-ups count as readable: reading tells them.
#[derive(Clone, Copy, Debug)]
pub struct Readiness {
    pub readable: bool,
    pub writable: bool,
}

/// Polls one descriptor, level-triggered. Dropping it ends the polling.
pub struct Poll(NonNull<UvHandle>);

impl Poll {
    /// Prepares to poll `fd`, which `keep` owns: it is dropped only when libuv is done with the descriptor.
    /// Does not hold the loop until [`Poll::hold`] says so.
    pub fn new(
        event_loop: &EventLoop,
        fd: RawFd,
        keep: impl Any,
        callback: impl Fn(Readiness) + 'static,
    ) -> Result<Poll> {
        let data = Data::Poll { callback: Box::new(callback), _keep: Box::new(keep) };
        // SAFETY: the loop is alive, the handle is large enough, `fd` is open.
        let handle =
            event_loop.open(UV_POLL, data, |uv_loop, handle| unsafe { uv_poll_init(uv_loop, handle, fd) })?;
        let poll = Poll(handle);
        poll.hold(false);
        Ok(poll)
    }

    /// Starts polling, or changes what for: always readable, and writable too if asked.
    pub fn start(&self, writable: bool) {
        let events = if writable { UV_READABLE | UV_WRITABLE } else { UV_READABLE };
        // SAFETY: the handle is open. It cannot fail for an initialized handle.
        unsafe { uv_poll_start(self.0.as_ptr(), events, on_polled) };
    }

    /// Whether the loop stays alive for this handle.
    pub fn hold(&self, held: bool) {
        // SAFETY: the handle is open.
        unsafe { if held { uv_ref(self.0.as_ptr()) } else { uv_unref(self.0.as_ptr()) } };
    }
}

impl Drop for Poll {
    fn drop(&mut self) {
        // SAFETY: the handle is open, and closed only here. `uv_close` stops the polling.
        unsafe { uv_close(self.0.as_ptr(), on_closed) };
    }
}

extern "C" fn on_polled(handle: *mut UvHandle, status: c_int, events: c_int) {
    // SAFETY: libuv calls this for open handles only; the data lives until `on_closed`, even when the
    // callback drops the `Poll`.
    if let Data::Poll { callback, .. } = unsafe { data_of(handle) } {
        let failed = status < 0;
        callback(Readiness {
            readable: failed || events & !UV_WRITABLE != 0,
            writable: events & UV_WRITABLE != 0,
        });
    }
}

/// A one-shot timer that does not hold the loop. Dropping it stops it.
pub struct Timer(NonNull<UvHandle>);

impl Timer {
    pub fn new(event_loop: &EventLoop, callback: impl Fn() + 'static) -> Result<Timer> {
        let data = Data::Timer { callback: Box::new(callback) };
        // SAFETY: the loop is alive and the handle large enough.
        let handle =
            event_loop.open(UV_TIMER, data, |uv_loop, handle| unsafe { uv_timer_init(uv_loop, handle) })?;
        // SAFETY: the handle is open.
        unsafe { uv_unref(handle.as_ptr()) };
        Ok(Timer(handle))
    }

    /// (Re)starts the timer.
    pub fn start(&self, delay: Duration) {
        let millis = u64::try_from(delay.as_micros().div_ceil(1000)).unwrap_or(u64::MAX);
        // SAFETY: the handle is open.
        unsafe { uv_timer_start(self.0.as_ptr(), on_timer, millis, 0) };
    }

    pub fn stop(&self) {
        // SAFETY: the handle is open.
        unsafe { uv_timer_stop(self.0.as_ptr()) };
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        // SAFETY: the handle is open, and closed only here.
        unsafe { uv_close(self.0.as_ptr(), on_closed) };
    }
}

extern "C" fn on_timer(handle: *mut UvHandle) {
    // SAFETY: as in `on_polled`.
    if let Data::Timer { callback } = unsafe { data_of(handle) } {
        callback();
    }
}

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

/// Keeps the loop from sleeping in the turn in which it is started. Does not hold it.
struct Idle(NonNull<UvHandle>);

impl Idle {
    fn new(event_loop: &EventLoop) -> Result<Idle> {
        // SAFETY: the loop is alive and the handle large enough.
        let handle = event_loop
            .open(UV_IDLE, Data::Idle, |uv_loop, handle| unsafe { uv_idle_init(uv_loop, handle) })?;
        // SAFETY: the handle is open.
        unsafe { uv_unref(handle.as_ptr()) };
        Ok(Idle(handle))
    }

    fn start(&self) {
        // SAFETY: the handle is open. Starting it again changes nothing.
        unsafe { uv_idle_start(self.0.as_ptr(), on_idle) };
    }
}

impl Drop for Idle {
    fn drop(&mut self) {
        // SAFETY: the handle is open, and closed only here. `uv_close` stops it.
        unsafe { uv_close(self.0.as_ptr(), on_closed) };
    }
}

/// In the next turn, before `prepare`.
extern "C" fn on_idle(handle: *mut UvHandle) {
    // SAFETY: libuv calls this for open handles only.
    unsafe { uv_idle_stop(handle) };
}

/// Calls back once per turn, before the loop looks for what has come, while it is started: with the sleep that it would
/// begin, or nothing where it will not sleep. Does not hold the loop.
pub struct Prepare(NonNull<UvHandle>);

impl Prepare {
    pub fn new(
        event_loop: &EventLoop,
        callback: impl Fn(Option<&Sleep>) -> Turn + 'static,
    ) -> Result<Prepare> {
        let data = Data::Prepare { callback: Box::new(callback), idle: Idle::new(event_loop)? };
        // SAFETY: the loop is alive and the handle large enough.
        let handle = event_loop
            .open(UV_PREPARE, data, |uv_loop, handle| unsafe { uv_prepare_init(uv_loop, handle) })?;
        // SAFETY: the handle is open.
        unsafe { uv_unref(handle.as_ptr()) };
        Ok(Prepare(handle))
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

impl Drop for Prepare {
    fn drop(&mut self) {
        // SAFETY: the handle is open, and closed only here. `uv_close` stops it.
        unsafe { uv_close(self.0.as_ptr(), on_closed) };
    }
}

fn is_closing(handle: *mut UvHandle) -> bool {
    // SAFETY: libuv has just called back for this handle, whose memory lives until `on_closed`.
    unsafe { uv_is_closing(handle) != 0 }
}

extern "C" fn on_prepare(handle: *mut UvHandle) {
    // SAFETY: libuv calls this for open handles only.
    let opened = unsafe { &*uv_handle_get_data(handle).cast::<Opened>() };
    let Data::Prepare { callback, idle } = &opened.data else { return };
    // SAFETY: the loop is running.
    let (timeout, descriptor) =
        unsafe { (uv_backend_timeout(opened.state.raw), uv_backend_fd(opened.state.raw)) };
    // 0: it will not sleep; negative: until something comes.
    let for_at_most = u64::try_from(timeout).map_or(Duration::MAX, Duration::from_millis);
    let sleeps = timeout != 0 && descriptor >= 0;
    let turn = callback(sleeps.then_some(Sleep { for_at_most, descriptor }).as_ref());
    // The callback may have dropped it; its data stay until it is closed.
    if turn == Turn::Again && !is_closing(handle) {
        idle.start();
    }
}
