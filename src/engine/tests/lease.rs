//! Workers on lease: what others do to the engine's workers, and what it does for others.

use super::*;

/// Where workers come from and go to.
#[derive(Default)]
pub(super) struct Share {
    /// How many there may be, here and idle, and how many of these others leave.
    budget: usize,
    places: usize,
    idle: Vec<(FakeWorker, History)>,
    /// Whether the engine was denied one.
    waits: bool,
    /// Whether nobody else is there.
    is_alone: bool,
}

impl Share {
    pub(super) fn new(budget: usize) -> Share {
        Share { budget, places: budget, ..Share::default() }
    }
}

#[derive(Clone, Debug)]
pub(super) enum Event {
    /// Others wait for so many.
    Asked(usize),
    /// So many workers may be here.
    Places(usize),
    TurnOver,
    /// Somebody else has run so many calls with an idle worker.
    UsedElsewhere(u32),
    Alone(bool),
}

impl World {
    /// A worker that others share.
    pub(super) fn lease(&mut self, id: WorkerId) {
        let here = self.workers.len();
        let share = self.share.as_mut().unwrap();
        if here < share.places
            && let Some((fake, history)) = share.idle.pop()
        {
            self.workers.insert(id, fake);
            self.engine.adopted(id, history);
        } else if here + share.idle.len() < share.places {
            assert!(self.workers.insert(id, FakeWorker::default()).is_none());
        } else {
            share.waits = true;
            self.engine.denied(id);
        }
    }

    pub(super) fn hand_back(&mut self, unused: bool) -> bool {
        let Some(share) = &mut self.share else { return false };
        let spare = self.engine.spare(unused);
        for &id in &spare {
            if share.is_alone {
                self.engine.not_taken_back(id);
                continue;
            }
            let history = self.engine.history(id).unwrap();
            self.engine.handed_back(id);
            let mut fake = self.workers.remove(&id).unwrap();
            assert!(fake.is_free() && fake.booted && !fake.killed && !fake.stopping, "it is idle");
            fake.revoked.clear();
            share.idle.push((fake, history));
        }
        !spare.is_empty()
    }

    /// Whether there is something to be had that was denied before. What is not wanted any more is not waited for.
    pub(super) fn is_offered(&mut self) -> bool {
        let here = self.workers.len();
        let Some(share) = self.share.as_mut().filter(|share| share.waits) else { return false };
        let is_wanted = self.engine.wants_more();
        let is_offered = is_wanted && here < share.places && here + share.idle.len().min(1) <= share.budget;
        if is_offered || !is_wanted {
            share.waits = false;
            self.engine.offered();
        }
        is_offered
    }

    pub(super) fn apply(&mut self, event: Event) {
        let Some(share) = &mut self.share else { return };
        match event {
            Event::Asked(count) => self.engine.asked(count),
            Event::Places(count) => share.places = count.min(share.budget),
            Event::Alone(is_alone) => share.is_alone = is_alone,
            Event::TurnOver => {
                self.hand_back(true);
            }
            Event::UsedElsewhere(calls) => {
                if let Some((fake, history)) = share.idle.first_mut() {
                    // Its page says so.
                    fake.recalled = (history.next_seq, history.next_seq.wrapping_add(calls));
                    history.next_seq = history.next_seq.wrapping_add(calls);
                    fake.mark = history.next_seq.wrapping_sub(1);
                }
            }
        }
        self.pump();
    }
}

fn on_lease(workers: usize) -> World {
    World::with(Config { lease: Some(10 * MS), ..config(workers) }, Some(Share::new(workers)))
}

fn idle(world: &World) -> usize {
    world.share.as_ref().unwrap().idle.len()
}

#[test]
fn a_worker_without_work_goes_at_the_end_of_the_turn_and_comes_back_as_it_was() {
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
    assert_eq!(world.workers[&second].calls[0].2, 9, "it counts on");
    assert_eq!(world.engine.stats().workers[0].done, 3);
    world.run_to_end();
}

