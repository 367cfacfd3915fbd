//! Where the events of one worker process go. Its owner may change; the supervisor need not hear of it.
//!
//! 1. While the process has an owner, what is posted goes to the owner's mailbox.
//! 2. [`Route::detach`] takes what the owner has not taken yet out of the mailbox again, and keeps it, and what
//!    comes after it, in the order posted. Receipts stay with their events: output that nobody takes holds its
//!    writer up and fills no memory.
//! 3. [`Route::attach`] hands all of it to the next owner's mailbox.

use std::sync::{Arc, Mutex, PoisonError};

use super::{Mailbox, ProcessEvent, Ticket, mailbox::Posted, output::Receipt};

#[derive(Debug)]
pub struct Route {
    ticket: Ticket,
    target: Mutex<Target>,
}

#[derive(Debug)]
enum Target {
    Owner(Arc<Mailbox>),
    /// Nobody's: what the next owner gets first.
    Kept(Vec<Posted>),
}

impl Route {
    pub fn new(ticket: Ticket, mailbox: Arc<Mailbox>) -> Arc<Route> {
        Arc::new(Route { ticket, target: Mutex::new(Target::Owner(mailbox)) })
    }

    pub fn ticket(&self) -> Ticket {
        self.ticket
    }

    /// The owner gives the process up.
    pub fn detach(&self) {
        let mut target = self.target.lock().unwrap_or_else(PoisonError::into_inner);
        if let Target::Owner(mailbox) = &*target {
            *target = Target::Kept(mailbox.take_of(self.ticket));
        }
    }

    /// The process has a new owner.
    pub fn attach(&self, mailbox: Arc<Mailbox>) {
        let mut target = self.target.lock().unwrap_or_else(PoisonError::into_inner);
        if let Target::Kept(kept) = &mut *target {
            for (event, receipt) in kept.drain(..) {
                mailbox.push(event, receipt);
            }
        }
        *target = Target::Owner(mailbox);
    }

    pub(super) fn post(&self, event: ProcessEvent) {
        self.push(event, None);
    }

    pub(super) fn push(&self, event: ProcessEvent, receipt: Option<Receipt>) {
        match &mut *self.target.lock().unwrap_or_else(PoisonError::into_inner) {
            Target::Owner(mailbox) => mailbox.push(event, receipt),
            Target::Kept(kept) => kept.push((event, receipt)),
        }
    }
}
