//! The page that JavaScript here shares with one of its threads, in memory of a `SharedArrayBuffer`.
//!
//! `lib/transport/ring.js` puts frames there and takes them. Here is only what has to be done while JavaScript
//! does not run: to say that the page is looked at, and to look.
//!
//! Called by the carrier to threads. Must not depend on what the frames are.

use std::sync::atomic::{AtomicU32, Ordering};

use napi::{Result, sys};

use crate::binding::js::{KeptWords, Value};
use crate::channel::page::{
    ASLEEP, AWAKE, AWAKENESS, EARLY, HEAD, SHARED_WORDS, TAIL, THREAD_ID, TO_PARENT, TO_WORKER,
};

/// The parent's end of it.
pub struct ScriptPage(KeptWords<AtomicU32, SHARED_WORDS>);

impl ScriptPage {
    /// Takes a `Uint32Array` of shared memory.
    pub fn new(env: sys::napi_env, array: Value) -> Result<ScriptPage> {
        Ok(ScriptPage(KeptWords::new(env, array)?))
    }

    /// Tells the thread whether [`ScriptPage::has_pending`] is looked at before this thread sleeps.
    pub fn set_awake(&self, awake: bool) {
        let word = &self.0.words()[TO_PARENT + AWAKENESS];
        let state = if awake { AWAKE } else { ASLEEP };
        // What is so already need not cost the thread its cached copy.
        if word.load(Ordering::SeqCst) != state {
            word.store(state, Ordering::SeqCst);
        }
    }

    /// The thread to be woken, where it is known to sleep.
    pub fn sleeper(&self) -> Option<i32> {
        let word = |index: usize| self.0.words()[index].load(Ordering::SeqCst);
        let id = i32::try_from(word(THREAD_ID)).ok().filter(|&id| id > 0);
        id.filter(|_| word(TO_WORKER + AWAKENESS) == ASLEEP)
    }

    /// Whether the thread has put a frame there that could be taken.
    pub fn has_pending(&self) -> bool {
        let word = |index: usize| self.0.words()[TO_PARENT + index].load(Ordering::SeqCst);
        word(TAIL) != word(HEAD) && word(EARLY) == 0
    }
}
