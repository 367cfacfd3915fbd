//! Writes frames.
//!
//! Must not depend on what the parts contain.

use super::{FrameHeader, HEADER_LEN, MAX_BODY_LEN, PART_HEADER_LEN, PartHeader, WireError};

/// Where in a header the number of parts and `seq` are.
const PARTS: usize = 12;
const SEQ: usize = 20;

/// The same frame with another `seq`, so that one that is sent to many need not be built for each.
pub fn with_seq(mut frame: Vec<u8>, seq: u32) -> Vec<u8> {
    frame[SEQ..SEQ + 4].copy_from_slice(&seq.to_le_bytes());
    frame
}

/// How far a frame had been written.
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    len: usize,
    parts: u32,
}

/// Builds one frame, part by part, in one growing buffer.
pub struct FrameWriter {
    /// The header, in which the length and the number of parts are still 0, and the parts so far.
    buffer: Vec<u8>,
    /// How many parts there are.
    parts: u32,
}

impl FrameWriter {
    /// Begins a frame without parts.
    pub fn new(header: FrameHeader) -> FrameWriter {
        let mut buffer = Vec::with_capacity(256);
        buffer.extend_from_slice(&[0; 8]); // length, known at the end
        buffer.push(header.kind as u8);
        buffer.push(header.flags);
        buffer.extend_from_slice(&[0; 2]);
        buffer.extend_from_slice(&[0; 4]); // parts, known at the end
        for field in [header.chunk_id, header.seq, header.aux] {
            buffer.extend_from_slice(&field.to_le_bytes());
        }
        debug_assert_eq!(buffer.len(), HEADER_LEN);
        FrameWriter { buffer, parts: 0 }
    }

    /// Appends a part whose bytes `fill` appends to the buffer that it is given. If `fill` fails, the frame stays as it
    /// was.
    pub fn part_with<E>(
        &mut self,
        header: PartHeader,
        fill: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<(), E> {
        let start = self.buffer.len();
        self.buffer.push(header.encoding as u8);
        self.buffer.push(header.codec);
        self.buffer.extend_from_slice(&header.flags.to_le_bytes());
        self.buffer.extend_from_slice(&header.calls.to_le_bytes());
        self.buffer.extend_from_slice(&header.tag.to_le_bytes());
        self.buffer.extend_from_slice(&[0; 8]);
        let body = self.buffer.len();
        debug_assert_eq!(body - start, PART_HEADER_LEN);
        if let Err(error) = fill(&mut self.buffer) {
            self.buffer.truncate(start);
            return Err(error);
        }
        let len = self.buffer.len().saturating_sub(body) as u64;
        self.buffer[body - 8..body].copy_from_slice(&len.to_le_bytes());
        self.parts += 1;
        Ok(())
    }

    /// Appends a part with the given bytes.
    pub fn part(&mut self, header: PartHeader, bytes: &[u8]) {
        let Ok(()) = self.part_with(header, |buffer| {
            buffer.extend_from_slice(bytes);
            Ok::<(), std::convert::Infallible>(())
        });
    }

    /// What it has so far, to return to.
    pub fn mark(&self) -> Mark {
        Mark { len: self.buffer.len(), parts: self.parts }
    }

    /// Removes the parts that were appended since.
    pub fn truncate(&mut self, mark: Mark) {
        self.buffer.truncate(mark.len);
        self.parts = mark.parts;
    }

    /// How many bytes it has so far, its header included.
    pub fn len(&self) -> usize {
        self.buffer.len()
    }

    /// Ends the frame and returns its bytes; refuses a body over [`MAX_BODY_LEN`].
    pub fn finish(mut self) -> Result<Vec<u8>, WireError> {
        let body = (self.buffer.len() - HEADER_LEN) as u64;
        if body > MAX_BODY_LEN {
            return Err(WireError::TooLong(body));
        }
        self.buffer[..8].copy_from_slice(&body.to_le_bytes());
        self.buffer[PARTS..PARTS + 4].copy_from_slice(&self.parts.to_le_bytes());
        Ok(self.buffer)
    }
}
