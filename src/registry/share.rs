//! One set of workers and those who share it, as plain data: who may have a worker, and who should give one up.
//! The [module above](super) has the protocol.
//!
//! Between two calls this holds:
//! - there are no more places than the budget, and one for each process that lives or is about to be started;
//! - no more is promised than is available (idle processes, and places that are not taken);
//! - somebody waits only while all that is available is promised.

use std::cmp::Reverse;
use std::collections::{BTreeMap, VecDeque};

/// One process, from before its start until it was reaped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PlaceId(u64);

/// One pool of one environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct LesseeId(u64);

/// Has a lessee look at its [`Situation`], from any thread.
pub trait Wake {
    fn wake(&self);
}

/// What comes of asking for a worker.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer<I> {
    /// Start one; this is its place.
    New(PlaceId),
    /// This one was idle.
    Idle(PlaceId, I),
    /// There is none. The lessee waits, and is woken when one is promised to it.
    Denied,
}

/// What a lessee should know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Situation {
    /// So many of its workers others wait for.
    pub demand: usize,
    /// If it asks now, it gets one.
    pub is_promised: bool,
}

#[derive(Debug)]
enum Holder<I> {
    Leased(LesseeId),
    /// Since when, as a running number.
    Idle(I, u64),
    /// Its lessee is gone, and so will the process be.
    Nobody,
}

#[derive(Debug)]
struct Lessee<W> {
    waker: W,
    /// Whether it takes part in keeping idle processes; one that is closing does not.
    is_open: bool,
    /// Places that are leased to it.
    held: usize,
    /// So many of these it has no work for, and keeps.
    unused: usize,
    situation: Situation,
    /// When it last got a worker, as a running number.
    served: u64,
}

#[derive(Debug)]
pub(super) struct Share<I, W> {
    budget: usize,
    /// Whether idle workers are kept for whoever comes; else only for those who wait.
    keeps: bool,
    places: BTreeMap<PlaceId, Holder<I>>,
    lessees: BTreeMap<LesseeId, Lessee<W>>,
    /// Those that were denied one, in that order, each once.
    waiting: VecDeque<LesseeId>,
    /// The next number of whatever is numbered.
    next: u64,
}

