//! Calling JavaScript from the event loop, and turning parts of frames into JavaScript values and back.
//!
//! Knows napi, not what is called. Every function here runs on the JavaScript thread, inside a callback
//! scope or a call from JavaScript.

use std::ffi::c_void;
use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::{self, NonNull};

use napi::{Result, Status, sys};

use super::event_loop::check;
use super::registers::Passed;
use crate::channel::Arrived;
use crate::platform::{MappedBytes, sealed_copy};
use crate::wire::{Encoding, FrameWriter, PART_SKIPPED, Part, PartHeader};

/// A value that is good until the current call or scope ends.
pub type Value = sys::napi_value;

/// Numbers that describe one part in the flat lists that are exchanged with `lib/codec.js`:
/// `[encoding, codec, flags, calls, tag, value, …]`.
const PART_FIELDS: u32 = 6;

/// How the event loop enters JavaScript: with an async context, so that hooks, promises and `nextTick`
/// behave as after any other callback of Node.
pub struct Context {
    env: sys::napi_env,
    context: sys::napi_async_context,
}

impl Context {
    pub fn new(env: sys::napi_env, name: &str) -> Result<Context> {
        let name = text(env, name)?;
        let mut context = ptr::null_mut();
        // SAFETY: called from JavaScript, with a live string; Node makes the resource object itself.
        check(unsafe { sys::napi_async_init(env, ptr::null_mut(), name, &mut context) }, "no async context")?;
        Ok(Context { env, context })
    }

    /// Runs `act` inside a callback scope: at its end Node runs what is due (`nextTick`, promises).
    ///
    /// A panic would unwind into libuv; it becomes an uncaught exception instead.
    pub fn enter(&self, act: impl FnOnce()) {
        let mut handles = ptr::null_mut();
        let mut scope = ptr::null_mut();
        // SAFETY: on the JavaScript thread, called by libuv; both scopes are closed below, in order.
        unsafe {
            if sys::napi_open_handle_scope(self.env, &mut handles) != sys::Status::napi_ok {
                return;
            }
            let opened = sys::napi_open_callback_scope(self.env, ptr::null_mut(), self.context, &mut scope);
            if opened == sys::Status::napi_ok {
                if catch_unwind(AssertUnwindSafe(act)).is_err() {
                    report_panic(self.env);
                }
                sys::napi_close_callback_scope(self.env, scope);
                throw_pending(self.env);
            }
            sys::napi_close_handle_scope(self.env, handles);
        }
    }
}

fn report_panic(env: sys::napi_env) {
    let Ok(message) = text(env, "@parallelizer/node: internal error (a panic in native code)") else {
        return;
    };
    let mut error = ptr::null_mut();
    // SAFETY: `message` is a live string.
    unsafe {
        if sys::napi_create_error(env, ptr::null_mut(), message, &mut error) == sys::Status::napi_ok {
            sys::napi_fatal_exception(env, error);
        }
    }
}

/// An exception that nobody caught is told as Node tells every other; left alone, it would vanish.
fn throw_pending(env: sys::napi_env) {
    let mut pending = false;
    let mut error = ptr::null_mut();
    // SAFETY: on the JavaScript thread; the exception is handed over to Node.
    unsafe {
        if sys::napi_is_exception_pending(env, &mut pending) == sys::Status::napi_ok
            && pending
            && sys::napi_get_and_clear_last_exception(env, &mut error) == sys::Status::napi_ok
        {
            sys::napi_fatal_exception(env, error);
        }
    }
}

/// A JavaScript function that is kept.
pub struct Callback {
    env: sys::napi_env,
    reference: sys::napi_ref,
}

impl Callback {
    pub fn new(env: sys::napi_env, function: Value) -> Result<Callback> {
        let mut reference = ptr::null_mut();
        // SAFETY: `function` is a live value.
        check(unsafe { sys::napi_create_reference(env, function, 1, &mut reference) }, "not a function")?;
        Ok(Callback { env, reference })
    }

