//! The queue from the supervisor's thread to one event loop.
//!
//! 1. `post` appends, and wakes the loop if the queue was empty.
//! 2. The loop sees the descriptor readable and calls `drain`, which first clears the wake-up and then
//!    takes everything. An event that is posted in between is taken, and leaves at worst a wake-up that
//!    finds nothing; the other order could lose a wake-up.
//!
//! The loop may go away at any time. What is still posted then is dropped with the last `Arc`.

use std::{
    io, mem,
    os::fd::BorrowedFd,
    sync::{Arc, Mutex, PoisonError},
};

use super::{ProcessEvent, Ticket, output::Receipt};
use crate::platform::Waker;

/// An event, and what its sender is told by when it is taken.
pub(super) type Posted = (ProcessEvent, Option<Receipt>);

#[derive(Debug)]
pub struct Mailbox {
    waker: Waker,
    /// In the order posted. A receipt is dropped when its event is taken: the output's reader waits for it.
    events: Mutex<Vec<Posted>>,
}

impl Mailbox {
    pub fn new() -> io::Result<Arc<Mailbox>> {
        Ok(Arc::new(Mailbox { waker: Waker::new()?, events: Mutex::default() }))
    }

    /// Readable when events wait.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.waker.fd()
    }

    /// Takes all events, in the order posted.
    pub fn drain(&self) -> Vec<ProcessEvent> {
        self.waker.clear();
        let events = mem::take(&mut *self.events.lock().unwrap_or_else(PoisonError::into_inner));
        events.into_iter().map(|(event, _receipt)| event).collect()
    }

    /// Takes the events of one process only, in the order posted. None of them is held to be taken by that.
    pub(super) fn take_of(&self, ticket: Ticket) -> Vec<Posted> {
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        events.extract_if(.., |(event, _)| event.ticket() == ticket).collect()
    }

    pub(super) fn push(&self, event: ProcessEvent, receipt: Option<Receipt>) {
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        events.push((event, receipt));
        let first = events.len() == 1;
        drop(events);
        if first {
            self.waker.wake();
        }
    }
}
