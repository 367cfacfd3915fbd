//! Workers on lease: what other engines do to this one's workers, and what it does for them.

use proptest::collection::vec;
use proptest::prelude::*;

use super::any_order::{self, check_run};
use super::events::{self, configs, events, events_with_recalls};
use super::*;

/// Where workers come from and go to.
#[derive(Default)]
pub(super) struct FakeLeaseSet {
    /// How many workers there may be, leased and idle.
    budget: usize,
    /// How many of these other engines leave to this one.
    places: usize,
    idle: Vec<(FakeWorker, History)>,
    /// Whether the engine was denied a worker.
    is_waiting: bool,
    /// Whether there is no other engine.
    is_alone: bool,
    /// Whether something of each worker is still in use.
    is_in_use: bool,
}

impl FakeLeaseSet {
    pub(super) fn new(budget: usize) -> FakeLeaseSet {
        FakeLeaseSet { budget, places: budget, ..FakeLeaseSet::default() }
    }
}

#[derive(Clone, Debug)]
pub(super) enum Event {
    /// Other engines wait for this many workers.
    Demand(usize),
    /// This many workers may be leased.
    Places(usize),
    TurnOver,
    /// Another engine has run this many calls with an idle worker.
    UsedElsewhere(u32),
    Alone(bool),
    InUse(bool),
    /// A worker comes that was asked for before and is not wanted any more.
    Adopt,
    /// A request would be granted, as far as is known.
    Offer,
}

impl World {
    /// A worker is to start.
    pub(super) fn lease(&mut self, worker_id: WorkerId) {
        let here = self.workers.len();
        let set = self.lease_set.as_mut().unwrap();
        if here < set.places
            && let Some((fake, history)) = set.idle.pop()
        {
            set.is_waiting = false;
            self.engine.offered();
            self.workers.insert(worker_id, fake);
            self.engine.adopted(worker_id, history);
        } else if here + set.idle.len() < set.places {
            set.is_waiting = false;
            self.engine.offered();
            self.spawn(worker_id, None);
        } else {
            set.is_waiting = true;
            self.gone.push(worker_id);
            self.engine.denied(worker_id);
        }
    }

    pub(super) fn hand_back(&mut self, unused: bool) -> bool {
        let Some(set) = &mut self.lease_set else { return false };
        let spare = self.engine.spare(unused);
        if set.is_in_use {
            return false;
        }
        for &worker_id in &spare {
            if set.is_alone {
                self.engine.not_taken_back(worker_id);
                continue;
            }
            let history = self.engine.history(worker_id).unwrap();
            self.engine.handed_back(worker_id);
            let mut fake = self.workers.remove(&worker_id).unwrap();
            assert!(fake.is_free() && fake.booted && !fake.killed && !fake.stopping, "it is idle");
            fake.revoked.clear();
            set.idle.push((fake, history));
        }
        !spare.is_empty()
    }

    /// Whether a worker that was denied before is to be had now. One that is no longer wanted is not waited for.
    pub(super) fn is_offered(&mut self) -> bool {
        let here = self.workers.len();
        let Some(set) = self.lease_set.as_mut().filter(|set| set.is_waiting) else { return false };
        let is_wanted = self.engine.wants_more();
        let is_offered = is_wanted && here < set.places && here + set.idle.len().min(1) <= set.budget;
        if is_offered || !is_wanted {
            set.is_waiting = false;
            self.engine.offered();
        }
        is_offered
    }

    /// Takes in what is idle if there is nobody else, to do with it as with the others.
    pub(super) fn take_idle(&mut self) {
        if self.lease_set.as_ref().is_some_and(|set| set.is_alone) {
            while self.adopt() {}
        }
    }

    /// Takes on an idle worker that the engine has not asked for; whether there was one.
    fn adopt(&mut self) -> bool {
        let idle = self.lease_set.as_mut().and_then(|set| set.idle.pop());
        let is_any = idle.is_some();
        if let Some((fake, history)) = idle {
            let worker_id = self.engine.adopt(history);
            self.workers.insert(worker_id, fake);
        }
        is_any
    }

