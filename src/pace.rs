//! When it pays to stay awake for a moment before going to sleep, learned from how long sleeps last.
//!
//! 1. A sleep that ends soon, but not at once, is one that a poll would have avoided: a core had to be woken. After
//!    such a sleep, polling begins.
//! 2. A sleep that ends at once costs nothing: whoever was waited for runs on this very core, or has not slept either.
//!    A long sleep says nothing.
//! 3. A poll in vain is a miss. After several in a row polling pauses, for twice as many turns each time.
//! 4. The first polls are longer, because both sides sleep then, and each would give up just before the other is awake.
//!    Once a poll has hit, what is waited for arrives sooner.
//! 5. If the sleep after a miss ends soon, the poll was what it had to wait for: the core was needed, and polling
//!    pauses at once. It does the same if the core was taken away in the middle of a poll.
//! 6. Without a core to spare the one there is can be given to whoever is waited for ([`Waiting::GivingWay`]), which
//!    costs less than to sleep and be woken. Then every short sleep is one that could have been avoided. If others
//!    keep the core so often that giving way costs more than it saves, it pauses for long.
//!
//! `lib/transport/pace.js` does the same where JavaScript polls.
//!
//! Must not depend on what is polled, or on a clock.

use std::time::Duration;

/// A shorter sleep ended at once.
pub const MIN_SLEEP: Duration = Duration::from_micros(25);
/// A shorter sleep right after a poll in vain was held up by that: whoever was waited for needed this core. (To be put
/// on it and to answer takes some 40 microseconds.)
pub const MAX_HELD_UP: Duration = Duration::from_micros(100);
/// A longer sleep says nothing.
pub const MAX_SLEEP: Duration = Duration::from_micros(250);
/// The longest poll while none has hit since the last sleep.
pub const FIRST_BUDGET: Duration = Duration::from_micros(250);
/// The longest poll after one that has hit.
pub const BUDGET: Duration = Duration::from_micros(100);
/// With more than this between two looks at the clock, somebody else has had the core.
pub const PREEMPTED: Duration = Duration::from_micros(40);
/// How many misses in a row lead to no pause.
pub const FREE_MISSES: u32 = 4;
/// The longest pause, in turns.
pub const MAX_PAUSE: u32 = 256;
/// How many turns of giving way make up for one in which others have kept the core: that may be a time slice of three
/// milliseconds, and a turn saves some ten microseconds.
pub const MAKE_UP: u32 = 256;
/// How many such losses are borne before they are made up for. While a pool is young, it is V8 that compiles in
/// between, and the sooner that is done the better.
pub const FREE_LOSSES: u32 = 64;

/// How to wait for what is expected. Workers are told by these numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Waiting {
    /// Go to sleep at once.
    #[default]
    Asleep = 0,
    /// Poll, on a core that nobody else needs.
    Polling = 1,
    /// Have others run first, on a core that they need as well.
    GivingWay = 2,
}

/// What became of a wait that was no sleep. JavaScript is told by these numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waited {
    /// Something has come.
    Hit = 0,
    /// Nothing has, and it is time to sleep.
    Missed = 1,
    /// Another thread had the core for long.
    Preempted = 2,
}

/// When to poll, and when not. All times are measured from the same arbitrary moment.
#[derive(Debug, Default)]
pub struct Pace {
    /// Whether the last sleep was one that a poll would have avoided.
    is_promising: bool,
    /// Whether the last poll has hit.
    is_in_step: bool,
    /// Misses in a row.
    misses: u32,
    /// How many turns are still to pass without a poll. Invariant: at most [`MAX_PAUSE`].
    pause: u32,
    /// How many turns of giving way are to make up for what was lost by it.
    debt: u32,
    /// `None` while awake.
    sleep: Option<Sleep>,
    /// How it waited last.
    waiting: Waiting,
}

#[derive(Clone, Copy, Debug)]
struct Sleep {
    since: Duration,
    /// Whether a poll in vain came right before it.
    is_after_miss: bool,
}

impl Pace {
    /// Whether to wait like this in this turn; otherwise the loop goes to sleep now.
    pub fn allows(&mut self, waiting: Waiting, now: Duration) -> bool {
        self.waiting = waiting;
        if waiting == Waiting::Asleep {
            return false;
        }
        if self.is_ready() {
            return true;
        }
        self.pause = self.pause.saturating_sub(1);
        self.sleep = Some(Sleep { since: now, is_after_miss: false });
        false
    }

    /// Whether it will say so, as far as is known.
    pub fn is_ready(&self) -> bool {
        self.is_promising && self.pause == 0
    }

    /// How long to poll at most. A core that has to be woken is awake by then.
    pub fn budget(&self) -> Duration {
        if self.is_in_step { BUDGET } else { FIRST_BUDGET }
    }

    /// A wait that was no sleep is over. `clock` is only read if the loop goes to sleep after it.
    pub fn waited(&mut self, waited: Waited, clock: impl FnOnce() -> Duration) {
        match waited {
            Waited::Hit => self.hit(),
            Waited::Missed => self.missed(clock()),
            Waited::Preempted => self.preempted(),
        }
    }

    fn hit(&mut self) {
        self.misses = 0;
        self.debt = self.debt.saturating_sub(1);
        self.is_in_step = true;
    }

    fn preempted(&mut self) {
        self.count_misses(FREE_MISSES);
        if self.waiting == Waiting::GivingWay {
            self.debt += MAKE_UP;
            if self.debt > FREE_LOSSES * MAKE_UP {
                self.debt = FREE_LOSSES * MAKE_UP;
                self.pause = MAX_PAUSE;
            }
        }
    }

