//! Workers that were woken to run something, and have not been seen to run since.
//!
//! Linux wakes workers beside each other where no CPU is idle, and leaves them there when the caller, who has woken
//! them, goes to sleep and leaves its own CPU idle: it takes a time slice of some milliseconds until the second one
//! runs. So the caller fetches it before.
//!
//! Used by carriers to workers that are threads of this system. Must not depend on how they were woken.

use crate::engine::is_reached;
use crate::platform;

/// One of them, kept from the moment at which it was woken.
#[derive(Clone, Copy, Debug)]
pub struct Woken {
    thread: i32,
    /// The first call that it was woken for.
    seq: u32,
}

impl Woken {
    pub fn new(thread: i32, seq: u32) -> Woken {
        Woken { thread, seq }
    }

    /// Whether it has not begun that call, given the number of the call that it has begun last.
    pub fn waits(&self, last_begun: u32) -> bool {
        !is_reached(last_begun, self.seq)
    }

    /// Moves it to the CPU of this thread, which is about to sleep, if it waits behind one of these and none of them is
    /// here. Returns whether it did.
    pub fn fetch(&self, workers: impl Iterator<Item = i32>) -> bool {
        if !platform::is_crowded() {
            return false;
        }
        let Some(cpu) = platform::runs_on(self.thread) else { return false };
        let others = workers.filter(|&thread| thread != self.thread).filter_map(platform::runs_on);
        let is_behind = is_only_behind(cpu, platform::current_cpu(), others);
        if is_behind {
            platform::fetch_thread(self.thread);
        }
        is_behind
    }
}

/// Whether one of the others is on this CPU, and none is here.
fn is_only_behind(cpu: usize, here: Option<usize>, others: impl Iterator<Item = usize>) -> bool {
    let mut is_behind = false;
    for other in others {
        if Some(other) == here {
            return false;
        }
        is_behind |= other == cpu;
    }
    is_behind && here.is_some_and(|here| here != cpu)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_waits_until_it_has_begun_that_call_or_a_later_one() {
        let woken = Woken::new(1, 5);
        assert!(woken.waits(0) && woken.waits(4));
        assert!(!woken.waits(5) && !woken.waits(6));
        let wrapped = Woken::new(1, 1);
        assert!(wrapped.waits(u32::MAX), "the numbers of calls begin again");
        assert!(!Woken::new(1, u32::MAX).waits(0));
    }

    #[test]
    fn it_is_fetched_from_behind_another_one_to_where_none_waits() {
        let is_fetched = |cpu, here, others: &[usize]| is_only_behind(cpu, here, others.iter().copied());
        assert!(is_fetched(0, Some(1), &[0]));
        assert!(is_fetched(0, Some(1), &[2, 0]));
        assert!(!is_fetched(0, Some(1), &[]), "it has that CPU for itself");
        assert!(!is_fetched(0, Some(1), &[2]));
        assert!(!is_fetched(0, Some(1), &[0, 1]), "another one was interrupted here");
        assert!(!is_fetched(1, Some(1), &[1]), "it is here already");
        assert!(!is_fetched(0, None, &[0]));
    }
}
