//! Cuts a stream of bytes into frames, wherever the reads happened to end.
//!
//! Bytes are received straight into the decoder's buffer, and a frame borrows from it: there is exactly one copy
//! between the kernel and the JavaScript string that a part becomes.
//!
//! Must not depend on where the bytes come from, or on what a part contains.

use super::{
    Encoding, FrameHeader, HEADER_LEN, Kind, MAX_BODY_LEN, PART_ATTACHED, PART_HEADER_LEN, PartHeader,
    WireError,
};

/// The least room offered to one read, in bytes.
const MIN_READ_ROOM: usize = 64 * 1024;
/// A larger buffer is freed once it is empty, so that one huge frame does not stay in memory.
const MAX_KEPT_BUFFER: usize = 1024 * 1024;

/// Reassembles frames from bytes as they arrive.
#[derive(Default)]
pub struct Decoder {
    /// Initialized bytes; those in `start..end` were received and not yet consumed.
    buffer: Vec<u8>,
    start: usize,
    /// Invariant: from `start` up to the length of `buffer`.
    end: usize,
    /// Frames that were returned so far, without those that only wake; wraps.
    frames: u32,
}

/// One whole frame, borrowed from its decoder. Invariant: `body` consists of whole parts.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    pub header: FrameHeader,
    body: &'a [u8],
}

/// One part of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part<'a> {
    pub header: PartHeader,
    pub bytes: &'a [u8],
}

impl Part<'_> {
    /// How many bytes its value has, in the frame or in shared memory.
    pub fn size(&self) -> u64 {
        if let Some((_, length)) = self.attached() {
            return length;
        }
        match (self.header.encoding, self.bytes.try_into()) {
            (Encoding::Shared, Ok(length)) => u64::from_le_bytes(length),
            _ => self.bytes.len() as u64,
        }
    }

    /// Where in the memory attached to its frame its bytes are, and how many; `None` if they are in the frame.
    pub fn attached(&self) -> Option<(u64, u64)> {
        let (&[place, length], []) = self.bytes.as_chunks::<8>() else { return None };
        let is_attached = self.header.flags & PART_ATTACHED != 0;
        is_attached.then(|| (u64::from_le_bytes(place), u64::from_le_bytes(length)))
    }

    /// The text that it carries; `None` if it carries bytes. What is not a character becomes U+FFFD.
    pub fn text(&self) -> Option<String> {
        match self.header.encoding {
            Encoding::Latin1 => Some(self.bytes.iter().copied().map(char::from).collect()),
            Encoding::Utf8 => Some(String::from_utf8_lossy(self.bytes).into_owned()),
            Encoding::Utf16 => {
                let units = self.bytes.as_chunks::<2>().0.iter().map(|&unit| u16::from_le_bytes(unit));
                Some(
                    char::decode_utf16(units)
                        .map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER))
                        .collect(),
                )
            }
            Encoding::Bytes | Encoding::Shared => None,
        }
    }
}

impl Decoder {
    /// Room for the next read; [`Decoder::received`] is told how much of it was filled.
    ///
    /// It grows with what was received, never with what a header announces; and it does not grow far beyond the end of
    /// the frame that is on its way.
    pub fn room(&mut self) -> &mut [u8] {
        if self.start == self.end {
            self.start = 0;
            self.end = 0;
            if self.buffer.len() > MAX_KEPT_BUFFER {
                self.buffer = Vec::new();
            }
        }
        if self.buffer.len() - self.end < MIN_READ_ROOM {
            if self.start >= MIN_READ_ROOM.max(self.end - self.start) {
                // Moving the rest costs less than was consumed since the last move.
                self.buffer.copy_within(self.start..self.end, 0);
                self.end -= self.start;
                self.start = 0;
            } else {
                let received = self.end - self.start;
                let grown = self.end + received.min(self.missing()).max(MIN_READ_ROOM);
                self.buffer.reserve_exact(grown - self.buffer.len());
                self.buffer.resize(grown, 0);
            }
        }
        &mut self.buffer[self.end..]
    }

    /// How many bytes the frame that is on its way still lacks; any number where that is not known.
    fn missing(&self) -> usize {
        let received = &self.buffer[self.start..self.end];
        match parse_header(received) {
            Ok(Some((_, body_len))) => body_len.saturating_add(HEADER_LEN).saturating_sub(received.len()),
            _ => usize::MAX,
        }
    }