    fn missed(&mut self, now: Duration) {
        self.is_in_step = false;
        self.sleep = Some(Sleep { since: now, is_after_miss: true });
        self.count_misses(1);
    }

    /// What was waited for has arrived. `clock` is only read if that ends a sleep.
    pub fn woken(&mut self, clock: impl FnOnce() -> Duration) {
        let Some(Sleep { since, is_after_miss }) = self.sleep.take() else { return };
        let slept = clock().saturating_sub(since);
        let is_held_up = is_after_miss && slept < MAX_HELD_UP;
        if is_held_up {
            self.count_misses(FREE_MISSES);
        }
        let min_sleep = if self.waiting == Waiting::GivingWay { Duration::ZERO } else { MIN_SLEEP };
        self.is_promising = !is_held_up && (min_sleep..=MAX_SLEEP).contains(&slept);
    }

    fn count_misses(&mut self, misses: u32) {
        self.misses += misses;
        if self.misses > FREE_MISSES {
            self.pause = 1u32.checked_shl(self.misses - FREE_MISSES).unwrap_or(MAX_PAUSE);
            self.pause = self.pause.min(MAX_PAUSE);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT_ONCE: Duration = Duration::from_micros(15);
    const SOON: Duration = Duration::from_micros(80);
    const LATE: Duration = Duration::from_millis(2);

    /// In how many turns there is a poll, if what is waited for arrives this long after the beginning of the turn or,
    /// if it needs this core, of the sleep.
    fn polls(pace: &mut Pace, turns: u32, comes_after: Duration, needs_core: bool) -> u32 {
        waits(pace, Waiting::Polling, turns, comes_after, needs_core)
    }

    fn waits(pace: &mut Pace, waiting: Waiting, turns: u32, comes_after: Duration, needs_core: bool) -> u32 {
        let mut now = Duration::ZERO;
        let mut polls = 0;
        for _ in 0..turns {
            let mut sleep = comes_after;
            if pace.allows(waiting, now) {
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
    fn it_polls_if_a_core_has_to_be_woken() {
        assert_eq!(polls(&mut Pace::default(), 1000, SOON, false), 999);
    }

    #[test]
    fn it_does_not_poll_if_a_sleep_costs_nothing() {
        assert_eq!(polls(&mut Pace::default(), 1000, AT_ONCE, true), 0);
    }

    #[test]
    fn it_gives_way_also_if_a_sleep_costs_nothing() {
        assert_eq!(waits(&mut Pace::default(), Waiting::GivingWay, 1000, AT_ONCE, false), 999);
        assert_eq!(waits(&mut Pace::default(), Waiting::GivingWay, 1000, LATE, false), 0);
        assert_eq!(waits(&mut Pace::default(), Waiting::Asleep, 1000, AT_ONCE, false), 0);
    }

    #[test]
    fn it_does_not_poll_if_sleeps_are_long() {
        assert_eq!(polls(&mut Pace::default(), 1000, LATE, false), 0);
    }

    #[test]
    fn it_stops_if_the_core_is_needed_and_tries_again_less_and_less_often() {
        let polls = polls(&mut Pace::default(), 10_000, SOON, true);
        assert!((5..100).contains(&polls), "{polls} polls in 10,000 turns");
    }

    #[test]
    fn a_partner_that_moves_to_this_core_ends_polling_and_one_that_leaves_brings_it_back() {
        let mut pace = Pace::default();
        polls(&mut pace, 1000, SOON, false);
        let together = polls(&mut pace, 1000, AT_ONCE, true);
        assert!(together <= 4, "{together} polls that kept it from running");
        let apart = polls(&mut pace, 1000, SOON, false);
        assert!(apart > 700, "{apart} polls of 1000");
    }

    /// How often others have kept the core in so many turns, if they keep it every `every`th time.
    fn losses(pace: &mut Pace, turns: u32, every: u32) -> u32 {
        waits(pace, Waiting::GivingWay, 10, AT_ONCE, false);
        let (mut given, mut lost) = (0, 0);
        for _ in 0..turns {
            if !pace.allows(Waiting::GivingWay, LATE) {
                pace.woken(|| LATE + AT_ONCE);
                continue;
            }
            given += 1;
            let is_lost = given % every == 0;
            lost += u32::from(is_lost);
            pace.waited(if is_lost { Waited::Preempted } else { Waited::Hit }, || LATE);
        }
        lost
    }

    #[test]
    fn a_core_that_others_keep_is_not_given_to_them_for_ever() {
        let lost = losses(&mut Pace::default(), 10_000, 5);
        let borne = FREE_LOSSES + 10_000 / MAX_PAUSE;
        assert!((FREE_LOSSES..=borne).contains(&lost), "{lost} of 10,000 turns");
    }

    #[test]
    fn what_is_made_up_for_keeps_nobody_from_giving_way() {
        let lost = losses(&mut Pace::default(), 100_000, MAKE_UP + 10);
        assert_eq!(lost, 100_000 / (MAKE_UP + 10));
        let mut young = Pace::default();
        assert_eq!(losses(&mut young, 5 * FREE_LOSSES, 5), FREE_LOSSES, "and a few losses in a row neither");
    }

    #[test]
    fn a_core_that_was_taken_away_leads_to_a_pause() {
        let mut pace = Pace::default();
        polls(&mut pace, 10, SOON, false);
        assert!(pace.allows(Waiting::Polling, LATE));
        pace.waited(Waited::Preempted, || LATE);
        assert!(pace.allows(Waiting::Polling, LATE), "once may be chance");
        pace.waited(Waited::Preempted, || LATE);
        assert!(!pace.allows(Waiting::Polling, LATE));
    }
}
