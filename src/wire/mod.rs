//! The frame codec: how calls, results and control messages are laid out as bytes.
//!
//! Whatever arrives, the decoder returns a frame, "not yet" or an error. It never panics, and never holds more memory
//! than a small multiple of what was received.
//!
//! Must not depend on who sends, on where the bytes travel, or on what a value means.
//!
//! # Layout (all integers little-endian)
//!
//! ```text
//! frame  = header (28 bytes), then `parts` parts
//!          length u64   bytes that follow the header
//!          kind   u8    see `Kind`
//!          flags  u8
//!          zero   u16
//!          parts  u32   how many parts follow
//!          id     u32   the chunk that this frame carries, or replies to
//!          seq    u32   number of the first call that it is about
//!          aux    u32   depends on the kind (in a reply: microseconds that its calls ran)
//! part   = header (20 bytes), then `length` bytes
//!          encoding u8  how the bytes become a string or a buffer, see `Encoding`
//!          codec    u8  how that becomes a value, which is up to JavaScript
//!          flags    u16
//!          calls    u32 how many calls the part accounts for; 0 if it belongs to the part before it
//!          tag      u32 at the codec's disposal
//!          length   u64
//! ```
//!
//! A part's header comes right before its bytes, so a frame is written in one pass, before it is known how long an
//! encoded string will be.

mod decode;
mod encode;
#[cfg(any(test, fuzzing))]
pub mod fuzz_harness;
#[cfg(test)]
mod tests;

use std::error::Error;
use std::fmt::{self, Display, Formatter};

pub use decode::{Decoder, Frame, Part};
pub use encode::{FrameWriter, Mark, with_seq};

/// Bytes of a frame's header.
pub const HEADER_LEN: usize = 28;
/// Bytes of a part's header.
pub const PART_HEADER_LEN: usize = 20;
/// The longest body that is accepted, in bytes. More than any machine has memory for: whoever announces more sends no
/// frames. What is announced costs nothing until it arrives.
pub const MAX_BODY_LEN: u64 = 1 << 40;

/// What a frame is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// Parent to worker, once, before all others: what to load.
    Init = 1,
    /// Parent to worker: calls to run, one after another. `aux`: 1 if nobody is in a hurry for single answers.
    Calls = 2,
    /// Parent to worker: the numbers of calls that are no longer wanted.
    Cancel = 3,
    /// Parent to worker: finish and exit.
    Stop = 4,
    /// Either way, nothing but a reason to look at the shared memory.
    Wake = 5,
    /// Parent to worker: whoever reads what call `seq` yields has taken `chunk_id` values so far; or, if that is
    /// `u32::MAX`, wants no more.
    Demand = 6,
    /// Worker to parent: the user's module is loaded.
    Ready = 16,
    /// Worker to parent: the user's module cannot be loaded, and why.
    LoadFailed = 17,
    /// Worker to parent: results of the calls of chunk `chunk_id`, from the one at place `seq` on.
    Reply = 18,
    /// Worker to parent: call `seq` begins. Sent only if there is no shared page.
    Begun = 19,
    /// Worker to parent: something to print, written during call `seq`.
    Output = 20,
    /// Worker to parent: the size of its resident set in KiB, in `aux`.
    Memory = 21,
    /// Worker to parent: a value that call `seq` has emitted or yielded before its result. In `aux` the index of the
    /// worker, in place of a chunk how much the message counts for what may be under way.
    Message = 22,
}

impl Kind {
    pub fn from_byte(byte: u8) -> Option<Kind> {
        Some(match byte {
            1 => Kind::Init,
            2 => Kind::Calls,
            3 => Kind::Cancel,
            4 => Kind::Stop,
            5 => Kind::Wake,
            6 => Kind::Demand,
            16 => Kind::Ready,
            17 => Kind::LoadFailed,
            18 => Kind::Reply,
            19 => Kind::Begun,
            20 => Kind::Output,
            21 => Kind::Memory,
            22 => Kind::Message,
            _ => return None,
        })
    }
}

