//! Sockets, pipes and duplicates. All of them are close-on-exec.
//!
//! Must not depend on what they carry.

use std::io;
use std::os::fd::{AsFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::socket::{setsockopt, sockopt};

/// Bytes that a socket takes before its reader has read any. With Linux's default of 208 KiB, 450 KB each way took 1.2
/// times as long as with this; more gained nothing.
const SEND_BUFFER: usize = 1 << 20;

/// A connected pair of stream sockets, non-blocking at both ends.
pub fn socketpair() -> io::Result<(OwnedFd, OwnedFd)> {
    let (one, other) = UnixStream::pair()?;
    one.set_nonblocking(true)?;
    other.set_nonblocking(true)?;
    for end in [&one, &other] {
        // Only a wish: the system cuts it to what it allows, and any size works.
        let _ = setsockopt(end, sockopt::SndBuf, &SEND_BUFFER);
    }
    Ok((one.into(), other.into()))
}

/// A pipe, as its reader and its writer. Only the reader is non-blocking: programs that inherit the writer expect it to
/// block.
pub fn output_pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let (reader, writer) = io::pipe()?;
    set_nonblocking(&reader)?;
    Ok((reader.into(), writer.into()))
}

/// A duplicate of `fd` whose number is at least `min`.
pub fn duplicate_above(fd: impl AsFd, min: RawFd) -> io::Result<OwnedFd> {
    let number = fcntl(fd, FcntlArg::F_DUPFD_CLOEXEC(min))?;
    // SAFETY: the kernel has just made this descriptor for us, and nothing else knows its number.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

pub(super) fn set_nonblocking(fd: impl AsFd) -> io::Result<()> {
    let flags = OFlag::from_bits_retain(fcntl(&fd, FcntlArg::F_GETFL)?);
    fcntl(&fd, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
    Ok(())
}
