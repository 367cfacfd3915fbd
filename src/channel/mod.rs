//! A non-blocking, full-duplex channel of frames over one Unix stream socket.
//!
//! It never blocks and never waits: its owner calls [`Channel::fill`] and [`Channel::flush`] when the descriptor is
//! ready. A channel may move to another thread, with all that it holds.
//!
//! | file | holds |
//! |---|---|
//! | `page` | the layout of the page that both ends share |
//! | `slot` | a frame's way through that page |
//! | `outgoing` | a frame that is being written, and what goes beside it |
//! | `attached` | what has come beside a frame |
//! | `descriptors` | the system calls, and the descriptors that travel with frames |
//! | `fuzz_harness` | what must hold whatever a peer sends |
//!
//! Called by both ends in `src/binding`. Must not depend on who polls the descriptor, nor on what frames mean.

mod attached;
mod descriptors;
#[cfg(any(test, fuzzing))]
pub mod fuzz_harness;
mod outgoing;
pub mod page;
mod slot;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::io::Errno;
use rustix::net::{RecvFlags, Shutdown, recv, shutdown};

use crate::wire::Decoder;
pub use attached::Attached;
#[cfg_attr(test, expect(unused_imports, reason = "its callers are in the binding"))]
pub use attached::AttachedError;
pub use descriptors::{Arrived, MAX_DESCRIPTORS};
use descriptors::{ReceiveError, receive, send};
#[cfg_attr(test, expect(unused_imports, reason = "its callers are in the binding"))]
pub use outgoing::{FinishError, Mark};
pub use outgoing::{Finished, OutgoingFrame, Room};
use page::SLOT_LEN;
pub use slot::{End, Slot};

/// Frames gathered into one system call at most.
const GATHER: usize = 16;
/// How often a slot frame may be seen ahead of its predecessors before the peer counts as broken. A large predecessor
/// takes many reads.
const MAX_EARLY: u32 = 100_000;
/// So many descriptors may wait to be sent; whatever is sent then goes without.
const MAX_QUEUED: usize = 64;

/// Why a channel cannot be read any more.
#[derive(Debug)]
pub enum ChannelError {
    System(io::Error),
    /// The shared page holds what no honest peer puts there.
    CorruptSlot,
    /// Descriptors were lost, and nobody can tell which frames they belonged to.
    DescriptorsLost,
}

impl fmt::Display for ChannelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ChannelError::System(error) => error.fmt(f),
            ChannelError::CorruptSlot => f.write_str("what it has put into shared memory is no frame"),
            ChannelError::DescriptorsLost => f.write_str(
                "memory that came with it cannot be taken over: no file descriptor is left (ulimit -n), \
                 or too many came at once",
            ),
        }
    }
}

impl std::error::Error for ChannelError {}

/// What is to be written.
struct Outgoing {
    bytes: Vec<u8>,
    /// Go with the first byte.
    descriptors: Vec<OwnedFd>,
}

/// One end of a channel to another process.
///
/// Invariant: `written` is less than the length of the first outgoing frame, and 0 where there is none; a frame of
/// which something is written has no descriptors any more. Nothing is read while the decoder is lent.
pub struct Channel {
    fd: Arc<OwnedFd>,
    decoder: Decoder,
    is_lent: bool,
    arrived: Arrived,
    /// Encoded frames that are not wholly written.
    outgoing: VecDeque<Outgoing>,
    /// Bytes of the first outgoing frame that are written.
    written: usize,
    /// Through the socket.
    sent_bytes: u64,
    received_bytes: u64,
    /// For single frames to a peer that polls.
    slot: Option<Slot>,
    /// Bytes that went through it, sent and received.
    slot_bytes: (u64, u64),
    /// How often in a row a frame was seen there whose predecessors have not been received.
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

/// What reading gives.
pub type FillResult = Result<Filled, ChannelError>;

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
            is_lent: false,
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
    pub fn attach_slot(&mut self, slot: Slot) {
        self.slot = Some(slot);
    }

    /// Tells the other end whether [`Channel::has_pending`] is looked at without pause.
    pub fn set_polling(&self, polling: bool) {
        if let Some(slot) = &self.slot {
            slot.set_polling(polling);
        }
    }

    /// Whether a frame waits in shared memory, which no descriptor tells. [`Channel::fill_pending`] takes it.
    pub fn has_pending(&self) -> bool {
        self.slot.as_ref().is_some_and(Slot::is_full)
    }

    /// Appends an encoded frame to what is to be written.
    pub fn queue(&mut self, frame: Vec<u8>) {
        self.queue_with(frame, Vec::new());
    }

    /// Appends a frame with what goes beside it.
    pub fn queue_finished(&mut self, frame: Finished) {
        self.queue_with(frame.bytes, frame.descriptors);
    }

    /// Appends a frame that brings descriptors along.
    pub fn queue_with(&mut self, bytes: Vec<u8>, descriptors: Vec<OwnedFd>) {
        debug_assert!(descriptors.len() <= MAX_DESCRIPTORS);
        self.outgoing.push_back(Outgoing { bytes, descriptors });
    }

    /// What a further frame may bring along.
    pub fn room(&self) -> Room {
        let waiting: usize = self.outgoing.iter().map(|frame| frame.descriptors.len()).sum();
        // One is for the attachment.
        Room { buffers: (MAX_DESCRIPTORS - 1).saturating_sub(waiting), attachment: waiting < MAX_QUEUED }
    }

    /// The descriptors that have come, for whoever handles frames.
    pub fn arrived(&self) -> Arrived {
        self.arrived.clone()
    }

