//! Parts of frames, turned into JavaScript values and back.
//!
//! Called by the registers and by both ends of a channel. Must not depend on what parts mean, nor on who sends them.
//! JavaScript and Rust exchange them as flat lists, `[encoding, codec, flags, calls, tag, value, …]`, which
//! `lib/codec/codec.js` makes and reads.

use std::ffi::{c_char, c_void};
use std::os::fd::OwnedFd;
use std::{ptr, slice};

use napi::{Error, Result, sys};

use super::status::check;
use super::values::{
    Value, buffer, element, list_length, new_list, number, set_element, unsigned, with_bytes,
};
use crate::channel::Arrived;
use crate::platform::{MappedBytes, sealed_copy};
use crate::protocol::{
    CALLS_FIELD, CODEC_FIELD, ENCODING_FIELD, FLAGS_FIELD, PART_FIELDS, TAG_FIELD, VALUE_FIELD,
};
use crate::wire::{Encoding, FrameWriter, PART_SKIPPED, Part, PartHeader};

/// From here on bytes cost less through shared memory than through the socket.
const MIN_SHARED: usize = 256 * 1024;

/// Parts as JavaScript passes them.
pub enum PassedParts {
    /// A flat list.
    List(Value),
    /// One part: its numbers, and its value.
    Single(PartHeader, Value),
    Nothing,
}

/// What a list of parts said besides its bytes.
#[derive(Default)]
pub struct WrittenParts {
    /// Calls that the parts account for.
    pub calls: u32,
    /// Those among them that are marked as not to be run.
    pub skipped: Vec<u32>,
    /// Memory that parts are in, in their order.
    pub shared: Vec<OwnedFd>,
}

// ---- From frames to JavaScript -------------------------------------------------------------------------

/// A flat list of parts.
pub fn part_list<'a>(
    env: sys::napi_env,
    parts: impl Iterator<Item = Part<'a>>,
    arrived: &Arrived,
) -> Result<Value> {
    let list = new_list(env)?;
    let mut length = 0;
    for part in parts {
        let header = part.header;
        let fields =
            [header.encoding as u32, header.codec.into(), header.flags.into(), header.calls, header.tag];
        for field in fields
            .map(|field| number(env, field.into()))
            .into_iter()
            .chain([part_value(env, &part, arrived)?])
        {
            set_element(env, list, length, field)?;
            length += 1;
        }
    }
    Ok(list)
}

/// The string or buffer that a part carries. One in shared memory takes its descriptor.
pub fn part_value(env: sys::napi_env, part: &Part<'_>, arrived: &Arrived) -> Result<Value> {
    let (bytes, mut value) = (part.bytes, ptr::null_mut());
    let create = match part.header.encoding {
        Encoding::Latin1 => sys::napi_create_string_latin1,
        Encoding::Utf8 => sys::napi_create_string_utf8,
        Encoding::Bytes => return buffer(env, bytes),
        Encoding::Shared => return shared_buffer(env, part, arrived),
        Encoding::Utf16 => return wide_string(env, bytes),
    };
    // SAFETY: pointer and length are of one slice, which is copied.
    let status = unsafe { create(env, bytes.as_ptr().cast(), bytes.len() as isize, &mut value) };
    check(status, "a string that is too long")?;
    Ok(value)
}

/// A string of these two-byte characters.
fn wide_string(env: sys::napi_env, bytes: &[u8]) -> Result<Value> {
    // Parts begin at any address, and V8 wants an even one.
    let units: Vec<u16> = bytes.as_chunks::<2>().0.iter().map(|&unit| u16::from_le_bytes(unit)).collect();
    let mut value = ptr::null_mut();
    // SAFETY: pointer and length are of one slice, which is copied.
    let status =
        unsafe { sys::napi_create_string_utf16(env, units.as_ptr(), units.len() as isize, &mut value) };
    check(status, "a string that is too long")?;
    Ok(value)
}

/// Closes what a part that is not wanted has brought along.
pub fn discard(part: &Part<'_>, arrived: &Arrived) {
    if part.header.encoding == Encoding::Shared {
        drop(arrived.take());
    }
}

/// A buffer that is the shared memory itself.
fn shared_buffer(env: sys::napi_env, part: &Part<'_>, arrived: &Arrived) -> Result<Value> {
    let fail = |what: &str| Error::from_reason(what.to_owned());
    let descriptor = arrived.take().ok_or_else(|| fail("shared memory that has not come"))?;
    let length =
        part.bytes.try_into().map(u64::from_le_bytes).map_err(|_| fail("shared memory without a length"))?;
    let length = usize::try_from(length).map_err(|_| fail("shared memory that is too long"))?;
    let mapped = MappedBytes::map(&descriptor, length).map_err(|error| fail(&error.to_string()))?;
    let mapped = Box::new(mapped);
    let (base, length) = (mapped.as_ptr(), mapped.len());
    let hint = Box::into_raw(mapped);
    let mut value = ptr::null_mut();
    // SAFETY: the memory stays mapped until the finalizer, which is called once, unmaps it.
    let status = unsafe {
        sys::napi_create_external_buffer(env, length, base.cast(), Some(unmap), hint.cast(), &mut value)
    };
    if status == sys::Status::napi_ok {
        return Ok(value);
    }
    // SAFETY: the call has failed, so the finalizer will not be called, and the box is ours again.
    let mapped = unsafe { Box::from_raw(hint) };
    // Runtimes with a memory cage do not allow buffers over other memory.
    // SAFETY: a live mapping of this length, sealed against writers.
    buffer(env, unsafe { slice::from_raw_parts(mapped.as_ptr(), mapped.len()) })
}

