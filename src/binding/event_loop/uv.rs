//! The parts of libuv's interface that are used. The symbols are exported by the node binary.
//!
//! Called by the rest of the event loop. Must not depend on anything but C.

use std::ffi::{c_int, c_void};

/// libuv's `uv_loop_t` and every kind of `uv_handle_t`, whose layouts are its own business.
#[repr(C)]
pub struct UvLoop {
    opaque: [u8; 0],
}
#[repr(C)]
pub struct UvHandle {
    opaque: [u8; 0],
}

pub const UV_IDLE: c_int = 6;
pub const UV_POLL: c_int = 8;
pub const UV_PREPARE: c_int = 9;
pub const UV_TIMER: c_int = 13;
pub const UV_READABLE: c_int = 1;
pub const UV_WRITABLE: c_int = 2;

pub type OnHandle = extern "C" fn(*mut UvHandle);
pub type OnPolled = extern "C" fn(*mut UvHandle, c_int, c_int);

unsafe extern "C" {
    pub fn uv_handle_size(kind: c_int) -> usize;
    pub fn uv_handle_get_data(handle: *const UvHandle) -> *mut c_void;
    pub fn uv_handle_set_data(handle: *mut UvHandle, data: *mut c_void);
    pub fn uv_is_closing(handle: *const UvHandle) -> c_int;
    pub fn uv_close(handle: *mut UvHandle, callback: OnHandle);
    pub fn uv_ref(handle: *mut UvHandle);
    pub fn uv_unref(handle: *mut UvHandle);
    pub fn uv_poll_init(uv_loop: *mut UvLoop, handle: *mut UvHandle, fd: c_int) -> c_int;
    pub fn uv_poll_start(handle: *mut UvHandle, events: c_int, callback: OnPolled) -> c_int;
    pub fn uv_idle_init(uv_loop: *mut UvLoop, handle: *mut UvHandle) -> c_int;
    pub fn uv_idle_start(handle: *mut UvHandle, callback: OnHandle) -> c_int;
    pub fn uv_idle_stop(handle: *mut UvHandle) -> c_int;
    pub fn uv_prepare_init(uv_loop: *mut UvLoop, handle: *mut UvHandle) -> c_int;
    pub fn uv_prepare_start(handle: *mut UvHandle, callback: OnHandle) -> c_int;
    pub fn uv_prepare_stop(handle: *mut UvHandle) -> c_int;
    pub fn uv_metrics_idle_time(uv_loop: *mut UvLoop) -> u64;
    pub fn uv_backend_fd(uv_loop: *const UvLoop) -> c_int;
    pub fn uv_backend_timeout(uv_loop: *const UvLoop) -> c_int;
    pub fn uv_timer_init(uv_loop: *mut UvLoop, handle: *mut UvHandle) -> c_int;
    pub fn uv_timer_start(handle: *mut UvHandle, callback: OnHandle, timeout: u64, repeat: u64) -> c_int;
    pub fn uv_timer_stop(handle: *mut UvHandle) -> c_int;
}
