//! Parts of frames, turned into JavaScript values and back.
//!
//! Called by the registers and by both ends of a channel. Must not depend on what parts mean, nor on who sends them.
//! JavaScript and Rust exchange them as flat lists, `[encoding, codec, flags, calls, tag, value, …]`, which
//! `lib/codec/codec.js` makes and reads.

use std::collections::TryReserveError;
use std::ffi::{c_char, c_void};
use std::ops::Range;
use std::{fmt, ptr, slice};

use napi::{Error, Result, sys};

use super::status::check;
use super::values::{
    Value, buffer, element, list_length, new_list, number, set_element, text, unsigned, with_bytes,
};
use crate::channel::{Attached, AttachedError, Mark, OutgoingFrame};
use crate::platform::MappedBytes;
use crate::protocol::{
    CALLS_FIELD, CODEC_FIELD, ENCODING_FIELD, FLAGS_FIELD, NO_CODEC, PART_FIELDS, TAG_FIELD, VALUE_FIELD,
};
use crate::wire::{Encoding, PART_ATTACHED, PART_REFUSED, PART_SKIPPED, Part, PartHeader};

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
    /// Those among them that could not be written, and why. They are marked as not to be run.
    pub failed: Vec<(Range<u32>, Error)>,
}

/// Why a part has not become a value.
#[derive(Debug)]
pub enum PartError {
    /// Its sender has not sent what it says.
    Corrupt(String),
    /// It cannot be made here: it is too long, or there is no memory for it.
    Refused(String),
}

impl fmt::Display for PartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PartError::Corrupt(why) | PartError::Refused(why) => f.write_str(why),
        }
    }
}

impl From<AttachedError> for PartError {
    fn from(error: AttachedError) -> PartError {
        match error {
            AttachedError::Corrupt(_) => PartError::Corrupt(error.to_string()),
            AttachedError::Refused(_) => PartError::Refused(error.to_string()),
        }
    }
}

impl From<Error> for PartError {
    fn from(error: Error) -> PartError {
        PartError::Refused(error.reason.clone())
    }
}

// ---- From frames to JavaScript -------------------------------------------------------------------------

/// A flat list of parts. Where one cannot be made, a text that says why is in its place, and its flags say so.
pub fn part_list<'a>(
    env: sys::napi_env,
    parts: impl Iterator<Item = Part<'a>>,
    attached: &Attached,
) -> std::result::Result<Value, PartError> {
    list_of(env, parts.map(|part| part_or_refusal(env, part, attached)))
}

/// The flat list of these numbers and values of parts.
pub fn list_of(
    env: sys::napi_env,
    parts: impl Iterator<Item = std::result::Result<(PartHeader, Value), PartError>>,
) -> std::result::Result<Value, PartError> {
    let list = new_list(env)?;
    let mut length = 0;
    for part in parts {
        let (header, value) = part?;
        let fields =
            [header.encoding as u32, header.codec.into(), header.flags.into(), header.calls, header.tag];
        for field in fields.map(|field| number(env, field.into())).into_iter().chain([value]) {
            set_element(env, list, length, field)?;
            length += 1;
        }
    }
    Ok(list)
}

/// A part's numbers and its value, or a text that says why there is none.
pub fn part_or_refusal(
    env: sys::napi_env,
    part: Part<'_>,
    attached: &Attached,
) -> std::result::Result<(PartHeader, Value), PartError> {
    match part_value(env, part, attached) {
        Ok(found) => Ok(found),
        Err(PartError::Refused(why)) => {
            let header = PartHeader {
                encoding: Encoding::Utf8,
                flags: part.header.flags & FLAGS_OF_SCRIPT | PART_REFUSED,
                ..part.header
            };
            Ok((header, text(env, &why)?))
        }
        Err(corrupt) => Err(corrupt),
    }
}

/// A part's numbers, and the string or buffer that it carries. One in shared memory takes its descriptor.
pub fn part_value(
    env: sys::napi_env,
    part: Part<'_>,
    attached: &Attached,
) -> std::result::Result<(PartHeader, Value), PartError> {
    let Part { header, bytes } = attached.resolve(part)?;
    let value = match header.encoding {
        Encoding::Latin1 => string(env, bytes, sys::napi_create_string_latin1)?,
        Encoding::Utf8 => string(env, bytes, sys::napi_create_string_utf8)?,
        Encoding::Bytes => buffer(env, bytes)?,
        Encoding::Shared => shared_buffer(env, attached.own_memory(&part)?)?,
        Encoding::Utf16 => wide_string(env, bytes)?,
    };
    Ok((PartHeader { flags: header.flags & FLAGS_OF_SCRIPT, ..header }, value))
}

/// The flags that are JavaScript's to see. Nobody sends that a part was refused: that is found out here.
const FLAGS_OF_SCRIPT: u16 = !(PART_ATTACHED | PART_REFUSED);

