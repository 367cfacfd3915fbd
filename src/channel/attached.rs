//! What has come beside a frame: memory that its parts are in.
//!
//! Called by whoever handles frames, in the order of the parts: that is the order in which the descriptors come.
//! Nothing that the other end says is trusted. Must not depend on what a part means.

use std::cell::OnceCell;
use std::fmt;
use std::io;
use std::os::fd::OwnedFd;

use super::Arrived;
use crate::platform::{MappedBytes, SealedView};
use crate::wire::{Encoding, PART_ATTACHED, Part, PartHeader};

/// Why the bytes of a part cannot be had.
#[derive(Debug)]
pub enum AttachedError {
    /// What came with it is not what it says.
    Corrupt(&'static str),
    /// The system does not let this process have it.
    Refused(io::Error),
}

impl fmt::Display for AttachedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AttachedError::Corrupt(what) => f.write_str(what),
            AttachedError::Refused(error) => write!(f, "memory for it cannot be had: {error}"),
        }
    }
}

impl std::error::Error for AttachedError {}

/// Memory that cannot be mapped: its sender's fault, or the system's.
fn unmapped(error: io::Error) -> AttachedError {
    match error.kind() {
        io::ErrorKind::InvalidData => AttachedError::Corrupt("memory that is not sealed, or too short"),
        _ => AttachedError::Refused(error),
    }
}

/// What came beside one frame.
pub struct Attached {
    arrived: Arrived,
    /// The attachment, once one of its parts was met; `None`: it has not come.
    attachment: OnceCell<Option<OwnedFd>>,
    /// Invariant: of the attachment.
    view: OnceCell<SealedView>,
}

impl Attached {
    /// For the frame that is handled next.
    pub fn new(arrived: Arrived) -> Attached {
        Attached { arrived, attachment: OnceCell::new(), view: OnceCell::new() }
    }

    /// The part with its bytes, wherever these are. (One with memory of its own stays as it is, see
    /// [`Attached::own_memory`].)
    pub fn resolve<'a>(&'a self, part: Part<'a>) -> Result<Part<'a>, AttachedError> {
        if part.header.flags & PART_ATTACHED == 0 {
            return Ok(part);
        }
        let (place, length) =
            part.attached().ok_or(AttachedError::Corrupt("an attached part without a place"))?;
        let view = self.view()?;
        let range = usize::try_from(place).ok().zip(usize::try_from(length).ok());
        let bytes = range
            .and_then(|(place, length)| view.get(place..place.checked_add(length)?))
            .ok_or(AttachedError::Corrupt("a part beyond what is attached to its frame"))?;
        let header = PartHeader { flags: part.header.flags & !PART_ATTACHED, ..part.header };
        Ok(Part { header, bytes })
    }

    /// The memory of a part that has its own.
    pub fn own_memory(&self, part: &Part<'_>) -> Result<MappedBytes, AttachedError> {
        debug_assert_eq!(part.header.encoding, Encoding::Shared);
        let memory = self.arrived.take();
        let memory = memory.ok_or(AttachedError::Corrupt("shared memory that has not come"))?;
        let length = part.bytes.try_into().map(u64::from_le_bytes);
        let length = length.map_err(|_| AttachedError::Corrupt("shared memory without a length"))?;
        let length = usize::try_from(length);
        let length = length.map_err(|_| AttachedError::Corrupt("shared memory that is too long"))?;
        MappedBytes::map(&memory, length).map_err(unmapped)
    }

    /// Takes what belongs to a part that is not wanted, so that the next one finds its own.
    pub fn discard(&self, part: &Part<'_>) {
        if part.header.flags & PART_ATTACHED != 0 {
            self.attachment();
        } else if part.header.encoding == Encoding::Shared {
            drop(self.arrived.take());
        }
    }

    fn attachment(&self) -> Option<&OwnedFd> {
        self.attachment.get_or_init(|| self.arrived.take()).as_ref()
    }

    fn view(&self) -> Result<&SealedView, AttachedError> {
        if let Some(view) = self.view.get() {
            return Ok(view);
        }
        let memory = self.attachment().ok_or(AttachedError::Corrupt("an attachment that has not come"))?;
        let view = SealedView::map(memory).map_err(unmapped)?;
        Ok(self.view.get_or_init(|| view))
    }
}
