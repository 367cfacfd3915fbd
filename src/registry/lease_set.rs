//! One set of workers and those who share it, as plain data: who may have a worker, and who should give one up. The
//! [module above](super) describes the protocol.
//!
//! Must not depend on what a worker is, or on how a lessee is woken.

use std::cmp::Reverse;
use std::collections::{BTreeMap, VecDeque};

/// One worker, from before its start until it is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PlaceId {
    number: u64,
    index: u32,
}

impl PlaceId {
    /// The index of its worker in the set: below the budget, and no other's for as long as the worker lives.
    pub fn index(self) -> u32 {
        self.index
    }
}

/// One pool of one environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct LesseeId(u64);

/// Has a lessee look at its [`Situation`], from any thread.
pub trait Wake {
    fn wake(&self);
}

/// What a request for a worker leads to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Grant<I> {
    /// A worker may be started in this place.
    New(PlaceId),
    /// A worker that was idle.
    Idle(PlaceId, I),
    /// There is none. The lessee waits, and is woken once one is promised to it.
    Denied,
}

/// What a lessee should know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Situation {
    /// How many of its workers others wait for.
    pub demand: usize,
    /// Whether its next request will be granted.
    pub is_promised: bool,
}

#[derive(Debug)]
enum Holder<I> {
    Leased(LesseeId),
    /// Since when, as a running number.
    Idle(I, u64),
    /// Its lessee is gone, and the worker is about to be.
    Nobody,
}

#[derive(Debug)]
struct Lessee<W> {
    waker: W,
    /// Whether idle workers are kept for it; false once it is closing.
    is_open: bool,
    /// Invariant: the number of places leased to it.
    held: usize,
    /// How many of these it keeps without having work for them, as it reported last.
    unused: usize,
    /// Invariant: the demand is at most `held`; nothing is promised while it waits.
    situation: Situation,
    /// When it last got a worker, as a running number.
    served: u64,
}

#[derive(Debug)]
pub(super) struct LeaseSet<I, W> {
    /// How many places there may be; at least 1.
    budget: usize,
    /// Whether idle workers are kept for any lessee, or only for those that wait.
    keeps_idle: bool,
    /// One for each worker that lives or is about to be started. Invariant: no more than the budget.
    places: BTreeMap<PlaceId, Holder<I>>,
    /// Invariant: no more is promised to them than is available (idle workers, and places that are not taken).
    lessees: BTreeMap<LesseeId, Lessee<W>>,
    /// The lessees that were denied a worker, in this order. Invariants: each once; empty unless everything that is
    /// available is promised.
    waiting: VecDeque<LesseeId>,
    /// The last number given to anything.
    last_number: u64,
}

impl<I, W: Wake> LeaseSet<I, W> {
    pub(super) fn new(budget: usize, keeps_idle: bool) -> LeaseSet<I, W> {
        LeaseSet {
            budget: budget.max(1),
            keeps_idle,
            places: BTreeMap::new(),
            lessees: BTreeMap::new(),
            waiting: VecDeque::new(),
            last_number: 0,
        }
    }

    pub(super) fn join(&mut self, waker: W) -> LesseeId {
        let lessee_id = LesseeId(self.number());
        let situation = Situation::default();
        let lessee = Lessee { waker, is_open: true, held: 0, unused: 0, situation, served: 0 };
        self.lessees.insert(lessee_id, lessee);
        lessee_id
    }

    /// Grants a worker if there is one that is not promised to another lessee.
    pub(super) fn request(&mut self, lessee_id: LesseeId) -> Grant<I> {
        let Some(lessee) = self.lessees.get_mut(&lessee_id) else { return Grant::Denied };
        let was_promised = std::mem::take(&mut lessee.situation.is_promised);
        if !was_promised && self.available() <= self.promised() {
            if !self.waiting.contains(&lessee_id) {
                self.waiting.push_back(lessee_id);
            }
            self.rebalance();
            return Grant::Denied;
        }
        // It does not wait: nobody is denied while there is a worker.
        let grant = match self.take_idle(lessee_id) {
            Some((place_id, idle)) => Grant::Idle(place_id, idle),
            None => {
                let place_id = PlaceId { index: self.free_index(), number: self.number() };
                self.lease(place_id, lessee_id);
                Grant::New(place_id)
            }
        };
        self.rebalance();
        grant
    }

    /// The lessee no longer wants a worker: it neither waits for one, nor requests what was promised to it. Returns
    /// idle workers that nobody else is left to keep, and that are leased to it from now on.
    pub(super) fn withdraw(&mut self, lessee_id: LesseeId) -> Vec<(PlaceId, I)> {
        self.stop_waiting(lessee_id);
        if self.keeps_idle && self.takes_back() { Vec::new() } else { self.take_all(lessee_id) }
    }

    /// Whether there is anybody to keep an idle worker for.
    pub(super) fn takes_back(&self) -> bool {
        if self.keeps_idle {
            self.lessees.values().any(|lessee| lessee.is_open)
        } else {
            !self.waiting.is_empty()
        }
    }

