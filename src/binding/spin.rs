//! A short poll before the event loop goes to sleep, so that a reply that is about to come finds it awake.
//!
//! To wake a halted core takes some 25 microseconds, twice per round trip, which is more than all the rest of
//! it. Hence:
//!
//! 1. In the turn's `prepare` phase, right before the loop would sleep, the descriptor that it sleeps on is
//!    polled for as long as [`Pace`] says, at most once per turn. Whatever becomes ready ends it, timers included: the
//!    loop then does what it does anyway.
//! 2. It is done only while its owner says so (something is expected, and a core is free), and not when the
//!    loop would not sleep.
//! 3. [`Pace`] learns whether it is of use.
//!
//! Knows the loop, not what is expected or from whom.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use napi::Result;

use super::event_loop::{EventLoop, Prepare};
use crate::pace::Pace;

/// Between two looks at the clock somebody else has run.
const PREEMPTED: Duration = Duration::from_micros(40);

/// Polls before the loop sleeps, while `wanted` says so.
pub struct Spin {
    prepare: Prepare,
    pace: Rc<RefCell<Pace>>,
    epoch: Instant,
}

impl Spin {
    /// Does nothing until [`Spin::start`].
    pub fn new(event_loop: &EventLoop, wanted: impl Fn() -> bool + 'static) -> Result<Spin> {
        let pace = Rc::new(RefCell::new(Pace::default()));
        let epoch = Instant::now();
        let learning = pace.clone();
        let prepare = Prepare::new(event_loop, move |sleep| {
            if let Some(sleep) = sleep
                && wanted()
            {
                let mut pace = learning.borrow_mut();
                let now = epoch.elapsed();
                if pace.allows(now) {
                    let budget = pace.budget();
                    poll(
                        &mut pace,
                        now,
                        budget.min(sleep.for_at_most),
                        || epoch.elapsed(),
                        || sleep.is_over(),
                    );
                }
            }
        })?;
        Ok(Spin { prepare, pace, epoch })
    }

    pub fn start(&self) {
        self.prepare.start();
    }

    pub fn stop(&self) {
        self.prepare.stop();
    }

    /// What is waited for has come.
    pub fn woken(&self) {
        self.pace.borrow_mut().woken(|| self.epoch.elapsed());
    }
}

fn poll(
    pace: &mut Pace,
    begin: Duration,
    budget: Duration,
    clock: impl Fn() -> Duration,
    is_over: impl Fn() -> bool,
) {
    let mut before = begin;
    while !is_over() {
        let now = clock();
        if now - before > PREEMPTED {
            return pace.preempted();
        }
        if now - begin >= budget {
            return pace.missed(now);
        }
        before = now;
        std::hint::spin_loop();
    }
    pace.hit();
}
