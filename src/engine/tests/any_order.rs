//! Any order of events: every call settles exactly once. The engine checks its own invariants after each event.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;

use super::world::SentCall;
use super::*;

#[derive(Clone, Debug)]
pub(super) enum Event {
    Submit {
        calls: u32,
        keys: Option<u32>,
        timeout: bool,
        retries: u32,
        flags: (bool, bool, bool),
        chunk_size: Option<u32>,
    },
    /// A call for each worker.
    SubmitPinned(u32),
    Pause(usize, u32, bool),
    ForbidRetries(usize),
    Cancel(usize),
    DropCalls(usize, u32),
    Deferring(bool),
    SendDeferred(usize),
    Fitting(u32),
    Boot(usize),
    LoadFailed(usize),
    Publish(usize),
    Recall(usize),
    Begin(usize),
    Finish(usize, usize, bool),
    Die(usize),
    Tick(u64),
    /// So many milliseconds, in the steps that the engine asks for.
    Pass(u64),
    /// Of so many milliseconds.
    Turn(u64),
    /// One that was to be killed for its silence turns out to have a reason.
    Spare(usize),
    Memory(usize),
    /// A worker breaks the protocol.
    GiveUp(usize),
    EncodeFailed(usize),
    AwaitReady,
    Lease(lease::Event),
    SetWorkers(usize),
    /// A chunk that nobody has begun comes back.
    Return(usize),
    /// Something dies over a call, and its worker goes on.
    DieAfar(usize),
    Remove,
    Close,
    Terminate,
}

pub(super) fn events() -> impl Strategy<Value = Event> {
    let submit = (
        0u32..12,
        prop::option::of(1u32..4),
        any::<bool>(),
        0u32..3,
        (any::<bool>(), prop::bool::weighted(0.2), any::<bool>()),
        prop::option::of(1u32..5),
    );
    prop_oneof![
        4 => submit.prop_map(|(calls, keys, timeout, retries, flags, chunk_size)| {
            Event::Submit { calls, keys, timeout, retries, flags, chunk_size }
        }),
        1 => (0u32..3).prop_map(Event::SubmitPinned),
        1 => (any::<usize>(), 0u32..12, any::<bool>()).prop_map(|(nth, call, paused)| Event::Pause(nth, call, paused)),
        1 => any::<usize>().prop_map(Event::ForbidRetries),
        1 => any::<usize>().prop_map(Event::Cancel),
        1 => (any::<usize>(), 0u32..12).prop_map(|(nth, from)| Event::DropCalls(nth, from)),
        1 => (1u32..5).prop_map(Event::Fitting),
        1 => any::<bool>().prop_map(Event::Deferring),
        6 => any::<usize>().prop_map(Event::SendDeferred),
        6 => any::<usize>().prop_map(Event::Boot),
        1 => any::<usize>().prop_map(Event::LoadFailed),
        5 => any::<usize>().prop_map(Event::Publish),
        5 => any::<usize>().prop_map(Event::Recall),
        20 => any::<usize>().prop_map(Event::Begin),
        20 => (any::<usize>(), 0usize..3, any::<bool>())
            .prop_map(|(worker, nth, failed)| Event::Finish(worker, nth, failed)),
        4 => any::<usize>().prop_map(Event::Die),
        4 => (0u64..400).prop_map(Event::Tick),
        1 => (0u64..600).prop_map(Event::Pass),
        4 => turns(),
        1 => any::<usize>().prop_map(Event::Spare),
        1 => any::<usize>().prop_map(Event::Memory),
        1 => any::<usize>().prop_map(Event::GiveUp),
        1 => any::<usize>().prop_map(Event::EncodeFailed),
        1 => Just(Event::AwaitReady),
        1 => Just(Event::Remove),
    ]
}

/// The caller is quick, or late: by little, or by more than counts.
fn turns() -> impl Strategy<Value = Event> {
    prop::sample::select(vec![0, 0, 3, 20, 100, 1000]).prop_map(Event::Turn)
}

pub(super) fn configs() -> impl Strategy<Value = Config> {
    let flags = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
    (1usize..4, prop::option::of(1u64..5), flags, 0u64..300, 1u32..4).prop_map(
        |(workers, max_calls, (memory, idle, lazy, boot), grace, concurrency)| Config {
            max_calls_per_worker: max_calls,
            max_worker_memory: memory.then_some(1000),
            idle_timeout: idle.then_some(200 * MS),
            grace_period: grace as u32 * MS,
            lazy,
            boot_limit: boot.then_some(200 * MS),
            kill_limit: boot.then_some(1000 * MS),
            concurrency,
            ..config(workers)
        },
    )
}

