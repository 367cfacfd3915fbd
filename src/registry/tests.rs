//! Drives a set with lessees and workers that exist only here. The set checks its own invariants after each change.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;

use proptest::collection::vec;
use proptest::prelude::*;

use super::lease_set::{Grant, LeaseSet, LesseeId, PlaceId, Situation, Wake};
use super::*;

#[derive(Clone, Debug, Default)]
struct Bell(Rc<Cell<u32>>);

impl Wake for Bell {
    fn wake(&self) {
        self.0.set(self.0.get() + 1);
    }
}

/// A new lessee, and the bell that rings when there is something that it should know.
fn joined(set: &mut LeaseSet<u32, Bell>) -> (LesseeId, Bell) {
    let bell = Bell::default();
    (set.join(bell.clone()), bell)
}

fn new(grant: Grant<u32>) -> PlaceId {
    match grant {
        Grant::New(place) => place,
        other => panic!("a new one was expected, not {other:?}"),
    }
}

const NOTHING: Situation = Situation { demand: 0, is_promised: false };
const PROMISED: Situation = Situation { demand: 0, is_promised: true };

fn demanded(demand: usize) -> Situation {
    Situation { demand, is_promised: false }
}

#[test]
fn an_idle_worker_goes_to_whoever_asks_next() {
    let mut set = LeaseSet::new(2, true);
    let ((one, _), (two, bell)) = (joined(&mut set), joined(&mut set));
    let place = new(set.request(one));
    set.hand_back(place, 7);
    assert_eq!(set.request(two), Grant::Idle(place, 7));
    new(set.request(two));
    assert_eq!(set.request(two), Grant::Denied);
    assert_eq!(bell.0.get(), 0, "nobody else has a worker");
}

#[test]
fn who_waits_gets_what_becomes_free_and_nobody_else_does() {
    let mut set = LeaseSet::new(1, true);
    let [(one, ring_one), (two, ring_two), (three, ring_three)] = [(); 3].map(|()| joined(&mut set));
    let place = new(set.request(one));
    assert_eq!(set.request(two), Grant::Denied);
    assert_eq!((set.situation(one), ring_one.0.get()), (demanded(1), 1));
    assert_eq!(set.request(three), Grant::Denied);
    assert_eq!(set.request(three), Grant::Denied, "it waits once");
    set.hand_back(place, 7);
    assert_eq!((set.situation(two), ring_two.0.get()), (PROMISED, 1));
    assert_eq!((set.situation(three), ring_three.0.get()), (NOTHING, 0));
    assert_eq!(set.request(one), Grant::Denied, "it is promised");
    assert_eq!(set.request(two), Grant::Idle(place, 7));
    set.hand_back(place, 8);
    assert_eq!(set.request(three), Grant::Idle(place, 8));
    set.hand_back(place, 9);
    assert_eq!(set.request(one), Grant::Idle(place, 9), "in turn");
}

#[test]
fn a_death_frees_the_place_for_a_lessee_that_waits() {
    let mut set = LeaseSet::new(1, true);
    let ((one, _), (two, bell)) = (joined(&mut set), joined(&mut set));
    let place = new(set.request(one));
    assert_eq!(set.request(two), Grant::Denied);
    assert_eq!(set.freed(place), None);
    assert_eq!(bell.0.get(), 1);
    let place = new(set.request(two));
    set.hand_back(place, 7);
    assert_eq!(set.freed(place), Some(7), "idle ones die as well");
    assert_eq!(set.counts(), (0, 0, 0));
}

#[test]
fn demand_is_on_who_has_most_and_leaves_nobody_with_less_than_who_waits() {
    let mut set = LeaseSet::new(4, true);
    let [(one, _), (two, _), (three, _), (four, _)] = [(); 4].map(|()| joined(&mut set));
    for lessee in [one, one, one, two] {
        new(set.request(lessee));
    }
    assert_eq!(set.request(three), Grant::Denied);
    assert_eq!((set.situation(one), set.situation(two)), (demanded(1), NOTHING));
    assert_eq!(set.request(two), Grant::Denied, "it would have two, and so would the richest");
    assert_eq!((set.situation(one), set.situation(two)), (demanded(1), NOTHING));
    assert_eq!(set.request(four), Grant::Denied);
    assert_eq!((set.situation(one), set.situation(two)), (demanded(2), NOTHING));
    set.withdraw(three);
    set.withdraw(four);
    assert_eq!(set.situation(one), demanded(1), "of three and one two and two can be made");
    set.withdraw(two);
    assert_eq!(set.situation(one), NOTHING);
}

