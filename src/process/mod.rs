//! Worker processes: starting them, ending them, reaping them, and what they print.
//!
//! All of it happens on one thread per process, the [`Supervisor`]'s, so that the event loops are never
//! held and a process id is never signalled after it was reaped. A loop hands over a [`SpawnSpec`] under
//! a [`Ticket`] and gets [`ProcessEvent`]s back through its [`Mailbox`]. A process may be handed from one loop to
//! another: its [`Route`] says whose mailbox it is.
//!
//! The life of a worker:
//!
//! 1. `spawn` gives the route, the specification and the child's [`Descriptors`] to the thread, and something
//!    that is to live exactly as long as the process: it is dropped before the last event is posted.
//! 2. The thread opens the pipes for the output and spawns. Either way the child's descriptors are then
//!    closed on this side, so that the channel ends when the worker does. If any of it fails,
//!    `SpawnFailed` is the first and last event of the ticket; else `Spawned` is the first.
//! 3. While the worker runs, its output is passed on as it comes: one piece at a time per pipe, the next
//!    one read when the last was taken, so that a loop or a terminal that is slow slows the worker down
//!    and fills no memory.
//! 4. The worker is reaped when its pidfd says so. Where there are no pidfds it is looked for only after
//!    `kill` or `channel_ended`, every few milliseconds until found. No signal handler is ever
//!    installed: libuv owns SIGCHLD.
//! 5. What the worker itself had written is in the pipes by then, and is read to the last byte without
//!    waiting. Only if somebody else (a grandchild) holds a pipe open, or if output is still to be
//!    written to a slow stderr, is that waited for, 50 ms at most.
//! 6. `Exited`, with the end of stderr, is the last event of the ticket.
//! 7. A pipe that a grandchild still holds is read until it ends, and passed through to stderr if it was
//!    before. Nothing but the pipe is held for it.
//!
//! This module must not know of JavaScript, of scheduling, or of the bytes on the channel.

mod mailbox;
mod output;
mod route;
mod spawn;
mod supervisor;

use std::{
    ffi::CString,
    io,
    os::fd::{OwnedFd, RawFd},
    sync::atomic::{AtomicU64, Ordering},
};

use tokio::io::{Interest, unix::AsyncFd};

pub use mailbox::Mailbox;
pub use route::Route;
pub use supervisor::Supervisor;

/// Where the channel is placed in the child.
pub const CHANNEL_FD: RawFd = 3;
/// Where the shared page is placed in the child; closed there if it gets none.
pub const PAGE_FD: RawFd = 4;

/// Identifies one worker process for its whole life, unique in this process.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Ticket(u64);

impl Ticket {
    pub fn next() -> Ticket {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Ticket(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// What becomes of a worker's standard output.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stdout {
    /// The worker writes to the parent's own.
    Inherit,
    /// Delivered as [`ProcessEvent::Output`].
    Forward,
    Ignore,
}

/// What becomes of a worker's standard error. It is a pipe in every case, and the last 4 KiB are kept
/// for [`ProcessEvent::Exited`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stderr {
    /// Written to the parent's own, unchanged.
    Inherit,
    /// Delivered as [`ProcessEvent::Output`].
    Forward,
    Ignore,
}

/// What to run. Standard input is `/dev/null`; signal mask and dispositions are the default ones.
#[derive(Clone, Debug)]
pub struct SpawnSpec {
    /// A path; `PATH` is not searched. Becomes the first element of `argv` too.
    pub program: CString,
    /// What follows the program's name in `argv`.
    pub args: Vec<CString>,
    /// The whole environment, as `NAME=value`.
    pub env: Vec<CString>,
    pub stdout: Stdout,
    pub stderr: Stderr,
}

/// The child's ends; closed in the parent after the spawn, successful or not.
#[derive(Debug)]
pub struct Descriptors {
    pub channel: OwnedFd,
    pub page: Option<OwnedFd>,
}

/// How a process ended. At most one is there; neither, if somebody else had reaped it already.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ExitStatus {
    pub code: Option<i32>,
    /// The name, such as `SIGKILL`.
    pub signal: Option<&'static str>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Stream {
    Stdout,
    Stderr,
}

/// What the supervisor tells the loop that asked for a worker.
#[derive(Debug)]
pub enum ProcessEvent {
    Spawned {
        ticket: Ticket,
        pid: i32,
    },
    SpawnFailed {
        ticket: Ticket,
        errno: i32,
        message: String,
    },
    Exited {
        ticket: Ticket,
        status: ExitStatus,
        stderr_tail: Vec<u8>,
    },
    /// Cut anywhere, even within a character. Never after `Exited`.
    Output {
        ticket: Ticket,
        stream: Stream,
        bytes: Vec<u8>,
    },
}

impl ProcessEvent {
    pub fn ticket(&self) -> Ticket {
        match self {
            ProcessEvent::Spawned { ticket, .. }
            | ProcessEvent::SpawnFailed { ticket, .. }
            | ProcessEvent::Exited { ticket, .. }
            | ProcessEvent::Output { ticket, .. } => *ticket,
        }
    }
}

/// Has the runtime that this is called in watch `fd` for being readable.
fn watch(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an owned descriptor is open, and bears the same number, until the `AsyncFd` drops it.
    unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE) }.map_err(io::Error::from)
}

#[cfg(test)]
mod tests;