fn apply(world: &mut World, event: Event) {
    match event {
        Event::Submit {
            calls,
            keys,
            timeout,
            retries,
            flags: (stop_key_on_error, sent_once, key_runs),
            chunk_size,
        } => {
            // Keys in any order, numbered by their first call.
            let keys = keys.map(|count| {
                let mut names = Vec::new();
                (0..calls)
                    .map(|call| (call * 7 + call / 3) % count)
                    .map(|name| {
                        let known = names.iter().position(|&other| other == name);
                        known.unwrap_or_else(|| {
                            names.push(name);
                            names.len() - 1
                        }) as u32
                    })
                    .collect()
            });
            let timeout = timeout.then_some(50 * MS);
            let spread = retries == 1;
            let (task, unbounded) = (chunk_size.is_none().then_some(calls % 3), false);
            let _ = world.submit(JobSpec {
                calls,
                keys,
                timeout,
                retries,
                stop_key_on_error,
                key_runs,
                spread,
                task,
                chunk_size,
                unbounded,
                sent_once,
                priority: calls as i32 % 4 - 1,
                pinned: false,
                first_worker: 0,
            });
        }
        // There would be nobody to do what is for one index.
        Event::SubmitPinned(_) if !world.has_indices && !world.has_lanes => {}
        Event::SubmitPinned(retries) => {
            let first_worker = retries.min(world.max_workers - 1);
            let calls = world.max_workers - first_worker;
            let chunk_size = Some(1);
            let spec =
                JobSpec { calls, retries, pinned: true, first_worker, chunk_size, ..JobSpec::default() };
            let _ = world.submit(spec);
        }
        Event::Pause(nth, call, paused) => {
            if let Some(&job) = world.specs.keys().nth(nth % world.specs.len().max(1)) {
                world.engine.pause(job, call, paused);
            }
        }
        Event::ForbidRetries(nth) => {
            if let Some(&job) = world.specs.keys().nth(nth % world.specs.len().max(1)) {
                world.engine.forbid_retries(job);
            }
        }
        Event::Cancel(nth) => {
            if let Some(&job) = world.specs.keys().nth(nth % world.specs.len().max(1)) {
                world.engine.cancel(job);
            }
        }
        Event::DropCalls(nth, from) => {
            if let Some(&job) = world.specs.keys().nth(nth % world.specs.len().max(1)) {
                world.engine.drop_calls(job, from);
            }
        }
        Event::Fitting(calls) => world.fitting = calls,
        Event::Deferring(is_deferring) => world.is_deferring = is_deferring,
        Event::SendDeferred(nth) => with_worker(world, nth, World::send_deferred),
        Event::AwaitReady => world.engine.await_ready(),
        Event::Lease(event) => world.apply(event),
        Event::SetWorkers(count) => world.engine.set_workers(count),
        Event::Return(nth) => with_worker(world, nth, World::return_chunk),
        Event::DieAfar(nth) => with_worker(world, nth, World::die_afar),
        Event::Remove => world.engine.remove_workers(),
        Event::Close => world.engine.close(),
        Event::Terminate => world.engine.terminate(),
        Event::Tick(passed) => world.tick(passed as u32 * MS),
        Event::Pass(passed) => world.pass(passed as u32 * MS),
        Event::Spare(nth) => with_worker(world, nth, World::spare),
        Event::Turn(busy) => world.turn(busy as u32 * MS),
        Event::Boot(nth) => with_worker(world, nth, World::boot),
        Event::Publish(nth) => with_worker(world, nth, World::publish),
        // At any time, even while no worker is idle.
        Event::Recall(nth) => with_worker(world, nth, |world, worker_id| {
            world.engine.recall(worker_id);
        }),
        Event::Begin(nth) => with_worker(world, nth, World::begin),
        Event::Finish(worker, nth, failed) => {
            with_worker(world, worker, |world, worker_id| world.finish_nth(worker_id, nth, failed));
        }
        Event::Die(nth) => with_worker(world, nth, World::die),
        Event::Memory(nth) => {
            with_worker(world, nth, |world, worker_id| world.engine.memory(worker_id, 5000))
        }
        Event::GiveUp(nth) => with_worker(world, nth, |world, worker_id| world.engine.give_up(worker_id)),
        Event::LoadFailed(nth) => with_worker(world, nth, |world, worker_id| {
            let fake = world.workers.get_mut(&worker_id).unwrap();
            // One that waits for its index has loaded nothing yet.
            if !fake.booted && (fake.index.is_some() || !world.has_indices) {
                fake.calls.clear();
                fake.deferred = None;
                world.engine.load_failed(worker_id);
            }
        }),
        Event::EncodeFailed(nth) => with_worker(world, nth, |world, worker_id| {
            // The last call that was sent turns out not to be encodable, so its worker has never heard of it.
            let fake = world.workers.get_mut(&worker_id).unwrap();
            let last_begun = fake.last_begun;
            let is_unheard = fake.calls.back().is_some_and(|call| !is_reached(last_begun, call.seq));
            let unheard = if is_unheard { fake.calls.pop_back() } else { None };
            if let Some(SentCall { chunk, offset, seq, job, index }) = unheard {
                let is_unwanted = fake.revoked.contains(&seq) || (fake.is_recalled(seq) && !world.has_lanes);
                world.engine.encode_failed(worker_id, chunk, offset);
                if !is_unwanted && !world.settled.contains_key(&(job, index)) {
                    world.settle(job, index, Settled::Replied { failed: true });
                }
            }
        }),
    }
    world.pump();
}