/// One of napi's functions that make a string of bytes.
type MakeString = unsafe extern "C" fn(sys::napi_env, *const c_char, isize, *mut Value) -> sys::napi_status;

fn string(env: sys::napi_env, bytes: &[u8], make: MakeString) -> Result<Value> {
    let mut value = ptr::null_mut();
    // SAFETY: pointer and length are of one slice, which is copied.
    let status = unsafe { make(env, bytes.as_ptr().cast(), bytes.len() as isize, &mut value) };
    check(status, "a string that is too long")?;
    Ok(value)
}

/// A string of these two-byte characters.
fn wide_string(env: sys::napi_env, bytes: &[u8]) -> Result<Value> {
    // SAFETY: any two bytes are a unit.
    let (before, units, after) = unsafe { bytes.align_to::<u16>() };
    if cfg!(target_endian = "little") && before.is_empty() && after.is_empty() {
        return string_of_units(env, units);
    }
    // Parts of a frame begin at any address, and V8 wants an even one.
    let mut units: Vec<u16> = Vec::new();
    units.try_reserve_exact(bytes.len() / 2).map_err(no_memory)?;
    units.extend(bytes.as_chunks::<2>().0.iter().map(|&unit| u16::from_le_bytes(unit)));
    string_of_units(env, &units)
}

fn string_of_units(env: sys::napi_env, units: &[u16]) -> Result<Value> {
    let mut value = ptr::null_mut();
    // SAFETY: pointer and length are of one slice, which is copied.
    let status =
        unsafe { sys::napi_create_string_utf16(env, units.as_ptr(), units.len() as isize, &mut value) };
    check(status, "a string that is too long")?;
    Ok(value)
}

