//! Cuts a stream of bytes into frames, wherever the reads happened to end.
//!
//! Bytes are received straight into the decoder's buffer, and a frame borrows from it: between the kernel
//! and the JavaScript string that is made of a part lies exactly one copy.

use super::{Encoding, FrameHeader, HEADER_LEN, Kind, MAX_BODY_LEN, PART_HEADER_LEN, PartHeader, WireError};

/// Room offered to one read at least.
const READ_ROOM: usize = 64 * 1024;
/// An empty buffer above this is given back, so that one huge frame does not stay in memory.
const KEEP: usize = 1024 * 1024;

/// Reassembles frames from bytes as they come.
#[derive(Default)]
pub struct Decoder {
    /// Initialized bytes; those in `start..end` were received and not yet consumed.
    buffer: Vec<u8>,
    start: usize,
    end: usize,
}

/// One whole frame, borrowed from its decoder.
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
    /// Bytes of its value, wherever they are.
    pub fn size(&self) -> u64 {
        match (self.header.encoding, self.bytes.try_into()) {
            (Encoding::Shared, Ok(length)) => u64::from_le_bytes(length),
            _ => self.bytes.len() as u64,
        }
    }

    /// The text that it carries; `None` where it carries bytes. What is no character is replaced.
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
    /// Room for the next read; say with [`Decoder::received`] how much of it was filled.
    ///
    /// It grows with what has come, never with what a header announces.
    pub fn room(&mut self) -> &mut [u8] {
        if self.start == self.end {
            self.start = 0;
            self.end = 0;
            if self.buffer.len() > KEEP {
                self.buffer = Vec::new();
            }
        }
        if self.buffer.len() - self.end < READ_ROOM {
            if self.start >= READ_ROOM.max(self.end - self.start) {
                // Moving costs less than what was consumed since the last move.
                self.buffer.copy_within(self.start..self.end, 0);
                self.end -= self.start;
                self.start = 0;
            } else {
                let grown = self.end + READ_ROOM.max(self.end - self.start);
                self.buffer.resize(grown, 0);
            }
        }
        &mut self.buffer[self.end..]
    }

    /// The first `count` bytes of [`Decoder::room`] were filled.
    pub fn received(&mut self, count: usize) {
        self.end = (self.end + count).min(self.buffer.len());
    }

    /// Puts bytes in, with so many of those received behind them. Whether there are as many that are not consumed.
    pub fn insert(&mut self, bytes: &[u8], behind: u64) -> bool {
        let Some(at) = usize::try_from(behind).ok().and_then(|behind| self.end.checked_sub(behind)) else {
            return false;
        };
        if at < self.start {
            return false;
        }
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
        let at = at.min(self.end);
        if self.buffer.len() - self.end < bytes.len() {
            self.buffer.resize(self.end + READ_ROOM.max(bytes.len()), 0);
        }
        self.buffer.copy_within(at..self.end, at + bytes.len());
        self.buffer[at..at + bytes.len()].copy_from_slice(bytes);
        self.end += bytes.len();
        true
    }

    /// The next whole frame; `None` when more bytes are needed. After an error the stream is unusable and
    /// every further call gives the same error.
    pub fn next_frame(&mut self) -> Result<Option<Frame<'_>>, WireError> {
        let received = &self.buffer[self.start..self.end];
        let Some((header, body_len)) = parse_header(received)? else { return Ok(None) };
        let Some(body) = received.get(HEADER_LEN..HEADER_LEN + body_len) else { return Ok(None) };
        let parts = u32_at(received, 8);
        check_parts(body, parts)?;
        let start = self.start + HEADER_LEN;
        self.start = start + body_len;
        Ok(Some(Frame { header, body: &self.buffer[start..start + body_len] }))
    }
}

impl<'a> Frame<'a> {
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

/// The header and the length of the body; `None` before the header is whole.
fn parse_header(bytes: &[u8]) -> Result<Option<(FrameHeader, usize)>, WireError> {
    if bytes.len() < HEADER_LEN {
        return Ok(None);
    }
    let body_len = u32_at(bytes, 0) as usize;
    let kind = Kind::from_byte(bytes[4]).ok_or(WireError::UnknownKind(bytes[4]))?;
    if body_len > MAX_BODY_LEN {
        return Err(WireError::TooLong(body_len));
    }
    let header = FrameHeader {
        kind,
        flags: bytes[5],
        id: u32_at(bytes, 12),
        seq: u32_at(bytes, 16),
        aux: u32_at(bytes, 20),
    };
    Ok(Some((header, body_len)))
}

/// Cuts the first part off; `None` at the end, or where the bytes are no part.
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
    let end = PART_HEADER_LEN.checked_add(u32_at(bytes, 12) as usize)?;
    let body = bytes.get(PART_HEADER_LEN..end)?;
    Some((Part { header, bytes: body }, &bytes[end..]))
}

/// Exactly `parts` parts, with nothing left over.
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
