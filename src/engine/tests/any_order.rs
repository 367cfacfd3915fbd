//! Any order of events: every call settles exactly once. The engine checks its own invariants after each event.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;

use super::events::{Event, apply, configs, events, events_of_starts, events_with_recalls};
use super::world::Mishaps;
use super::*;

/// A call with a key begins only after the one before it has begun for the last time.
fn check_key_order(world: &World) {
    for (&job, spec) in &world.specs {
        let Some(keys) = &spec.keys else { continue };
        let mut latest: BTreeMap<u32, u32> = BTreeMap::new();
        for &(_, call) in world.begun_order.iter().filter(|(begun, _)| *begun == job) {
            let last = latest.entry(keys[call as usize]).or_insert(call);
            assert!(*last <= call, "call {call} of a key began after call {last}");
            *last = call;
        }
    }
}

/// What a history begins with, besides the configuration.
#[derive(Clone, Debug)]
pub(super) struct Scene {
    /// Whether calls take a tenth of a millisecond.
    cheap: bool,
    /// The number of the first call of each worker.
    first_seq: u32,
}

pub(super) fn scenes() -> impl Strategy<Value = Scene> {
    // Now and then the numbers of calls wrap.
    let first_seq = prop_oneof![5 => Just(1), 1 => u32::MAX - 20..=u32::MAX];
    (prop::bool::weighted(0.6), first_seq).prop_map(|(cheap, first_seq)| Scene { cheap, first_seq })
}

pub(super) fn ends() -> impl Strategy<Value = Event> {
    prop::sample::select(vec![Event::AwaitReady, Event::Close, Event::Terminate])
}

/// Whatever happens, also late, after the end of it: every call settles once, and runs no more often than it may.
pub(super) fn check_run(config: Config, scene: Scene, events: Vec<Event>, end: Event, late: Vec<Event>) {
    let lease_set = config.lease.map(|_| lease::FakeLeaseSet::new(config.workers));
    let (mut workers, max_calls) = (config.workers, config.max_calls_per_worker);
    let has_no_limits = config.idle_timeout.is_none();
    let is_leased = config.lease.is_some();
    let mut world = World::counting_from(scene.first_seq, config, lease_set);
    if scene.cheap {
        world.cost = MS / 10;
    }
    let end_at = events.len();
    let late = if matches!(end, Event::AwaitReady) { Vec::new() } else { late };
    let all = events.into_iter().chain([end.clone()]).chain(late);
    for (at, event) in all.enumerate() {
        if let Event::SetWorkers(count) = event {
            workers = count.max(1);
        }
        if at == end_at {
            world.mishaps = Mishaps::default();
        }
        apply(&mut world, event);
        // On lease, more may come than were asked for.
        assert!(is_leased || world.engine.live() <= workers, "more workers than there may be");
        world.check_places();
        if let Some(max) = max_calls {
            assert!(world.workers.values().all(|fake| fake.ran <= max));
        }
    }
    world.mishaps = Mishaps::default();
    world.apply(lease::Event::InUse(false));
    apply(&mut world, Event::Lease(lease::Event::Places(usize::MAX)));
    world.run_to_end();
    let accepted: usize = world.specs.values().map(|spec| spec.calls as usize).sum();
    assert_eq!(world.settled.len(), accepted);
    for (&(job, call), &count) in &world.executions {
        let allowed = 1 + world.specs[&job].retries;
        assert!(count <= allowed, "call {call} of {job:?} ran {count} times");
    }
    check_key_order(&world);
    if world.is_closed {
        while let Some(worker_id) = world.worker(0) {
            world.die(worker_id);
        }
        assert_eq!(world.closed, 1);
    } else {
        // A back-off may have to pass before the last workers are up, in ticks of a millisecond or more.
        for round in 0..5000 {
            if round >= 100 && !world.engine.is_held() {
                break;
            }
            world.tick(100 * MS);
            world.boot_all();
            // On lease, a successor starts once its predecessor is gone.
            let gone = |(_, fake): &(&WorkerId, &FakeWorker)| fake.killed || fake.stopping;
            let gone: Vec<WorkerId> =
                world.workers.iter().filter(gone).map(|(&worker_id, _)| worker_id).collect();
            gone.into_iter().for_each(|worker_id| world.die(worker_id));
            apply(&mut world, Event::Lease(lease::Event::TurnOver));
        }
    }
    assert!(!world.engine.is_held());
    let stats = world.engine.stats();
    assert_eq!((stats.waiting, stats.running), (0, 0));
    assert_eq!(stats.done, accepted as u64);
    let failed = |how: &&Settled| **how != Settled::Replied { failed: false };
    assert_eq!(stats.failed, world.settled.values().filter(failed).count() as u64);
    if world.is_closed || has_no_limits {
        assert_eq!(world.engine.next_tick(world.now), None, "ticks with nothing to watch");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn every_call_settles_exactly_once(
        config in configs(),
        scene in scenes(),
        events in vec(events(), 0..200),
        end in ends(),
        late in vec(events(), 0..30),
    ) {
        check_run(config, scene, events, end, late);
    }

    #[test]
    fn every_call_settles_exactly_once_with_many_recalls(
        config in configs(),
        scene in scenes(),
        events in vec(events_with_recalls(), 0..200),
        end in ends(),
        late in vec(events_with_recalls(), 0..30),
    ) {
        check_run(config, scene, events, end, late);
    }

    #[test]
    fn every_call_settles_exactly_once_while_few_workers_start(
        config in configs(),
        scene in scenes(),
        events in vec(events_of_starts(), 0..200),
        end in ends(),
        late in vec(events_of_starts(), 0..30),
    ) {
        check_run(config, scene, events, end, late);
    }
}
