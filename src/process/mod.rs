//! Worker processes: starting them, ending them, reaping them, and what they print.
//!
//! All of this happens on one thread per process, that of the [`Supervisor`], so that the event loops are never blocked
//! and a process id is never signalled after it was reaped. A loop hands over a [`SpawnSpec`] under a [`Ticket`] and
//! gets [`ProcessEvent`]s back through its [`Mailbox`]. A process may be handed from one loop to another: its [`Route`]
//! says to which mailbox its events go.
//!
//! The life of a worker:
//!
//! 1. `spawn` gives the thread the route, the specification and the child's [`Descriptors`], and a guard that is to
//!    live exactly as long as the process: it is dropped before the last event is posted.
//! 2. The thread opens the pipes for the output and spawns. Whether or not that succeeds, the child's descriptors are
//!    then closed on this side, so that the channel ends when the worker does. If any step fails, `SpawnFailed` is the
//!    first and last event of the ticket; otherwise `Spawned` is the first.
//! 3. While the worker runs, its output is passed on as it arrives: one piece at a time per pipe, and the next one is
//!    read once the last was taken, so that a slow loop or terminal slows the worker down and fills no memory.
//! 4. A signal that the worker may not be sent (its user or ours has changed) is reported as `KillFailed`. Whoever
//!    wants it to end then has its channel.
//! 5. The worker is reaped when its pidfd says so. Without pidfds it is only looked for after `kill` or
//!    `channel_ended`, every few milliseconds until it is found. No signal handler is ever installed, because libuv
//!    owns SIGCHLD.
//! 6. What the worker itself had written is in the pipes by then, and is read to the last byte without waiting. Only if
//!    somebody else (a grandchild) holds a pipe open, or if output is still to be written to a slow stderr, is there a
//!    wait of up to 50 ms.
//! 7. `Exited`, with the end of stderr, is the last event of the ticket.
//! 8. A pipe that a grandchild still holds is read until it ends, and passed through to stderr if it was before.
//!    Nothing but the pipe is kept for it.
//!
//! Must not depend on JavaScript, on scheduling, or on the bytes on the channel.

mod child;
mod error;
mod mailbox;
mod output;
mod route;
mod spawn;
mod supervisor;
#[cfg(test)]
mod tests;

use std::ffi::CString;
use std::io;
use std::os::fd::{OwnedFd, RawFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::Signal;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

pub use error::SpawnError;
pub use mailbox::Mailbox;
pub use route::Route;
pub use supervisor::Supervisor;

/// The number of the channel's descriptor in the child.
pub const CHANNEL_FD: RawFd = 3;
/// The number of the shared page's descriptor in the child; closed there if it gets none.
pub const PAGE_FD: RawFd = 4;

/// Signals that terminals, containers and process managers send to all of a process group. They are for the parent to
/// decide about, and workers ignore them unless code of the user listens.
pub const GROUP_SIGNALS: [Signal; 3] = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP];

/// How long a worker that its parent has said farewell to may take for what it does at its exit.
pub const FAREWELL_GRACE: Duration = Duration::from_millis(500);

/// Identifies one worker process for its whole life, unique in this process.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Ticket(u64);

impl Ticket {
    /// A ticket that was not given before.
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
    /// Goes to `/dev/null`.
    Ignore,
}

/// What becomes of a worker's standard error. It is a pipe in any case, and the last 4 KiB are kept for
/// [`ProcessEvent::Exited`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stderr {
    /// Written to the parent's own, unchanged.
    Inherit,
    /// Delivered as [`ProcessEvent::Output`].
    Forward,
    /// Read and dropped.
    Ignore,
}

/// What to run. Standard input is `/dev/null`, no signal is blocked, and only [`GROUP_SIGNALS`] are ignored.
#[derive(Clone, Debug)]
pub struct SpawnSpec {
    /// A path; `PATH` is not searched. It also becomes the first element of `argv`.
    pub program: CString,
    /// What follows the program in `argv`.
    pub args: Vec<CString>,
    /// The whole environment, each as `NAME=value`.
    pub env: Vec<CString>,
    pub stdout: Stdout,
    pub stderr: Stderr,
}

/// The child's ends, which are closed in the parent after the spawn, successful or not.
#[derive(Debug)]
pub struct Descriptors {
    pub channel: OwnedFd,
    pub page: Option<OwnedFd>,
}

/// How a process ended. At most one of these is there, and neither if somebody else had reaped it already.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ExitStatus {
    pub code: Option<i32>,
    /// The name of the signal that ended it, such as `SIGKILL`.
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
    /// The process runs; [`Route::pid`] is its id.
    Spawned { ticket: Ticket },
    /// There is no process.
    SpawnFailed { ticket: Ticket, error: SpawnError },
    /// The process was not killed for its silence: a debugger can be attached to it, and it may wait for one.
    Debugged { ticket: Ticket },
    /// The process could not be signalled; it goes on. Never after `Exited`.
    KillFailed { ticket: Ticket, errno: Errno },
    /// The process was reaped. `stderr_tail` has the last 4 KiB that it wrote to standard error.
    Exited { ticket: Ticket, status: ExitStatus, stderr_tail: Vec<u8> },
    /// The process has printed something. Cut anywhere, even within a character; never after `Exited`.
    Output { ticket: Ticket, stream: Stream, bytes: Vec<u8> },
}

impl ProcessEvent {
    /// The process that it is about.
    pub fn ticket(&self) -> Ticket {
        match self {
            ProcessEvent::Spawned { ticket }
            | ProcessEvent::SpawnFailed { ticket, .. }
            | ProcessEvent::Debugged { ticket }
            | ProcessEvent::KillFailed { ticket, .. }
            | ProcessEvent::Exited { ticket, .. }
            | ProcessEvent::Output { ticket, .. } => *ticket,
        }
    }
}

/// Has the current runtime watch `fd` for being readable.
fn watch(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an owned descriptor is open, and keeps its number, until the `AsyncFd` drops it.
    unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE) }.map_err(io::Error::from)
}
