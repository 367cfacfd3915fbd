//! What belongs to one thread: this end of the rings in memory that both share, and what is known of its port, which is
//! JavaScript's.
//!
//! Called by the carrier to threads. Must not depend on how frames are made or handled.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::atomic::AtomicU32;

use napi::{Error, Result, sys};

use super::page_words;
use crate::binding::js::{KeptWords, Value, element, list_length};
use crate::channel::page::{LAST_BEGUN, SHARED_WORDS, THREAD_ID, WAITING};
use crate::channel::{Corrupt, End, Ring, Shared, Taken};
use crate::pace::Waiting;
use crate::platform::SharedWords;
use crate::protocol::{PORT_COUNTS, POSTED_COUNT, RECEIVED_COUNT};
use crate::woken::Woken;

/// The words of a `SharedArrayBuffer`.
pub type ThreadPage = KeptWords<AtomicU32, SHARED_WORDS>;

pub struct ThreadLink {
    ring: Ring<Rc<ThreadPage>>,
    /// How many frames went through the port, as JavaScript counts them.
    counts: KeptWords<Cell<u32>, PORT_COUNTS>,
    /// What it was last woken for.
    woken: Option<Woken>,
    /// Whether its frames are being handled, so that whoever else comes upon them leaves them alone.
    is_lent: bool,
    /// Whether it has put something there that is no frame: nothing is taken any more.
    is_corrupt: bool,
    /// Bytes sent and received here.
    traffic: (u64, u64),
}

impl ThreadLink {
    /// Takes a list of the shared page and the counts of the port, each as a `Uint32Array`.
    pub fn new(env: sys::napi_env, shared: Value) -> Result<ThreadLink> {
        // Nothing where the thread could not be started.
        if list_length(env, shared)? != 2 {
            return Err(Error::from_reason("not the page and the counts of a thread"));
        }
        let page = Rc::new(ThreadPage::new(env, element(env, shared, 0)?)?);
        let counts = KeptWords::new(env, element(env, shared, 1)?)?;
        let ring = Ring::new(page, End::Parent);
        Ok(ThreadLink { ring, counts, woken: None, is_lent: false, is_corrupt: false, traffic: (0, 0) })
    }

    pub fn page(&self) -> &ThreadPage {
        self.ring.page()
    }

    pub fn traffic(&self) -> (u64, u64) {
        self.traffic
    }

    // ---- Frames -----------------------------------------------------------------------------------------

    /// Tells the thread whether [`ThreadLink::has_pending`] is looked at before this one sleeps.
    pub fn set_awake(&self, awake: bool) {
        self.ring.set_awake(awake);
    }

    /// Whether a frame is in the ring that could be taken.
    pub fn has_pending(&self) -> bool {
        !self.is_corrupt && self.ring.has_pending()
    }

    /// Lends out what is in the ring; false while it is lent already.
    pub fn lend(&mut self) -> bool {
        !std::mem::replace(&mut self.is_lent, true)
    }

    pub fn give_back(&mut self) {
        self.is_lent = false;
    }

    /// Takes nothing more: the thread is given up.
    pub fn stop_reading(&mut self) {
        self.is_corrupt = true;
    }

    /// Up to where there are frames in the ring.
    pub fn end(&self) -> u32 {
        self.ring.end()
    }

    /// Whether one of them was not taken.
    pub fn is_before(&self, end: u32) -> bool {
        self.ring.is_before(end)
    }

    /// Takes the next frame out of the ring, if it is its turn. The bytes of a short answer are in place of a frame.
    pub fn take(&mut self, frame: &mut Vec<u8>) -> std::result::Result<Option<Shared>, Corrupt> {
        if self.is_corrupt {
            return Ok(None);
        }
        let received = self.counts.words()[RECEIVED_COUNT].get();
        let shared = match self.ring.take(received, true, frame)? {
            Taken::Frame => Shared::Frame,
            Taken::Answer(answer) => Shared::Answer(answer),
            Taken::Early | Taken::Nothing => return Ok(None),
        };
        self.traffic.1 += frame.len() as u64;
        Ok(Some(shared))
    }

    /// Publishes a frame, if the thread is awake and there is room; otherwise it is to be posted, which wakes it.
    pub fn send(&mut self, frame: &[u8]) -> bool {
        let posted = self.counts.words()[POSTED_COUNT].get();
        let is_sent = !self.ring.must_wake() && self.ring.send(frame, posted);
        self.traffic.0 += if is_sent { frame.len() as u64 } else { 0 };
        is_sent
    }

    /// Whether the thread sleeps and nobody has woken it yet: now it is for the caller to do so.
    pub fn must_wake(&self) -> bool {
        self.ring.must_wake()
    }

    /// Counts bytes that are sent through the port.
    pub fn count_sent(&mut self, bytes: u64) {
        self.traffic.0 += bytes;
    }

    // ---- Words of the page ------------------------------------------------------------------------------

    /// The number of the call that the thread began last.
    pub fn last_begun(&self) -> u32 {
        self.page().load(LAST_BEGUN)
    }

    /// Says how the thread is to wait after its work.
    pub fn set_waiting(&self, waiting: Waiting) {
        self.page().store(WAITING, waiting as u32);
    }

    /// Publishes the calls `from <= seq < until` as recalled, and returns the number of the one begun last.
    pub fn recall(&self, from: u32, until: u32) -> u32 {
        page_words::recall(self.page(), from, until)
    }

    /// Says that a message which counts so much was handled.
    pub fn count_taken(&self, size: u32) {
        page_words::count_taken(self.page(), size);
    }

    /// The thread that a chunk wakes which begins with this call, where it is known to sleep. It is kept in mind.
    pub fn wakes(&mut self, seq: u32) -> Option<i32> {
        let sleeper = self.thread().filter(|_| page_words::is_asleep(self.page()));
        if let Some(thread) = sleeper {
            self.woken = Some(Woken::new(thread, seq));
        }
        sleeper
    }

    /// The thread, if it was woken and has not begun what it was woken for.
    pub fn waits(&self) -> Option<Woken> {
        self.woken.filter(|woken| woken.waits(self.last_begun()))
    }

    /// The thread, where the system's number for it is known.
    pub fn thread(&self) -> Option<i32> {
        i32::try_from(self.page().load(THREAD_ID)).ok().filter(|&id| id > 0)
    }
}