/// The finalizer of a shared buffer.
unsafe extern "C" fn unmap(_env: sys::napi_env, _data: *mut c_void, hint: *mut c_void) {
    // SAFETY: `hint` is the box that `shared_buffer` has given away, and this is called once.
    drop(unsafe { Box::from_raw(hint.cast::<MappedBytes>()) });
}

// ---- From JavaScript to frames -------------------------------------------------------------------------

/// Appends parts to a frame. `room`: how many of them may be put into shared memory.
pub fn write_parts(
    env: sys::napi_env,
    parts: &PassedParts,
    frame: &mut FrameWriter,
    room: usize,
) -> Result<WrittenParts> {
    let mut written = WrittenParts::default();
    let list = match *parts {
        PassedParts::List(list) => list,
        PassedParts::Single(header, value) => {
            write_part(env, header, value, frame, room, &mut written)?;
            return Ok(written);
        }
        PassedParts::Nothing => return Ok(written),
    };
    for start in (0..list_length(env, list)?).step_by(PART_FIELDS as usize) {
        let field = |index: u32| -> Result<u32> { unsigned(env, element(env, list, start + index)?) };
        let header = PartHeader {
            encoding: Encoding::from_script(field(ENCODING_FIELD)?),
            codec: field(CODEC_FIELD)? as u8,
            flags: field(FLAGS_FIELD)? as u16,
            calls: field(CALLS_FIELD)?,
            tag: field(TAG_FIELD)?,
        };
        write_part(env, header, element(env, list, start + VALUE_FIELD)?, frame, room, &mut written)?;
    }
    Ok(written)
}

fn write_part(
    env: sys::napi_env,
    header: PartHeader,
    value: Value,
    frame: &mut FrameWriter,
    room: usize,
    written: &mut WrittenParts,
) -> Result<()> {
    let may_share = header.encoding == Encoding::Bytes && written.shared.len() < room;
    let shared = if may_share { to_shared_memory(env, value)? } else { None };
    match shared {
        Some((memory, length)) => {
            let header = PartHeader { encoding: Encoding::Shared, ..header };
            frame.part(header, &(length as u64).to_le_bytes());
            written.shared.push(memory);
        }
        None => frame.part_with(header, |buffer| append_value(env, header.encoding, value, buffer))?,
    }
    if header.flags & PART_SKIPPED != 0 {
        written.skipped.extend(written.calls..written.calls.saturating_add(header.calls));
    }
    written.calls = written.calls.saturating_add(header.calls);
    Ok(())
}

/// Copies a large buffer into shared memory; `None` where that is not worth it, or cannot be had.
fn to_shared_memory(env: sys::napi_env, value: Value) -> Result<Option<(OwnedFd, usize)>> {
    with_bytes(env, value, |bytes| match bytes.len() {
        ..MIN_SHARED => None,
        length => sealed_copy(bytes).ok().map(|memory| (memory, length)),
    })
}

/// Copies a string's characters or a buffer's bytes to the end of `target`: the one copy on this side.
fn append_value(env: sys::napi_env, encoding: Encoding, value: Value, target: &mut Vec<u8>) -> Result<()> {
    match encoding {
        Encoding::Bytes | Encoding::Shared => with_bytes(env, value, |bytes| target.extend_from_slice(bytes)),
        Encoding::Utf16 => append_wide_string(env, value, target),
        Encoding::Latin1 => append_string(env, value, target, sys::napi_get_value_string_latin1),
        Encoding::Utf8 => append_string(env, value, target, sys::napi_get_value_string_utf8),
    }
}

/// One of napi's functions that copy a string of bytes.
type ReadString =
    unsafe extern "C" fn(sys::napi_env, Value, *mut c_char, usize, *mut usize) -> sys::napi_status;

fn append_string(env: sys::napi_env, value: Value, target: &mut Vec<u8>, read: ReadString) -> Result<()> {
    let start = target.len();
    let mut length = 0usize;
    // SAFETY: `value` is a live value; without a buffer only the length is asked for.
    check(unsafe { read(env, value, ptr::null_mut(), 0, &mut length) }, "not a string")?;
    // One more, for the NUL that napi writes.
    target.reserve(length + 1);
    let room = target.spare_capacity_mut();
    let mut copied = 0;
    // SAFETY: `room` has at least `length + 1` bytes, and napi writes no more than that.
    let status = unsafe { read(env, value, room.as_mut_ptr().cast(), length + 1, &mut copied) };
    check(status, "not a string")?;
    // SAFETY: there is room for `length` more bytes, of which napi has written the first `copied`.
    unsafe { target.set_len(start + copied.min(length)) };
    Ok(())
}

/// Appends the two-byte characters of a string.
fn append_wide_string(env: sys::napi_env, value: Value, target: &mut Vec<u8>) -> Result<()> {
    let mut length = 0usize;
    // SAFETY: `value` is a live value; without a buffer only the length is asked for.
    let asked = unsafe { sys::napi_get_value_string_utf16(env, value, ptr::null_mut(), 0, &mut length) };
    check(asked, "not a string")?;
    // One more, for the NUL that napi writes.
    let mut units = vec![0u16; length + 1];
    let mut copied = 0usize;
    // SAFETY: `units` has room for `length + 1` characters, and napi writes no more than that.
    let read =
        unsafe { sys::napi_get_value_string_utf16(env, value, units.as_mut_ptr(), length + 1, &mut copied) };
    check(read, "not a string")?;
    target.extend(units[..copied.min(length)].iter().flat_map(|unit| unit.to_le_bytes()));
    Ok(())
}
