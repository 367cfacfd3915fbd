//! The page that JavaScript here shares with one of its threads, in memory of a `SharedArrayBuffer`.
//!
//! `lib/transport/ring.js` puts frames there and takes them. Here is only what has to be done while JavaScript
//! does not run: to say that the page is looked at, and to look.
//!
//! Called by the carrier to threads. Must not depend on what the frames are.

use std::cell::Cell;
use std::sync::atomic::{AtomicU32, Ordering};

use napi::{Result, sys};

use crate::binding::js::{KeptWords, Value};
use crate::channel::page::{
    ASLEEP, AWAKE, AWAKENESS, LAST_BEGUN, SHARED_WORDS, THREAD_ID, TO_PARENT, TO_WORKER, has_frame,
};
use crate::woken::Woken;

/// The parent's end of it.
pub struct ScriptPage {
    words: KeptWords<AtomicU32, SHARED_WORDS>,
    /// What the thread was last woken for.
    woken: Cell<Option<Woken>>,
}

impl ScriptPage {
    /// Takes a `Uint32Array` of shared memory.
    pub fn new(env: sys::napi_env, array: Value) -> Result<ScriptPage> {
        Ok(ScriptPage { words: KeptWords::new(env, array)?, woken: Cell::default() })
    }

    /// Tells the thread whether [`ScriptPage::has_pending`] is looked at before this thread sleeps.
    pub fn set_awake(&self, awake: bool) {
        let word = &self.words.words()[TO_PARENT + AWAKENESS];
        let state = if awake { AWAKE } else { ASLEEP };
        // What is so already need not cost the thread its cached copy.
        if word.load(Ordering::SeqCst) != state {
            word.store(state, Ordering::SeqCst);
        }
    }

    /// The thread that a chunk wakes which begins with this call, where it is known to sleep. It is kept in mind.
    pub fn wakes(&self, seq: u32) -> Option<i32> {
        let word = |index: usize| self.words.words()[index].load(Ordering::SeqCst);
        let sleeper = self.thread().filter(|_| word(TO_WORKER + AWAKENESS) == ASLEEP);
        if let Some(thread) = sleeper {
            self.woken.set(Some(Woken::new(thread, seq)));
        }
        sleeper
    }

    /// The thread, if it was woken and has not begun what it was woken for.
    pub fn waits(&self) -> Option<Woken> {
        let last_begun = self.words.words()[LAST_BEGUN].load(Ordering::SeqCst);
        self.woken.get().filter(|woken| woken.waits(last_begun))
    }

    /// The thread, where the system's number for it is known.
    pub fn thread(&self) -> Option<i32> {
        let id = self.words.words()[THREAD_ID].load(Ordering::SeqCst);
        i32::try_from(id).ok().filter(|&id| id > 0)
    }

    /// Whether the thread has put a frame there that could be taken.
    pub fn has_pending(&self) -> bool {
        has_frame(TO_PARENT, |index| self.words.words()[index].load(Ordering::SeqCst))
    }
}