fn with_worker(world: &mut World, nth: usize, act: impl FnOnce(&mut World, WorkerId)) {
    if let Some(worker_id) = world.worker(nth) {
        act(world, worker_id);
    }
}

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

/// Events in which recalls, and what they race with, are frequent.
pub(super) fn events_with_recalls() -> impl Strategy<Value = Event> {
    let submit = (2u32..12, prop::option::weighted(0.2, 1u32..4), any::<bool>(), 0u32..3, 2u32..5);
    prop_oneof![
        6 => (submit, prop::bool::weighted(0.5)).prop_map(|((calls, keys, timeout, retries, chunk_size), is_sized)| {
            let (flags, chunk_size) = ((false, calls == 7, calls > 4), is_sized.then_some(chunk_size));
            Event::Submit { calls, keys, timeout, retries, flags, chunk_size }
        }),
        10 => any::<usize>().prop_map(Event::Boot),
        10 => any::<usize>().prop_map(Event::Publish),
        10 => any::<usize>().prop_map(Event::Recall),
        20 => any::<usize>().prop_map(Event::Begin),
        10 => (any::<usize>(), 0usize..3, any::<bool>())
            .prop_map(|(worker, nth, failed)| Event::Finish(worker, nth, failed)),
        1 => any::<usize>().prop_map(Event::Die),
        1 => any::<usize>().prop_map(Event::Cancel),
        1 => (any::<usize>(), 0u32..12).prop_map(|(nth, from)| Event::DropCalls(nth, from)),
        1 => (1u32..5).prop_map(Event::Fitting),
        1 => prop::bool::weighted(0.3).prop_map(Event::Deferring),
        5 => any::<usize>().prop_map(Event::SendDeferred),
        3 => (0u64..40).prop_map(Event::Tick),
        6 => turns(),
    ]
}

/// Whatever happens, every call settles once, and runs no more often than it may.
pub(super) fn check_run(config: Config, cheap: bool, events: Vec<Event>, end: Event) {
    let lease_set = config.lease.map(|_| lease::FakeLeaseSet::new(config.workers));
    let (mut workers, max_calls) = (config.workers, config.max_calls_per_worker);
    let has_no_limits = config.idle_timeout.is_none();
    let mut world = World::with(config, lease_set);
    if cheap {
        world.cost = MS / 10;
    }
    for event in events {
        if let Event::SetWorkers(count) = event {
            workers = count;
        }
        apply(&mut world, event);
        assert!(world.engine.live() <= workers, "more workers than there may be");
        if let Some(max) = max_calls {
            assert!(world.workers.values().all(|fake| fake.ran <= max));
        }
    }
    let finished = !matches!(end, Event::AwaitReady);
    apply(&mut world, end);
    apply(&mut world, Event::Lease(lease::Event::Places(usize::MAX)));
    world.run_to_end();
    let accepted: usize = world.specs.values().map(|spec| spec.calls as usize).sum();
    assert_eq!(world.settled.len(), accepted);
    for (&(job, call), &count) in &world.executions {
        let allowed = 1 + world.specs[&job].retries;
        assert!(count <= allowed, "call {call} of {job:?} ran {count} times");
    }
    check_key_order(&world);
    if finished {
        while let Some(worker_id) = world.worker(0) {
            world.die(worker_id);
        }
        assert_eq!(world.closed, 1);
    } else {
        // A back-off may have to pass before the last workers are up.
        for _ in 0..100 {
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
    if finished || has_no_limits {
        assert_eq!(world.engine.next_tick(world.now), None, "ticks with nothing to watch");
    }
}

/// This many cases, or in proportion as many more as `PROPTEST_CASES` asks for (its default is 256).
pub(super) fn cases(count: u32) -> ProptestConfig {
    let config = ProptestConfig::default();
    // A history in which work is left forever takes long to show it, and would be made shorter for hours.
    let max_shrink_time = if config.max_shrink_time == 0 { 60_000 } else { config.max_shrink_time };
    ProptestConfig { cases: count.saturating_mul(config.cases) / 256, max_shrink_time, ..config }
}

proptest! {
    #![proptest_config(cases(5000))]

    #[test]
    fn every_call_settles_exactly_once(
        config in configs(),
        cheap in any::<bool>(),
        events in vec(events(), 0..200),
        end in prop::sample::select(vec![Event::AwaitReady, Event::Close, Event::Terminate]),
    ) {
        check_run(config, cheap, events, end);
    }

    #[test]
    fn every_call_settles_exactly_once_with_many_recalls(
        config in configs(),
        cheap in prop::bool::weighted(0.8),
        events in vec(events_with_recalls(), 0..200),
        end in prop::sample::select(vec![Event::AwaitReady, Event::Close]),
    ) {
        check_run(config, cheap, events, end);
    }
}
