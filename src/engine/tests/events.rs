//! What can happen to an engine, in any order.

use proptest::prelude::*;

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
        unbounded: bool,
    },
    /// A call for each worker.
    SubmitPinned(u32),
    Pause(usize, u32, bool),
    ForbidRetries(usize),
    Cancel(usize),
    DropCalls(usize, u32),
    /// Workers that still run calls of a job are to be killed.
    KillRemains(usize),
    /// What a getter of a value does while the next chunk is encoded.
    WhileEncoding(Box<Event>),
    /// The next chunk cannot be sent at all.
    FailToSend,
    /// Calls at these places of a chunk cannot be encoded.
    Unencodable(u32),
    Deferring(bool),
    SendDeferred(usize),
    Fitting(u32),
    /// Its first sign of life, and nothing more yet.
    Alive(usize),
    Boot(usize),
    /// So many of the next workers cannot be started.
    FailSpawns(u32),
    LoadFailed(usize),
    Publish(usize),
    Recall(usize),
    /// Nobody can be told of recalls; or lanes run what they are asked for.
    Deaf(bool),
    Begin(usize),
    Finish(usize, usize, bool),
    /// The same without a word of it before the next [`Event::Say`].
    FinishQuietly(usize, usize, bool),
    Say(usize),
    Die(usize),
    /// Late reports of a worker that is gone.
    Ghost(usize),
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
    AwaitReady,
    Lease(lease::Event),
    SetWorkers(usize),
    /// A chunk that nobody has begun comes back.
    Return(usize),
    /// Something dies over so many calls at most, and their worker goes on.
    DieAfar(usize, usize),
    Remove,
    Close,
    Terminate,
}

fn submissions() -> impl Strategy<Value = Event> {
    let submit = (
        0u32..12,
        prop::option::of(1u32..4),
        any::<bool>(),
        0u32..3,
        (any::<bool>(), prop::bool::weighted(0.2), any::<bool>()),
        prop::option::of(1u32..5),
        any::<bool>(),
    );
    submit.prop_map(|(calls, keys, timeout, retries, flags, chunk_size, unbounded)| Event::Submit {
        calls,
        keys,
        timeout,
        retries,
        flags,
        chunk_size,
        unbounded,
    })
}

/// What callers can do whenever JavaScript runs.
fn requests() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => submissions(),
        4 => any::<usize>().prop_map(Event::Cancel),
        4 => (any::<usize>(), 0u32..12).prop_map(|(nth, from)| Event::DropCalls(nth, from)),
        1 => (any::<usize>(), 0u32..12, any::<bool>()).prop_map(|(nth, call, paused)| Event::Pause(nth, call, paused)),
        1 => any::<usize>().prop_map(Event::ForbidRetries),
        1 => any::<usize>().prop_map(Event::KillRemains),
        // What has come is handed in before a job is cancelled.
        4 => any::<usize>().prop_map(Event::Say),
        1 => Just(Event::AwaitReady),
        1 => Just(Event::Remove),
        1 => prop::sample::select(vec![Event::Close, Event::Terminate]),
    ]
}

/// Frames that are hard to make.
fn encodings() -> impl Strategy<Value = Event> {
    prop_oneof![
        2 => (1u32..5).prop_map(Event::Fitting),
        2 => any::<bool>().prop_map(Event::Deferring),
        2 => prop::sample::select(vec![0, 0, 1, 2, 5, u32::MAX]).prop_map(Event::Unencodable),
        3 => requests().prop_map(|request| Event::WhileEncoding(Box::new(request))),
        1 => Just(Event::FailToSend),
    ]
}

