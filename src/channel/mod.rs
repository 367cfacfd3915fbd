//! A non-blocking, full-duplex channel of frames over one Unix stream socket.
//!
//! Knows a descriptor and the frame codec: not who polls it, nor what frames mean. It never blocks and
//! never waits; its owner calls [`Channel::fill`] and [`Channel::flush`] when the descriptor is ready. A channel may
//! move to another thread, with all that it holds.
//!
//! # Descriptors
//!
//! 1. A frame may bring descriptors along. They are sent with its first byte, and closed here as soon as that
//!    is written.
//! 2. Every read is a `recvmsg` that marks received descriptors close-on-exec: a plain `read` would drop them
//!    silently, and a leaked one would be inherited by every process started later.
//! 3. They arrive before the frame is whole, and in order: whoever handles a frame takes as many as it needs.
//! 4. One that nobody takes is closed with the channel; beyond a number, at once. When one is lost, the channel is of
//!    no more use.

pub mod slot;
#[cfg(test)]
mod tests;
#[cfg(any(test, fuzzing))]
pub mod trial;

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::sync::{Arc, Mutex, PoisonError};

use nix::errno::Errno;
use nix::sys::socket::{ControlMessage, MsgFlags, recv, sendmsg};

use crate::wire::Decoder;
use slot::SLOT_LEN;
pub use slot::{End, Slot};

/// Frames gathered into one system call at most.
const GATHER: usize = 16;
/// Descriptors that may be on their way to the other end, and in one frame.
pub const MAX_DESCRIPTORS: usize = 16;
/// Room for the control message with that many, and its header.
const CONTROL_WORDS: usize = 4 + MAX_DESCRIPTORS / 2;
/// Received descriptors that wait to be taken; two frames' worth for each chunk that may be under way.
const MAX_WAITING: usize = 64;

/// Looks at a frame that has come before what it comes after; more, and it never was. Large frames take many reads.
const MOST_EARLY: u32 = 100_000;

/// What an error says where shared memory holds what cannot have been sent.
const NO_FRAME: &str = "what it has put into shared memory is no frame";

/// What an error says where descriptors were lost.
const LOST: &str = "memory that came with it cannot be taken over: no file descriptor is left (ulimit -n), \
                    or too many came at once";

/// Descriptors that have come and belong to frames that are not handled yet.
#[derive(Clone, Debug, Default)]
pub struct Arrived(Arc<Mutex<VecDeque<OwnedFd>>>);

impl Arrived {
    /// The next one.
    pub fn take(&self) -> Option<OwnedFd> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    /// Keeps one, as long as there are not too many.
    fn keep(&self, descriptor: OwnedFd) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() < MAX_WAITING {
            waiting.push_back(descriptor);
        }
    }
}

/// What is to be written.
struct Outgoing {
    bytes: Vec<u8>,
    /// Go with the first byte.
    descriptors: Vec<OwnedFd>,
}

