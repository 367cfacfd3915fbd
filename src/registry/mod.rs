//! Workers that the environments of one process share: the only state that belongs to no environment.
//!
//! Where many environments load the same module (AWS Lambda's Managed Instances start eight per CPU), a pool at its top
//! level exists that many times. Pools with equal options then share one set of workers, so that the number of workers
//! follows the machine. The registry is plain data behind locks that are held only for moments: sets by their key,
//! places, lessees, and something that is kept for each idle worker.
//!
//! Must not depend on what a worker is, on JavaScript, on clocks, or on who polls what.
//!
//! # The protocol
//!
//! 1. A pool *joins* the set of its key as a [`Lessee`]. The set has a *budget*: this many *places*.
//! 2. Before it starts a worker, it requests one. It is granted a place for a new worker, or an idle worker together
//!    with its place; or the request is denied, and it waits.
//! 3. A place lives exactly as long as its worker: the [`Place`] is dropped by whoever knows that the worker is gone
//!    (the supervisor, once a process was reaped), even if its lessee has disappeared. So there are never more workers
//!    than places, and never more places than the budget.
//! 4. A worker is leased to one lessee at a time, and only that one talks to it and polls it. A lessee hands back a
//!    worker that has nothing in flight, between two chunks, as everything that the next lessee needs to go on with it.
//! 5. While lessees wait, there is a *demand* on others: first on those that keep workers without work, then on those
//!    that have most, and among these on the one that was served longest ago. A lessee meets the demand with idle
//!    workers, and otherwise with a worker that it has had for a while, as soon as that has replied to everything it
//!    was sent. If it needs a worker itself, it then waits too.
//! 6. What becomes free is *promised* to a lessee that waits: to the one with the fewest workers, and among these to
//!    the one that has waited longest. Nobody else gets it. A promise is kept by a request, and given up by withdrawing
//!    or leaving.
//! 7. A lessee on which demand grows, or to which something is promised, is woken through its eventfd, and looks at its
//!    [`Situation`]. A wake-up in itself says nothing, and one too many is harmless.
//! 8. No idle workers are kept for a lessee that is closing. The last one to close gets all of them, to stop them. A
//!    lessee that leaves without closing (its environment was terminated) first hands back what is idle; its other
//!    workers end.
//! 9. If idle workers are to be stopped after a time, or cannot move (threads), their lessee keeps them and reports how
//!    many it has. Demand goes to these first, and a worker is only handed back for a lessee that waits: one that
//!    cannot move ends, and its place becomes free.
//!
//! An environment whose thread is busy with something else notices none of this, and what is leased or promised to it
//! waits for it: whoever blocks its event loop blocks one worker at a time.

mod lease_set;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crate::platform::Waker;
use lease_set::{LeaseSet, LesseeId};
pub use lease_set::{PlaceId, Situation, Wake};

impl Wake for Arc<Waker> {
    fn wake(&self) {
        Waker::wake(self);
    }
}

type LockedSet<I> = Mutex<LeaseSet<I, Arc<Waker>>>;
type Sets<I> = HashMap<Vec<u8>, Weak<LockedSet<I>>>;

/// All sets of a process. `I` is what is kept of an idle worker.
pub struct Registry<I>(Mutex<Option<Sets<I>>>);

/// What a request for a worker leads to.
pub enum Grant<I> {
    /// A worker may be started in this place.
    New(Place<I>),
    /// A worker that was idle.
    Idle(PlaceId, I),
    /// There is none. The lessee waits, and is woken once one is promised to it.
    Denied,
}

/// A pool's part in a set. Dropping it leaves the set.
pub struct Lessee<I> {
    set: Arc<LockedSet<I>>,
    lessee_id: LesseeId,
}

/// One worker's place. To be dropped once the worker is gone.
pub struct Place<I> {
    set: Arc<LockedSet<I>>,
    place_id: PlaceId,
}

