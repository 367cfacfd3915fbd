//! A frame for the other end, and what goes beside it: bytes in memory that its receiver maps, so that neither the
//! frame nor the socket ever holds them.
//!
//! 1. A large buffer gets memory of its own, which becomes the receiver's buffer as it is; but a frame brings few
//!    descriptors along, and one that already waits behind others brings fewer.
//! 2. Everything else goes into the frame until that is long. From then on it goes into one memory, the frame's
//!    *attachment*: the receiver copies each part out of it into its value, and then lets go of it. So between the
//!    values of both ends there is one copy, and not one in each of them.
//! 3. Where the system has no such memory, or none left, the bytes go into the frame.
//!
//! Called by whoever encodes calls and results. Must not depend on what the parts mean.

use std::collections::TryReserveError;
use std::io;
use std::mem;
use std::os::fd::OwnedFd;

use crate::platform::{SealedWriter, sealed_copy};
use crate::wire::{self, Encoding, FrameHeader, FrameWriter, PART_ATTACHED, PartHeader, WireError};

/// From which sizes on, in bytes, something else is done with a part.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// A buffer of so many bytes gets memory of its own.
    pub own_memory: usize,
    /// A frame does not become longer than this, as far as its parts can go beside it.
    pub frame: usize,
    /// Shorter parts are always in the frame.
    pub beside: usize,
}

/// From 256 KiB on a buffer costs less as memory that is mapped: nobody copies it out of there. Text is copied either
/// way, and costs the same through the socket; there what counts is that memory does not hold it twice more.
pub const LIMITS: Limits = Limits { own_memory: 256 * 1024, frame: 4 * 1024 * 1024, beside: 16 * 1024 };

/// A buffer for text on its way that has grown beyond this is not kept for the next.
const MAX_KEPT_SCRATCH: usize = 1024 * 1024;

/// What a frame may bring along.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Buffers with memory of their own.
    pub buffers: usize,
    /// Whether it may have an attachment.
    pub attachment: bool,
}

impl Room {
    /// For a frame that is nothing but its bytes.
    pub const NONE: Room = Room { buffers: 0, attachment: false };
}

/// Why a frame cannot be sent.
#[derive(Debug)]
pub enum FinishError {
    Wire(WireError),
    /// Its attachment could still be changed.
    Unsealed(io::Error),
}

impl std::fmt::Display for FinishError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            FinishError::Wire(error) => error.fmt(f),
            FinishError::Unsealed(error) => write!(f, "memory that cannot be sealed: {error}"),
        }
    }
}

impl std::error::Error for FinishError {}

/// A frame that is ready to be sent.
#[derive(Debug)]
pub struct Finished {
    pub bytes: Vec<u8>,
    /// In the order in which its parts need them.
    pub descriptors: Vec<OwnedFd>,
}

/// A frame that is being written.
pub struct OutgoingFrame {
    frame: FrameWriter,
    limits: Limits,
    room: Room,
    /// In the order in which its parts need them; `None` stands for the attachment.
    descriptors: Vec<Option<OwnedFd>>,
    /// Invariant: there is one exactly if `descriptors` has a place for it.
    attachment: Option<SealedWriter>,
    /// Bytes that are beside the frame.
    beside: u64,
    /// Where text is put that goes into the attachment.
    scratch: Vec<u8>,
}

/// How far a frame had been written.
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    frame: wire::Mark,
    descriptors: usize,
    attached: Option<u64>,
    beside: u64,
}

impl OutgoingFrame {
    /// Begins a frame without parts.
    pub fn new(header: FrameHeader, room: Room) -> OutgoingFrame {
        OutgoingFrame::with_limits(header, room, LIMITS)
    }

    pub fn with_limits(header: FrameHeader, room: Room, limits: Limits) -> OutgoingFrame {
        OutgoingFrame {
            frame: FrameWriter::new(header),
            limits,
            room,
            descriptors: Vec::new(),
            attachment: None,
            beside: 0,
            scratch: Vec::new(),
        }
    }

    /// How many bytes it has so far, beside it included.
    pub fn len(&self) -> u64 {
        self.frame.len() as u64 + self.beside
    }

    /// What it has so far, to return to.
    pub fn mark(&self) -> Mark {
        Mark {
            frame: self.frame.mark(),
            descriptors: self.descriptors.len(),
            attached: self.attachment.as_ref().map(SealedWriter::len),
            beside: self.beside,
        }
    }

