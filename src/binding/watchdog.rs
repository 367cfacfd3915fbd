//! How a worker ends with its parent.
//!
//! 1. From its first instruction on it is killed when its parent ends, where the system can do that, see
//!    [`platform::launch`].
//! 2. Before any module of the user's is loaded, a thread of its own starts to poll a duplicate of the channel for a
//!    hang-up. From then on it takes care of the end, and the kernel no longer does.
//! 3. The parent's end is close-on-exec and held by nobody else: it is closed when the parent ends, however it ends,
//!    and only then or when the parent drops this worker.
//! 4. At the hang-up the thread ends the process by `_exit`, even when JavaScript is in an endless loop. If the parent
//!    has said farewell before, which it only does to a worker that has nothing to do, JavaScript is told to stop, and
//!    has a moment for what is to run at its exit.
//!
//! Called by the worker's end of the channel. Must not depend on what passes through that.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::channel::page::FAREWELL;
use crate::platform::{self, SharedPage, SharedWords};
use crate::process::FAREWELL_GRACE;

/// Without a page the farewell is a frame, which whoever reads the channel has to find first.
const FRAME_GRACE: Duration = Duration::from_millis(20);

/// Whether the parent has said farewell: in the page, or by asking this worker to stop. Clones are the same.
#[derive(Clone, Default)]
pub struct Farewell(Arc<FarewellState>);

#[derive(Default)]
struct FarewellState {
    page: OnceLock<Arc<SharedPage>>,
    told_to_stop: AtomicBool,
}

impl Farewell {
    /// The parent says it here, too.
    pub fn look_in(&self, page: Arc<SharedPage>) {
        let _ = self.0.page.set(page);
    }

    /// The parent has asked this worker to stop.
    pub fn told_to_stop(&self) {
        self.0.told_to_stop.store(true, Ordering::Release);
    }

    pub fn is_said(&self) -> bool {
        let in_page = || self.0.page.get().is_some_and(|page| page.load(FAREWELL) != 0);
        self.0.told_to_stop.load(Ordering::Acquire) || in_page()
    }
}

/// Starts the thread.
pub fn start_watchdog(channel: BorrowedFd<'_>, farewell: Farewell) -> io::Result<()> {
    let duplicate = channel.try_clone_to_owned()?;
    thread::Builder::new().name("parallelizer-watchdog".into()).stack_size(64 * 1024).spawn(move || {
        wait_for_hang_up(duplicate.as_fd());
        if !farewell.is_said() && farewell.0.page.get().is_none() {
            thread::sleep(FRAME_GRACE);
        }
        if farewell.is_said() {
            thread::sleep(FAREWELL_GRACE);
        }
        exit_now()
    })?;
    // A parent that ended before this has hung up by now, and the thread finds that.
    platform::outlive_parent();
    Ok(())
}

fn wait_for_hang_up(channel: BorrowedFd<'_>) {
    let ends = PollFlags::POLLHUP | PollFlags::POLLERR | PollFlags::POLLNVAL;
    loop {
        // No events are asked for: hang-up and errors are always reported.
        let mut fds = [PollFd::new(channel, PollFlags::empty())];
        let polled = poll(&mut fds, PollTimeout::NONE);
        if polled.is_ok() && fds[0].revents().unwrap_or(PollFlags::empty()).intersects(ends) {
            return;
        }
    }
}

/// Ends the process without a word to anybody: no exit handlers, no destructors.
pub fn exit_now() -> ! {
    // SAFETY: `_exit` is always allowed.
    unsafe { libc::_exit(1) }
}