#[test]
fn what_there_is_must_do_where_more_is_denied() {
    let mut world = on_lease(3);
    world.boot_all();
    world.apply(Event::TurnOver);
    world.apply(Event::Places(1));
    let job = world.submit(JobSpec { calls: 3, spread: true, ..JobSpec::default() }).unwrap();
    assert_eq!(world.workers.len(), 1);
    assert!(world.engine.wants_more());
    let id = world.worker(0).unwrap();
    for call in 0..3 {
        world.begin(id);
        world.finish(id, false);
        assert_eq!(world.outcome(job, call), Some(Settled::Replied { failed: false }));
    }
    assert!(!world.engine.wants_more());
}

#[test]
fn who_others_wait_for_yields_between_two_frames_once_it_was_used_for_a_while() {
    let mut world = on_lease(1);
    world.boot_all();
    world.calls(100);
    let id = world.worker(0).unwrap();
    world.apply(Event::Places(0));
    world.apply(Event::Asked(1));
    world.begin(id);
    world.finish(id, false);
    assert_eq!(world.workers.len(), 1, "it has just come");
    world.now += 20 * MS;
    // Nothing is sent any more.
    while let Some(id) = world.worker(0) {
        assert!(world.engine.stats().running > 0);
        world.begin(id);
        world.finish(id, false);
    }
    assert_eq!(idle(&world), 1);
    let left = world.engine.stats().waiting;
    assert!((90..100).contains(&left), "{left} calls wait");
    assert!(world.engine.wants_more());
    world.apply(Event::Asked(0));
    world.apply(Event::Places(1));
    world.calls(1);
    world.run_to_end();
}

#[test]
fn what_is_idle_goes_first_and_at_once() {
    let mut world = on_lease(2);
    world.boot_all();
    world.calls(1);
    let busy = *world.workers.iter().find(|(_, fake)| !fake.is_free()).unwrap().0;
    world.apply(Event::Places(1));
    world.apply(Event::Asked(1));
    assert_eq!(world.workers.keys().copied().collect::<Vec<_>>(), [busy]);
    world.apply(Event::Asked(0));
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
    let ids: Vec<WorkerId> = world.workers.keys().copied().collect();
    for _ in 0..40 {
        world.begin(ids[1]);
        world.finish(ids[1], false);
    }
    world.begin(ids[0]);
    world.apply(Event::TurnOver);
    assert_eq!(world.workers.len(), 2, "it is to help");
    world.pass(50 * MS);
    assert!(world.recalls > 0);
    world.run_to_end();
    world.apply(Event::TurnOver);
    assert_eq!(idle(&world), 2);
}

#[test]
fn ready_is_what_can_be_had() {
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
fn closing_leaves_workers_to_others_and_stops_them_where_there_are_none() {
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
        while let Some(id) = world.worker(0) {
            assert!(is_alone && (world.workers[&id].stopping || world.workers[&id].killed));
            world.die(id);
        }
        assert_eq!(world.closed, 1);
    }
}

#[test]
fn a_spent_worker_is_gone_before_its_successor_starts() {
    let config = Config { lease: Some(10 * MS), max_calls_per_worker: Some(1), ..config(1) };
    let mut world = World::with(config, Some(Share::new(1)));
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

fn lease_events() -> impl Strategy<Value = super::Event> {
    let lease = prop_oneof![
        4 => (0usize..4).prop_map(Event::Asked),
        2 => (0usize..5).prop_map(Event::Places),
        6 => Just(Event::TurnOver),
        4 => (1u32..20).prop_map(Event::UsedElsewhere),
        1 => any::<bool>().prop_map(Event::Alone),
    ];
    prop_oneof![3 => events(), 1 => events_with_recalls(), 1 => lease.prop_map(super::Event::Lease)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn every_call_settles_exactly_once_while_workers_change_hands(
        config in configs(),
        lease in 0u64..30,
        cheap in any::<bool>(),
        events in vec(lease_events(), 0..200),
        end in prop::sample::select(vec![super::Event::AwaitReady, super::Event::Close, super::Event::Terminate]),
    ) {
        check_run(Config { lease: Some(lease as u32 * MS), ..config }, cheap, events, end);
    }
}