    /// The method of this name of an object.
    pub fn method(env: sys::napi_env, object: Value, name: &str) -> Result<Callback> {
        let key = text(env, name)?;
        let mut function = ptr::null_mut();
        // SAFETY: both are live values.
        check(unsafe { sys::napi_get_property(env, object, key, &mut function) }, name)?;
        Callback::new(env, function)
    }

    /// Calls it. What it throws becomes an uncaught exception, and `None` is returned.
    pub fn call(&self, arguments: &[Value]) -> Option<Value> {
        let (mut function, mut this, mut result) = (ptr::null_mut(), ptr::null_mut(), ptr::null_mut());
        // SAFETY: on the JavaScript thread, within a scope; the arguments are live values.
        let status = unsafe {
            sys::napi_get_reference_value(self.env, self.reference, &mut function);
            sys::napi_get_undefined(self.env, &mut this);
            sys::napi_call_function(
                self.env,
                this,
                function,
                arguments.len(),
                arguments.as_ptr(),
                &mut result,
            )
        };
        if status != sys::Status::napi_ok {
            throw_pending(self.env);
            return None;
        }
        Some(result)
    }
}

impl Drop for Callback {
    fn drop(&mut self) {
        // SAFETY: made in `new`, deleted once, on the JavaScript thread.
        unsafe { sys::napi_delete_reference(self.env, self.reference) };
    }
}

pub fn text(env: sys::napi_env, text: &str) -> Result<Value> {
    let mut value = ptr::null_mut();
    // SAFETY: pointer and length are of one string, which is copied.
    let status =
        unsafe { sys::napi_create_string_utf8(env, text.as_ptr().cast(), text.len() as isize, &mut value) };
    check(status, "no string")?;
    Ok(value)
}

pub fn number(env: sys::napi_env, number: f64) -> Value {
    let mut value = ptr::null_mut();
    // SAFETY: cannot fail for a live environment.
    unsafe { sys::napi_create_double(env, number, &mut value) };
    value
}

/// JavaScript's `null`.
pub fn null(env: sys::napi_env) -> Value {
    let mut value = ptr::null_mut();
    // SAFETY: cannot fail for a live environment.
    unsafe { sys::napi_get_null(env, &mut value) };
    value
}

/// A number, if it is one.
pub fn as_number(env: sys::napi_env, value: Value) -> Option<f64> {
    let mut number = 0.0;
    // SAFETY: `value` is a live value; what is no number is refused.
    let status = unsafe { sys::napi_get_value_double(env, value, &mut number) };
    (status == sys::Status::napi_ok).then_some(number)
}

/// A list of numbers.
pub fn number_list(env: sys::napi_env, numbers: impl Iterator<Item = f64>) -> Result<Value> {
    let mut list = ptr::null_mut();
    // SAFETY: cannot fail for a live environment.
    check(unsafe { sys::napi_create_array(env, &mut list) }, "no array")?;
    for (index, field) in (0..).zip(numbers) {
        // SAFETY: both are live values.
        check(unsafe { sys::napi_set_element(env, list, index, number(env, field)) }, "no element")?;
    }
    Ok(list)
}

/// The numbers of a list.
pub fn read_numbers(env: sys::napi_env, list: Value) -> Result<Vec<u32>> {
    let mut length = 0;
    // SAFETY: `list` is a live value; what is not an array is refused.
    check(unsafe { sys::napi_get_array_length(env, list, &mut length) }, "not a list")?;
    (0..length).map(|index| unsigned(env, element(env, list, index)?)).collect()
}

/// A text or `null`.
pub fn optional_text(env: sys::napi_env, content: Option<&str>) -> Value {
    content.and_then(|content| text(env, content).ok()).unwrap_or_else(|| null(env))
}

