//! JavaScript values made and read: strings, numbers, lists, buffers.
//!
//! Called by the rest of `js`, and by whoever passes arguments. Must not depend on what the values mean.

use std::ffi::c_void;
use std::{ptr, slice};

use napi::{Error, Result, sys};

use super::status::{assert_ok, check};

/// A value that is good until the current call or scope ends.
pub type Value = sys::napi_value;

/// A string.
pub fn text(env: sys::napi_env, text: &str) -> Result<Value> {
    let mut value = ptr::null_mut();
    // SAFETY: pointer and length are of one string, which is copied.
    let status =
        unsafe { sys::napi_create_string_utf8(env, text.as_ptr().cast(), text.len() as isize, &mut value) };
    check(status, "no string")?;
    Ok(value)
}

/// A string, or `null`.
pub fn optional_text(env: sys::napi_env, content: Option<&str>) -> Value {
    content.and_then(|content| text(env, content).ok()).unwrap_or_else(|| null(env))
}

pub fn number(env: sys::napi_env, number: f64) -> Value {
    let mut value = ptr::null_mut();
    // SAFETY: the environment is live and `value` a place for the result: nothing else is asked for.
    assert_ok(unsafe { sys::napi_create_double(env, number, &mut value) });
    value
}

/// JavaScript's `null`.
pub fn null(env: sys::napi_env) -> Value {
    let mut value = ptr::null_mut();
    // SAFETY: the environment is live and `value` a place for the result: nothing else is asked for.
    assert_ok(unsafe { sys::napi_get_null(env, &mut value) });
    value
}

/// JavaScript's `undefined`.
pub fn undefined(env: sys::napi_env) -> Value {
    let mut value = ptr::null_mut();
    // SAFETY: the environment is live and `value` a place for the result: nothing else is asked for.
    assert_ok(unsafe { sys::napi_get_undefined(env, &mut value) });
    value
}

/// A number, if it is one.
pub fn as_number(env: sys::napi_env, value: Value) -> Option<f64> {
    let mut number = 0.0;
    // SAFETY: `value` is a live value; what is no number is refused.
    let status = unsafe { sys::napi_get_value_double(env, value, &mut number) };
    (status == sys::Status::napi_ok).then_some(number)
}

/// A whole number of 32 bits.
pub fn unsigned(env: sys::napi_env, value: Value) -> Result<u32> {
    let mut number = 0;
    // SAFETY: `value` is a live value; what is no number is refused.
    check(unsafe { sys::napi_get_value_uint32(env, value, &mut number) }, "not a number")?;
    Ok(number)
}

/// An empty list.
pub fn new_list(env: sys::napi_env) -> Result<Value> {
    let mut list = ptr::null_mut();
    // SAFETY: the environment is live.
    check(unsafe { sys::napi_create_array(env, &mut list) }, "no array")?;
    Ok(list)
}

/// Sets an element of a list.
pub fn set_element(env: sys::napi_env, list: Value, index: u32, value: Value) -> Result<()> {
    // SAFETY: both are live values; what is no object is refused.
    check(unsafe { sys::napi_set_element(env, list, index, value) }, "no element")
}

pub fn element(env: sys::napi_env, list: Value, index: u32) -> Result<Value> {
    let mut value = ptr::null_mut();
    // SAFETY: `list` is a live value; what is no object is refused.
    check(unsafe { sys::napi_get_element(env, list, index, &mut value) }, "no element")?;
    Ok(value)
}

pub fn list_length(env: sys::napi_env, list: Value) -> Result<u32> {
    let mut length = 0;
    // SAFETY: `list` is a live value; what is no array is refused.
    check(unsafe { sys::napi_get_array_length(env, list, &mut length) }, "not a list")?;
    Ok(length)
}

/// A list of numbers.
pub fn number_list(env: sys::napi_env, numbers: impl Iterator<Item = f64>) -> Result<Value> {
    let list = new_list(env)?;
    for (index, field) in (0..).zip(numbers) {
        set_element(env, list, index, number(env, field))?;
    }
    Ok(list)
}

/// The numbers of a list.
pub fn read_numbers(env: sys::napi_env, list: Value) -> Result<Vec<u32>> {
    (0..list_length(env, list)?).map(|index| unsigned(env, element(env, list, index)?)).collect()
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

/// A typed array, as napi describes it.
pub struct TypedArray {
    pub kind: sys::napi_typedarray_type,
    /// Elements.
    pub length: usize,
    /// The first of them; null where there is none.
    pub data: *mut c_void,
    /// Whether other threads may have the same memory.
    pub is_shared: bool,
}

impl TypedArray {
    pub fn of(env: sys::napi_env, value: Value) -> Result<TypedArray> {
        let (mut kind, mut length, mut data) = (0, 0, ptr::null_mut());
        let (mut memory, mut is_own) = (ptr::null_mut(), false);
        // SAFETY: `value` is a live value; what is no typed array is refused.
        let status = unsafe {
            sys::napi_get_typedarray_info(
                env,
                value,
                &mut kind,
                &mut length,
                &mut data,
                &mut memory,
                ptr::null_mut(),
            )
        };
        check(status, "no typed array")?;
        // SAFETY: `memory` was just given as a live value. A `SharedArrayBuffer` is no `ArrayBuffer`.
        check(unsafe { sys::napi_is_arraybuffer(env, memory, &mut is_own) }, "no memory")?;
        Ok(TypedArray { kind, length, data, is_shared: !is_own })
    }
}

/// Calls `act` with the bytes of a `Buffer` or another `Uint8Array`. `act` must not call JavaScript.
///
/// Refuses shared memory, which another thread could write meanwhile.
pub fn with_bytes<R>(env: sys::napi_env, value: Value, act: impl FnOnce(&[u8]) -> R) -> Result<R> {
    let array = TypedArray::of(env, value)?;
    if array.kind != sys::TypedarrayType::uint8_array || array.is_shared {
        return Err(Error::from_reason("not a buffer with memory of its own"));
    }
    if array.length == 0 {
        return Ok(act(&[]));
    }
    // SAFETY: so many bytes, initialized as all memory of buffers is. Only JavaScript of this thread has them, and that
    // does not run before `act` is done: until then they are neither written nor freed nor detached.
    Ok(act(unsafe { slice::from_raw_parts(array.data.cast::<u8>(), array.length) }))
}