#[test]
fn among_equals_demand_is_on_the_one_served_longest_ago() {
    let mut set = LeaseSet::new(2, true);
    let [(one, _), (two, _), (three, _)] = [(); 3].map(|()| joined(&mut set));
    new(set.request(two));
    new(set.request(one));
    assert_eq!(set.request(three), Grant::Denied);
    assert_eq!((set.situation(one), set.situation(two)), (NOTHING, demanded(1)));
}

#[test]
fn demand_is_on_workers_without_work_first_whoever_has_most() {
    let mut set = LeaseSet::new(4, true);
    let [(one, _), (two, _), (three, _)] = [(); 3].map(|()| joined(&mut set));
    for lessee in [one, one, two, three] {
        new(set.request(lessee));
    }
    assert_eq!(set.request(three), Grant::Denied);
    assert_eq!((set.situation(one), set.situation(two)), (NOTHING, NOTHING), "it has one");
    set.tell_unused(two, 1);
    assert_eq!((set.situation(one), set.situation(two)), (NOTHING, demanded(1)));
    set.tell_unused(two, 0);
    assert_eq!(set.situation(two), NOTHING);
}

#[test]
fn a_promise_that_is_not_wanted_goes_to_the_next() {
    let mut set = LeaseSet::new(1, true);
    let [(one, _), (two, _), (three, bell)] = [(); 3].map(|()| joined(&mut set));
    let place = new(set.request(one));
    assert_eq!(set.request(two), Grant::Denied);
    assert_eq!(set.request(three), Grant::Denied);
    set.hand_back(place, 7);
    assert_eq!(set.withdraw(two), []);
    assert_eq!((set.situation(three), bell.0.get()), (PROMISED, 1));
    assert!(set.leave(three).is_empty());
    assert_eq!(set.request(one), Grant::Idle(place, 7));
}

#[test]
fn the_last_to_close_gets_what_is_idle() {
    let mut set = LeaseSet::new(2, true);
    let ((one, _), (two, _)) = (joined(&mut set), joined(&mut set));
    let (first, second) = (new(set.request(one)), new(set.request(two)));
    set.hand_back(first, 1);
    assert!(set.close(one).is_empty());
    assert!(set.takes_back());
    assert_eq!(set.close(two), [(first, 1)]);
    assert!(!set.takes_back());
    assert_eq!((set.freed(first), set.freed(second)), (None, None));
    assert_eq!(set.counts(), (0, 0, 0));
}

#[test]
fn the_last_to_leave_leaves_nothing_behind() {
    let mut set = LeaseSet::new(3, true);
    let ((one, _), (two, _)) = (joined(&mut set), joined(&mut set));
    let (busy, idle) = (new(set.request(one)), new(set.request(one)));
    set.hand_back(idle, 7);
    assert!(set.leave(one).is_empty(), "the other may want it");
    assert_eq!(set.leave(two), [7]);
    assert_eq!(set.counts(), (2, 0, 0), "they live until they are reaped");
    assert_eq!((set.freed(busy), set.freed(idle)), (None, None));
}

#[test]
fn a_set_that_keeps_nothing_takes_back_only_for_those_that_wait() {
    let mut set = LeaseSet::new(1, false);
    let [(one, _), (two, _), (three, _)] = [(); 3].map(|()| joined(&mut set));
    let place = new(set.request(one));
    assert!(!set.takes_back());
    assert_eq!(set.request(two), Grant::Denied);
    assert!(set.takes_back());
    set.hand_back(place, 7);
    assert_eq!(set.withdraw(two), [(place, 7)], "it is its own now");
    assert_eq!(set.request(three), Grant::Denied);
    set.hand_back(place, 8);
    assert_eq!(set.leave(three), [8]);
}

#[test]
fn workers_started_in_advance_stay_within_the_budget() {
    let mut set = LeaseSet::<u32, Bell>::new(2, true);
    let ((one, _), (two, _)) = (joined(&mut set), joined(&mut set));
    assert_eq!(set.unstarted(), 2);
    let place = new(set.request(one));
    assert_eq!(set.unstarted(), 1);
    new(set.request(one));
    assert_eq!(set.request(two), Grant::Denied);
    set.freed(place);
    assert_eq!(set.unstarted(), 0, "it is promised");
}