impl<I, W: Wake> Share<I, W> {
    pub(super) fn new(budget: usize, keeps: bool) -> Share<I, W> {
        Share {
            budget: budget.max(1),
            keeps,
            places: BTreeMap::new(),
            lessees: BTreeMap::new(),
            waiting: VecDeque::new(),
            next: 0,
        }
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    pub(super) fn join(&mut self, waker: W) -> LesseeId {
        let id = LesseeId(self.number());
        let lessee =
            Lessee { waker, is_open: true, held: 0, unused: 0, situation: Situation::default(), served: 0 };
        self.lessees.insert(id, lessee);
        id
    }

    /// A worker for this lessee, if there is one that is not promised to somebody else.
    pub(super) fn ask(&mut self, id: LesseeId) -> Answer<I> {
        let Some(lessee) = self.lessees.get_mut(&id) else { return Answer::Denied };
        if !std::mem::take(&mut lessee.situation.is_promised) && self.available() <= self.promised() {
            if !self.waiting.contains(&id) {
                self.waiting.push_back(id);
            }
            self.settle();
            return Answer::Denied;
        }
        // Nobody is denied while there is one: it does not wait.
        let answer = match self.take_idle(id) {
            Some((place, idle)) => Answer::Idle(place, idle),
            None => {
                let place = PlaceId(self.number());
                self.lease(place, id);
                Answer::New(place)
            }
        };
        self.settle();
        answer
    }

    /// The lessee does not want a worker any more: neither waits for one, nor asks for what was promised to it.
    /// Returns processes that nobody else is left to keep, and that are leased to it.
    pub(super) fn withdraw(&mut self, id: LesseeId) -> Vec<(PlaceId, I)> {
        self.give_up(id);
        if self.keeps && self.takes_back() { Vec::new() } else { self.take_all(id) }
    }

    fn give_up(&mut self, id: LesseeId) {
        self.waiting.retain(|waiting| *waiting != id);
        if let Some(lessee) = self.lessees.get_mut(&id) {
            lessee.situation.is_promised = false;
        }
        self.settle();
    }

    /// Whether there is anybody to keep an idle process for.
    pub(super) fn takes_back(&self) -> bool {
        if self.keeps { self.lessees.values().any(|lessee| lessee.is_open) } else { !self.waiting.is_empty() }
    }

    /// The lessee has no work for this process, or is to leave it to others.
    pub(super) fn hand_back(&mut self, place: PlaceId, idle: I) {
        let since = self.number();
        if let Some(holder) = self.places.get_mut(&place)
            && let Holder::Leased(id) = *holder
        {
            *holder = Holder::Idle(idle, since);
            if let Some(lessee) = self.lessees.get_mut(&id) {
                lessee.held -= 1;
            }
        }
        self.settle();
    }

    /// The process of this place is gone. Returns it if it was idle.
    pub(super) fn freed(&mut self, place: PlaceId) -> Option<I> {
        let holder = self.places.remove(&place)?;
        let idle = match holder {
            Holder::Leased(id) => {
                if let Some(lessee) = self.lessees.get_mut(&id) {
                    lessee.held -= 1;
                }
                None
            }
            Holder::Idle(idle, _) => Some(idle),
            Holder::Nobody => None,
        };
        self.settle();
        idle
    }

    pub(super) fn tell_unused(&mut self, id: LesseeId, count: usize) {
        if let Some(lessee) = self.lessees.get_mut(&id) {
            lessee.unused = count;
            self.settle();
        }
    }

    /// How many processes may be started for nobody in particular.
    pub(super) fn unstarted(&self) -> usize {
        self.budget.saturating_sub(self.places.len()).saturating_sub(self.promised())
    }

    /// Leases all idle processes that are not promised to this lessee.
    pub(super) fn take_all(&mut self, id: LesseeId) -> Vec<(PlaceId, I)> {
        let mut taken = Vec::new();
        while self.available() > self.promised()
            && let Some(one) = self.take_idle(id)
        {
            taken.push(one);
        }
        self.settle();
        taken
    }

    /// The lessee finishes its work and wants nothing kept. If it was the last that did, it gets what is idle.
    pub(super) fn close(&mut self, id: LesseeId) -> Vec<(PlaceId, I)> {
        if let Some(lessee) = self.lessees.get_mut(&id) {
            lessee.is_open = false;
        }
        if self.keeps && self.takes_back() { Vec::new() } else { self.take_all(id) }
    }

    /// The lessee is gone; its processes end. Returns others that nobody is left to keep.
    pub(super) fn leave(&mut self, id: LesseeId) -> Vec<I> {
        self.lessees.remove(&id);
        for holder in self.places.values_mut() {
            if matches!(holder, Holder::Leased(lessee) if *lessee == id) {
                *holder = Holder::Nobody;
            }
        }
        self.give_up(id);
        self.strays()
    }

    pub(super) fn situation(&self, id: LesseeId) -> Situation {
        self.lessees.get(&id).map(|lessee| lessee.situation).unwrap_or_default()
    }

    fn lease(&mut self, place: PlaceId, id: LesseeId) {
        self.places.insert(place, Holder::Leased(id));
        let served = self.number();
        if let Some(lessee) = self.lessees.get_mut(&id) {
            lessee.held += 1;
            lessee.served = served;
        }
    }

    /// The one that became idle last is the warmest.
    fn take_idle(&mut self, id: LesseeId) -> Option<(PlaceId, I)> {
        let idle = self.places.iter().filter_map(|(&place, holder)| match holder {
            Holder::Idle(_, since) => Some((*since, place)),
            Holder::Leased(_) | Holder::Nobody => None,
        });
        let (_, place) = idle.max()?;
        let Some(Holder::Idle(idle, _)) = self.places.remove(&place) else { return None };
        self.lease(place, id);
        Some((place, idle))
    }

    fn available(&self) -> usize {
        let idle = self.places.values().filter(|holder| matches!(holder, Holder::Idle(..))).count();
        idle + self.budget.saturating_sub(self.places.len())
    }

    fn promised(&self) -> usize {
        self.lessees.values().filter(|lessee| lessee.situation.is_promised).count()
    }

    /// Promises what is available, and says anew who is asked for what others wait for.
    fn settle(&mut self) {
        while self.available() > self.promised()
            && let Some(id) = self.next_in_turn()
        {
            self.waiting.retain(|waiting| *waiting != id);
            if let Some(lessee) = self.lessees.get_mut(&id) {
                lessee.situation.is_promised = true;
                lessee.waker.wake();
            }
        }
        let mut asked = self.asked();
        for (id, lessee) in &mut self.lessees {
            let before = lessee.situation.demand;
            lessee.situation.demand = asked.remove(id).unwrap_or(0);
            if lessee.situation.demand > before {
                lessee.waker.wake();
            }
        }
    }

    fn held(&self, id: LesseeId) -> usize {
        self.lessees.get(&id).map_or(0, |lessee| lessee.held)
    }

    /// Who has least comes first; of these, who has waited longest.
    fn next_in_turn(&self) -> Option<LesseeId> {
        self.waiting.iter().copied().min_by_key(|&id| self.held(id))
    }

    /// Who is to give up how many, so that everybody who waits gets one. Those who have most are asked first; of
    /// these, who was served longest ago. Somebody who has one is given another only by those who keep as many, and by
    /// those who have no work for it.
    fn asked(&self) -> BTreeMap<LesseeId, usize> {
        let mut asked = BTreeMap::new();
        // With how many of them are without work.
        let mut keeps: BTreeMap<LesseeId, (usize, usize)> = (self.lessees.iter())
            .map(|(&id, lessee)| (id, (lessee.unused.min(lessee.held), lessee.held)))
            .collect();
        let mut waiting: Vec<LesseeId> = self.waiting.iter().copied().collect();
        waiting.sort_by_key(|&id| self.held(id));
        for waiter in waiting {
            let richest = keeps
                .iter()
                .filter(|(id, (_, has))| **id != waiter && *has > 0)
                .max_by_key(|(id, (unused, has))| (*unused > 0, *has, Reverse(self.lessees[*id].served)));
            let Some((&giver, &(unused, has))) = richest else { continue };
            let held = self.held(waiter);
            if unused > 0 || held == 0 || has > held + 1 {
                *asked.entry(giver).or_insert(0) += 1;
                keeps.insert(giver, (unused.saturating_sub(1), has - 1));
            }
        }
        asked
    }

    /// Idle processes are kept only while somebody is there to keep them for.
    fn strays(&mut self) -> Vec<I> {
        let mut strays = Vec::new();
        if (self.keeps && self.takes_back()) || self.promised() > 0 {
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

#[cfg(test)]
impl<I, W> Share<I, W> {
    pub(super) fn counts(&self) -> (usize, usize, usize) {
        let idle = self.places.values().filter(|holder| matches!(holder, Holder::Idle(..))).count();
        (self.places.len(), idle, self.waiting.len())
    }
}
