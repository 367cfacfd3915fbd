//! How long what workers send is handled before the event loop turns.
//!
//! A worker may send as fast as it is handled here, or faster: then there is no end to it, and timers, aborts and other
//! workers would have to wait for one.

use std::time::{Duration, Instant};

const MAX_TIME: Duration = Duration::from_millis(5);

pub struct TimeSlice {
    began: Instant,
}

impl TimeSlice {
    pub fn begin() -> TimeSlice {
        TimeSlice { began: Instant::now() }
    }

    pub fn is_over(&self) -> bool {
        self.began.elapsed() >= MAX_TIME
    }
}