/// One end of a channel to another process.
pub struct Channel {
    fd: Arc<OwnedFd>,
    decoder: Decoder,
    arrived: Arrived,
    /// Encoded frames that are not wholly written.
    outgoing: VecDeque<Outgoing>,
    /// Bytes of the first outgoing frame that are written.
    written: usize,
    /// Through the socket.
    sent_bytes: u64,
    received_bytes: u64,
    /// For single frames to who polls.
    slot: Option<Slot>,
    /// Bytes that went through it, sent and received.
    slot_bytes: (u64, u64),
    /// Looks in a row at a frame there that comes after what has not been received.
    early: u32,
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
            fd: Arc::new(fd),
            decoder: Decoder::default(),
            arrived: Arrived::default(),
            outgoing: VecDeque::new(),
            written: 0,
            sent_bytes: 0,
            received_bytes: 0,
            slot: None,
            slot_bytes: (0, 0),
            early: 0,
        }
    }

    /// From now on single small frames may go through shared memory. Nothing may be on its way through that yet.
    pub fn share(&mut self, slot: Slot) {
        self.slot = Some(slot);
    }

    /// Says whether [`Channel::has_come`] is looked at without pause.
    pub fn poll(&self, polls: bool) {
        if let Some(slot) = &self.slot {
            slot.poll(polls);
        }
    }

    /// Whether a frame has come through shared memory, which no descriptor tells. [`Channel::fill_come`] takes it.
    pub fn has_come(&self) -> bool {
        self.slot.as_ref().is_some_and(Slot::is_full)
    }

    /// Appends an encoded frame to what is to be written.
    pub fn queue(&mut self, frame: Vec<u8>) {
        self.queue_with(frame, Vec::new());
    }

    /// Appends a frame that brings descriptors along.
    pub fn queue_with(&mut self, bytes: Vec<u8>, descriptors: Vec<OwnedFd>) {
        self.outgoing.push_back(Outgoing { bytes, descriptors });
    }

    /// How many descriptors a further frame may bring along.
    pub fn room_for_descriptors(&self) -> usize {
        let waiting: usize = self.outgoing.iter().map(|frame| frame.descriptors.len()).sum();
        MAX_DESCRIPTORS.saturating_sub(waiting)
    }

    /// The descriptors that have come, for whoever handles frames.
    pub fn arrived(&self) -> Arrived {
        self.arrived.clone()
    }

    /// The socket itself, for whoever polls it: it is closed when both have let go of it.
    pub fn descriptor(&self) -> Arc<OwnedFd> {
        self.fd.clone()
    }

    /// Whether the other end is closed and there is nothing left to read.
    pub fn is_ended(&self) -> bool {
        let mut byte = [0];
        let peeked = recv(self.fd.as_raw_fd(), &mut byte, MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT);
        !matches!(peeked, Ok(1..) | Err(Errno::EAGAIN | Errno::EINTR))
    }

    /// Bytes written and bytes read so far.
    pub fn traffic(&self) -> (u64, u64) {
        let (sent, received) = self.slot_bytes;
        (self.sent_bytes + sent, self.received_bytes + received)
    }

    /// Puts the only frame that waits into shared memory, if the other end polls that.
    fn flush_to_slot(&mut self) {
        let (Some(slot), 1, 0) = (&mut self.slot, self.outgoing.len(), self.written) else { return };
        let frame = self.outgoing.front().filter(|frame| frame.descriptors.is_empty());
        if let Some(bytes) = frame.map(|frame| &frame.bytes)
            && slot.send(bytes, self.sent_bytes)
        {
            self.slot_bytes.0 += bytes.len() as u64;
            self.outgoing.clear();
        }
    }

    /// Takes a frame that has come through shared memory, without a look at the socket unless that has what comes before.
    pub fn fill_come(&mut self) -> io::Result<Filled> {
        if self.fill_from_slot()? { Ok(Filled::Drained) } else { self.fill(SLOT_LEN) }
    }

    /// Takes the frame that has come through shared memory to its place in the stream, if all before it is there.
    fn fill_from_slot(&mut self) -> io::Result<bool> {
        let no_frame = || io::Error::other(NO_FRAME);
        let Some(slot) = &self.slot else { return Ok(false) };
        let Some((placed, taking)) = slot.peek().map_err(|_| no_frame())? else { return Ok(false) };
        let Some(behind) = self.received_bytes.checked_sub(placed.before) else {
            // What it comes after has been written before: it must be there at the next look.
            self.early += 1;
            return if self.early > MOST_EARLY { Err(no_frame()) } else { Ok(false) };
        };
        self.early = 0;
        if !slot.take(taking) {
            return Ok(false);
        }
        if !self.decoder.insert(&placed.bytes, behind) {
            return Err(no_frame());
        }
        self.slot_bytes.1 += placed.bytes.len() as u64;
        Ok(true)
    }

    /// Writes as much as the socket takes. An error means that the other end is gone.
    pub fn flush(&mut self) -> io::Result<Flushed> {
        self.flush_to_slot();
        while !self.outgoing.is_empty() {
            let mut slices = [IoSlice::new(&[]); GATHER];
            let mut used = 0;
            let mut numbers: Vec<RawFd> = Vec::new();
            for (slice, frame) in slices.iter_mut().zip(&self.outgoing) {
                // Descriptors go with the first byte that is sent: only the first frame can have any.
                if used > 0 && !frame.descriptors.is_empty() {
                    break;
                }
                let from = if used == 0 { self.written } else { 0 };
                *slice = IoSlice::new(&frame.bytes[from..]);
                numbers.extend(frame.descriptors.iter().map(AsRawFd::as_raw_fd));
                used += 1;
            }
            let rights = [ControlMessage::ScmRights(&numbers)];
            let control = if numbers.is_empty() { &[][..] } else { &rights[..] };
            match sendmsg::<()>(self.fd.as_raw_fd(), &slices[..used], control, MsgFlags::MSG_NOSIGNAL, None) {
                Ok(count) => {
                    if let Some(first) = self.outgoing.front_mut() {
                        first.descriptors.clear();
                    }
                    self.wrote(count);
                }
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
            if self.written < first.bytes.len() {
                return;
            }
            self.written -= first.bytes.len();
            self.outgoing.pop_front();
        }
    }

    /// Reads what has come, about `budget` bytes at most. A reset counts as an end.
    pub fn fill(&mut self, budget: usize) -> io::Result<Filled> {
        let filled = self.fill_from_socket(budget)?;
        // A frame may have been put there before what has just been read.
        self.fill_from_slot()?;
        Ok(filled)
    }

    fn fill_from_socket(&mut self, budget: usize) -> io::Result<Filled> {
        let mut read = 0;
        while read < budget {
            let room = self.decoder.room();
            let offered = room.len();
            match receive(self.fd.as_raw_fd(), room, &self.arrived) {
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
                Err(Errno::ENOBUFS) => return Err(io::Error::other(LOST)),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Filled::More)
    }

    /// Reads all that there is, to the end of the stream where it has ended.
    pub fn fill_all(&mut self) -> io::Result<Filled> {
        loop {
            let before = self.traffic().1;
            match self.fill(usize::MAX)? {
                Filled::Drained if self.traffic().1 > before => {}
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

/// One `recvmsg`. Descriptors that come with it are kept, as long as there are not too many.
///
/// Fails with ENOBUFS when some of them are lost: more than an honest peer sends, or no number left for them in this
/// process. Nobody could tell which frames they belonged to.
fn receive(fd: RawFd, room: &mut [u8], arrived: &Arrived) -> Result<usize, Errno> {
    // Words, for the alignment that the headers in it need.
    let mut control = [0u64; CONTROL_WORDS];
    let mut slice = libc::iovec { iov_base: room.as_mut_ptr().cast(), iov_len: room.len() };
    // SAFETY: all zeroes are a valid `msghdr`: no address, no buffers.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = &raw mut slice;
    message.msg_iovlen = 1;
    message.msg_control = control.as_mut_ptr().cast();
    message.msg_controllen = size_of_val(&control) as _;
    // SAFETY: both buffers are live, and as long as the message says.
    let count = Errno::result(unsafe { libc::recvmsg(fd, &mut message, libc::MSG_CMSG_CLOEXEC) })?;
    // nix gives no control message where one was cut, and the descriptors before the cut would stay open for ever.
    // SAFETY: the kernel has filled the control buffer, and says in the message how far.
    let mut header = unsafe { libc::CMSG_FIRSTHDR(&message) };
    // SAFETY: `CMSG_FIRSTHDR` and `CMSG_NXTHDR` give null or a header within the buffer.
    while let Some(part) = unsafe { header.as_ref() } {
        if part.cmsg_level == libc::SOL_SOCKET && part.cmsg_type == libc::SCM_RIGHTS {
            // SAFETY: the data follow the header, and end where it says.
            let (data, start) = unsafe { (libc::CMSG_DATA(header), libc::CMSG_LEN(0) as usize) };
            // Not of the same type everywhere.
            let length: usize = part.cmsg_len as _;
            let count = length.saturating_sub(start) / size_of::<RawFd>();
            for index in 0..count {
                // SAFETY: within the data; the kernel has just made this descriptor for us, and nobody else knows it.
                let descriptor =
                    unsafe { OwnedFd::from_raw_fd(data.cast::<RawFd>().add(index).read_unaligned()) };
                arrived.keep(descriptor);
            }
        }
        // SAFETY: as above.
        header = unsafe { libc::CMSG_NXTHDR(&message, header) };
    }
    if message.msg_flags & libc::MSG_CTRUNC != 0 { Err(Errno::ENOBUFS) } else { Ok(count as usize) }
}