impl<I> Registry<I> {
    /// A registry without sets.
    pub const fn new() -> Registry<I> {
        Registry(Mutex::new(None))
    }

    /// Joins the set of this key. If it is new, it has `budget` places (at least 1), and keeps idle workers for any
    /// lessee or, without `keeps_idle`, only for those that wait.
    pub fn join(&self, key: Vec<u8>, budget: usize, keeps_idle: bool, waker: Arc<Waker>) -> Lessee<I> {
        let mut sets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let sets = sets.get_or_insert_default();
        sets.retain(|_, set| set.strong_count() > 0);
        let known = sets.get(&key).and_then(Weak::upgrade);
        let set = known.unwrap_or_else(|| {
            let set = Arc::new(Mutex::new(LeaseSet::new(budget, keeps_idle)));
            sets.insert(key, Arc::downgrade(&set));
            set
        });
        let lessee_id = lock(&set).join(waker);
        Lessee { set, lessee_id }
    }
}

impl<I> Lessee<I> {
    /// Requests a worker.
    pub fn request(&self) -> Grant<I> {
        match lock(&self.set).request(self.lessee_id) {
            lease_set::Grant::New(place_id) => Grant::New(Place { set: self.set.clone(), place_id }),
            lease_set::Grant::Idle(place_id, idle) => Grant::Idle(place_id, idle),
            lease_set::Grant::Denied => Grant::Denied,
        }
    }

    /// The worker that was denied is no longer wanted. Returns idle workers that nobody else is left to keep, and that
    /// are leased to this lessee from now on.
    pub fn withdraw(&self) -> Vec<(PlaceId, I)> {
        lock(&self.set).withdraw(self.lessee_id)
    }

    /// Hands back a worker: what `detach` makes of it is kept for the next lessee. Returns false, and detaches nothing,
    /// if nobody is left to keep it for.
    pub fn hand_back(&self, place_id: PlaceId, detach: impl FnOnce() -> Option<I>) -> bool {
        let mut set = lock(&self.set);
        if !set.takes_back() {
            return false;
        }
        let Some(idle) = detach() else { return false };
        set.hand_back(place_id, idle);
        true
    }

    /// Reports how many of its workers this lessee keeps without having work for them.
    pub fn tell_unused(&self, count: usize) {
        lock(&self.set).tell_unused(self.lessee_id, count);
    }

    /// How many workers may be started before anybody needs them.
    pub fn unstarted(&self) -> usize {
        lock(&self.set).unstarted()
    }

    /// Does something with every idle worker, whoever it may be promised to.
    pub fn each_idle(&self, act: impl FnMut(&mut I)) {
        lock(&self.set).each_idle(act);
    }

    /// Leases all workers that are idle and not promised.
    pub fn take_all(&self) -> Vec<(PlaceId, I)> {
        lock(&self.set).take_all(self.lessee_id)
    }

    /// From now on no workers are kept for this lessee. If it was the last, it gets those that were kept.
    pub fn close(&self) -> Vec<(PlaceId, I)> {
        lock(&self.set).close(self.lessee_id)
    }

    /// What this lessee should know now.
    pub fn situation(&self) -> Situation {
        lock(&self.set).situation(self.lessee_id)
    }
}

impl<I> Place<I> {
    pub fn id(&self) -> PlaceId {
        self.place_id
    }
}

impl<I> Drop for Lessee<I> {
    fn drop(&mut self) {
        // Dropped without the lock: their end leads back here.
        let strays = lock(&self.set).leave(self.lessee_id);
        drop(strays);
    }
}

impl<I> Drop for Place<I> {
    fn drop(&mut self) {
        // Dropped without the lock.
        let idle = lock(&self.set).freed(self.place_id);
        drop(idle);
    }
}

fn lock<I>(set: &LockedSet<I>) -> MutexGuard<'_, LeaseSet<I, Arc<Waker>>> {
    set.lock().unwrap_or_else(PoisonError::into_inner)
}
