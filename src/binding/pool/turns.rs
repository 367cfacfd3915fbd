//! How long the turns of the event loop are busy while a pool waits for its workers.
//!
//! A turn lasts from one `prepare` phase to the next, and is busy for all of it but what libuv counts as idle: the time
//! for which the loop slept until something came. While it is busy nobody looks after workers, be it busy with the
//! user's handlers, with the consumer of a stream, or with what this library encodes and decodes.
//!
//! Called by pools. Must not depend on what is concluded from it.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::binding::event_loop::{EventLoop, OpenError, Prepare, Turn};

pub struct Turns {
    event_loop: EventLoop,
    prepare: Prepare,
    begun: Rc<Cell<Begin>>,
}

/// The beginning of a turn.
#[derive(Clone, Copy)]
struct Begin {
    at: Instant,
    /// For how long the loop has slept so far.
    idle: Duration,
    /// Whether it may sleep in this turn.
    may_sleep: bool,
}

impl Turns {
    /// `on_end` is told how long a turn was busy, at its end, from [`Turns::start`] on.
    pub fn new(event_loop: &EventLoop, on_end: impl Fn(Duration) + 'static) -> Result<Turns, OpenError> {
        let begun = Rc::new(Cell::new(Begin::now(event_loop, true)));
        let prepare = {
            let (event_loop, begun) = (event_loop.clone(), begun.clone());
            Prepare::new(&event_loop.clone(), move |sleep| {
                let end = Begin::now(&event_loop, sleep.is_some());
                // What is done about it counts for the next one.
                let begin = begun.replace(end);
                on_end(end.busy_since(begin));
                Turn::MaySleep
            })?
        };
        Ok(Turns { event_loop: event_loop.clone(), prepare, begun })
    }

    /// What is left of this turn is the first.
    pub fn start(&self) {
        self.begun.set(Begin::now(&self.event_loop, true));
        self.prepare.start();
    }

    pub fn stop(&self) {
        self.prepare.stop();
    }
}

impl Begin {
    fn now(event_loop: &EventLoop, may_sleep: bool) -> Begin {
        Begin { at: Instant::now(), idle: event_loop.idle_time(), may_sleep }
    }

    fn busy_since(self, begin: Begin) -> Duration {
        // A loop that has never slept may be one of which libuv does not know it: some embedders run their own.
        if self.idle.is_zero() && begin.may_sleep {
            return Duration::ZERO;
        }
        (self.at - begin.at).saturating_sub(self.idle.saturating_sub(begin.idle))
    }
}