#[test]
fn pools_of_one_key_share_and_a_set_ends_with_the_last() {
    let registry = Registry::<u32>::new();
    let waker = || Arc::new(Waker::new().unwrap());
    let one = registry.join(b"key".to_vec(), 1, true, waker());
    let two = registry.join(b"key".to_vec(), 1, true, waker());
    let other = registry.join(b"another".to_vec(), 1, true, waker());
    let super::Grant::New(place) = one.request() else { panic!("the first") };
    assert!(matches!(two.request(), super::Grant::Denied));
    assert!(matches!(other.request(), super::Grant::New(_)));
    assert!(one.hand_back(place.id(), || Some(7)));
    assert!(matches!(two.request(), super::Grant::Idle(id, 7) if id == place.id()));
    drop((one, two));
    let anew = registry.join(b"key".to_vec(), 1, true, waker());
    assert!(matches!(anew.request(), super::Grant::Denied), "its worker still ends");
    drop(place);
    assert!(matches!(anew.request(), super::Grant::New(_)));
}

/// A pool, in small: an amount of work, and the workers that do it.
struct Pool {
    bell: Bell,
    seen: u32,
    work: u32,
    workers: Vec<PlaceId>,
    waits: bool,
    is_closed: bool,
}

struct World {
    set: LeaseSet<u32, Bell>,
    budget: usize,
    pools: BTreeMap<LesseeId, Pool>,
    /// Every process that lives, with a number of its own.
    processes: BTreeMap<PlaceId, u32>,
    started: u32,
}

impl World {
    fn new(budget: usize, keeps_idle: bool) -> World {
        World {
            set: LeaseSet::new(budget, keeps_idle),
            budget,
            pools: BTreeMap::new(),
            processes: BTreeMap::new(),
            started: 0,
        }
    }

    fn join(&mut self) {
        let (id, bell) = joined(&mut self.set);
        let pool = Pool { bell, seen: 0, work: 0, workers: Vec::new(), waits: false, is_closed: false };
        self.pools.insert(id, pool);
    }

    fn nth(&self, nth: usize) -> Option<LesseeId> {
        self.pools.keys().copied().cycle().nth(nth % self.pools.len().max(1))
    }

    /// Requests as many workers as there is work for.
    fn request(&mut self, id: LesseeId) {
        let pool = self.pools.get_mut(&id).unwrap();
        while pool.workers.len() < self.budget.min(pool.work as usize) {
            let (place, idle) = match self.set.request(id) {
                Grant::New(place) => (place, None),
                Grant::Idle(place, idle) => (place, Some(idle)),
                Grant::Denied => {
                    pool.waits = true;
                    return;
                }
            };
            match idle {
                None => {
                    self.started += 1;
                    assert!(self.processes.insert(place, self.started).is_none(), "a place of its own");
                }
                Some(idle) => assert_eq!(self.processes.get(&place), Some(&idle), "as it was handed back"),
            }
            pool.workers.push(place);
        }
        // It has what it needs.
        if std::mem::take(&mut pool.waits) {
            for (place, _) in self.set.withdraw(id) {
                self.end(place);
            }
        }
    }

    fn give(&mut self, id: LesseeId, place: PlaceId) {
        let pool = self.pools.get_mut(&id).unwrap();
        pool.workers.retain(|other| *other != place);
        if self.set.takes_back() {
            self.set.hand_back(place, self.processes[&place]);
        } else {
            self.end(place);
        }
    }

    fn end(&mut self, place: PlaceId) {
        self.processes.remove(&place);
        self.set.freed(place);
    }

    /// Every worker does one piece of work; then the pool looks at what others want.
    fn turn(&mut self, id: LesseeId) {
        let pool = self.pools.get_mut(&id).unwrap();
        pool.seen = pool.bell.0.get();
        pool.work = pool.work.saturating_sub(pool.workers.len() as u32);
        let surplus = pool.workers.len().saturating_sub(pool.work as usize);
        let give = surplus.max(self.set.situation(id).demand.min(pool.workers.len()));
        let given: Vec<PlaceId> = pool.workers[..give].to_vec();
        for place in given {
            self.give(id, place);
        }
        self.request(id);
    }

