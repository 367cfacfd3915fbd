//! Frames as bytes by themselves, with nothing beside them: what travels to other machines and back.
//!
//! Called by `lib/remote/`. Nothing in the bytes is trusted. Must not depend on what a frame is for.

use napi::bindgen_prelude::{Buffer, Object, Unknown};
use napi::{Env, Error, JsValue, Result};
use napi_derive::napi;

use super::js::{PassedParts, part_list, write_parts};
use crate::channel::{Arrived, Attached, OutgoingFrame, Room};
use crate::wire::{Frame, FrameHeader, Kind};

/// What a frame from another machine says, its parts as a flat list.
#[napi(object)]
pub struct UnpackedFrame<'env> {
    pub kind: u32,
    pub id: u32,
    pub seq: u32,
    pub aux: u32,
    pub parts: Unknown<'env>,
}

/// The bytes of a frame. Throws where one of its parts cannot be written.
#[napi(catch_unwind)]
pub fn pack_frame(env: Env, kind: u32, id: u32, seq: u32, aux: u32, parts: Object) -> Result<Buffer> {
    let kind = u8::try_from(kind).ok().and_then(Kind::from_byte);
    let kind = kind.ok_or_else(|| Error::from_reason("no kind of frame"))?;
    let header = FrameHeader { chunk_id: id, seq, aux, ..FrameHeader::of(kind) };
    let mut frame = OutgoingFrame::new(header, Room::NONE);
    let written = write_parts(env.raw(), &PassedParts::List(parts.raw()), &mut frame)?;
    if let Some((_, error)) = written.failed.into_iter().next() {
        return Err(error);
    }
    let finished = frame.finish().map_err(|error| Error::from_reason(error.to_string()))?;
    Ok(finished.bytes.into())
}

/// What these bytes say. Throws where they are no frame, neither more nor less, or one that could only come from this
/// machine.
#[napi(catch_unwind)]
pub fn unpack_frame<'env>(env: &'env Env, bytes: &[u8]) -> Result<UnpackedFrame<'env>> {
    let frame = Frame::of(bytes).map_err(|error| Error::from_reason(error.to_string()))?;
    let nothing = Attached::new(Arrived::default());
    let parts = part_list(env.raw(), frame.parts(), &nothing);
    let parts = parts.map_err(|error| Error::from_reason(error.to_string()))?;
    let FrameHeader { kind, chunk_id, seq, aux, .. } = frame.header;
    // SAFETY: a value that was just made in this environment, in the scope of this call.
    let parts = unsafe { Unknown::from_raw_unchecked(env.raw(), parts) };
    Ok(UnpackedFrame { kind: kind as u32, id: chunk_id, seq, aux, parts })
}