    /// The lessee has no work for this worker, or leaves it to others.
    pub(super) fn hand_back(&mut self, place_id: PlaceId, idle: I) {
        let since = self.number();
        if let Some(holder) = self.places.get_mut(&place_id)
            && let Holder::Leased(lessee_id) = *holder
        {
            *holder = Holder::Idle(idle, since);
            self.end_lease(lessee_id);
        }
        self.rebalance();
    }

    /// The worker of this place is gone. Returns what was kept of it if it was idle.
    pub(super) fn freed(&mut self, place_id: PlaceId) -> Option<I> {
        let idle = match self.places.remove(&place_id)? {
            Holder::Leased(lessee_id) => {
                self.end_lease(lessee_id);
                None
            }
            Holder::Idle(idle, _) => Some(idle),
            Holder::Nobody => None,
        };
        self.rebalance();
        idle
    }

    /// The lessee keeps this many workers without having work for them.
    pub(super) fn tell_unused(&mut self, lessee_id: LesseeId, count: usize) {
        if let Some(lessee) = self.lessees.get_mut(&lessee_id) {
            lessee.unused = count;
            self.rebalance();
        }
    }

    /// How many workers may be started before anybody needs them.
    pub(super) fn unstarted(&self) -> usize {
        self.budget.saturating_sub(self.places.len()).saturating_sub(self.promised())
    }

    /// Does something with every idle worker.
    pub(super) fn each_idle(&mut self, mut act: impl FnMut(&mut I)) {
        for holder in self.places.values_mut() {
            if let Holder::Idle(idle, _) = holder {
                act(idle);
            }
        }
    }

    /// Leases all workers to this lessee that are idle and not promised.
    pub(super) fn take_all(&mut self, lessee_id: LesseeId) -> Vec<(PlaceId, I)> {
        let mut taken = Vec::new();
        while self.available() > self.promised()
            && let Some(one) = self.take_idle(lessee_id)
        {
            taken.push(one);
        }
        self.rebalance();
        taken
    }

    /// The lessee finishes its work, and nothing is kept for it. If it was the last one open, it gets what is idle.
    pub(super) fn close(&mut self, lessee_id: LesseeId) -> Vec<(PlaceId, I)> {
        if let Some(lessee) = self.lessees.get_mut(&lessee_id) {
            lessee.is_open = false;
        }
        if self.keeps_idle && self.takes_back() { Vec::new() } else { self.take_all(lessee_id) }
    }

    /// The lessee is gone; its workers end. Returns what was kept of idle ones that nobody is left to keep.
    pub(super) fn leave(&mut self, lessee_id: LesseeId) -> Vec<I> {
        self.lessees.remove(&lessee_id);
        for holder in self.places.values_mut() {
            if matches!(holder, Holder::Leased(other) if *other == lessee_id) {
                *holder = Holder::Nobody;
            }
        }
        self.stop_waiting(lessee_id);
        self.take_strays()
    }

    /// What the lessee should know now.
    pub(super) fn situation(&self, lessee_id: LesseeId) -> Situation {
        self.lessees.get(&lessee_id).map(|lessee| lessee.situation).unwrap_or_default()
    }

