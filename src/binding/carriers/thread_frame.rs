//! A frame of calls for a thread, whose values stay JavaScript's until it is known how they travel: through the ring,
//! as bytes, or through the port, which moves what has no bytes and what would take long to copy.
//!
//! Called by the carrier to threads. Must not depend on the ring.

use napi::sys;

use super::sending::CallsFrame;
use crate::binding::js::{PartError, PassedParts, Value, WrittenParts, list_of, size_of_value, write_part};
use crate::channel::page::MAX_RECORD;
use crate::channel::{OutgoingFrame, Room};
use crate::wire::{FrameHeader, PART_SKIPPED, PartHeader};

pub struct ThreadFrame {
    env: sys::napi_env,
    parts: Vec<(PartHeader, Value)>,
    bytes: u64,
    /// Whether all of it are strings and buffers.
    is_plain: bool,
}

impl ThreadFrame {
    pub fn new(env: sys::napi_env) -> ThreadFrame {
        ThreadFrame { env, parts: Vec::new(), bytes: 0, is_plain: true }
    }

    /// The frame as bytes, if it has some and is not too long for the ring.
    pub fn to_bytes(&self, header: FrameHeader) -> Option<Vec<u8>> {
        if !self.is_plain || self.bytes > MAX_RECORD as u64 {
            return None;
        }
        let mut frame = OutgoingFrame::new(header, Room::NONE);
        for &(header, value) in &self.parts {
            write_part(self.env, header, value, &mut frame).ok()?;
        }
        Some(frame.finish().ok()?.bytes)
    }

    /// Its parts as JavaScript takes them.
    pub fn to_list(&self) -> Result<Value, PartError> {
        list_of(self.env, self.parts.iter().copied().map(Ok))
    }
}

impl CallsFrame for ThreadFrame {
    fn append(&mut self, parts: &PassedParts) -> WrittenParts {
        let mut written = WrittenParts::default();
        let env = self.env;
        let taken = parts.each(env, |header, value| {
            if header.flags & PART_SKIPPED != 0 {
                written.skipped.extend(written.calls..written.calls.saturating_add(header.calls));
            }
            written.calls = written.calls.saturating_add(header.calls);
            let size = size_of_value(env, header, value);
            self.is_plain &= size.is_some();
            self.bytes += size.unwrap_or_default() as u64;
            self.parts.push((header, value));
            Ok(())
        });
        if taken.is_ok() { written } else { WrittenParts::default() }
    }

    fn len(&self) -> u64 {
        self.bytes
    }
}
