//! Where the events of one worker process go, and what it is called. Its owner may change without the supervisor being
//! told.
//!
//! 1. While the process has an owner, its events go to the owner's mailbox.
//! 2. [`Route::detach`] removes those that the owner has not taken from the mailbox and keeps them, and all later ones,
//!    in the order posted. Receipts stay with their events: output that nobody takes holds up its writer and fills no
//!    memory.
//! 3. [`Route::attach`] hands all of them to the next owner's mailbox.
//!
//! The id of the process is here, and in no event: what the process itself sends may come before any event is taken.
//!
//! Must not depend on what the events mean, or on who owns a process.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::mailbox::Posted;
use super::output::Receipt;
use super::{Mailbox, ProcessEvent, Ticket};

/// The way of the events of one process.
#[derive(Debug)]
pub struct Route {
    ticket: Ticket,
    pid: OnceLock<i32>,
    target: Mutex<Target>,
}

#[derive(Debug)]
enum Target {
    Owner(Arc<Mailbox>),
    /// The process has no owner; these events are what the next one gets first.
    Kept(Vec<Posted>),
}

impl Route {
    /// The route of a process that has an owner.
    pub fn new(ticket: Ticket, mailbox: Arc<Mailbox>) -> Arc<Route> {
        Arc::new(Route { ticket, pid: OnceLock::new(), target: Mutex::new(Target::Owner(mailbox)) })
    }

    /// The process whose events they are.
    pub fn ticket(&self) -> Ticket {
        self.ticket
    }

    /// The id of the process, once it was spawned. It stays, also after the process has ended.
    pub fn pid(&self) -> Option<i32> {
        self.pid.get().copied()
    }

    /// The process runs.
    pub(super) fn spawned(&self, pid: i32) {
        let is_first = self.pid.set(pid).is_ok();
        debug_assert!(is_first, "a route is that of one process");
        self.post(ProcessEvent::Spawned { ticket: self.ticket });
    }

    /// The owner gives up the process.
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

    /// Delivers an event for whose being taken nobody waits.
    pub(super) fn post(&self, event: ProcessEvent) {
        self.push(event, None);
    }

    /// Delivers an event.
    pub(super) fn push(&self, event: ProcessEvent, receipt: Option<Receipt>) {
        match &mut *self.target.lock().unwrap_or_else(PoisonError::into_inner) {
            Target::Owner(mailbox) => mailbox.push(event, receipt),
            Target::Kept(kept) => kept.push((event, receipt)),
        }
    }
}