    fn number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }

    fn stop_waiting(&mut self, lessee_id: LesseeId) {
        self.waiting.retain(|waiting| *waiting != lessee_id);
        if let Some(lessee) = self.lessees.get_mut(&lessee_id) {
            lessee.situation.is_promised = false;
        }
        self.rebalance();
    }

    fn lease(&mut self, place_id: PlaceId, lessee_id: LesseeId) {
        self.places.insert(place_id, Holder::Leased(lessee_id));
        let served = self.number();
        if let Some(lessee) = self.lessees.get_mut(&lessee_id) {
            lessee.held += 1;
            lessee.served = served;
        }
    }

    fn end_lease(&mut self, lessee_id: LesseeId) {
        if let Some(lessee) = self.lessees.get_mut(&lessee_id) {
            lessee.held -= 1;
        }
    }

    /// Leases the worker that became idle last: it is the warmest.
    fn take_idle(&mut self, lessee_id: LesseeId) -> Option<(PlaceId, I)> {
        let idle = self.places.iter().filter_map(|(&place_id, holder)| match holder {
            Holder::Idle(_, since) => Some((*since, place_id)),
            Holder::Leased(_) | Holder::Nobody => None,
        });
        let (_, place_id) = idle.max()?;
        let Some(Holder::Idle(idle, _)) = self.places.remove(&place_id) else { return None };
        self.lease(place_id, lessee_id);
        Some((place_id, idle))
    }

    /// The lowest index that no place has.
    fn free_index(&self) -> u32 {
        let is_free = |index: &u32| self.places.keys().all(|place_id| place_id.index != *index);
        (0..u32::MAX).find(is_free).unwrap_or_default()
    }

    fn available(&self) -> usize {
        self.idle() + self.budget.saturating_sub(self.places.len())
    }

    /// Promises what is available, and sets the demand of those that wait anew. To be called after every change.
    fn rebalance(&mut self) {
        while self.available() > self.promised()
            && let Some(lessee_id) = self.next_in_turn()
        {
            self.waiting.retain(|waiting| *waiting != lessee_id);
            if let Some(lessee) = self.lessees.get_mut(&lessee_id) {
                lessee.situation.is_promised = true;
                lessee.waker.wake();
            }
        }
        let mut demand = self.distribute_demand();
        for (lessee_id, lessee) in &mut self.lessees {
            let before = lessee.situation.demand;
            lessee.situation.demand = demand.remove(lessee_id).unwrap_or(0);
            if lessee.situation.demand > before {
                lessee.waker.wake();
            }
        }
        self.check_invariants();
    }

    /// The lessee that waits and has the fewest workers; among several such, the one that has waited longest.
    fn next_in_turn(&self) -> Option<LesseeId> {
        self.waiting.iter().copied().min_by_key(|&lessee_id| self.held(lessee_id))
    }

    /// How many workers each lessee is to give up so that everyone who waits gets one. Those that have most come first,
    /// and among these the one that was served longest ago. A lessee that has a worker gets another one only from those
    /// that keep as many afterwards, and from those that have no work for it.
    fn distribute_demand(&self) -> BTreeMap<LesseeId, usize> {
        let mut demand = BTreeMap::new();
        // How many workers each lessee would be left with, and how many of them without work.
        let mut left: BTreeMap<LesseeId, (usize, usize)> = (self.lessees.iter())
            .map(|(&lessee_id, lessee)| (lessee_id, (lessee.unused.min(lessee.held), lessee.held)))
            .collect();
        let mut waiting: Vec<LesseeId> = self.waiting.iter().copied().collect();
        waiting.sort_by_key(|&lessee_id| self.held(lessee_id));
        for waiter in waiting {
            let richest = left
                .iter()
                .filter(|(lessee_id, (_, has))| **lessee_id != waiter && *has > 0)
                .max_by_key(|(lessee_id, (unused, has))| {
                    (*unused > 0, *has, Reverse(self.lessees[*lessee_id].served))
                });
            let Some((&giver, &(unused, has))) = richest else { continue };
            let held = self.held(waiter);
            if unused > 0 || held == 0 || has > held + 1 {
                *demand.entry(giver).or_insert(0) += 1;
                left.insert(giver, (unused.saturating_sub(1), has - 1));
            }
        }
        demand
    }

    /// Idle workers that nobody is left to keep, and that nobody was promised.
    fn take_strays(&mut self) -> Vec<I> {
        let mut strays = Vec::new();
        if (self.keeps_idle && self.takes_back()) || self.promised() > 0 {
            return strays;
        }
        for holder in self.places.values_mut() {
            if let Holder::Idle(..) = holder
                && let Holder::Idle(idle, _) = std::mem::replace(holder, Holder::Nobody)
            {
                strays.push(idle);
            }
        }
        strays
    }
}

impl<I, W> LeaseSet<I, W> {
    fn held(&self, lessee_id: LesseeId) -> usize {
        self.lessees.get(&lessee_id).map_or(0, |lessee| lessee.held)
    }

    fn idle(&self) -> usize {
        self.places.values().filter(|holder| matches!(holder, Holder::Idle(..))).count()
    }

    fn promised(&self) -> usize {
        self.lessees.values().filter(|lessee| lessee.situation.is_promised).count()
    }

    /// Panics if an invariant does not hold; does nothing in release builds.
    fn check_invariants(&self) {
        if !cfg!(debug_assertions) {
            return;
        }
        debug_assert!(self.places.len() <= self.budget, "more places than the budget");
        let available = self.idle() + self.budget - self.places.len();
        debug_assert!(self.promised() <= available, "more is promised than is available");
        debug_assert!(self.waiting.is_empty() || self.promised() == available, "a lessee waits for nothing");
        for (&lessee_id, lessee) in &self.lessees {
            let is_lessee = |holder: &&Holder<I>| matches!(holder, Holder::Leased(id) if *id == lessee_id);
            debug_assert_eq!(lessee.held, self.places.values().filter(is_lessee).count(), "places held");
            debug_assert!(lessee.situation.demand <= lessee.held, "more is demanded than it has");
            let waiting = self.waiting.iter().filter(|waiting| **waiting == lessee_id).count();
            let most = usize::from(!lessee.situation.is_promised);
            debug_assert!(waiting <= most, "a lessee waits twice, or waits for what it was promised");
        }
    }

    /// How many places there are, how many of their workers are idle, and how many lessees wait.
    #[cfg(test)]
    pub(super) fn counts(&self) -> (usize, usize, usize) {
        (self.places.len(), self.idle(), self.waiting.len())
    }
}