    fn kill(&mut self, nth: usize) {
        let Some(place) = self.processes.keys().copied().nth(nth % self.processes.len().max(1)) else {
            return;
        };
        self.end(place);
        let owner = self.pools.iter_mut().find(|(_, pool)| pool.workers.contains(&place));
        if let Some((&id, pool)) = owner {
            pool.workers.retain(|other| *other != place);
            self.request(id);
        }
    }

    fn close(&mut self, id: LesseeId) {
        let pool = self.pools.get_mut(&id).unwrap();
        pool.is_closed = true;
        for (place, _) in self.set.close(id) {
            self.end(place);
        }
    }

    /// The environment ends, busy or not.
    fn leave(&mut self, id: LesseeId) {
        let pool = self.pools.remove(&id).unwrap();
        for idle in self.set.leave(id) {
            let place = self.processes.iter().find(|(_, process)| **process == idle).map(|(&place, _)| place);
            self.end(place.unwrap());
        }
        for place in pool.workers {
            self.end(place);
        }
    }

    fn check(&self) {
        let (places, idle, waiting) = self.set.counts();
        assert!(places <= self.budget, "no more than the budget");
        assert_eq!(places, self.processes.len(), "a place for each process");
        assert!(idle == 0 || self.set.takes_back() || self.promised() > 0, "kept for somebody");
        let available = idle + self.budget - places;
        assert!(self.promised() <= available, "no more is promised than there is");
        assert!(waiting == 0 || available == self.promised(), "nobody waits for nothing");
        for (&id, pool) in &self.pools {
            let situation = self.set.situation(id);
            let is_news = situation.demand > 0 || situation.is_promised;
            assert!(!is_news || pool.bell.0.get() > 0, "who should know something was woken");
            assert!(situation.demand <= pool.workers.len(), "nobody is to give more than it has");
        }
    }

    fn promised(&self) -> usize {
        self.pools.keys().filter(|&&id| self.set.situation(id).is_promised).count()
    }
}

#[derive(Clone, Debug)]
enum Event {
    Join,
    Submit(usize, u32),
    Turn(usize),
    Kill(usize),
    Close(usize),
    Leave(usize),
}

fn events() -> impl Strategy<Value = Event> {
    prop_oneof![
        3 => Just(Event::Join),
        8 => (any::<usize>(), 1..12u32).prop_map(|(pool, work)| Event::Submit(pool, work)),
        16 => any::<usize>().prop_map(Event::Turn),
        3 => any::<usize>().prop_map(Event::Kill),
        1 => any::<usize>().prop_map(Event::Close),
        1 => any::<usize>().prop_map(Event::Leave),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn never_more_than_the_budget_and_everybody_is_served(
        budget in 1..5usize,
        pools in 1..12usize,
        keeps_idle in any::<bool>(),
        events in vec(events(), 0..80),
    ) {
        let mut world = World::new(budget, keeps_idle);
        for _ in 0..pools {
            world.join();
        }
        for event in events {
            match event {
                Event::Join => world.join(),
                Event::Submit(nth, work) => if let Some(id) = world.nth(nth) {
                    let pool = world.pools.get_mut(&id).unwrap();
                    if !pool.is_closed {
                        pool.work += work;
                        world.request(id);
                    }
                },
                Event::Turn(nth) => if let Some(id) = world.nth(nth) { world.turn(id) },
                Event::Kill(nth) => world.kill(nth),
                Event::Close(nth) => if let Some(id) = world.nth(nth) { world.close(id) },
                Event::Leave(nth) => if let Some(id) = world.nth(nth) { world.leave(id) },
            }
            world.check();
        }
        // From here on, each pool that has work gets a worker within a round of turns for each of the others.
        let mut hungry: BTreeMap<LesseeId, u32> = BTreeMap::new();
        while world.pools.values().any(|pool| pool.work > 0) {
            let ids: Vec<LesseeId> = world.pools.keys().copied().collect();
            for &id in &ids {
                let before = world.pools[&id].work;
                world.turn(id);
                world.check();
                let served = world.pools[&id].work < before || before == 0;
                let rounds = hungry.entry(id).or_insert(0);
                *rounds = if served { 0 } else { *rounds + 1 };
                prop_assert!(*rounds as usize <= 2 * ids.len() + 2, "somebody starves");
            }
        }
        while let Some(id) = world.nth(0) {
            world.close(id);
            world.turn(id);
            world.check();
            world.leave(id);
            world.check();
        }
        prop_assert!(world.processes.is_empty());
    }
}
