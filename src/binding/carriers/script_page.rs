//! The page that JavaScript here shares with one of its threads, in memory of a `SharedArrayBuffer`.
//!
//! `lib/transport/slot.js` puts frames there and takes them. Here is only what has to be done while JavaScript
//! does not run: to say that the page is looked at, and to look.
//!
//! Called by the carrier to threads. Must not depend on what the frames are.

use std::sync::atomic::{AtomicU32, Ordering};

use napi::{Result, sys};

use crate::binding::js::{KeptWords, Value};
use crate::channel::page::{PAGE_WORDS, POLLED, STATE, TO_PARENT, holds_frame};

/// The parent's end of it.
pub struct ScriptPage(KeptWords<AtomicU32, PAGE_WORDS>);

impl ScriptPage {
    /// Takes a `Uint32Array` of shared memory.
    pub fn new(env: sys::napi_env, array: Value) -> Result<ScriptPage> {
        Ok(ScriptPage(KeptWords::new(env, array)?))
    }

    /// Tells the thread whether [`ScriptPage::has_pending`] is looked at without pause.
    pub fn set_polling(&self, polling: bool) {
        self.0.words()[TO_PARENT + POLLED].store(polling.into(), Ordering::SeqCst);
    }

    /// Whether the thread has put a frame there.
    pub fn has_pending(&self) -> bool {
        holds_frame(self.0.words()[TO_PARENT + STATE].load(Ordering::SeqCst))
    }
}
