//! What is done before the event loop goes to sleep: a look at shared memory, of which no descriptor tells, and a short
//! poll, so that a reply that is about to come finds the loop awake.
//!
//! Waking a halted core takes some 25 microseconds, twice per round trip: more than all the rest of it. Hence:
//!
//! 1. In the turn's `prepare` phase, right before the loop would sleep, the descriptor that it sleeps on is polled for
//!    as long as [`Pace`] says, at most once per turn. Whatever becomes ready ends it, timers included: the loop then
//!    does what it does anyway.
//! 2. It is done only while its owner says so (something is expected, and a core is free), and not when the loop would
//!    not sleep. With one core for everybody it is no poll: whoever else has something to do runs first, and comes back
//!    here by giving way itself, which takes a third of what sleeping and waking take.
//! 3. Before the loop sleeps, with or without a poll, the owner tells those whom it waits for that they have to wake it
//!    from now on, and shared memory is looked at once more. What has come that way is handled here, and the loop turns
//!    once before it looks again.
//! 4. The owner is told that the loop leaves its CPU now.
//! 5. [`Pace`] learns whether it is of use.
//!
//! Called by pools and by the worker's channel. Must not depend on what is expected, nor from whom.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Instant;

use napi::Result;

use super::event_loop::{EventLoop, Prepare, Turn};
use crate::pace::{Pace, Waiting};
use crate::stay_awake::{give_way, poll};

/// Who waits, and for what.
pub trait Watch {
    /// How to wait.
    fn waiting(&self) -> Waiting;
    /// Tells those whom it waits for whether [`Watch::has_pending`] is looked at before the loop sleeps.
    fn set_awake(&self, awake: bool);
    /// Whether something waits in shared memory, of which no descriptor tells.
    fn has_pending(&self) -> bool;
    /// Handles it.
    fn receive_pending(&self);
    /// The loop is about to sleep.
    fn before_sleep(&self) {}
}

/// Polls before the loop sleeps, while its owner wants it.
pub struct Spin {
    prepare: Prepare,
    pace: Rc<RefCell<Pace>>,
    epoch: Instant,
}

impl Spin {
    /// Does nothing until [`Spin::start`].
    pub fn new(event_loop: &EventLoop, watch: impl Watch + 'static) -> Result<Spin> {
        let pace = Rc::new(RefCell::new(Pace::default()));
        let epoch = Instant::now();
        let learning = pace.clone();
        let prepare = Prepare::new(event_loop, move |sleep| {
            if watch.has_pending() {
                // It may have been asleep until now, and have been woken by something else.
                watch.set_awake(true);
                watch.receive_pending();
                return Turn::Again;
            }
            if let Some(sleep) = sleep {
                let waiting = watch.waiting();
                let mut pace = learning.borrow_mut();
                if pace.allows(waiting, epoch.elapsed()) {
                    watch.set_awake(true);
                    let clock = || epoch.elapsed();
                    let waited = if waiting == Waiting::GivingWay {
                        give_way(clock, || watch.has_pending())
                    } else {
                        let budget = pace.budget().min(sleep.for_at_most);
                        poll(budget, clock, || watch.has_pending(), || sleep.is_over())
                    };
                    pace.waited(waited, clock);
                }
            }
            // Also if the loop seems not to sleep: what keeps it from that may end before it gets so far.
            watch.set_awake(false);
            if !watch.has_pending() {
                if sleep.is_some() {
                    watch.before_sleep();
                }
                return Turn::MaySleep;
            }
            // What follows need not wake anybody.
            watch.set_awake(true);
            watch.receive_pending();
            Turn::Again
        })?;
        Ok(Spin { prepare, pace, epoch })
    }

    pub fn start(&self) {
        self.prepare.start();
    }

    pub fn stop(&self) {
        self.prepare.stop();
    }

    /// Whether the loop would be kept awake now, if its owner wanted that.
    pub fn is_ready(&self) -> bool {
        self.pace.borrow().is_ready()
    }

    /// What was waited for has come.
    pub fn woken(&self) {
        self.pace.borrow_mut().woken(|| self.epoch.elapsed());
    }
}
