//! Drives a set with lessees and workers that exist only here.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;

use proptest::collection::vec;
use proptest::prelude::*;

use super::share::{Answer, LesseeId, PlaceId, Share, Situation, Wake};
use super::*;

#[derive(Clone, Debug, Default)]
struct Bell(Rc<Cell<u32>>);

impl Wake for Bell {
    fn wake(&self) {
        self.0.set(self.0.get() + 1);
    }
}

/// What a lessee should know and a bell that rings when that has changed.
fn joined(share: &mut Share<u32, Bell>) -> (LesseeId, Bell) {
    let bell = Bell::default();
    (share.join(bell.clone()), bell)
}

fn new(answer: Answer<u32>) -> PlaceId {
    match answer {
        Answer::New(place) => place,
        other => panic!("a new one was expected, not {other:?}"),
    }
}

const NOTHING: Situation = Situation { demand: 0, is_promised: false };
const PROMISED: Situation = Situation { demand: 0, is_promised: true };

fn asked(demand: usize) -> Situation {
    Situation { demand, is_promised: false }
}

#[test]
fn an_idle_worker_goes_to_whoever_asks_next() {
    let mut share = Share::new(2, true);
    let ((one, _), (two, bell)) = (joined(&mut share), joined(&mut share));
    let place = new(share.ask(one));
    share.hand_back(place, 7);
    assert_eq!(share.ask(two), Answer::Idle(place, 7));
    new(share.ask(two));
    assert_eq!(share.ask(two), Answer::Denied);
    assert_eq!(bell.0.get(), 0, "nobody else has one that it could be asked for");
}

#[test]
fn who_waits_gets_what_comes_free_and_nobody_else() {
    let mut share = Share::new(1, true);
    let [(one, ring_one), (two, ring_two), (three, ring_three)] = [(); 3].map(|()| joined(&mut share));
    let place = new(share.ask(one));
    assert_eq!(share.ask(two), Answer::Denied);
    assert_eq!((share.situation(one), ring_one.0.get()), (asked(1), 1));
    assert_eq!(share.ask(three), Answer::Denied);
    assert_eq!(share.ask(three), Answer::Denied, "it waits once");
    share.hand_back(place, 7);
    assert_eq!((share.situation(two), ring_two.0.get()), (PROMISED, 1));
    assert_eq!((share.situation(three), ring_three.0.get()), (NOTHING, 0));
    assert_eq!(share.ask(one), Answer::Denied, "it is promised");
    assert_eq!(share.ask(two), Answer::Idle(place, 7));
    share.hand_back(place, 8);
    assert_eq!(share.ask(three), Answer::Idle(place, 8));
    share.hand_back(place, 9);
    assert_eq!(share.ask(one), Answer::Idle(place, 9), "in turn");
}

#[test]
fn a_death_frees_the_place_for_who_waits() {
    let mut share = Share::new(1, true);
    let ((one, _), (two, bell)) = (joined(&mut share), joined(&mut share));
    let place = new(share.ask(one));
    assert_eq!(share.ask(two), Answer::Denied);
    assert_eq!(share.freed(place), None);
    assert_eq!(bell.0.get(), 1);
    let place = new(share.ask(two));
    share.hand_back(place, 7);
    assert_eq!(share.freed(place), Some(7), "idle ones die as well");
    assert_eq!(share.counts(), (0, 0, 0));
}

#[test]
fn who_has_most_is_asked_first_and_nobody_is_asked_to_have_less_than_who_waits() {
    let mut share = Share::new(4, true);
    let [(one, _), (two, _), (three, _), (four, _)] = [(); 4].map(|()| joined(&mut share));
    for lessee in [one, one, one, two] {
        new(share.ask(lessee));
    }
    assert_eq!(share.ask(three), Answer::Denied);
    assert_eq!((share.situation(one), share.situation(two)), (asked(1), NOTHING));
    assert_eq!(share.ask(two), Answer::Denied, "it would have two, and so would the richest");
    assert_eq!((share.situation(one), share.situation(two)), (asked(1), NOTHING));
    assert_eq!(share.ask(four), Answer::Denied);
    assert_eq!((share.situation(one), share.situation(two)), (asked(2), NOTHING));
    share.withdraw(three);
    share.withdraw(four);
    assert_eq!(share.situation(one), asked(1), "of three and one two and two can be made");
    share.withdraw(two);
    assert_eq!(share.situation(one), NOTHING);
}

#[test]
fn of_equals_the_one_that_was_served_longest_ago_is_asked() {
    let mut share = Share::new(2, true);
    let [(one, _), (two, _), (three, _)] = [(); 3].map(|()| joined(&mut share));
    new(share.ask(two));
    new(share.ask(one));
    assert_eq!(share.ask(three), Answer::Denied);
    assert_eq!((share.situation(one), share.situation(two)), (NOTHING, asked(1)));
}