    pub(super) fn apply(&mut self, event: Event) {
        let Some(set) = &mut self.lease_set else { return };
        match event {
            Event::Demand(count) => self.engine.set_demand(count),
            Event::Places(count) => set.places = count.min(set.budget),
            Event::Alone(is_alone) => set.is_alone = is_alone,
            Event::InUse(is_in_use) => set.is_in_use = is_in_use,
            Event::Adopt => {
                self.adopt();
            }
            Event::Offer => self.engine.offered(),
            Event::TurnOver => {
                self.hand_back(true);
            }
            Event::UsedElsewhere(calls) => {
                if let Some((fake, history)) = set.idle.first_mut() {
                    // As its page says.
                    fake.recalled = (history.next_seq, history.next_seq.wrapping_add(calls));
                    history.next_seq = history.next_seq.wrapping_add(calls);
                    fake.last_begun = history.next_seq.wrapping_sub(1);
                }
            }
        }
        self.pump();
    }
}

fn on_lease(workers: usize) -> World {
    World::with(Config { lease: Some(10 * MS), ..config(workers) }, Some(FakeLeaseSet::new(workers)))
}

fn idle(world: &World) -> usize {
    world.lease_set.as_ref().unwrap().idle.len()
}

#[test]
fn a_worker_without_work_is_handed_back_at_the_end_of_the_turn_and_comes_back_as_it_was() {
    let mut world = on_lease(1);
    world.boot_all();
    let first = world.worker(0).unwrap();
    world.calls(3);
    for _ in 0..3 {
        world.begin(first);
        world.finish(first, false);
    }
    assert_eq!((idle(&world), world.workers.len()), (0, 1), "not before");
    world.apply(Event::TurnOver);
    assert_eq!((idle(&world), world.workers.len()), (1, 0));
    world.apply(Event::UsedElsewhere(5));
    world.calls(1);
    let second = world.worker(0).unwrap();
    assert_ne!(first, second);
    assert_eq!(world.workers[&second].calls[0].seq, 9, "it counts on");
    assert_eq!(world.engine.stats().workers[0].done, 3);
    world.run_to_end();
}

#[test]
fn one_worker_must_do_if_more_are_denied() {
    let mut world = on_lease(3);
    world.boot_all();
    world.apply(Event::TurnOver);
    world.apply(Event::Places(1));
    let job = world.submit(JobSpec { calls: 3, spread: true, ..JobSpec::default() }).unwrap();
    assert_eq!(world.workers.len(), 1);
    assert!(world.engine.wants_more());
    let worker_id = world.worker(0).unwrap();
    for call in 0..3 {
        world.begin(worker_id);
        world.finish(worker_id, false);
        assert_eq!(world.outcome(job, call), Some(Settled::Replied { failed: false }));
    }
    assert!(!world.engine.wants_more());
}

#[test]
fn a_worker_that_others_wait_for_is_preempted_between_two_chunks_once_it_was_used_for_a_while() {
    let mut world = on_lease(1);
    world.boot_all();
    world.calls(100);
    let worker_id = world.worker(0).unwrap();
    world.apply(Event::Places(0));
    world.apply(Event::Demand(1));
    world.begin(worker_id);
    world.finish(worker_id, false);
    assert_eq!(world.workers.len(), 1, "it has just come");
    world.now += 20 * MS;
    // Nothing more is sent.
    while let Some(worker_id) = world.worker(0) {
        assert!(world.engine.stats().running > 0);
        world.begin(worker_id);
        world.finish(worker_id, false);
    }
    assert_eq!(idle(&world), 1);
    let left = world.engine.stats().waiting;
    assert!((90..100).contains(&left), "{left} calls wait");
    assert!(world.engine.wants_more());
    world.apply(Event::Demand(0));
    world.apply(Event::Places(1));
    world.calls(1);
    world.run_to_end();
}

#[test]
fn idle_workers_go_first_and_at_once() {
    let mut world = on_lease(2);
    world.boot_all();
    world.calls(1);
    let busy = *world.workers.iter().find(|(_, fake)| !fake.is_free()).unwrap().0;
    world.apply(Event::Places(1));
    world.apply(Event::Demand(1));
    assert_eq!(world.workers.keys().copied().collect::<Vec<_>>(), [busy]);
    world.apply(Event::Demand(0));
    world.run_to_end();
}

