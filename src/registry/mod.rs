//! Workers that the environments of one process share: the only state that belongs to no environment.
//!
//! Where many environments load the same module (AWS Lambda's Managed Instances start eight per CPU), a pool at its
//! top level exists as many times. Pools of equal options then share one set of workers, so that the number of
//! workers follows the machine. The registry is plain data behind locks that are held for moments: it knows sets by a
//! key, places, lessees and something that is kept for each idle worker; not what a worker is, nor JavaScript, nor
//! clocks, nor who polls what.
//!
//! # The protocol
//!
//! 1. A pool *joins* the set of its key as a [`Lessee`]. The set has a *budget*: so many *places*.
//! 2. Before it starts a worker, it asks. It gets a place for a new one, or an idle worker together with the place
//!    that this has; or it is denied, and waits.
//! 3. A place lives exactly as long as its worker: the [`Place`] is dropped by whoever knows that the worker is gone (the
//!    supervisor, when a process was reaped), also when its lessee ended without a word. So there are never more
//!    workers than places, and never more of these than the budget.
//! 4. A worker is leased to one lessee at a time, and only that one talks to it and polls it. A lessee hands a worker
//!    back when it has nothing under way, between two frames, as all that the next one needs to go on with it.
//! 5. While somebody waits, others are *asked* for workers: first those who keep some without work for them, then those
//!    who have most, and of these who was served longest ago. Who is asked hands back what is idle, and else a worker that it has had for a while, as soon as that
//!    has answered what it was sent. It then waits itself if it needs one.
//! 6. What comes free is *promised* to who waits: to who has fewest workers, and of these who waits longest. Nobody else
//!    gets it. A promise is kept by asking, and given up by withdrawing or leaving.
//! 7. Whoever is asked or promised something is woken, by its eventfd, and looks at its [`Situation`]. A wake-up says
//!    nothing by itself; one too many is harmless.
//! 8. Who closes does not count as one to keep idle workers for. The last to close gets all of them, to stop them. Who
//!    leaves without closing (its environment was ended) gives back what is idle before; its other workers end.
//! 9. Where an idle worker is to be stopped after a time, or cannot go anywhere (a thread), its lessee keeps it and
//!    tells how many such ones it has. These are asked for first, and nothing is kept but for those who wait: a worker
//!    that cannot go ends, and its place is what comes free.
//!
//! An environment whose thread is busy with something else sees none of this, and what is leased or promised to
//! it waits for it: whoever blocks its event loop blocks one worker at a time.

mod share;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use share::{LesseeId, Share};
pub use share::{PlaceId, Situation, Wake};

use crate::platform::Waker;

impl Wake for Arc<Waker> {
    fn wake(&self) {
        Waker::wake(self);
    }
}

type Set<I> = Mutex<Share<I, Arc<Waker>>>;
type Shared<I> = Arc<Set<I>>;
type Sets<I> = HashMap<Vec<u8>, Weak<Set<I>>>;

/// All sets of a process. `I` is what is kept of an idle worker.
pub struct Registry<I>(Mutex<Option<Sets<I>>>);

/// What comes of asking for a worker.
pub enum Answer<I> {
    New(Place<I>),
    Idle(PlaceId, I),
    Denied,
}

/// A pool's part in a set. Dropping it leaves the set.
pub struct Lessee<I> {
    share: Shared<I>,
    id: LesseeId,
}

/// One worker's place. To be dropped when the worker is gone.
pub struct Place<I> {
    share: Shared<I>,
    id: PlaceId,
}

impl<I> Registry<I> {
    pub const fn new() -> Registry<I> {
        Registry(Mutex::new(None))
    }

    /// Joins the set of this key. If it is new, it has so many places, and keeps idle workers for whoever comes, or only
    /// for those who wait.
    pub fn join(&self, key: Vec<u8>, budget: usize, keeps: bool, waker: Arc<Waker>) -> Lessee<I> {
        let mut sets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let sets = sets.get_or_insert_default();
        sets.retain(|_, share| share.strong_count() > 0);
        let known = sets.get(&key).and_then(Weak::upgrade);
        let share = known.unwrap_or_else(|| {
            let share = Arc::new(Mutex::new(Share::new(budget, keeps)));
            sets.insert(key, Arc::downgrade(&share));
            share
        });
        let id = lock(&share).join(waker);
        Lessee { share, id }
    }
}

impl<I> Lessee<I> {
    pub fn ask(&self) -> Answer<I> {
        match lock(&self.share).ask(self.id) {
            share::Answer::New(id) => Answer::New(Place { share: self.share.clone(), id }),
            share::Answer::Idle(place, idle) => Answer::Idle(place, idle),
            share::Answer::Denied => Answer::Denied,
        }
    }

    /// The worker that was denied is not wanted any more. Returns idle ones that nobody else is left to keep.
    pub fn withdraw(&self) -> Vec<(PlaceId, I)> {
        lock(&self.share).withdraw(self.id)
    }

    /// Hands a worker back: what `detach` makes of it is kept for the next one. `false`, and nothing is detached,
    /// if there is nobody left to keep it for.
    pub fn hand_back(&self, place: PlaceId, detach: impl FnOnce() -> Option<I>) -> bool {
        let mut share = lock(&self.share);
        if !share.takes_back() {
            return false;
        }
        let Some(idle) = detach() else { return false };
        share.hand_back(place, idle);
        true
    }

    /// So many of its workers this pool keeps without having work for them.
    pub fn tell_unused(&self, count: usize) {
        lock(&self.share).tell_unused(self.id, count);
    }

    /// How many workers may be started before anybody needs them.
    pub fn unstarted(&self) -> usize {
        lock(&self.share).unstarted()
    }

    /// Leases all that is idle.
    pub fn take_all(&self) -> Vec<(PlaceId, I)> {
        lock(&self.share).take_all(self.id)
    }

    /// From now on nothing is kept for this pool. If it was the last, it gets what was.
    pub fn close(&self) -> Vec<(PlaceId, I)> {
        lock(&self.share).close(self.id)
    }

    pub fn situation(&self) -> Situation {
        lock(&self.share).situation(self.id)
    }
}

impl<I> Place<I> {
    pub fn id(&self) -> PlaceId {
        self.id
    }
}

impl<I> Drop for Lessee<I> {
    fn drop(&mut self) {
        let strays = lock(&self.share).leave(self.id);
        drop(strays);
    }
}

impl<I> Drop for Place<I> {
    fn drop(&mut self) {
        let idle = lock(&self.share).freed(self.id);
        drop(idle);
    }
}

fn lock<I>(share: &Shared<I>) -> MutexGuard<'_, Share<I, Arc<Waker>>> {
    share.lock().unwrap_or_else(PoisonError::into_inner)
}