#[test]
fn what_is_kept_without_work_is_asked_for_first_whoever_has_how_many() {
    let mut share = Share::new(4, true);
    let [(one, _), (two, _), (three, _)] = [(); 3].map(|()| joined(&mut share));
    for lessee in [one, one, two, three] {
        new(share.ask(lessee));
    }
    assert_eq!(share.ask(three), Answer::Denied);
    assert_eq!((share.situation(one), share.situation(two)), (NOTHING, NOTHING), "it has one");
    share.tell_unused(two, 1);
    assert_eq!((share.situation(one), share.situation(two)), (NOTHING, asked(1)));
    share.tell_unused(two, 0);
    assert_eq!(share.situation(two), NOTHING);
}

#[test]
fn a_promise_that_is_not_wanted_goes_to_the_next() {
    let mut share = Share::new(1, true);
    let [(one, _), (two, _), (three, bell)] = [(); 3].map(|()| joined(&mut share));
    let place = new(share.ask(one));
    assert_eq!(share.ask(two), Answer::Denied);
    assert_eq!(share.ask(three), Answer::Denied);
    share.hand_back(place, 7);
    assert_eq!(share.withdraw(two), []);
    assert_eq!((share.situation(three), bell.0.get()), (PROMISED, 1));
    assert!(share.leave(three).is_empty());
    assert_eq!(share.ask(one), Answer::Idle(place, 7));
}

#[test]
fn the_last_to_close_gets_what_is_idle() {
    let mut share = Share::new(2, true);
    let ((one, _), (two, _)) = (joined(&mut share), joined(&mut share));
    let (first, second) = (new(share.ask(one)), new(share.ask(two)));
    share.hand_back(first, 1);
    assert!(share.close(one).is_empty());
    assert!(share.takes_back());
    assert_eq!(share.close(two), [(first, 1)]);
    assert!(!share.takes_back());
    assert_eq!((share.freed(first), share.freed(second)), (None, None));
    assert_eq!(share.counts(), (0, 0, 0));
}

#[test]
fn who_leaves_last_leaves_nothing_behind() {
    let mut share = Share::new(3, true);
    let ((one, _), (two, _)) = (joined(&mut share), joined(&mut share));
    let (busy, idle) = (new(share.ask(one)), new(share.ask(one)));
    share.hand_back(idle, 7);
    assert!(share.leave(one).is_empty(), "the other may want it");
    assert_eq!(share.leave(two), [7]);
    assert_eq!(share.counts(), (2, 0, 0), "they live until they are reaped");
    assert_eq!((share.freed(busy), share.freed(idle)), (None, None));
}

#[test]
fn a_set_that_keeps_nothing_takes_back_for_those_who_wait_only() {
    let mut share = Share::new(1, false);
    let [(one, _), (two, _), (three, _)] = [(); 3].map(|()| joined(&mut share));
    let place = new(share.ask(one));
    assert!(!share.takes_back());
    assert_eq!(share.ask(two), Answer::Denied);
    assert!(share.takes_back());
    share.hand_back(place, 7);
    assert_eq!(share.withdraw(two), [(place, 7)], "it is its own now");
    assert_eq!(share.ask(three), Answer::Denied);
    share.hand_back(place, 8);
    assert_eq!(share.leave(three), [8]);
}

#[test]
fn workers_for_nobody_in_particular_are_no_more_than_the_budget() {
    let mut share = Share::<u32, Bell>::new(2, true);
    let ((one, _), (two, _)) = (joined(&mut share), joined(&mut share));
    assert_eq!(share.unstarted(), 2);
    let place = new(share.ask(one));
    assert_eq!(share.unstarted(), 1);
    new(share.ask(one));
    assert_eq!(share.ask(two), Answer::Denied);
    share.freed(place);
    assert_eq!(share.unstarted(), 0, "it is promised");
}

#[test]
fn pools_of_one_key_share_and_a_set_ends_with_the_last() {
    let registry = Registry::<u32>::new();
    let waker = || Arc::new(Waker::new().unwrap());
    let one = registry.join(b"key".to_vec(), 1, true, waker());
    let two = registry.join(b"key".to_vec(), 1, true, waker());
    let other = registry.join(b"another".to_vec(), 1, true, waker());
    let super::Answer::New(place) = one.ask() else { panic!("the first") };
    assert!(matches!(two.ask(), super::Answer::Denied));
    assert!(matches!(other.ask(), super::Answer::New(_)));
    assert!(one.hand_back(place.id(), || Some(7)));
    assert!(matches!(two.ask(), super::Answer::Idle(id, 7) if id == place.id()));
    drop((one, two));
    let anew = registry.join(b"key".to_vec(), 1, true, waker());
    assert!(matches!(anew.ask(), super::Answer::Denied), "its worker still ends");
    drop(place);
    assert!(matches!(anew.ask(), super::Answer::New(_)));
}

/// A pool, reduced: so much work, some of it with a worker.
struct Pool {
    bell: Bell,
    seen: u32,
    work: u32,
    workers: Vec<PlaceId>,
    waits: bool,
    is_closed: bool,
}

