//! When it pays to poll for a moment before going to sleep: learned from how long sleeps last.
//!
//! 1. A sleep that ends soon, but not at once, is one that a poll would have spared: a core had to be woken. Then
//!    polling begins.
//! 2. A sleep that ends at once costs nothing: whoever was waited for runs on this very core, or has not slept
//!    either. One that is long is none of our business.
//! 3. A poll in vain is a miss. After some in a row it pauses, for twice as many turns each time.
//! 4. The first polls are longer: both sides sleep then, and either would give up just before the other is awake. Once one
//!    has hit, what is waited for comes sooner.
//! 5. When the sleep after a miss ends at once, the poll was what it had to wait for: that core was needed, and
//!    it pauses at once. The same when the core was taken away in the midst of a poll.
//!
//! Knows neither what is polled nor a clock. (`lib/worker/spin.js` does the same for threads.)

use std::time::Duration;

/// A sleep shorter than this ended at once.
const SHORT: Duration = Duration::from_micros(25);
/// One longer than this is of no use to us.
const LONG: Duration = Duration::from_micros(250);
/// The longest poll while none has hit since the last sleep, and after that.
const FIRST_BUDGET: Duration = Duration::from_micros(250);
const BUDGET: Duration = Duration::from_micros(100);
const FREE_MISSES: u32 = 4;
const LONGEST_PAUSE: u32 = 256;

/// When to poll, and when not. Time is what has passed since any moment.
#[derive(Debug, Default)]
pub struct Pace {
    /// Whether the last sleep was one that a poll would have spared.
    promising: bool,
    /// Whether the last poll was one that hit.
    in_step: bool,
    /// In a row.
    misses: u32,
    /// Turns to let pass.
    pause: u32,
    asleep: Option<Asleep>,
}

#[derive(Clone, Copy, Debug)]
struct Asleep {
    since: Duration,
    after_miss: bool,
}

impl Pace {
    /// Whether to poll in this turn; otherwise it goes to sleep.
    pub fn allows(&mut self, now: Duration) -> bool {
        if self.promising && self.pause == 0 {
            return true;
        }
        self.pause = self.pause.saturating_sub(1);
        self.asleep = Some(Asleep { since: now, after_miss: false });
        false
    }

    /// How long to poll at most: a core that has to be woken is awake by then.
    pub fn budget(&self) -> Duration {
        if self.in_step { BUDGET } else { FIRST_BUDGET }
    }

    /// Something came.
    pub fn hit(&mut self) {
        self.misses = 0;
        self.in_step = true;
    }

    /// Nothing came, and it goes to sleep.
    pub fn missed(&mut self, now: Duration) {
        self.in_step = false;
        self.asleep = Some(Asleep { since: now, after_miss: true });
        self.count(1);
    }

    /// Somebody else had the core.
    pub fn preempted(&mut self) {
        self.count(FREE_MISSES);
    }

    /// What it waited for has come.
    pub fn woken(&mut self, clock: impl FnOnce() -> Duration) {
        let Some(Asleep { since, after_miss }) = self.asleep.take() else { return };
        let slept = clock().saturating_sub(since);
        if slept < SHORT && after_miss {
            self.count(FREE_MISSES);
        }
        self.promising = (SHORT..=LONG).contains(&slept);
    }

    fn count(&mut self, misses: u32) {
        self.misses += misses;
        if self.misses > FREE_MISSES {
            self.pause = 1u32.checked_shl(self.misses - FREE_MISSES).unwrap_or(LONGEST_PAUSE);
            self.pause = self.pause.min(LONGEST_PAUSE);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT_ONCE: Duration = Duration::from_micros(15);
    const SOON: Duration = Duration::from_micros(80);
    const LATE: Duration = Duration::from_millis(2);

    /// How many of so many turns are polled in, where what is waited for comes this long after the turn begins, or,
    /// if it needs this core, after the sleep does.
    fn polls(pace: &mut Pace, turns: u32, comes_after: Duration, needs_core: bool) -> u32 {
        let mut now = Duration::ZERO;
        let mut polls = 0;
        for _ in 0..turns {
            let mut sleep = comes_after;
            if pace.allows(now) {
                polls += 1;
                let budget = pace.budget();
                if comes_after < budget && !needs_core {
                    now += comes_after;
                    pace.hit();
                    continue;
                }
                now += budget;
                pace.missed(now);
                sleep = if needs_core { comes_after } else { comes_after - BUDGET };
            }
            now += sleep;
            pace.woken(|| now);
        }
        polls
    }

    #[test]
    fn where_a_core_has_to_be_woken_it_polls() {
        assert_eq!(polls(&mut Pace::default(), 1000, SOON, false), 999);
    }

    #[test]
    fn where_a_sleep_costs_nothing_it_does_not() {
        assert_eq!(polls(&mut Pace::default(), 1000, AT_ONCE, true), 0);
    }

    #[test]
    fn where_sleeps_are_long_it_does_not() {
        assert_eq!(polls(&mut Pace::default(), 1000, LATE, false), 0);
    }

    #[test]
    fn where_the_core_is_needed_it_stops_and_tries_ever_more_seldom() {
        let polls = polls(&mut Pace::default(), 10_000, SOON, true);
        assert!((5..100).contains(&polls), "{polls} polls in 10,000 turns");
    }

    #[test]
    fn a_partner_that_moves_to_this_core_ends_it_and_one_that_leaves_brings_it_back() {
        let mut pace = Pace::default();
        polls(&mut pace, 1000, SOON, false);
        let together = polls(&mut pace, 1000, AT_ONCE, true);
        assert!(together <= 4, "{together} polls that kept it from running");
        let apart = polls(&mut pace, 1000, SOON, false);
        assert!(apart > 700, "{apart} polls of 1000");
    }

    #[test]
    fn a_core_that_was_taken_away_makes_it_pause() {
        let mut pace = Pace::default();
        polls(&mut pace, 10, SOON, false);
        assert!(pace.allows(LATE));
        pace.preempted();
        assert!(pace.allows(LATE), "once may be chance");
        pace.preempted();
        assert!(!pace.allows(LATE));
    }
}