#[test]
fn an_idle_worker_stays_while_calls_are_stuck_behind_one_that_takes_long() {
    let mut world = on_lease(2);
    world.boot_all();
    world.cost = MS / 100;
    let task = Some(1);
    for _ in 0..5 {
        world.submit(JobSpec { calls: 50, task, ..JobSpec::default() }).unwrap();
        world.run_to_end();
    }
    world.submit(JobSpec { calls: 40, task, ..JobSpec::default() }).unwrap();
    let worker_ids: Vec<WorkerId> = world.workers.keys().copied().collect();
    for _ in 0..40 {
        world.begin(worker_ids[1]);
        world.finish(worker_ids[1], false);
    }
    world.begin(worker_ids[0]);
    world.apply(Event::TurnOver);
    assert_eq!(world.workers.len(), 2, "it is to help");
    world.pass(50 * MS);
    assert!(world.recalls > 0);
    world.run_to_end();
    world.apply(Event::TurnOver);
    assert_eq!(idle(&world), 2);
}

#[test]
fn the_engine_is_ready_with_the_workers_that_can_be_had() {
    let mut world = on_lease(2);
    world.boot_all();
    world.apply(Event::TurnOver);
    world.apply(Event::Places(0));
    world.engine.await_ready();
    world.pump();
    assert_eq!((world.ready.len(), world.engine.wants_more()), (0, true));
    world.apply(Event::Places(1));
    assert_eq!(world.ready, [Ok(())], "the other is somebody else's");
}

#[test]
fn closing_leaves_workers_to_others_and_stops_them_if_there_are_none() {
    for (end, is_alone) in [(false, false), (false, true), (true, false), (true, true)] {
        let mut world = on_lease(2);
        world.boot_all();
        world.apply(Event::Alone(is_alone));
        let job = world.calls(1);
        if end {
            world.engine.terminate()
        } else {
            world.engine.close()
        }
        world.pump();
        let busy = *world.workers.iter().find(|(_, fake)| !fake.is_free()).unwrap().0;
        if end {
            assert_eq!(world.outcome(job, 0), Some(Settled::Ended(Outcome::Closed)));
            assert!(world.workers[&busy].killed);
            world.die(busy);
        } else {
            world.begin(busy);
            world.finish(busy, false);
        }
        assert_eq!(idle(&world), if is_alone { 0 } else { 2 - usize::from(end) });
        while let Some(worker_id) = world.worker(0) {
            assert!(is_alone && (world.workers[&worker_id].stopping || world.workers[&worker_id].killed));
            world.die(worker_id);
        }
        assert_eq!(world.closed, 1);
    }
}

#[test]
fn a_spent_worker_is_gone_before_its_successor_starts() {
    let config = Config { lease: Some(10 * MS), max_calls_per_worker: Some(1), ..config(1) };
    let mut world = World::with(config, Some(FakeLeaseSet::new(1)));
    world.boot_all();
    world.calls(2);
    let first = world.worker(0).unwrap();
    world.begin(first);
    world.finish(first, false);
    assert_eq!(world.workers.len(), 1);
    assert!(world.workers[&first].stopping);
    world.die(first);
    world.boot_all();
    world.run_to_end();
}

fn lease_events() -> impl Strategy<Value = events::Event> {
    let lease = prop_oneof![
        4 => (0usize..4).prop_map(Event::Demand),
        2 => (0usize..5).prop_map(Event::Places),
        6 => Just(Event::TurnOver),
        4 => (1u32..20).prop_map(Event::UsedElsewhere),
        1 => any::<bool>().prop_map(Event::Alone),
        1 => any::<bool>().prop_map(Event::InUse),
        2 => Just(Event::Adopt),
        1 => Just(Event::Offer),
    ];
    prop_oneof![3 => events(), 1 => events_with_recalls(), 1 => lease.prop_map(events::Event::Lease)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn every_call_settles_exactly_once_while_workers_change_hands(
        config in configs(),
        lease in 0u64..30,
        scene in any_order::scenes(),
        events in vec(lease_events(), 0..200),
        end in any_order::ends(),
        late in vec(lease_events(), 0..30),
    ) {
        check_run(Config { lease: Some(lease as u32 * MS), ..config }, scene, events, end, late);
    }
}