pub(super) fn events() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => submissions(),
        5 => encodings(),
        1 => any::<usize>().prop_map(Event::KillRemains),
        1 => any::<usize>().prop_map(Event::Alive),
        1 => (1u32..3).prop_map(Event::FailSpawns),
        1 => prop::bool::weighted(0.3).prop_map(Event::Deaf),
        3 => (any::<usize>(), 0usize..3, any::<bool>())
            .prop_map(|(worker, nth, failed)| Event::FinishQuietly(worker, nth, failed)),
        2 => any::<usize>().prop_map(Event::Say),
        1 => any::<usize>().prop_map(Event::Ghost),
        1 => (0u32..3).prop_map(Event::SubmitPinned),
        1 => (any::<usize>(), 0u32..12, any::<bool>()).prop_map(|(nth, call, paused)| Event::Pause(nth, call, paused)),
        1 => any::<usize>().prop_map(Event::ForbidRetries),
        1 => any::<usize>().prop_map(Event::Cancel),
        1 => (any::<usize>(), 0u32..12).prop_map(|(nth, from)| Event::DropCalls(nth, from)),
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
    let limits = (prop::option::of(1u64..5), prop::option::weighted(0.2, 0u64..6));
    (1usize..4, limits, flags, 0u64..300, 1u32..4).prop_map(
        |(workers, (max_calls, max_queue), (memory, idle, lazy, boot), grace, concurrency)| Config {
            max_queue,
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

pub(super) fn apply(world: &mut World, event: Event) {
    match event {
        Event::Submit {
            calls,
            keys,
            timeout,
            retries,
            flags: (stop_key_on_error, sent_once, key_runs),
            chunk_size,
            unbounded,
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
            let task = chunk_size.is_none().then_some(calls % 3);
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
                bulk: calls % 2 == 0,
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
        Event::KillRemains(nth) => {
            world.read_last_begun();
            if let Some(&job) = world.specs.keys().nth(nth % world.specs.len().max(1)) {
                world.engine.kill_remains(job);
            }
        }
        Event::WhileEncoding(event) => world.mishaps.while_encoding.push(*event),
        Event::FailToSend => world.mishaps.fails_to_send = true,
        Event::Unencodable(places) => world.mishaps.unencodable = places,
        Event::FailSpawns(count) => world.mishaps.failing_spawns = count,
        Event::Deaf(is_deaf) => world.mishaps.is_deaf = is_deaf,
        Event::Ghost(nth) => world.report_of_the_gone(nth),
        Event::Fitting(calls) => world.fitting = calls,
        Event::Deferring(is_deferring) => world.is_deferring = is_deferring,
        Event::SendDeferred(nth) => with_worker(world, nth, World::send_deferred),
        Event::AwaitReady => world.engine.await_ready(),
        Event::Lease(event) => world.apply(event),
        Event::SetWorkers(count) => world.engine.set_workers(count),
        Event::Return(nth) => with_worker(world, nth, World::return_chunk),
        Event::DieAfar(nth, count) => {
            with_worker(world, nth, |world, worker_id| world.die_afar(worker_id, count));
        }
        Event::Remove => {
            world.take_idle();
            world.engine.remove_workers();
        }
        Event::Close => {
            world.is_closed = true;
            world.take_idle();
            world.engine.close();
        }
        Event::Terminate => {
            world.is_closed = true;
            world.take_idle();
            world.engine.terminate();
        }
        Event::Tick(passed) => world.tick(passed as u32 * MS),
        Event::Pass(passed) => world.pass(passed as u32 * MS),
        Event::Spare(nth) => with_worker(world, nth, World::spare),
        Event::Turn(busy) => world.turn(busy as u32 * MS),
        Event::Alive(nth) => with_worker(world, nth, World::show_life),
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
        Event::FinishQuietly(worker, nth, failed) => {
            with_worker(world, worker, |world, worker_id| world.finish_quietly(worker_id, nth, failed));
        }
        Event::Say(nth) => with_worker(world, nth, World::say),
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
    }
    world.pump();
}

fn with_worker(world: &mut World, nth: usize, act: impl FnOnce(&mut World, WorkerId)) {
    if let Some(worker_id) = world.worker(nth) {
        act(world, worker_id);
    }
}

/// Events in which recalls, and what they race with, are frequent.
pub(super) fn events_with_recalls() -> impl Strategy<Value = Event> {
    let submit = (2u32..12, prop::option::weighted(0.2, 1u32..4), any::<bool>(), 0u32..3, 2u32..5);
    prop_oneof![
        6 => (submit, prop::bool::weighted(0.5)).prop_map(|((calls, keys, timeout, retries, chunk_size), is_sized)| {
            let (flags, chunk_size) = ((false, calls == 7, calls > 4), is_sized.then_some(chunk_size));
            let unbounded = false;
            Event::Submit { calls, keys, timeout, retries, flags, chunk_size, unbounded }
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
        2 => encodings(),
        5 => (any::<usize>(), 0usize..3, any::<bool>())
            .prop_map(|(worker, nth, failed)| Event::FinishQuietly(worker, nth, failed)),
        3 => any::<usize>().prop_map(Event::Say),
        5 => any::<usize>().prop_map(Event::SendDeferred),
        3 => (0u64..40).prop_map(Event::Tick),
        6 => turns(),
    ]
}

/// Events in which workers come and go, and few of them come far.
pub(super) fn events_of_starts() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => submissions(),
        4 => any::<usize>().prop_map(Event::Alive),
        8 => any::<usize>().prop_map(Event::Boot),
        3 => any::<usize>().prop_map(Event::Spare),
        2 => any::<usize>().prop_map(Event::LoadFailed),
        1 => (1u32..4).prop_map(Event::FailSpawns),
        8 => (0u64..600).prop_map(Event::Pass),
        2 => any::<usize>().prop_map(Event::Memory),
        2 => any::<usize>().prop_map(Event::GiveUp),
        3 => any::<usize>().prop_map(Event::Die),
        1 => any::<usize>().prop_map(Event::Ghost),
        8 => any::<usize>().prop_map(Event::Begin),
        6 => (any::<usize>(), 0usize..3, any::<bool>())
            .prop_map(|(worker, nth, failed)| Event::Finish(worker, nth, failed)),
        1 => any::<usize>().prop_map(Event::Cancel),
        1 => any::<usize>().prop_map(Event::KillRemains),
        2 => encodings(),
        2 => any::<usize>().prop_map(Event::SendDeferred),
        1 => Just(Event::AwaitReady),
        1 => Just(Event::Remove),
    ]
}
