//! A non-blocking, full-duplex channel of frames over one Unix stream socket.
//!
//! Knows a descriptor and the frame codec: not who polls it, nor what frames mean. It never blocks and
//! never waits; its owner calls [`Channel::fill`] and [`Channel::flush`] when the descriptor is ready.
//!
//! Every read is a `recvmsg` that marks received descriptors close-on-exec: a plain `read` would drop them
//! silently, and a leaked one would be inherited by every process started later.

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::rc::Rc;

use nix::errno::Errno;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg, sendmsg};

use crate::wire::Decoder;

/// Frames gathered into one system call at most.
const GATHER: usize = 16;

/// One end of a channel to another process.
pub struct Channel {
    fd: Rc<OwnedFd>,
    decoder: Decoder,
    /// Encoded frames that are not wholly written.
    outgoing: VecDeque<Vec<u8>>,
    /// Bytes of the first outgoing frame that are written.
    written: usize,
    sent_bytes: u64,
    received_bytes: u64,
}

/// How a [`Channel::fill`] ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filled {
    /// Everything there was has been read.
    Drained,
    /// The budget is used up; there may be more.
    More,
    /// The other end is closed, and all that it had written has been read.
    Ended,
}

/// How a [`Channel::flush`] ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flushed {
    /// Nothing is left to write.
    All,
    /// The socket takes no more for now: wait until it is writable.
    Blocked,
}

impl Channel {
    /// Takes a connected, non-blocking stream socket.
    pub fn new(fd: OwnedFd) -> Channel {
        Channel {
            fd: Rc::new(fd),
            decoder: Decoder::default(),
            outgoing: VecDeque::new(),
            written: 0,
            sent_bytes: 0,
            received_bytes: 0,
        }
    }

    /// Appends an encoded frame to what is to be written.
    pub fn queue(&mut self, frame: Vec<u8>) {
        self.outgoing.push_back(frame);
    }

    /// The socket itself, for whoever polls it: it is closed when both have let go of it.
    pub fn descriptor(&self) -> Rc<OwnedFd> {
        self.fd.clone()
    }

    /// Bytes written and bytes read so far.
    pub fn traffic(&self) -> (u64, u64) {
        (self.sent_bytes, self.received_bytes)
    }

    /// Writes as much as the socket takes. An error means that the other end is gone.
    pub fn flush(&mut self) -> io::Result<Flushed> {
        while !self.outgoing.is_empty() {
            let mut slices = [IoSlice::new(&[]); GATHER];
            let mut used = 0;
            for (slice, frame) in slices.iter_mut().zip(&self.outgoing) {
                let from = if used == 0 { self.written } else { 0 };
                *slice = IoSlice::new(&frame[from..]);
                used += 1;
            }
            match sendmsg::<()>(self.fd.as_raw_fd(), &slices[..used], &[], MsgFlags::MSG_NOSIGNAL, None) {
                Ok(count) => self.wrote(count),
                Err(Errno::EAGAIN) => return Ok(Flushed::Blocked),
                Err(Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Flushed::All)
    }

    fn wrote(&mut self, count: usize) {
        self.sent_bytes += count as u64;
        self.written += count;
        while let Some(first) = self.outgoing.front() {
            if self.written < first.len() {
                return;
            }
            self.written -= first.len();
            self.outgoing.pop_front();
        }
    }

    /// Reads what has come, about `budget` bytes at most. A reset counts as an end.
    pub fn fill(&mut self, budget: usize) -> io::Result<Filled> {
        let mut read = 0;
        while read < budget {
            let room = self.decoder.room();
            let offered = room.len();
            match receive(self.fd.as_raw_fd(), room) {
                Ok(0) | Err(Errno::ECONNRESET) => return Ok(Filled::Ended),
                Ok(count) => {
                    self.decoder.received(count);
                    self.received_bytes += count as u64;
                    read += count;
                    // A short read has emptied the socket, or polling will tell: spare the call that says so.
                    if count < offered {
                        return Ok(Filled::Drained);
                    }
                }
                Err(Errno::EAGAIN) => return Ok(Filled::Drained),
                Err(Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Filled::More)
    }

    /// Reads all that there is, to the end of the stream where it has ended.
    pub fn fill_all(&mut self) -> io::Result<Filled> {
        loop {
            let before = self.received_bytes;
            match self.fill(usize::MAX)? {
                Filled::Drained if self.received_bytes > before => {}
                filled => return Ok(filled),
            }
        }
    }

    /// Lends the decoder out, so that frames can be handled while the channel is used again. Nothing may
    /// be read until it is back.
    pub fn take_decoder(&mut self) -> Decoder {
        std::mem::take(&mut self.decoder)
    }

    /// Takes a lent decoder back.
    pub fn return_decoder(&mut self, decoder: Decoder) {
        self.decoder = decoder;
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// One `recvmsg`. No descriptor is expected yet; one that comes all the same is closed.
fn receive(fd: RawFd, room: &mut [u8]) -> Result<usize, Errno> {
    let mut control = nix::cmsg_space!([RawFd; 4]);
    let mut slices = [IoSliceMut::new(room)];
    let message = recvmsg::<()>(fd, &mut slices, Some(&mut control), MsgFlags::MSG_CMSG_CLOEXEC)?;
    for part in message.cmsgs()? {
        if let ControlMessageOwned::ScmRights(descriptors) = part {
            for descriptor in descriptors {
                // SAFETY: the kernel has just made this descriptor for us, and nobody else knows it.
                drop(unsafe { OwnedFd::from_raw_fd(descriptor) });
            }
        }
    }
    Ok(message.bytes)
}
