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
//! 3. The owner says to those whom it waits for that it is awake: what they send may then come through shared memory, of
//!    which no descriptor tells. It is looked at all the time, and once more after they were told that this is over. What
//!    has come that way is handled here, and the loop turns once before the next poll.
//! 4. [`Pace`] learns whether it is of use.
//!
//! Knows the loop, not what is expected or from whom.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use napi::Result;

use super::event_loop::{EventLoop, Prepare, Turn};
use crate::pace::Pace;

/// Between two looks at the clock somebody else has run.
const PREEMPTED: Duration = Duration::from_micros(40);
/// Looks at shared memory between two at the descriptor and the clock, which cost some 20 times as much.
const LOOKS: u32 = 16;

/// Who waits, and for what.
pub trait Watch {
    /// Whether to stay awake.
    fn is_wanted(&self) -> bool;
    /// Says whether [`Watch::has_come`] is looked at.
    fn poll(&self, polls: bool);
    /// Whether something has come that no descriptor tells of.
    fn has_come(&self) -> bool;
    /// Handles it.
    fn take(&self);
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
            let Some(sleep) = sleep.filter(|_| watch.is_wanted()) else { return Turn::MaySleep };
            {
                let mut pace = learning.borrow_mut();
                let now = epoch.elapsed();
                if !pace.allows(now) {
                    return Turn::MaySleep;
                }
                watch.poll(true);
                let budget = pace.budget().min(sleep.for_at_most);
                poll(&mut pace, now, budget, || epoch.elapsed(), || watch.has_come(), || sleep.is_over());
                watch.poll(false);
            }
            if !watch.has_come() {
                return Turn::MaySleep;
            }
            watch.take();
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
    has_come: impl Fn() -> bool,
    is_over: impl Fn() -> bool,
) {
    let mut before = begin;
    loop {
        for _ in 0..LOOKS {
            if has_come() {
                return pace.hit();
            }
            std::hint::spin_loop();
        }
        if is_over() {
            return pace.hit();
        }
        let now = clock();
        if now - before > PREEMPTED {
            return pace.preempted();
        }
        if now - begin >= budget {
            return pace.missed(now);
        }
        before = now;
        // Whom we wait for may have been put on this very core.
        std::thread::yield_now();
    }
}