/// A `Buffer` with a copy of these bytes.
pub fn buffer(env: sys::napi_env, bytes: &[u8]) -> Result<Value> {
    let mut value = ptr::null_mut();
    // SAFETY: pointer and length are of one slice, which is copied.
    let status = unsafe {
        sys::napi_create_buffer_copy(env, bytes.len(), bytes.as_ptr().cast(), ptr::null_mut(), &mut value)
    };
    check(status, "no buffer")?;
    Ok(value)
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

/// Lets go of what a part that is not wanted has brought along.
pub fn discard(part: &Part<'_>, arrived: &Arrived) {
    if part.header.encoding == Encoding::Shared {
        drop(arrived.take());
    }
}

/// A buffer that is the shared memory itself.
fn shared_buffer(env: sys::napi_env, part: &Part<'_>, arrived: &Arrived) -> Result<Value> {
    let fail = |what: &str| napi::Error::from_reason(what.to_owned());
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
    // Where memory of one's own is not allowed for buffers.
    // SAFETY: a live mapping of this length, sealed against writers.
    buffer(env, unsafe { std::slice::from_raw_parts(mapped.as_ptr(), mapped.len()) })
}

/// The finalizer of a shared buffer.
unsafe extern "C" fn unmap(_env: sys::napi_env, _data: *mut c_void, hint: *mut c_void) {
    // SAFETY: `hint` is the box that `shared_buffer` has given away, and this is called once.
    drop(unsafe { Box::from_raw(hint.cast::<MappedBytes>()) });
}

/// A flat list of parts, as `lib/codec.js` reads them.
pub fn part_list<'a>(
    env: sys::napi_env,
    parts: impl Iterator<Item = Part<'a>>,
    arrived: &Arrived,
) -> Result<Value> {
    let mut list = ptr::null_mut();
    // SAFETY: cannot fail for a live environment.
    check(unsafe { sys::napi_create_array(env, &mut list) }, "no array")?;
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
            // SAFETY: both are live values.
            check(unsafe { sys::napi_set_element(env, list, length, field) }, "no element")?;
            length += 1;
        }
    }
    Ok(list)
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

/// From here on bytes cost less through shared memory than through the socket.
const LEAST_SHARED: usize = 256 * 1024;

