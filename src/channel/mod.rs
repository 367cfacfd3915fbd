//! A non-blocking, full-duplex channel of frames over one Unix stream socket.
//!
//! It never blocks and never waits: its owner calls [`Channel::fill`] and [`Channel::flush`] when the descriptor is
//! ready. A channel may move to another thread, with all that it holds.
//!
//! | file | holds |
//! |---|---|
//! | `page` | the layout of the memory that both ends share |
//! | `ring` | a frame's way through that memory |
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
mod ring;
#[cfg(test)]
mod ring_tests;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{RecvFlags, Shutdown, recv, shutdown};

use crate::platform::SharedPage;
use crate::wire::{Decoder, FrameHeader, FrameWriter, Kind};
pub use attached::Attached;
#[cfg_attr(test, expect(unused_imports, reason = "its callers are in the binding"))]
pub use attached::AttachedError;
pub use descriptors::{Arrived, MAX_DESCRIPTORS};
use descriptors::{ReceiveError, receive, send};
#[cfg_attr(test, expect(unused_imports, reason = "its callers are in the binding"))]
pub use outgoing::{FinishError, Mark};
pub use outgoing::{Finished, OutgoingFrame, Room};
pub use ring::{AnswerForm, Corrupt, End, Ring, ShortAnswer, Taken};

/// Frames gathered into one system call at most.
const GATHER: usize = 16;
/// So many descriptors may wait to be sent; whatever is sent then goes without.
const MAX_QUEUED: usize = 64;

/// How long to wait before the system is asked again to carry descriptors.
const CROWDED_PAUSE: Duration = Duration::from_millis(1);

/// Why a channel cannot be read any more.
#[derive(Debug)]
pub enum ChannelError {
    System(io::Error),
    /// The shared memory holds what no honest peer puts there.
    CorruptRing,
    /// Descriptors were lost, and nobody can tell which frames they belonged to.
    DescriptorsLost,
}

impl fmt::Display for ChannelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ChannelError::System(error) => error.fmt(f),
            ChannelError::CorruptRing => f.write_str("what it has put into shared memory is no frame"),
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
    /// Whether the system has refused the descriptors of the first outgoing frame, for now.
    is_crowded: bool,
    /// Through the socket.
    sent_bytes: u64,
    received_bytes: u64,
    /// Frames that go, or went, through the socket, without those that only wake; wraps.
    sent_frames: u32,
    /// For small frames, where memory is shared.
    ring: Option<Ring<Arc<SharedPage>>>,
    /// Bytes that went through it, sent and received.
    ring_bytes: (u64, u64),
}

