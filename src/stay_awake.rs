//! The two ways of staying awake for what is about to come: to poll on a core that is free, and to give the only core
//! to whoever else has something to do.
//!
//! Called where a loop would sleep. Whether it pays is learned by [`Pace`](crate::pace::Pace). Must not depend on what
//! is waited for, nor on which clock.

use std::time::Duration;

use crate::pace::{BUDGET, MAX_SLEEP, PREEMPTED, Waited};

/// How often shared memory is looked at between two looks at the descriptor and the clock, which cost some 20 times as
/// much.
const LOOKS: u32 = 16;

/// A core that is back sooner was given to nobody.
const UNUSED: Duration = Duration::from_micros(2);
/// After more of these in a row nobody else needs the core. Both ends may give way to each other once in between.
const MAX_UNUSED: u32 = 3;

/// Has others run until something has come, or nobody else has anything to do on this core.
pub fn give_way(clock: impl Fn() -> Duration, has_pending: impl Fn() -> bool) -> Waited {
    let begin = clock();
    let mut unused = 0;
    let mut before = begin;
    loop {
        if has_pending() {
            return Waited::Hit;
        }
        if unused > MAX_UNUSED || before - begin > BUDGET {
            return Waited::Missed;
        }
        std::thread::yield_now();
        let now = clock();
        // Whoever is woken runs sooner than who has given way: others have kept the core for as long as they could.
        if now - before > MAX_SLEEP {
            return Waited::Preempted;
        }
        unused = if now - before < UNUSED { unused + 1 } else { 0 };
        before = now;
    }
}

/// Polls until something has come, the sleep that it is in place of would be over, or the budget is used up.
pub fn poll(
    budget: Duration,
    clock: impl Fn() -> Duration,
    has_pending: impl Fn() -> bool,
    is_over: impl Fn() -> bool,
) -> Waited {
    let begin = clock();
    let mut before = begin;
    loop {
        for _ in 0..LOOKS {
            if has_pending() {
                return Waited::Hit;
            }
            std::hint::spin_loop();
        }
        if is_over() {
            return Waited::Hit;
        }
        let now = clock();
        if now - before > PREEMPTED {
            return Waited::Preempted;
        }
        if now - begin >= budget {
            return Waited::Missed;
        }
        before = now;
        // The one that is waited for may have been put on this very core.
        std::thread::yield_now();
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::pace::{Pace, Waiting};

    /// How often it looks, if each time that others run takes this long and something is there at the look `found_at`;
    /// and what becomes of it.
    fn looks(away: Duration, found_at: Option<u32>) -> (u32, Waited) {
        let (time, looks) = (Cell::new(Duration::ZERO), Cell::new(0));
        let clock = || {
            time.set(time.get() + away);
            time.get()
        };
        let has_pending = || {
            looks.set(looks.get() + 1);
            Some(looks.get()) == found_at
        };
        let waited = give_way(clock, has_pending);
        (looks.get(), waited)
    }

    #[test]
    fn a_poll_looks_at_shared_memory_more_often_than_at_the_rest() {
        let looks = Cell::new(0);
        let has_pending = || {
            looks.set(looks.get() + 1);
            looks.get() == 2 * LOOKS
        };
        let ends = Cell::new(0);
        let is_over = || {
            ends.set(ends.get() + 1);
            false
        };
        let clock = || Duration::ZERO;
        assert_eq!(poll(BUDGET, clock, has_pending, is_over), Waited::Hit);
        assert_eq!((looks.get(), ends.get()), (2 * LOOKS, 1));
        assert_eq!(
            poll(BUDGET, clock, || false, || true),
            Waited::Hit,
            "whatever would have ended the sleep"
        );
        assert_eq!(poll(Duration::ZERO, clock, || false, || false), Waited::Missed);
    }

    #[test]
    fn a_core_that_nobody_needs_is_given_up_at_once() {
        assert_eq!(looks(Duration::from_micros(1), None), (MAX_UNUSED + 2, Waited::Missed));
    }

    #[test]
    fn others_run_until_something_has_come() {
        assert_eq!(looks(Duration::from_micros(5), Some(1)), (1, Waited::Hit));
        assert_eq!(looks(Duration::from_micros(5), Some(8)), (8, Waited::Hit));
        assert_eq!(looks(MAX_SLEEP, Some(2)), (2, Waited::Hit), "also if they took their time");
    }

    #[test]
    fn a_core_that_others_keep_is_soon_slept_for() {
        let (mut pace, time) = (Pace::default(), Cell::new(Duration::ZERO));
        let clock = || {
            time.set(time.get() + MAX_SLEEP * 10);
            time.get()
        };
        let mut times = 0;
        for _ in 0..1000 {
            let begin = time.get();
            if pace.allows(Waiting::GivingWay, begin) {
                times += 1;
                pace.waited(give_way(clock, || false), || time.get());
            } else {
                pace.woken(|| begin + BUDGET);
            }
        }
        assert!((2..20).contains(&times), "{times} times of 1000");
    }

    #[test]
    fn who_waits_for_long_goes_to_sleep() {
        let (count, waited) = looks(Duration::from_micros(5), None);
        assert!((15..=30).contains(&count) && waited == Waited::Missed, "{count} looks");
    }
}