/// A buffer that is the shared memory itself.
fn shared_buffer(env: sys::napi_env, mapped: MappedBytes) -> Result<Value> {
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

/// Appends parts to a frame. A call whose parts cannot be written is marked as not to be run, and the others go on.
pub fn write_parts(
    env: sys::napi_env,
    parts: &PassedParts,
    frame: &mut OutgoingFrame,
) -> Result<WrittenParts> {
    let mut group =
        Group { written: WrittenParts::default(), mark: frame.mark(), header: None, failed: false };
    parts.each(env, |header, value| group.write(env, header, value, frame))?;
    Ok(group.written)
}

impl PassedParts {
    /// Hands out each part: its numbers, and its value.
    pub fn each(
        &self,
        env: sys::napi_env,
        mut take: impl FnMut(PartHeader, Value) -> Result<()>,
    ) -> Result<()> {
        let list = match *self {
            PassedParts::List(list) => list,
            PassedParts::Single(header, value) => return take(header, value),
            PassedParts::Nothing => return Ok(()),
        };
        for start in (0..list_length(env, list)?).step_by(PART_FIELDS as usize) {
            let field = |index: u32| -> Result<u32> { unsigned(env, element(env, list, start + index)?) };
            let header = PartHeader {
                encoding: Encoding::from_script(field(ENCODING_FIELD)?),
                codec: field(CODEC_FIELD)? as u8,
                flags: field(FLAGS_FIELD)? as u16 & FLAGS_OF_SCRIPT,
                calls: field(CALLS_FIELD)?,
                tag: field(TAG_FIELD)?,
            };
            take(header, element(env, list, start + VALUE_FIELD)?)?;
        }
        Ok(())
    }
}

/// How many bytes the value of a part has in a frame; `None` where it is neither a string nor a buffer.
pub fn size_of_value(env: sys::napi_env, header: PartHeader, value: Value) -> Option<usize> {
    if matches!(header.encoding, Encoding::Bytes | Encoding::Shared) {
        return with_bytes(env, value, <[u8]>::len).ok();
    }
    let mut length = 0usize;
    let (into, no_text) = (&raw mut length, ptr::null_mut());
    // SAFETY: `value` is a live value; without a buffer only the length is asked for.
    let status = unsafe {
        match header.encoding {
            Encoding::Utf8 => sys::napi_get_value_string_utf8(env, value, no_text, 0, into),
            _ => sys::napi_get_value_string_utf16(env, value, ptr::null_mut(), 0, into),
        }
    };
    let width = if header.encoding == Encoding::Utf16 { 2 } else { 1 };
    (status == sys::Status::napi_ok).then_some(length * width)
}

/// The parts of one value: one that accounts for calls, and those that belong to it.
struct Group {
    written: WrittenParts,
    /// Where the frame was before the first of them.
    mark: Mark,
    /// The first of them; `None` while there is none.
    header: Option<PartHeader>,
    /// Whether one of them could not be written: the others are not either.
    failed: bool,
}

impl Group {
    fn write(
        &mut self,
        env: sys::napi_env,
        header: PartHeader,
        value: Value,
        frame: &mut OutgoingFrame,
    ) -> Result<()> {
        if header.calls > 0 {
            self.mark = frame.mark();
            self.header = Some(header);
            self.failed = false;
            if header.flags & PART_SKIPPED != 0 {
                let calls = self.written.calls;
                self.written.skipped.extend(calls..calls.saturating_add(header.calls));
            }
            self.written.calls = self.written.calls.saturating_add(header.calls);
        } else if self.failed {
            return Ok(());
        }
        let Err(error) = write_part(env, header, value, frame) else { return Ok(()) };
        // What belongs to no value of these is for all of them.
        let Some(first) = self.header else { return Err(error) };
        self.failed = true;
        frame.truncate(self.mark);
        let skipped = PartHeader {
            encoding: Encoding::Latin1,
            codec: NO_CODEC,
            flags: PART_SKIPPED,
            calls: first.calls,
            tag: 0,
        };
        frame.bytes(skipped, &[]).map_err(no_memory)?;
        self.written.failed.push((self.written.calls - first.calls..self.written.calls, error));
        Ok(())
    }
}

/// Appends one part to a frame. After an error there is no trace of it.
pub fn write_part(
    env: sys::napi_env,
    header: PartHeader,
    value: Value,
    frame: &mut OutgoingFrame,
) -> Result<()> {
    match header.encoding {
        Encoding::Bytes | Encoding::Shared => {
            with_bytes(env, value, |bytes| frame.bytes(header, bytes))?.map_err(no_memory)
        }
        Encoding::Latin1 => write_string(env, header, value, frame, sys::napi_get_value_string_latin1),
        Encoding::Utf8 => write_string(env, header, value, frame, sys::napi_get_value_string_utf8),
        Encoding::Utf16 => write_wide_string(env, header, value, frame),
    }
}

/// One of napi's functions that copy a string of bytes.
type ReadString =
    unsafe extern "C" fn(sys::napi_env, Value, *mut c_char, usize, *mut usize) -> sys::napi_status;

/// Writes a string's characters: the one copy on this side, unless they go beside the frame.
fn write_string(
    env: sys::napi_env,
    header: PartHeader,
    value: Value,
    frame: &mut OutgoingFrame,
    read: ReadString,
) -> Result<()> {
    let mut length = 0usize;
    // SAFETY: `value` is a live value; without a buffer only the length is asked for.
    check(unsafe { read(env, value, ptr::null_mut(), 0, &mut length) }, "not a string")?;
    let fill = |target: &mut Vec<u8>| -> std::result::Result<(), Unwritten> {
        let start = target.len();
        // One more, for the NUL that napi writes.
        target.try_reserve(length + 1).map_err(|error| Unwritten(no_memory(error)))?;
        let room = target.spare_capacity_mut();
        let mut copied = 0;
        // SAFETY: `room` has at least `length + 1` bytes, and napi writes no more than that.
        let status = unsafe { read(env, value, room.as_mut_ptr().cast(), length + 1, &mut copied) };
        check(status, "not a string").map_err(Unwritten)?;
        // SAFETY: there is room for `length` more bytes, of which napi has written the first `copied`.
        unsafe { target.set_len(start + copied.min(length)) };
        Ok(())
    };
    frame.bytes_with(header, length, fill).map_err(|Unwritten(error)| error)
}

/// The same for the two-byte characters of a string.
fn write_wide_string(
    env: sys::napi_env,
    header: PartHeader,
    value: Value,
    frame: &mut OutgoingFrame,
) -> Result<()> {
    let mut length = 0usize;
    // SAFETY: `value` is a live value; without a buffer only the length is asked for.
    let asked = unsafe { sys::napi_get_value_string_utf16(env, value, ptr::null_mut(), 0, &mut length) };
    check(asked, "not a string")?;
    // One more, for the NUL that napi writes.
    let mut units: Vec<u16> = Vec::new();
    units.try_reserve_exact(length + 1).map_err(no_memory)?;
    let mut copied = 0usize;
    // SAFETY: `units` has room for `length + 1` characters, and napi writes no more than that.
    let read =
        unsafe { sys::napi_get_value_string_utf16(env, value, units.as_mut_ptr(), length + 1, &mut copied) };
    check(read, "not a string")?;
    // SAFETY: napi has written the first `copied` of them.
    unsafe { units.set_len(copied.min(length)) };
    if cfg!(target_endian = "big") {
        units.iter_mut().for_each(|unit| *unit = unit.to_le());
    }
    // SAFETY: any unit is two bytes, and they are of one allocation.
    let bytes = unsafe { slice::from_raw_parts(units.as_ptr().cast::<u8>(), units.len() * 2) };
    frame.bytes(header, bytes).map_err(no_memory)
}

/// A string that has not been written.
struct Unwritten(Error);

impl From<TryReserveError> for Unwritten {
    fn from(error: TryReserveError) -> Unwritten {
        Unwritten(no_memory(error))
    }
}

fn no_memory(_error: TryReserveError) -> Error {
    Error::from_reason("there is no memory left to copy it into")
}
