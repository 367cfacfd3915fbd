//! Memory of a `Uint32Array` that both sides see, for one call or for as long as it is kept.
//!
//! Called by the registers and by both ends of the pages of threads. Must not depend on what the words mean.

use std::cell::Cell;
use std::ptr::{self, NonNull};
use std::sync::atomic::AtomicU32;

use napi::{Error, Result, sys};

use super::status::{assert_ok, check};
use super::values::{TypedArray, Value};
use crate::platform::SharedWords;

/// A type through which such a word is reached.
///
/// # Safety
/// It has the size and alignment of `u32`, any bits are valid, and the word may be written while a shared reference to
/// it exists: by JavaScript of this thread, and of other threads too where `MAY_BE_SHARED`.
pub unsafe trait Word {
    const MAY_BE_SHARED: bool;
}

// SAFETY: `Cell<u32>` has the layout of `u32`, and allows for writers on this thread.
unsafe impl Word for Cell<u32> {
    const MAY_BE_SHARED: bool = false;
}

// SAFETY: `AtomicU32` has the layout of `u32`, and allows for writers anywhere: whole aligned words are written.
unsafe impl Word for AtomicU32 {
    const MAY_BE_SHARED: bool = true;
}

/// Calls `act` with the `N` words of a `Uint32Array`. `act` must not call JavaScript.
pub fn with_words<W: Word, const N: usize, R>(
    env: sys::napi_env,
    array: Value,
    act: impl FnOnce(&[W; N]) -> R,
) -> Result<R> {
    let words = words_of(env, array)?;
    // SAFETY: so many words, aligned as V8 aligns every `Uint32Array`, and `W` allows for whoever else writes to them.
    // The caller's array keeps them until `act` is done, since no JavaScript of this thread runs before.
    Ok(act(unsafe { words.as_ref() }))
}

fn words_of<W: Word, const N: usize>(env: sys::napi_env, array: Value) -> Result<NonNull<[W; N]>> {
    let found = TypedArray::of(env, array)?;
    let is_right = found.kind == sys::TypedarrayType::uint32_array
        && found.length == N
        && (W::MAY_BE_SHARED || !found.is_shared);
    let words = NonNull::new(found.data.cast()).filter(|_| is_right);
    words.ok_or_else(|| Error::from_reason(format!("not {N} words of 32 bits")))
}

/// The words of an array, and a reference that keeps them.
pub struct KeptWords<W, const N: usize> {
    env: sys::napi_env,
    reference: sys::napi_ref,
    words: NonNull<[W; N]>,
}

impl<W: Word, const N: usize> KeptWords<W, N> {
    /// Takes a `Uint32Array` of `N` words. Nobody may detach or resize its memory.
    pub fn new(env: sys::napi_env, array: Value) -> Result<KeptWords<W, N>> {
        let words = words_of(env, array)?;
        let mut reference = ptr::null_mut();
        // SAFETY: a live value. The reference keeps the array, and so its memory.
        check(unsafe { sys::napi_create_reference(env, array, 1, &mut reference) }, "no reference")?;
        Ok(KeptWords { env, reference, words })
    }

    pub fn words(&self) -> &[W; N] {
        // SAFETY: `new` has found so many words there, aligned as V8 aligns every `Uint32Array`. They stay as long as
        // the reference does, and `W` allows for whoever else writes to them.
        unsafe { self.words.as_ref() }
    }
}

impl<const N: usize> SharedWords for KeptWords<AtomicU32, N> {
    fn words(&self) -> &[AtomicU32] {
        KeptWords::words(self)
    }
}

impl<W, const N: usize> Drop for KeptWords<W, N> {
    fn drop(&mut self) {
        // SAFETY: made in `new`, deleted once, on the JavaScript thread.
        assert_ok(unsafe { sys::napi_delete_reference(self.env, self.reference) });
    }
}