    /// The first `count` bytes of [`Decoder::room`] were filled.
    pub fn received(&mut self, count: usize) {
        self.end = (self.end + count).min(self.buffer.len());
    }

    /// How many frames it has returned so far, without those that only wake, in a count that wraps.
    pub fn frames(&self) -> u32 {
        self.frames
    }

    /// The next whole frame; `None` if more bytes are needed. After an error the stream is unusable, and every further
    /// call returns the same error.
    pub fn next_frame(&mut self) -> Result<Option<Frame<'_>>, WireError> {
        let received = &self.buffer[self.start..self.end];
        let Some((header, body_len)) = parse_header(received)? else { return Ok(None) };
        let Some(body) = received[HEADER_LEN..].get(..body_len) else { return Ok(None) };
        let parts = u32_at(received, 12);
        check_parts(body, parts)?;
        let start = self.start + HEADER_LEN;
        self.start = start + body_len;
        if header.kind != Kind::Wake {
            self.frames = self.frames.wrapping_add(1);
        }
        Ok(Some(Frame { header, body: &self.buffer[start..start + body_len] }))
    }
}

impl<'a> Frame<'a> {
    /// The frame that these bytes are, neither more nor less.
    pub fn of(bytes: &'a [u8]) -> Result<Frame<'a>, WireError> {
        let (header, body_len) = parse_header(bytes)?.ok_or(WireError::BadParts)?;
        let body = &bytes[HEADER_LEN..];
        if body.len() != body_len {
            return Err(WireError::BadParts);
        }
        check_parts(body, u32_at(bytes, 12))?;
        Ok(Frame { header, body })
    }

    /// The parts, in order.
    pub fn parts(&self) -> impl Iterator<Item = Part<'a>> + use<'a> {
        let mut rest = self.body;
        // `next_frame` has checked every part, so this ends exactly at the end of the body.
        std::iter::from_fn(move || {
            let (part, tail) = split_part(rest)?;
            rest = tail;
            Some(part)
        })
    }
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << u32::BITS
}

/// The header and the length of the body; `None` until the header is whole.
fn parse_header(bytes: &[u8]) -> Result<Option<(FrameHeader, usize)>, WireError> {
    if bytes.len() < HEADER_LEN {
        return Ok(None);
    }
    let body_len = u64_at(bytes, 0);
    let kind = Kind::from_byte(bytes[8]).ok_or(WireError::UnknownKind(bytes[8]))?;
    if body_len > MAX_BODY_LEN {
        return Err(WireError::TooLong(body_len));
    }
    let header = FrameHeader {
        kind,
        flags: bytes[9],
        chunk_id: u32_at(bytes, 16),
        seq: u32_at(bytes, 20),
        aux: u32_at(bytes, 24),
    };
    // One that has no place in the address space never becomes whole.
    Ok(Some((header, usize::try_from(body_len).unwrap_or(usize::MAX))))
}

/// Splits off the first part; `None` at the end, or if the bytes are not a part.
fn split_part(bytes: &[u8]) -> Option<(Part<'_>, &[u8])> {
    if bytes.len() < PART_HEADER_LEN {
        return None;
    }
    let header = PartHeader {
        encoding: Encoding::from_byte(bytes[0])?,
        codec: bytes[1],
        flags: u16::from_le_bytes([bytes[2], bytes[3]]),
        calls: u32_at(bytes, 4),
        tag: u32_at(bytes, 8),
    };
    let end = PART_HEADER_LEN.checked_add(usize::try_from(u64_at(bytes, 12)).ok()?)?;
    let body = bytes.get(PART_HEADER_LEN..end)?;
    Some((Part { header, bytes: body }, &bytes[end..]))
}

/// Checks that there are exactly `parts` parts, with nothing left over.
fn check_parts(body: &[u8], parts: u32) -> Result<(), WireError> {
    let mut rest = body;
    for _ in 0..parts {
        match split_part(rest) {
            Some((_, tail)) => rest = tail,
            None => {
                return Err(match rest.first() {
                    Some(&byte) if Encoding::from_byte(byte).is_none() => WireError::UnknownEncoding(byte),
                    _ => WireError::BadParts,
                });
            }
        }
    }
    if rest.is_empty() { Ok(()) } else { Err(WireError::BadParts) }
}
