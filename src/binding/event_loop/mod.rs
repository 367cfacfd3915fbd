//! A small safe wrapper around the parts of libuv that are used: polling a descriptor, a timer, and a look at the loop
//! before it sleeps.
//!
//! Called by pools, carriers and the worker's channel. Must not depend on what any of it is used for, nor on anything
//! of napi but its cleanup hooks.
//!
//! # Ownership and teardown
//!
//! Node aborts the process when an environment ends with open handles in its loop, and a handle may not be freed before
//! libuv says so. Hence:
//!
//! 1. A handle lives on the heap, together with its callback and with whatever must outlive the polling (`keep`: the
//!    descriptor). The Rust value ([`Poll`], [`Timer`], [`Prepare`]) only points to it.
//! 2. Dropping the Rust value stops the handle and calls `uv_close`. Its callback is not called again.
//! 3. libuv calls `on_closed` in a later turn of the loop: only there is the memory freed, and `keep` dropped, which
//!    closes the descriptor.
//! 4. When the environment ends, the asynchronous cleanup hook runs `on_end`, which drops every value that is left. The
//!    hook is removed, which lets Node go on, once the last `on_closed` was called.
//!
//! `process.exit` runs no hooks at all; nothing relies on one there.

mod handle;
mod poll;
mod prepare;
mod timer;
mod uv;

pub use handle::{EventLoop, OpenError};
pub use poll::{Poll, Readiness};
pub use prepare::{Prepare, Turn};
pub use timer::Timer;