/// Appends parts, as `lib/codec.js` makes them, to a frame. `room`: how many of them may be put into shared memory.
pub fn write_parts(
    env: sys::napi_env,
    parts: &Passed,
    frame: &mut FrameWriter,
    room: usize,
) -> Result<WrittenParts> {
    let mut written = WrittenParts::default();
    let list = match *parts {
        Passed::List(list) => list,
        Passed::Single(header, value) => {
            write_part(env, header, value, frame, room, &mut written)?;
            return Ok(written);
        }
        Passed::Nothing => return Ok(written),
    };
    let mut length = 0;
    // SAFETY: `list` is a live value; what is not an array is refused.
    check(unsafe { sys::napi_get_array_length(env, list, &mut length) }, "parts are no list")?;
    for start in (0..length).step_by(PART_FIELDS as usize) {
        let field = |index: u32| -> Result<u32> { unsigned(env, element(env, list, start + index)?) };
        let header = PartHeader {
            encoding: Encoding::from_script(field(0)?),
            codec: field(1)? as u8,
            flags: field(2)? as u16,
            calls: field(3)?,
            tag: field(4)?,
        };
        write_part(env, header, element(env, list, start + 5)?, frame, room, &mut written)?;
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
    let shared = (header.encoding == Encoding::Bytes && written.shared.len() < room)
        .then(|| share(env, value))
        .transpose()?
        .flatten();
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

fn element(env: sys::napi_env, list: Value, index: u32) -> Result<Value> {
    let mut value = ptr::null_mut();
    // SAFETY: `list` is a live array.
    check(unsafe { sys::napi_get_element(env, list, index, &mut value) }, "no element")?;
    Ok(value)
}

fn unsigned(env: sys::napi_env, value: Value) -> Result<u32> {
    let mut number = 0;
    // SAFETY: `value` is a live value; what is no number is refused.
    check(unsafe { sys::napi_get_value_uint32(env, value, &mut number) }, "not a number")?;
    Ok(number)
}

/// Copies a large buffer into shared memory; `None` where it is not worth it, or cannot be had.
fn share(env: sys::napi_env, value: Value) -> Result<Option<(OwnedFd, usize)>> {
    let bytes = bytes_of(env, value)?;
    if bytes.len() < LEAST_SHARED {
        return Ok(None);
    }
    Ok(sealed_copy(bytes).ok().map(|memory| (memory, bytes.len())))
}

/// The memory of a buffer, which nothing can change while we are on its thread and do not call JavaScript.
fn bytes_of<'a>(env: sys::napi_env, value: Value) -> Result<&'a [u8]> {
    let (mut data, mut length): (*mut c_void, usize) = (ptr::null_mut(), 0);
    // SAFETY: `value` is a live value; what is no buffer is refused.
    check(unsafe { sys::napi_get_buffer_info(env, value, &mut data, &mut length) }, "not a buffer")?;
    if length == 0 {
        return Ok(&[]);
    }
    // SAFETY: the buffer's memory; its callers copy it at once.
    Ok(unsafe { std::slice::from_raw_parts(data.cast::<u8>(), length) })
}

/// Copies a string's characters or a buffer's bytes to the end of `target`: the one copy on this side.
fn append_value(env: sys::napi_env, encoding: Encoding, value: Value, target: &mut Vec<u8>) -> Result<()> {
    let start = target.len();
    match encoding {
        Encoding::Bytes | Encoding::Shared => target.extend_from_slice(bytes_of(env, value)?),
        Encoding::Utf16 => append_wide_string(env, value, target)?,
        Encoding::Latin1 | Encoding::Utf8 => {
            let read = match encoding {
                Encoding::Latin1 => sys::napi_get_value_string_latin1,
                _ => sys::napi_get_value_string_utf8,
            };
            let mut length = 0usize;
            // SAFETY: `value` is a live value; without a buffer only the length is asked for.
            check(unsafe { read(env, value, ptr::null_mut(), 0, &mut length) }, "not a string")?;
            // One more, for the NUL that napi writes.
            target.reserve(length + 1);
            let room = target.spare_capacity_mut();
            // SAFETY: `room` has at least `length + 1` bytes, and napi writes no more than that.
            unsafe {
                let mut copied = 0;
                check(read(env, value, room.as_mut_ptr().cast(), length + 1, &mut copied), "not a string")?;
                target.set_len(start + copied.min(length));
            }
        }
    }
    Ok(())
}

/// The memory of a `Uint32Array` of this length, which does not move, and a reference that keeps it.
pub fn kept_words(
    env: sys::napi_env,
    array: Value,
    expected: usize,
) -> Result<(NonNull<c_void>, sys::napi_ref)> {
    let (mut kind, mut length, mut data) = (0, 0, ptr::null_mut());
    // SAFETY: `array` is a live value; what is no typed array is refused.
    let status = unsafe {
        sys::napi_get_typedarray_info(
            env,
            array,
            &mut kind,
            &mut length,
            &mut data,
            ptr::null_mut(),
            ptr::null_mut(),
        )
    };
    check(status, "no typed array")?;
    let is_right = kind == sys::TypedarrayType::uint32_array && length == expected;
    let words = NonNull::new(data).filter(|_| is_right);
    let words = words.ok_or_else(|| napi::Error::from_reason(format!("not {expected} words of 32 bits")))?;
    let mut reference = ptr::null_mut();
    // SAFETY: a live value. The reference keeps the array, and so its memory.
    check(unsafe { sys::napi_create_reference(env, array, 1, &mut reference) }, "no reference")?;
    Ok((words, reference))
}

/// Turns an I/O error into an exception.
pub fn io_error(what: &str, error: &std::io::Error) -> napi::Error {
    napi::Error::new(Status::GenericFailure, format!("{what}: {error}"))
}
