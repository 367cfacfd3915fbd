//! A slot in the shared page for one frame in each direction: a frame reaches whoever polls it without a system call on
//! either side.
//!
//! Called by the channel beside it. Must not depend on what a frame is for. Both ends also have the socket, over which
//! everything else goes.
//!
//! 1. A receiver says that it polls ([`Slot::set_polling`]), watches the state word, and takes what is there. Before it
//!    goes to sleep it says that it no longer polls, and looks once more.
//! 2. A sender puts a frame there if the receiver polls, the slot is empty, and nothing of its own waits for the
//!    socket. With it goes how many bytes it had written to the socket: the frame's place in the stream.
//! 3. Then it looks whether the receiver still polls. If not, it takes the frame back and sends it through the socket;
//!    if it cannot take it back, the receiver has it.
//! 4. Whether a frame is taken or taken back is decided by who first replaces the state that it was put there with;
//!    each state has a number of its own, so that none is mistaken for a later one.
//!
//! Nothing that the other end writes is trusted: lengths are checked, and bytes are copied before they are read.
//! [`page`](super::page) has the words.

use std::sync::Arc;

use super::page::{
    BYTES, LENGTH_BITS, LENGTH_MASK, PLACE, POLLED, SLOT_LEN, STATE, TO_PARENT, TO_WORKER, emptied,
    holds_frame,
};
use crate::platform::SharedPage;

/// Which end of the channel this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Parent,
    Worker,
}

/// One end of both directions.
#[derive(Debug)]
pub struct Slot {
    page: Arc<SharedPage>,
    outgoing: usize,
    incoming: usize,
    /// Frames put there so far; wraps.
    count: u32,
}

/// A frame, and how many bytes of the socket's stream come before it.
#[derive(Debug, PartialEq, Eq)]
pub struct Placed {
    pub before: u64,
    pub bytes: Vec<u8>,
}

/// The other end has written what no honest one does.
#[derive(Debug, PartialEq, Eq)]
pub struct Corrupt;

/// The state that a frame was seen in, to claim it by.
#[derive(Debug)]
pub struct Claim(u32);

impl Slot {
    /// The page has [`PAGE_WORDS`](super::page::PAGE_WORDS) words.
    pub fn new(page: Arc<SharedPage>, end: End) -> Slot {
        let (outgoing, incoming) = match end {
            End::Parent => (TO_WORKER, TO_PARENT),
            End::Worker => (TO_PARENT, TO_WORKER),
        };
        Slot { page, outgoing, incoming, count: 0 }
    }

    /// Says whether this end watches its slot.
    pub fn set_polling(&self, polling: bool) {
        self.page.store(self.incoming + POLLED, polling.into());
    }

    /// Whether a frame is there.
    pub fn is_full(&self) -> bool {
        holds_frame(self.page.load(self.incoming + STATE))
    }

    /// Puts a frame there that comes after so many bytes of the stream, if the other end polls. Returns whether it
    /// went.
    pub fn send(&mut self, frame: &[u8], before: u64) -> bool {
        let (page, at) = (&*self.page, self.outgoing);
        if frame.is_empty()
            || frame.len() > SLOT_LEN
            || page.load(at + POLLED) == 0
            || holds_frame(page.load(at + STATE))
        {
            return false;
        }
        page.store_relaxed(at + PLACE, before as u32);
        page.store_relaxed(at + PLACE + 1, (before >> 32) as u32);
        for (word, bytes) in (at + BYTES..).zip(frame.chunks(size_of::<u32>())) {
            let mut whole = [0; size_of::<u32>()];
            whole[..bytes.len()].copy_from_slice(bytes);
            page.store_relaxed(word, u32::from_ne_bytes(whole));
        }
        self.count = self.count.wrapping_add(1);
        let state = self.count << LENGTH_BITS | frame.len() as u32;
        page.store(at + STATE, state);
        // A receiver that has stopped polling may have looked for the last time before the frame was there.
        page.load(at + POLLED) != 0 || !page.replace(at + STATE, state, emptied(state))
    }