    /// The socket itself, for whoever polls it: it is closed when both have let go of it.
    pub fn descriptor(&self) -> Arc<OwnedFd> {
        self.fd.clone()
    }

    /// Hangs up: the other end sees what it would see if this one were closed. What it has sent can still be read.
    pub fn hang_up(&self) {
        // Fails only where the other end was closed first.
        let _ = shutdown(&self.fd, Shutdown::Both);
    }

    /// Whether the other end is closed and there is nothing left to read.
    pub fn is_ended(&self) -> bool {
        let peeked = recv(&self.fd, &mut [0], RecvFlags::PEEK | RecvFlags::DONTWAIT).map(|(_, count)| count);
        !matches!(peeked, Ok(1..) | Err(Errno::AGAIN | Errno::INTR))
    }

    /// Bytes written and bytes read so far.
    pub fn traffic(&self) -> (u64, u64) {
        let (sent, received) = self.slot_bytes;
        (self.sent_bytes + sent, self.received_bytes + received)
    }

    /// Puts the only frame that waits into the slot, if the other end polls that.
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

    /// Takes the frame that waits in shared memory. Looks at the socket only if that holds what comes before.
    pub fn fill_pending(&mut self) -> FillResult {
        if self.fill_from_slot()? { Ok(Filled::Drained) } else { self.fill(SLOT_LEN) }
    }

    /// Takes the frame that waits in shared memory to its place in the stream, if all before it is there.
    fn fill_from_slot(&mut self) -> Result<bool, ChannelError> {
        debug_assert!(!self.is_lent, "read while its decoder was lent");
        let Some(slot) = &self.slot else { return Ok(false) };
        let peeked = slot.peek().map_err(|slot::Corrupt| ChannelError::CorruptSlot)?;
        let Some((placed, claim)) = peeked else { return Ok(false) };
        let Some(behind) = self.received_bytes.checked_sub(placed.before) else {
            // Its predecessors were written before it: they must be there at the next look.
            self.early += 1;
            return if self.early > MAX_EARLY { Err(ChannelError::CorruptSlot) } else { Ok(false) };
        };
        self.early = 0;
        if !slot.take(claim) {
            return Ok(false);
        }
        if !self.decoder.insert(&placed.bytes, behind) {
            return Err(ChannelError::CorruptSlot);
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
            let mut descriptors: Vec<BorrowedFd<'_>> = Vec::new();
            for (slice, frame) in slices.iter_mut().zip(&self.outgoing) {
                // Descriptors go with the first byte that is sent: only the first frame can have any.
                if used > 0 && !frame.descriptors.is_empty() {
                    break;
                }
                let from = if used == 0 { self.written } else { 0 };
                *slice = IoSlice::new(&frame.bytes[from..]);
                descriptors.extend(frame.descriptors.iter().map(AsFd::as_fd));
                used += 1;
            }
            match send(&self.fd, &slices[..used], &descriptors) {
                Ok(count) => {
                    if let Some(first) = self.outgoing.front_mut() {
                        first.descriptors.clear();
                    }
                    self.wrote(count);
                }
                Err(Errno::AGAIN) => return Ok(Flushed::Blocked),
                Err(Errno::INTR) => {}
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
                debug_assert!(self.written == 0 || first.descriptors.is_empty());
                return;
            }
            self.written -= first.bytes.len();
            self.outgoing.pop_front();
        }
        debug_assert_eq!(self.written, 0, "more was written than there was");
    }

    /// Reads what has come, about `budget` bytes at most. A reset counts as an end.
    pub fn fill(&mut self, budget: usize) -> FillResult {
        let filled = self.fill_from_socket(budget)?;
        // A frame may have been put into the slot before what has just been read was written.
        self.fill_from_slot()?;
        Ok(filled)
    }

    fn fill_from_socket(&mut self, budget: usize) -> FillResult {
        debug_assert!(!self.is_lent, "read while its decoder was lent");
        let mut read = 0;
        while read < budget {
            let room = self.decoder.room();
            let offered = room.len();
            match receive(&self.fd, room, &self.arrived) {
                Ok(0) | Err(ReceiveError::System(Errno::CONNRESET)) => return Ok(Filled::Ended),
                Ok(count) => {
                    self.decoder.received(count);
                    self.received_bytes += count as u64;
                    read += count;
                    // A short read has emptied the socket, or polling will tell: spare the call that says so.
                    if count < offered {
                        return Ok(Filled::Drained);
                    }
                }
                Err(ReceiveError::System(Errno::AGAIN)) => return Ok(Filled::Drained),
                Err(ReceiveError::System(Errno::INTR)) => {}
                Err(ReceiveError::System(error)) => return Err(ChannelError::System(error.into())),
                Err(ReceiveError::DescriptorsLost) => return Err(ChannelError::DescriptorsLost),
            }
        }
        Ok(Filled::More)
    }

    /// Lends the decoder out, so that frames can be handled while the channel is used again; `None` while it is lent
    /// already. Nothing may be read until it is back.
    pub fn lend_decoder(&mut self) -> Option<Decoder> {
        (!std::mem::replace(&mut self.is_lent, true)).then(|| std::mem::take(&mut self.decoder))
    }

    /// Takes the lent decoder back.
    pub fn return_decoder(&mut self, decoder: Decoder) {
        debug_assert!(self.is_lent);
        self.is_lent = false;
        self.decoder = decoder;
    }

    /// Whether the decoder is lent out: somebody is handling frames.
    pub fn is_lent(&self) -> bool {
        self.is_lent
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