    /// Removes the parts that were appended since.
    pub fn truncate(&mut self, mark: Mark) {
        self.frame.truncate(mark.frame);
        self.descriptors.truncate(mark.descriptors);
        self.beside = mark.beside;
        match (mark.attached, &mut self.attachment) {
            (Some(len), Some(attachment)) => attachment.truncate(len),
            _ => self.attachment = None,
        }
    }

    /// Appends a part with the given bytes. After an error there is no trace of it.
    pub fn bytes(&mut self, header: PartHeader, bytes: &[u8]) -> Result<(), TryReserveError> {
        let buffers = self.descriptors.iter().flatten().count();
        if header.encoding == Encoding::Bytes
            && bytes.len() >= self.limits.own_memory
            && buffers < self.room.buffers
            && let Ok(memory) = sealed_copy(bytes)
        {
            let length = bytes.len() as u64;
            self.frame.part(PartHeader { encoding: Encoding::Shared, ..header }, &length.to_le_bytes());
            self.descriptors.push(Some(memory));
            self.beside += length;
            return Ok(());
        }
        if self.goes_beside(bytes.len()) && self.attach(header, bytes) {
            return Ok(());
        }
        self.put(header, bytes)
    }

    /// Appends a part of about so many bytes, which `fill` appends to the buffer that it is given. After an error there
    /// is no trace of it.
    pub fn bytes_with<E: From<TryReserveError>>(
        &mut self,
        header: PartHeader,
        size: usize,
        fill: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<(), E> {
        if !self.goes_beside(size) {
            return self.frame.part_with(header, fill);
        }
        let mut scratch = mem::take(&mut self.scratch);
        scratch.clear();
        fill(&mut scratch)?;
        if !self.attach(header, &scratch) {
            self.put(header, &scratch)?;
        }
        if scratch.capacity() <= MAX_KEPT_SCRATCH {
            self.scratch = scratch;
        }
        Ok(())
    }

    /// Ends the frame.
    pub fn finish(self) -> Result<Finished, FinishError> {
        let mut attachment =
            self.attachment.map(SealedWriter::seal).transpose().map_err(FinishError::Unsealed)?;
        let bytes = self.frame.finish().map_err(FinishError::Wire)?;
        let descriptors: Vec<OwnedFd> =
            self.descriptors.into_iter().filter_map(|memory| memory.or_else(|| attachment.take())).collect();
        debug_assert!(attachment.is_none(), "an attachment that no part is in");
        Ok(Finished { bytes, descriptors })
    }

    fn goes_beside(&self, size: usize) -> bool {
        let is_long = self.frame.len().saturating_add(size) > self.limits.frame;
        self.room.attachment && is_long && size >= self.limits.beside
    }

    /// Appends a part whose bytes are in the attachment. Returns false, and leaves no trace, where there is no memory
    /// for it.
    fn attach(&mut self, header: PartHeader, bytes: &[u8]) -> bool {
        let is_first = self.attachment.is_none();
        if is_first {
            self.attachment = SealedWriter::new().ok();
        }
        let Some(attachment) = &mut self.attachment else { return false };
        let Ok(place) = attachment.append(bytes) else {
            if is_first {
                self.attachment = None;
            }
            return false;
        };
        if is_first {
            self.descriptors.push(None);
        }
        let length = bytes.len() as u64;
        let mut content = [0; 16];
        content[..8].copy_from_slice(&place.to_le_bytes());
        content[8..].copy_from_slice(&length.to_le_bytes());
        self.frame.part(PartHeader { flags: header.flags | PART_ATTACHED, ..header }, &content);
        self.beside += length;
        true
    }

    /// Appends a part whose bytes are in the frame.
    fn put(&mut self, header: PartHeader, bytes: &[u8]) -> Result<(), TryReserveError> {
        self.frame.part_with(header, |buffer| {
            buffer.try_reserve(bytes.len())?;
            buffer.extend_from_slice(bytes);
            Ok(())
        })
    }
}

impl Finished {
    /// The same with another `seq`, and with the same memory, for another receiver.
    pub fn duplicate(&self, seq: u32) -> io::Result<Finished> {
        let descriptors = self.descriptors.iter().map(OwnedFd::try_clone).collect::<io::Result<_>>()?;
        Ok(Finished { bytes: wire::with_seq(self.bytes.clone(), seq), descriptors })
    }
}