/// How a part's bytes become a JavaScript string or buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Encoding {
    /// One byte per character (U+0000 to U+00FF), which V8 copies unchanged.
    Latin1 = 0,
    /// UTF-8 text.
    Utf8 = 1,
    /// Raw bytes, delivered as a `Buffer`.
    Bytes = 2,
    /// Two bytes per UTF-16 unit, little-endian; lone surrogates are allowed.
    Utf16 = 4,
    /// As `Bytes`, but they are in shared memory whose descriptor travels with the frame; the part has their length
    /// (u64). The descriptors of a frame are in the order of these parts.
    Shared = 3,
}

impl Encoding {
    /// The encoding with this number in JavaScript, which does not know `Shared`; `Bytes` for any other number.
    pub fn from_script(number: u32) -> Encoding {
        match number {
            0 => Encoding::Latin1,
            1 => Encoding::Utf8,
            4 => Encoding::Utf16,
            _ => Encoding::Bytes,
        }
    }

    fn from_byte(byte: u8) -> Option<Encoding> {
        Some(match byte {
            0 => Encoding::Latin1,
            1 => Encoding::Utf8,
            2 => Encoding::Bytes,
            3 => Encoding::Shared,
            4 => Encoding::Utf16,
            _ => return None,
        })
    }
}

/// The flag of a part whose calls failed: its value describes the error.
pub const PART_FAILED: u16 = 1;
/// The flag of a part whose calls were not run (cancelled or recalled in time, or not encodable).
pub const PART_SKIPPED: u16 = 2;

/// The flag of a failed part whose calls something has died over, further away than whoever sends it: they run again
/// where a retry is left.
pub const PART_DIED: u16 = 8;

/// The flag of a part whose value its receiver cannot make: a text that says why has taken its place. It is never sent.
pub const PART_REFUSED: u16 = 4;
/// The flag of a part whose bytes are in the memory attached to its frame: the part has their place there and their
/// length (u64 each). JavaScript does not see it.
pub const PART_ATTACHED: u16 = 1 << 15;

/// The fields of a frame's header that do not depend on its parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHeader {
    pub kind: Kind,
    pub flags: u8,
    /// The chunk that the frame carries, or replies to; 0 for other kinds.
    pub chunk_id: u32,
    /// The number of the first call that it is about, in the worker's count; in a reply, its place in the chunk.
    pub seq: u32,
    /// See [`Kind`]; in a reply, the microseconds that its calls ran.
    pub aux: u32,
}

impl FrameHeader {
    /// A header of this kind; all other fields are 0.
    pub fn of(kind: Kind) -> FrameHeader {
        FrameHeader { kind, flags: 0, chunk_id: 0, seq: 0, aux: 0 }
    }
}

/// The fields of a part's header, except its length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartHeader {
    pub encoding: Encoding,
    /// How the string or buffer becomes a value, which is up to JavaScript.
    pub codec: u8,
    /// [`PART_FAILED`], [`PART_SKIPPED`], and others that are up to JavaScript.
    pub flags: u16,
    /// How many calls the part accounts for; 0 if it belongs to the part before it.
    pub calls: u32,
    /// At the codec's disposal.
    pub tag: u32,
}

/// Why received bytes are not a frame. Their sender must not be trusted any further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WireError {
    /// No kind of frame has this number.
    UnknownKind(u8),
    /// No encoding of a part has this number.
    UnknownEncoding(u8),
    /// The body has this many bytes, more than [`MAX_BODY_LEN`].
    TooLong(u64),
    /// The parts do not fill the body exactly.
    BadParts,
}

impl Display for WireError {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            WireError::UnknownKind(byte) => write!(f, "a frame of unknown kind {byte}"),
            WireError::UnknownEncoding(byte) => write!(f, "a part of unknown encoding {byte}"),
            WireError::TooLong(len) => write!(f, "a frame of {len} bytes, more than {MAX_BODY_LEN}"),
            WireError::BadParts => write!(f, "a frame whose parts do not fill it"),
        }
    }
}

impl Error for WireError {}