    /// The frame that is there, if there is one; it stays until it is claimed.
    pub fn peek(&self) -> Result<Option<(Placed, Claim)>, Corrupt> {
        let (page, at) = (&*self.page, self.incoming);
        let state = page.load(at + STATE);
        let length = (state & LENGTH_MASK) as usize;
        if length == 0 {
            return Ok(None);
        }
        if length > SLOT_LEN {
            return Err(Corrupt);
        }
        let before = u64::from(page.load_relaxed(at + PLACE))
            | u64::from(page.load_relaxed(at + PLACE + 1)) << u32::BITS;
        let words = at + BYTES..at + BYTES + length.div_ceil(size_of::<u32>());
        let mut bytes: Vec<u8> = words.flat_map(|word| page.load_relaxed(word).to_ne_bytes()).collect();
        bytes.truncate(length);
        Ok(Some((Placed { before, bytes }, Claim(state))))
    }

    /// Takes the frame that was peeked at. Returns whether it was still there.
    pub fn take(&self, claim: Claim) -> bool {
        self.page.replace(self.incoming + STATE, claim.0, emptied(claim.0))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;

    use super::*;
    use crate::channel::page::PAGE_LEN;
    use crate::platform::shared_page;

    fn ends() -> (Slot, Slot) {
        let page = SharedPage::map(shared_page(PAGE_LEN).unwrap(), PAGE_LEN).unwrap();
        let page = Arc::new(page);
        (Slot::new(page.clone(), End::Parent), Slot::new(page, End::Worker))
    }

    fn take(slot: &Slot) -> Option<Placed> {
        let (placed, claim) = slot.peek().unwrap()?;
        slot.take(claim).then_some(placed)
    }

    #[test]
    fn a_frame_goes_to_who_polls_and_to_nobody_else() {
        let (mut parent, mut worker) = ends();
        assert!(!parent.send(b"one", 7));
        worker.set_polling(true);
        assert!(parent.send(b"one", 1 << 40));
        assert!(worker.is_full() && !parent.is_full());
        assert!(!parent.send(b"two", 7), "there is room for one");
        assert!(!worker.send(b"back", 7), "the parent does not poll");
        assert_eq!(take(&worker), Some(Placed { before: 1 << 40, bytes: b"one".to_vec() }));
        assert_eq!(take(&worker), None);
        assert!(parent.send(&[5; SLOT_LEN], 7));
        assert_eq!(take(&worker).map(|placed| placed.bytes), Some(vec![5; SLOT_LEN]));
        assert!(!parent.send(&[5; SLOT_LEN + 1], 7) && !parent.send(b"", 7));
        parent.set_polling(true);
        assert!(worker.send(b"back", 7) && parent.is_full());
    }

    #[test]
    fn what_was_taken_back_is_not_taken() {
        let (mut parent, worker) = ends();
        worker.set_polling(true);
        assert!(parent.send(b"one", 0));
        let (_, claim) = worker.peek().unwrap().unwrap();
        assert!(parent.page.replace(TO_WORKER + STATE, claim.0, emptied(claim.0)));
        assert!(parent.send(b"one", 0), "the same again");
        assert!(!worker.take(claim), "it is another one");
        assert!(worker.is_full());
    }

    #[test]
    fn a_length_is_not_believed() {
        let (parent, worker) = ends();
        parent.page.store(TO_WORKER + STATE, SLOT_LEN as u32 + 1);
        assert_eq!(worker.peek().unwrap_err(), Corrupt);
    }

    #[test]
    fn each_frame_arrives_once_whoever_stops_polling() {
        let (mut parent, worker) = ends();
        let done = AtomicBool::new(false);
        let (mut taken_back, mut taken) = (Vec::new(), Vec::new());
        thread::scope(|scope| {
            let receiver = scope.spawn(|| {
                let mut taken = Vec::new();
                while !done.load(Ordering::SeqCst) {
                    worker.set_polling(true);
                    for _ in 0..20 {
                        taken.extend(take(&worker));
                    }
                    worker.set_polling(false);
                    taken.extend(take(&worker));
                }
                taken.extend(take(&worker));
                taken
            });
            for number in 0..200_000u64 {
                if !parent.send(&number.to_le_bytes().repeat(9), number) {
                    taken_back.push(number);
                }
            }
            done.store(true, Ordering::SeqCst);
            taken = receiver.join().unwrap();
        });
        assert!(taken.iter().all(|placed| placed.bytes == placed.before.to_le_bytes().repeat(9)));
        let mut all: Vec<u64> = taken.iter().map(|placed| placed.before).chain(taken_back).collect();
        all.sort_unstable();
        assert!(all.into_iter().eq(0..200_000));
    }
}
