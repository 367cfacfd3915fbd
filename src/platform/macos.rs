//! macOS: no pidfds, no memory without a name, no seals. Untested.
//!
//! Must not depend on what its callers do with the descriptors and the memory.

use std::env;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::mman::MapFlags;
use nix::unistd::{mkstemp, read, unlink, write};
use rustix::net::RecvFlags;

use super::descriptors::{output_pipe, set_nonblocking};
use super::shared_page::fill;

/// Wakes the event loop that polls its descriptor, from any thread.
#[derive(Debug)]
pub struct Waker {
    reader: OwnedFd,
    writer: OwnedFd,
}

impl Waker {
    pub fn new() -> io::Result<Waker> {
        let (reader, writer) = output_pipe()?;
        set_nonblocking(&writer)?;
        Ok(Waker { reader, writer })
    }

    /// Readable from the first `wake` until `clear`.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.reader.as_fd()
    }

    pub fn wake(&self) {
        // Fails only if the pipe is full, and then it is readable already.
        let _ = write(&self.writer, &[1]);
    }

    pub fn clear(&self) {
        let mut scratch = [0; 64];
        while read(&self.reader, &mut scratch).is_ok_and(|count| count == scratch.len()) {}
    }
}

/// Does what wakes a thread. Where that runs is up to the system.
pub fn wake_elsewhere<R>(_thread: Option<i32>, wake: impl FnOnce() -> R) -> R {
    wake()
}

/// Where threads run is up to the system.
pub fn fetch_thread(_thread: i32) {}

/// Not asked: [`fetch_thread`] would do nothing about it.
pub fn runs_on(_thread: i32) -> Option<usize> {
    None
}

/// Not asked either.
pub fn current_cpu() -> Option<usize> {
    None
}

/// Not asked: [`fetch_thread`] would do nothing about it.
pub fn is_crowded() -> bool {
    false
}

/// Whether this is the thread that the process began with.
pub fn is_main_thread() -> bool {
    // SAFETY: only asks.
    unsafe { libc::pthread_main_np() != 0 }
}

/// There are no pidfds: the caller has to reap without.
pub fn pidfd_open(_pid: i32) -> io::Result<OwnedFd> {
    Err(Errno::ENOSYS.into())
}

/// What the kernel is asked for with every read of a socket. It cannot mark the descriptors that it hands out: whoever
/// receives them has to.
pub const RECEIVE_FLAGS: RecvFlags = RecvFlags::empty();

/// How memory is mapped to be read once, from its start to its end.
pub const VIEW_FLAGS: MapFlags = MapFlags::MAP_PRIVATE;

/// There is no memory without a name.
pub fn sealed_copy(_bytes: &[u8]) -> io::Result<OwnedFd> {
    Err(Errno::ENOSYS.into())
}

/// There are no seals.
pub fn sealable_memory() -> io::Result<File> {
    Err(Errno::ENOSYS.into())
}

pub fn seal(_file: &File) -> io::Result<()> {
    Err(Errno::ENOSYS.into())
}

pub fn is_sealed(_file: impl AsFd) -> io::Result<bool> {
    Ok(false)
}

/// There is no memory without a name.
pub fn sealed_memory(_len: usize) -> io::Result<OwnedFd> {
    Err(Errno::ENOSYS.into())
}

/// A zeroed file in the temporary directory. There is no O_TMPFILE: it has a name until the next statement.
pub fn unnamed_file(len: usize) -> io::Result<OwnedFd> {
    let (file, path) = mkstemp(&env::temp_dir().join("parallelizer.XXXXXX"))?;
    unlink(&path)?;
    fcntl(&file, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
    fill(file, len)
}
