//! The queue from the supervisor's thread to one event loop.
//!
//! 1. `push` appends an event, and wakes the loop if the queue was empty.
//! 2. The loop sees that the descriptor is readable and calls `drain`, which first clears the wake-up and then takes
//!    all events. One that is posted in between is taken too, and at worst leaves a wake-up that finds nothing; the
//!    other order could lose a wake-up.
//!
//! The loop may go away at any time. Events that are posted from then on are dropped with the last `Arc`.
//!
//! Must not depend on what the events mean.

use std::io;
use std::mem;
use std::os::fd::BorrowedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::output::Receipt;
use super::{ProcessEvent, Ticket};
use crate::platform::Waker;

/// An event, and the receipt by which its sender notices that it was taken.
pub(super) type Posted = (ProcessEvent, Option<Receipt>);

/// The events for one event loop.
#[derive(Debug)]
pub struct Mailbox {
    waker: Waker,
    /// In the order posted. Invariant: while there are any, the waker has been woken and not cleared since, or the loop
    /// is in `drain`.
    events: Mutex<Vec<Posted>>,
}

impl Mailbox {
    /// An empty mailbox; fails if there is no descriptor for the wake-ups.
    pub fn new() -> io::Result<Arc<Mailbox>> {
        Ok(Arc::new(Mailbox { waker: Waker::new()?, events: Mutex::default() }))
    }

    /// Readable while events wait.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.waker.fd()
    }

    /// Takes all events, in the order posted.
    pub fn drain(&self) -> Vec<ProcessEvent> {
        self.waker.clear();
        let events = mem::take(&mut *self.lock());
        events.into_iter().map(|(event, _receipt)| event).collect()
    }

    /// Moves the events of one process elsewhere, in the order posted. Their receipts stay with them.
    pub(super) fn take_of(&self, ticket: Ticket) -> Vec<Posted> {
        self.lock().extract_if(.., |(event, _)| event.ticket() == ticket).collect()
    }

    /// Posts an event.
    pub(super) fn push(&self, event: ProcessEvent, receipt: Option<Receipt>) {
        let mut events = self.lock();
        events.push((event, receipt));
        let is_first = events.len() == 1;
        drop(events);
        if is_first {
            self.waker.wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Posted>> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
