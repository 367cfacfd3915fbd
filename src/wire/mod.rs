//! The frame codec: how calls, results and control messages are laid out as bytes.
//!
//! Knows bytes only: not who sends, what a value means, or where the bytes travel. Whatever arrives, it
//! returns a frame, "not yet" or an error; it never panics, and it never holds more memory than a small
//! multiple of what was really received.
//!
//! # Layout (all integers little-endian)
//!
//! ```text
//! frame  = header (24 bytes), then `parts` parts
//!          length u32   bytes that follow the header
//!          kind   u8    see `Kind`
//!          flags  u8
//!          zero   u16
//!          parts  u32   how many parts follow
//!          id     u32   the frame that this one is, or answers
//!          seq    u32   sequence number of the first call that it is about
//!          aux    u32   depends on the kind (a reply: microseconds that its calls ran)
//! part   = header (16 bytes), then `length` bytes
//!          encoding u8  how the bytes become a string or a buffer, see `Encoding`
//!          codec    u8  how that becomes a value: the business of `lib/codec.js`
//!          flags    u16
//!          calls    u32 how many calls the part accounts for; 0: it belongs to the part before it
//!          tag      u32 free for the codec
//!          length   u32
//! ```
//!
//! A part's header stands right before its bytes, so a frame is written in one pass without knowing how
//! long an encoded string will become.

mod decode;
mod encode;
#[cfg(test)]
mod tests;
#[cfg(any(test, fuzzing))]
pub mod trial;

pub use decode::{Decoder, Frame, Part};
pub use encode::{FrameWriter, with_seq};

/// Bytes of a frame's header.
pub const HEADER_LEN: usize = 24;
/// Bytes of a part's header.
pub const PART_HEADER_LEN: usize = 16;
/// The longest body that is accepted. V8's strings end at half of it.
pub const MAX_BODY_LEN: usize = 1 << 30;

/// What a frame is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// Parent to worker, once and first: what to load.
    Init = 1,
    /// Parent to worker: calls to run, one after another.
    Calls = 2,
    /// Parent to worker: sequence numbers of calls that are no longer wanted.
    Cancel = 3,
    /// Parent to worker: finish and exit.
    Stop = 4,
    /// Worker to parent: the user's module is loaded.
    Ready = 16,
    /// Worker to parent: the user's module does not load, and why.
    LoadFailed = 17,
    /// Worker to parent: results of calls of frame `id`, from call `seq` on.
    Reply = 18,
    /// Worker to parent: call `seq` begins. Sent only where there is no shared page.
    Begun = 19,
    /// Worker to parent: something to print, said during call `seq`.
    Output = 20,
    /// Worker to parent: its resident set size in KiB, in `aux`.
    Memory = 21,
}

impl Kind {
    fn from_byte(byte: u8) -> Option<Kind> {
        Some(match byte {
            1 => Kind::Init,
            2 => Kind::Calls,
            3 => Kind::Cancel,
            4 => Kind::Stop,
            16 => Kind::Ready,
            17 => Kind::LoadFailed,
            18 => Kind::Reply,
            19 => Kind::Begun,
            20 => Kind::Output,
            21 => Kind::Memory,
            _ => return None,
        })
    }
}

/// How a part's bytes become a JavaScript string or buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Encoding {
    /// One byte per character (U+0000 to U+00FF): V8 copies it as it is.
    Latin1 = 0,
    /// UTF-8 text.
    Utf8 = 1,
    /// Raw bytes, delivered as a `Buffer`.
    Bytes = 2,
    /// Two bytes per character, little-endian; half a surrogate pair is as good as any.
    Utf16 = 4,
    /// As `Bytes`, which are in memory whose descriptor travels with the frame; here is their length (u64). The
    /// descriptors of a frame come in the order of these parts.
    Shared = 3,
}

impl Encoding {
    /// The one that JavaScript numbers so; `Shared` is none of its business.
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

/// The part flag of a call that failed: its value describes the error.
pub const PART_FAILED: u16 = 1;
/// The part flag of a call that was not run at all (cancelled in time, or not encodable).
pub const PART_SKIPPED: u16 = 2;

/// The fields of a frame that do not depend on its parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHeader {
    pub kind: Kind,
    pub flags: u8,
    pub id: u32,
    pub seq: u32,
    pub aux: u32,
}

impl FrameHeader {
    /// A header with nothing but its kind.
    pub fn of(kind: Kind) -> FrameHeader {
        FrameHeader { kind, flags: 0, id: 0, seq: 0, aux: 0 }
    }
}

/// The fields of a part, but for its length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartHeader {
    pub encoding: Encoding,
    pub codec: u8,
    pub flags: u16,
    pub calls: u32,
    pub tag: u32,
}

/// Why received bytes are no frame. The sender is not to be trusted after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WireError {
    UnknownKind(u8),
    UnknownEncoding(u8),
    TooLong(usize),
    /// The parts do not fill the body exactly.
    BadParts,
}

impl std::fmt::Display for WireError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            WireError::UnknownKind(byte) => write!(f, "a frame of unknown kind {byte}"),
            WireError::UnknownEncoding(byte) => write!(f, "a part of unknown encoding {byte}"),
            WireError::TooLong(len) => write!(f, "a frame of {len} bytes, more than {MAX_BODY_LEN}"),
            WireError::BadParts => write!(f, "a frame whose parts do not fill it"),
        }
    }
}

impl std::error::Error for WireError {}