/// What was taken out of shared memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shared {
    Frame,
    /// The answer to one call.
    Answer(ShortAnswer),
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
            is_crowded: false,
            sent_bytes: 0,
            received_bytes: 0,
            sent_frames: 0,
            ring: None,
            ring_bytes: (0, 0),
        }
    }

    /// From now on small frames may go through shared memory.
    pub fn attach_ring(&mut self, ring: Ring<Arc<SharedPage>>) {
        self.ring = Some(ring);
    }

    /// Tells the other end whether [`Channel::has_pending`] is looked at before this one sleeps.
    pub fn set_awake(&self, awake: bool) {
        if let Some(ring) = &self.ring {
            ring.set_awake(awake);
        }
    }

    /// Whether a frame waits in shared memory, which no descriptor tells. [`Channel::take_shared`] takes it.
    pub fn has_pending(&self) -> bool {
        self.ring.as_ref().is_some_and(Ring::has_pending)
    }

    /// Whether a frame is in shared memory, be it one whose turn has not come.
    pub fn has_unread(&self) -> bool {
        self.ring.as_ref().is_some_and(Ring::has_unread)
    }

    /// Up to where there are frames in shared memory.
    pub fn shared_end(&self) -> u32 {
        self.ring.as_ref().map_or(0, Ring::end)
    }

    /// Whether one of them was not taken.
    pub fn has_shared_before(&self, end: u32) -> bool {
        self.ring.as_ref().is_some_and(|ring| ring.is_before(end))
    }

    /// Takes the next frame out of shared memory into `frame`, if it is its turn after so many frames of the socket's.
    /// Without `in_order` no more of those are to come. The text of a short answer is in place of a frame.
    pub fn take_shared(
        &mut self,
        received: u32,
        in_order: bool,
        frame: &mut Vec<u8>,
    ) -> Result<Option<Shared>, ChannelError> {
        let Some(ring) = &mut self.ring else { return Ok(None) };
        let taken = ring.take(received, in_order, frame).map_err(|Corrupt| ChannelError::CorruptRing)?;
        let shared = match taken {
            Taken::Frame => Shared::Frame,
            Taken::Answer(answer) => Shared::Answer(answer),
            Taken::Early | Taken::Nothing => return Ok(None),
        };
        self.ring_bytes.1 += frame.len() as u64;
        Ok(Some(shared))
    }

    /// Up to where there are messages in shared memory.
    pub fn messages_end(&self) -> u32 {
        self.ring.as_ref().map_or(0, Ring::messages_end)
    }

    /// Whether one of them was not taken.
    pub fn has_message_before(&self, end: u32) -> bool {
        self.ring.as_ref().is_some_and(|ring| ring.has_message_before(end))
    }

    /// Takes the next message out of shared memory into `frame`; false if there is none.
    pub fn take_message(&mut self, frame: &mut Vec<u8>) -> Result<bool, ChannelError> {
        let Some(ring) = self.ring.as_mut().filter(|ring| ring.has_message()) else { return Ok(false) };
        let is_taken = ring.take_message(frame).map_err(|Corrupt| ChannelError::CorruptRing)?;
        self.ring_bytes.1 += if is_taken { frame.len() as u64 } else { 0 };
        Ok(is_taken)
    }

    /// Sends an encoded frame.
    #[cfg(any(test, fuzzing))]
    pub fn queue(&mut self, frame: Vec<u8>) {
        self.queue_with(frame, Vec::new());
    }

    /// Sends a frame with what goes beside it.
    pub fn queue_finished(&mut self, frame: Finished) {
        self.queue_with(frame.bytes, frame.descriptors);
    }

    /// Sends a frame that brings descriptors along: through shared memory if it can, and the other end is awake;
    /// otherwise it is appended to what [`Channel::flush`] writes to the socket, which wakes the other end.
    pub fn queue_with(&mut self, bytes: Vec<u8>, descriptors: Vec<OwnedFd>) {
        if descriptors.is_empty()
            && let Some(ring) = &mut self.ring
            && !ring.must_wake()
            && ring.send(&bytes, self.sent_frames)
        {
            self.ring_bytes.0 += bytes.len() as u64;
            // It may have gone to sleep before it could see the frame.
            if ring.must_wake()
                && let Ok(wake) = FrameWriter::new(FrameHeader::of(Kind::Wake)).finish()
            {
                // Without a place among the others: whoever has seen what it is about need not wait for it.
                self.outgoing.push_back(Outgoing { bytes: wake, descriptors: Vec::new() });
            }
            return;
        }
        self.queue_on_socket(bytes, descriptors);
    }

    /// Appends a frame to what is to be written to the socket, where it is found also by who does not look anywhere
    /// else any more.
    pub fn queue_on_socket(&mut self, bytes: Vec<u8>, descriptors: Vec<OwnedFd>) {
        debug_assert!(descriptors.len() <= MAX_DESCRIPTORS);
        self.sent_frames = self.sent_frames.wrapping_add(1);
        self.outgoing.push_back(Outgoing { bytes, descriptors });
    }

    /// What a further frame may bring along.
    pub fn room(&self) -> Room {
        let waiting: usize = self.outgoing.iter().map(|frame| frame.descriptors.len()).sum();
        if self.is_crowded {
            return Room { buffers: 0, attachment: false };
        }
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
        let (sent, received) = self.ring_bytes;
        (self.sent_bytes + sent, self.received_bytes + received)
    }

    /// Writes as much as the socket takes. An error means that the other end is gone.
    pub fn flush(&mut self) -> io::Result<Flushed> {
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
                    self.is_crowded = false;
                    self.wrote(count);
                }
                Err(Errno::AGAIN) => return Ok(Flushed::Blocked),
                Err(Errno::INTR) => {}
                // All processes of the user together have as many descriptors on their way as one of them may have
                // open. They are read soon; until then frames go without. The socket is writable all the while, so
                // that whoever waits for that is back at once.
                Err(Errno::TOOMANYREFS) if !descriptors.is_empty() => {
                    self.is_crowded = true;
                    thread::sleep(CROWDED_PAUSE);
                    return Ok(Flushed::Blocked);
                }
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

    /// Reads what has come through the socket, about `budget` bytes at most, and nothing while the decoder is lent. A
    /// reset counts as an end.
    pub fn fill(&mut self, budget: usize) -> FillResult {
        // Whoever has it comes to no more than is in it. The rest stays in the socket, and is told of once more.
        if self.is_lent {
            return Ok(Filled::More);
        }
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
