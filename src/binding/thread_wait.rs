//! How a worker thread waits for its next call where all threads share one CPU.
//!
//! Called by `lib/worker/thread.js`, in the thread. Must not keep anything of its environment: a thread may be ended at
//! any time. (What napi-rs keeps of each thread that loads the addon, it gives up itself.)

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use napi::bindgen_prelude::Unknown;
use napi::{Env, JsValue, Result};
use napi_derive::napi;

use super::js::with_words;
use crate::channel::page::{SENT_COUNT, SHARED_WORDS, TO_WORKER, has_frame};
use crate::stay_awake::give_way;

/// Has other threads run until the parent has put something in this page, or posted calls of which this thread has not
/// `received` the message. Returns a `Waited`, see `src/pace.rs`.
#[napi(catch_unwind, js_name = "giveWay")]
pub fn give_way_in_thread(env: Env, page: Unknown<'_>, received: u32) -> Result<u32> {
    with_words(env.raw(), page.raw(), |words: &[AtomicU32; SHARED_WORDS]| {
        let word = |index: usize| words[index].load(Ordering::SeqCst);
        // The count wraps, and a message may be received before it is counted.
        let is_posted = || word(SENT_COUNT).wrapping_sub(received).cast_signed() > 0;
        let epoch = Instant::now();
        give_way(|| epoch.elapsed(), || has_frame(TO_WORKER, word) || is_posted()) as u32
    })
}
