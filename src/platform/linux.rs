//! Linux: descriptors for everything, and memory with seals.
//!
//! Must not depend on what its callers do with the descriptors and the memory.

use std::env;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::fs::OpenOptionsExt;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::mman::MapFlags;
use nix::unistd::{getpid, gettid};
use rustix::net::RecvFlags;

use super::shared_page::fill;

/// Wakes the event loop that polls its descriptor, from any thread.
#[derive(Debug)]
pub struct Waker(EventFd);

impl Waker {
    pub fn new() -> io::Result<Waker> {
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        Ok(Waker(EventFd::from_flags(flags)?))
    }

    /// Readable from the first `wake` until `clear`.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    pub fn wake(&self) {
        // Fails only if the counter is full, and then it is readable already.
        let _ = self.0.write(1);
    }

    pub fn clear(&self) {
        // Fails only if there is nothing to clear.
        let _ = self.0.read();
    }
}

/// Whether this is the thread that the process began with.
pub fn is_main_thread() -> bool {
    gettid() == getpid()
}

/// A descriptor that is readable once the process has ended. Fails with ENOSYS before Linux 5.3, and with EPERM in some
/// sandboxes.
pub fn pidfd_open(pid: i32) -> io::Result<OwnedFd> {
    // SAFETY: takes two numbers, touches no memory.
    let result = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    let number = Errno::result(result)? as RawFd;
    // SAFETY: the kernel has just made this descriptor for us (close-on-exec, as pidfds are).
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// What the kernel is asked for with every read of a socket: to mark the descriptors that it hands out.
pub const RECEIVE_FLAGS: RecvFlags = RecvFlags::CMSG_CLOEXEC;

/// How memory is mapped to be read once, from its start to its end: with its pages, which are there already.
pub const VIEW_FLAGS: MapFlags = MapFlags::MAP_PRIVATE.union(MapFlags::MAP_POPULATE);

/// Memory of its own that contains these bytes, for another process to map. Nobody can change it any more.
pub fn sealed_copy(bytes: &[u8]) -> io::Result<OwnedFd> {
    let mut file = sealable_memory()?;
    // By writing: if memory is short, this is an error and not a signal at the first access.
    file.write_all(bytes)?;
    seal(&file)?;
    Ok(file.into())
}

/// Memory without bytes, to be filled and sealed.
pub fn sealable_memory() -> io::Result<File> {
    let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    Ok(File::from(memfd_create(c"parallelizer", flags)?))
}

/// From now on nobody can change it.
pub fn seal(file: &File) -> io::Result<()> {
    let seals =
        SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_WRITE | SealFlag::F_SEAL_SEAL;
    fcntl(file, FcntlArg::F_ADD_SEALS(seals))?;
    Ok(())
}

/// Whether nobody can change or shrink this file any more.
pub fn is_sealed(file: impl AsFd) -> io::Result<bool> {
    let seals = SealFlag::from_bits_retain(fcntl(file, FcntlArg::F_GET_SEALS)?);
    Ok(seals.contains(SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_WRITE))
}

/// Zeroed memory that keeps its length.
pub fn sealed_memory(len: usize) -> io::Result<OwnedFd> {
    let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    // Its pages are allocated as they are touched; there is no disk that could be full by then.
    let file = File::from(memfd_create(c"parallelizer-page", flags)?);
    file.set_len(len as u64)?;
    let seals = SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_SEAL;
    fcntl(&file, FcntlArg::F_ADD_SEALS(seals))?;
    Ok(file.into())
}

/// A zeroed file in the temporary directory.
pub fn unnamed_file(len: usize) -> io::Result<OwnedFd> {
    let mut options = File::options();
    options.read(true).write(true).mode(0o600).custom_flags(libc::O_TMPFILE);
    fill(options.open(env::temp_dir())?.into(), len)
}
