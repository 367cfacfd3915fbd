//! How much work a worker may have ahead of what it runs, judging by how late its caller looks after it.
//!
//! While the caller's thread is busy with something else, its workers get nothing new, so what they have must last
//! until it comes back. How long its recent turns were is its *lag*:
//!
//! 1. A turn that is longer than the lag raises it at once: a worker that starves is worse than one that has too much,
//!    because what it has not begun can be recalled.
//! 2. A turn at least half as long confirms it. Without one for [`CONFIRMED_FOR`] times the lag, it is halved.
//! 3. A worker may have about twice the lag ahead ([`Lag::window`]), and never less than two chunks, so that it need
//!    not wait out a round trip. A chunk is a fraction of that, so that workers end together.
//!
//! Must not depend on workers, calls or clocks.

use std::time::Duration;

/// The most work that a worker has ahead.
const MAX_WINDOW: Duration = Duration::from_millis(250);
/// Chunks in a window, at least: the larger they are the fewer frames, and the less even the end of a job.
const CHUNKS_PER_WINDOW: u32 = 8;
/// For how many times the lag it is believed without being confirmed.
const CONFIRMED_FOR: u32 = 8;
/// The shortest time for which it is believed.
const MIN_CONFIRMED_FOR: Duration = Duration::from_millis(20);
/// The weight of a turn that is shorter than the lag and confirms it, as a divisor.
const SMOOTHING: u32 = 8;

/// The most chunks that one worker has in flight because of their cost: one that it runs, and one that waits for it.
pub(super) const MIN_CHUNKS: usize = 2;
/// The most that it has because of the lag.
pub(super) const MAX_CHUNKS: usize = 2 * CHUNKS_PER_WINDOW as usize;
/// A worker with so many calls in flight is given no more because of the lag: in a burst of cheap calls it is the
/// parent that is busy with them, and more in flight would only be more in memory.
pub(super) const MAX_CALLS: u32 = 2048;
/// The same for bytes of arguments, and of results to come. (A frame that is begun below this limit may exceed it.)
pub(super) const MAX_BYTES: u64 = 2 * 1024 * 1024;

/// How late the caller looks after its workers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lag {
    /// What a chunk takes where the caller is quick. A lag below that changes nothing.
    target: Duration,
    recent: Duration,
    /// When a turn was last about as long as that, in the caller's time.
    confirmed: Duration,
}

impl Lag {
    pub(super) fn new(target: Duration) -> Lag {
        Lag { target, recent: Duration::ZERO, confirmed: Duration::ZERO }
    }

    /// The caller's turn that ends now was busy for this long.
    pub(super) fn observe(&mut self, busy: Duration, now: Duration) {
        if busy >= self.target && busy >= self.recent / 2 {
            self.recent = match self.recent.checked_sub(busy) {
                Some(excess) => self.recent - excess / SMOOTHING,
                None => busy.min(MAX_WINDOW),
            };
            self.confirmed = now;
        } else if !self.recent.is_zero() {
            let believed = (self.recent * CONFIRMED_FOR).max(MIN_CONFIRMED_FOR);
            if now.saturating_sub(self.confirmed) >= believed {
                self.recent = if self.recent > self.target { self.recent / 2 } else { Duration::ZERO };
                self.confirmed = now;
            }
        }
    }

    pub(super) fn recent(&self) -> Duration {
        self.recent
    }

    /// How much work a worker may have in flight.
    pub(super) fn window(&self) -> Duration {
        let two_chunks = self.target * MIN_CHUNKS as u32;
        (self.recent * 2).min(MAX_WINDOW).max(two_chunks)
    }

    /// Whether a worker may have more in flight than two chunks.
    pub(super) fn is_felt(&self) -> bool {
        self.recent > self.target
    }

    /// How long the calls of one chunk should take.
    pub(super) fn chunk(&self) -> Duration {
        self.target.max(self.window() / CHUNKS_PER_WINDOW)
    }

    /// Less work than this is not worth a chunk of its own; zero: that depends on other things.
    pub(super) fn min_chunk(&self) -> Duration {
        if self.is_felt() { self.chunk() / 2 } else { Duration::ZERO }
    }

    /// Whether a worker with so much ahead has more than another one should be idle beside.
    pub(super) fn is_excess(&self, ahead: Duration) -> bool {
        ahead > self.target * MIN_CHUNKS as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_quick_caller_has_two_chunks_sent_ahead() {
        let mut lag = Lag::new(MS);
        for turn in 0..1000 {
            lag.observe(MS / 20, MS * turn);
        }
        assert_eq!((lag.window(), lag.chunk(), lag.is_felt()), (2 * MS, MS, false));
    }

    #[test]
    fn a_late_caller_has_twice_its_lag_sent_ahead_from_the_first_long_turn_on() {
        let mut lag = Lag::new(MS);
        lag.observe(20 * MS, 20 * MS);
        assert_eq!(lag.window(), 40 * MS);
        lag.observe(300_000 * MS, 400_000 * MS);
        assert_eq!(lag.window(), MAX_WINDOW);
        assert!(lag.chunk() * MAX_CHUNKS as u32 >= lag.window());
    }

    #[test]
    fn short_turns_between_long_ones_do_not_end_it() {
        let mut lag = Lag::new(MS);
        let mut now = Duration::ZERO;
        for _ in 0..100 {
            now += 20 * MS;
            lag.observe(20 * MS, now);
            for _ in 0..10 {
                now += MS;
                lag.observe(MS / 10, now);
            }
            assert!(lag.window() >= 35 * MS, "{:?}", lag.window());
        }
    }

    #[test]
    fn it_is_forgotten_when_the_caller_is_quick_again() {
        let mut lag = Lag::new(MS);
        lag.observe(100 * MS, 100 * MS);
        let quick = |lag: &mut Lag, from: u32, until: u32| {
            (from..until).for_each(|turn| lag.observe(MS / 10, MS * turn));
        };
        quick(&mut lag, 100, 800);
        assert_eq!(lag.window(), 200 * MS, "not at once");
        quick(&mut lag, 800, 3000);
        assert_eq!((lag.window(), lag.recent()), (2 * MS, Duration::ZERO));
    }

    #[test]
    fn it_falls_slowly_where_turns_become_shorter() {
        let mut lag = Lag::new(MS);
        lag.observe(100 * MS, MS);
        lag.observe(60 * MS, MS * 2);
        assert_eq!(lag.recent(), 95 * MS);
    }
}
