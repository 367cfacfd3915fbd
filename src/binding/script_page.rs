//! The page that JavaScript here shares with one of its threads: memory of a `SharedArrayBuffer`.
//!
//! `lib/slot.js` puts frames there and takes them. What is done here is what has to be done while JavaScript does not run:
//! to say that it is looked at, and to look.

use std::ffi::c_void;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU32, Ordering};

use napi::{Error, Result, sys};

use super::event_loop::check;
use super::javascript::Value;
use crate::channel::slot::{PAGE_WORDS, PARENT_POLLS, PARENT_STATE, holds_frame};

pub struct ScriptPage {
    env: sys::napi_env,
    reference: sys::napi_ref,
    words: NonNull<AtomicU32>,
}

impl ScriptPage {
    /// Takes a `Uint32Array` of shared memory.
    pub fn new(env: sys::napi_env, array: Value) -> Result<ScriptPage> {
        let (mut kind, mut length, mut data) = (0, 0, ptr::null_mut::<c_void>());
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
        check(status, "a page is no typed array")?;
        let is_page = kind == sys::TypedarrayType::uint32_array && length == PAGE_WORDS;
        let words = NonNull::new(data.cast()).filter(|_| is_page);
        let words =
            words.ok_or_else(|| Error::from_reason(format!("a page is {PAGE_WORDS} words of 32 bits")))?;
        let mut reference = ptr::null_mut();
        // SAFETY: a live value. The reference keeps the array, and so its memory, which does not move.
        check(unsafe { sys::napi_create_reference(env, array, 1, &mut reference) }, "no reference")?;
        Ok(ScriptPage { env, reference, words })
    }

    fn words(&self) -> &[AtomicU32; PAGE_WORDS] {
        // SAFETY: so many words, aligned as such, as long as the reference is held. JavaScript of both threads writes to
        // them, as whole aligned words: atomics allow for that.
        unsafe { self.words.cast().as_ref() }
    }

    /// Says whether [`ScriptPage::has_come`] is looked at without pause.
    pub fn poll(&self, polls: bool) {
        self.words()[PARENT_POLLS].store(polls.into(), Ordering::SeqCst);
    }

    /// Whether the thread has put a frame there.
    pub fn has_come(&self) -> bool {
        holds_frame(self.words()[PARENT_STATE].load(Ordering::SeqCst))
    }
}

impl Drop for ScriptPage {
    fn drop(&mut self) {
        // SAFETY: made in `new`, deleted once, on the JavaScript thread.
        unsafe { sys::napi_delete_reference(self.env, self.reference) };
    }
}
