//! The page that JavaScript here shares with one of its threads: memory of a `SharedArrayBuffer`.
//!
//! `lib/slot.js` puts frames there and takes them. What is done here is what has to be done while JavaScript does not run:
//! to say that it is looked at, and to look.

use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};

use napi::{Result, sys};

use super::javascript::{Value, kept_words};
use crate::channel::page::{PAGE_WORDS, POLLED, STATE, TO_PARENT, holds_frame};

pub struct ScriptPage {
    env: sys::napi_env,
    reference: sys::napi_ref,
    words: NonNull<AtomicU32>,
}

impl ScriptPage {
    /// Takes a `Uint32Array` of shared memory.
    pub fn new(env: sys::napi_env, array: Value) -> Result<ScriptPage> {
        let (words, reference) = kept_words(env, array, PAGE_WORDS)?;
        Ok(ScriptPage { env, reference, words: words.cast() })
    }

    fn words(&self) -> &[AtomicU32; PAGE_WORDS] {
        // SAFETY: so many words, aligned as such, as long as the reference is held. JavaScript of both threads writes to
        // them, as whole aligned words: atomics allow for that.
        unsafe { self.words.cast().as_ref() }
    }

    /// Says whether [`ScriptPage::has_come`] is looked at without pause.
    pub fn poll(&self, polls: bool) {
        self.words()[TO_PARENT + POLLED].store(polls.into(), Ordering::SeqCst);
    }

    /// Whether the thread has put a frame there.
    pub fn has_come(&self) -> bool {
        holds_frame(self.words()[TO_PARENT + STATE].load(Ordering::SeqCst))
    }
}

impl Drop for ScriptPage {
    fn drop(&mut self) {
        // SAFETY: made in `new`, deleted once, on the JavaScript thread.
        unsafe { sys::napi_delete_reference(self.env, self.reference) };
    }
}