struct World {
    share: Share<u32, Bell>,
    budget: usize,
    pools: BTreeMap<LesseeId, Pool>,
    /// Every process that lives; the number is its own.
    processes: BTreeMap<PlaceId, u32>,
    started: u32,
}

impl World {
    fn new(budget: usize, keeps: bool) -> World {
        World {
            share: Share::new(budget, keeps),
            budget,
            pools: BTreeMap::new(),
            processes: BTreeMap::new(),
            started: 0,
        }
    }

    fn join(&mut self) {
        let (id, bell) = joined(&mut self.share);
        let pool = Pool { bell, seen: 0, work: 0, workers: Vec::new(), waits: false, is_closed: false };
        self.pools.insert(id, pool);
    }

    fn nth(&self, nth: usize) -> Option<LesseeId> {
        self.pools.keys().copied().cycle().nth(nth % self.pools.len().max(1))
    }

    /// Asks for as many as there is work for.
    fn ask(&mut self, id: LesseeId) {
        let pool = self.pools.get_mut(&id).unwrap();
        while pool.workers.len() < self.budget.min(pool.work as usize) {
            let (place, idle) = match self.share.ask(id) {
                Answer::New(place) => (place, None),
                Answer::Idle(place, idle) => (place, Some(idle)),
                Answer::Denied => {
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
            for (place, _) in self.share.withdraw(id) {
                self.end(place);
            }
        }
    }

    fn give(&mut self, id: LesseeId, place: PlaceId) {
        let pool = self.pools.get_mut(&id).unwrap();
        pool.workers.retain(|other| *other != place);
        if self.share.takes_back() {
            self.share.hand_back(place, self.processes[&place]);
        } else {
            self.end(place);
        }
    }

    fn end(&mut self, place: PlaceId) {
        self.processes.remove(&place);
        self.share.freed(place);
    }

    /// Every worker does one piece of work; then it is seen what others want.
    fn turn(&mut self, id: LesseeId) {
        let pool = self.pools.get_mut(&id).unwrap();
        pool.seen = pool.bell.0.get();
        pool.work = pool.work.saturating_sub(pool.workers.len() as u32);
        let surplus = pool.workers.len().saturating_sub(pool.work as usize);
        let give = surplus.max(self.share.situation(id).demand.min(pool.workers.len()));
        let given: Vec<PlaceId> = pool.workers[..give].to_vec();
        for place in given {
            self.give(id, place);
        }
        self.ask(id);
    }

    fn kill(&mut self, nth: usize) {
        let Some(place) = self.processes.keys().copied().nth(nth % self.processes.len().max(1)) else {
            return;
        };
        self.end(place);
        let owner = self.pools.iter_mut().find(|(_, pool)| pool.workers.contains(&place));
        if let Some((&id, pool)) = owner {
            pool.workers.retain(|other| *other != place);
            self.ask(id);
        }
    }

    fn close(&mut self, id: LesseeId) {
        let pool = self.pools.get_mut(&id).unwrap();
        pool.is_closed = true;
        for (place, _) in self.share.close(id) {
            self.end(place);
        }
    }

    /// The environment ends, busy or not.
    fn leave(&mut self, id: LesseeId) {
        let pool = self.pools.remove(&id).unwrap();
        for idle in self.share.leave(id) {
            let place = self.processes.iter().find(|(_, process)| **process == idle).map(|(&place, _)| place);
            self.end(place.unwrap());
        }
        for place in pool.workers {
            self.end(place);
        }
    }

    fn check(&self) {
        let (places, idle, waiting) = self.share.counts();
        assert!(places <= self.budget, "no more than the budget");
        assert_eq!(places, self.processes.len(), "a place for each process");
        assert!(idle == 0 || self.share.takes_back() || self.promised() > 0, "kept for somebody");
        let available = idle + self.budget - places;
        assert!(self.promised() <= available, "no more is promised than there is");
        assert!(waiting == 0 || available == self.promised(), "nobody waits for nothing");
        for (&id, pool) in &self.pools {
            let situation = self.share.situation(id);
            let is_news = situation.demand > 0 || situation.is_promised;
            assert!(!is_news || pool.bell.0.get() > 0, "who should know something was woken");
            assert!(situation.demand <= pool.workers.len(), "nobody is asked for more than it has");
        }
    }

    fn promised(&self) -> usize {
        self.pools.keys().filter(|&&id| self.share.situation(id).is_promised).count()
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
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn never_more_than_the_budget_and_everybody_is_served(
        budget in 1..5usize,
        pools in 1..12usize,
        keeps in any::<bool>(),
        events in vec(events(), 0..80),
    ) {
        let mut world = World::new(budget, keeps);
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
                        world.ask(id);
                    }
                },
                Event::Turn(nth) => if let Some(id) = world.nth(nth) { world.turn(id) },
                Event::Kill(nth) => world.kill(nth),
                Event::Close(nth) => if let Some(id) = world.nth(nth) { world.close(id) },
                Event::Leave(nth) => if let Some(id) = world.nth(nth) { world.leave(id) },
            }
            world.check();
        }
        // From here on each that has work gets a worker within a round of turns for each of the others.
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
