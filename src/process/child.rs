//! One process: how its end is noticed, and how it is brought about.
//!
//! Must not depend on what it prints, or on who is told.

use std::cell::Cell;
use std::os::fd::OwnedFd;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use tokio::io::unix::AsyncFd;
use tokio::sync::Notify;
use tokio::time::sleep;

use super::{ExitStatus, watch};
use crate::platform;

/// Without pidfds, the time between two looks at a process that is about to end: at first, and at most.
const MIN_PAUSE: Duration = Duration::from_millis(1);
const MAX_PAUSE: Duration = Duration::from_millis(20);

/// A process that we have started. Not `Send`: one thread signals and reaps it.
pub(super) struct Child {
    pid: Pid,
    /// Set once, when the process is reaped. From then on `pid` may belong to another process.
    status: Cell<Option<ExitStatus>>,
    /// Notified when the end is to be expected, in case it cannot be watched for.
    is_ending: Notify,
}

impl Child {
    pub(super) fn new(pid: Pid) -> Child {
        Child { pid, status: Cell::new(None), is_ending: Notify::new() }
    }

    pub(super) fn pid(&self) -> i32 {
        self.pid.as_raw()
    }

    /// `None` if the system has no pidfds, or denies us one.
    pub(super) fn pidfd(&self) -> Option<AsyncFd<OwnedFd>> {
        let pidfd = platform::pidfd_open(self.pid.as_raw()).ok()?;
        watch(pidfd).ok()
    }

    /// Resolves when the process has been reaped.
    pub(super) async fn exited(&self, pidfd: Option<AsyncFd<OwnedFd>>) -> ExitStatus {
        if let Some(pidfd) = pidfd {
            while let Ok(mut readiness) = pidfd.readable().await {
                if let Some(status) = self.reap() {
                    return status;
                }
                readiness.clear_ready();
            }
        }
        // Somebody else may have reaped it, which is why there was no pidfd.
        if let Some(status) = self.reap() {
            return status;
        }
        self.is_ending.notified().await;
        let mut pause = MIN_PAUSE;
        loop {
            if let Some(status) = self.reap() {
                return status;
            }
            sleep(pause).await;
            pause = MAX_PAUSE.min(pause * 2);
        }
    }

    /// Reaps the process if it has ended. Returns its status if it is reaped.
    fn reap(&self) -> Option<ExitStatus> {
        if self.status.get().is_none() {
            let status = match waitpid(self.pid, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::Exited(_, code)) => ExitStatus { code: Some(code), signal: None },
                Ok(WaitStatus::Signaled(_, signal, _)) => {
                    ExitStatus { code: None, signal: Some(signal.as_str()) }
                }
                Ok(_) | Err(Errno::EINTR) => return None,
                // ECHILD: somebody else has reaped it. EINVAL: it is reaped; a signal without a name ended it.
                Err(_) => ExitStatus { code: None, signal: None },
            };
            self.status.set(Some(status));
        }
        self.status.get()
    }

    /// The end of the process is to be expected.
    pub(super) fn expect_end(&self) {
        self.is_ending.notify_one();
    }

    /// Signals the process unless it has been reaped, by whomever, which is why it looks first. Fails if this process
    /// may not signal it: either has changed its user since the start.
    pub(super) fn kill(&self, signal: Signal) -> nix::Result<()> {
        let result = match self.reap() {
            Some(_) => Ok(()),
            None => kill(self.pid, signal),
        };
        // In any case: `exited` has to find the status that this may just have found.
        self.expect_end();
        result
    }
}
