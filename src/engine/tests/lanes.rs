//! Workers whose number changes, chunks that come back, and deaths further away than the worker that tells of them.

use proptest::collection::vec;
use proptest::prelude::*;

use super::any_order::{check_run, ends, scenes};
use super::events::{Event, configs, events};
use super::*;

/// As for lanes to other machines: one chunk at a time.
fn lanes(workers: usize) -> Config {
    Config { target: 60 * MS, lanes: true, ..config(workers) }
}

fn live(world: &World) -> usize {
    world.engine.live()
}

/// The only worker, or the first, with the chunk that it has.
fn first_chunk(world: &World) -> (WorkerId, ChunkId) {
    let worker_id = world.worker(0).unwrap();
    (worker_id, world.workers[&worker_id].calls[0].chunk)
}

fn died(chunk: ChunkId, offset: u32) -> Reply {
    Reply { died: true, ..reply(chunk, offset, 1, true, MS) }
}

#[test]
fn workers_are_started_as_there_may_be_more() {
    let mut world = World::new(lanes(1));
    world.boot_all();
    world.engine.set_workers(4);
    world.pump();
    assert_eq!(live(&world), 4);
    world.boot_all();
    world.calls(4);
    assert!(world.workers.values().all(|fake| fake.calls.len() == 1), "each has a call");
}

#[test]
fn more_workers_are_not_started_before_the_first_job_of_a_lazy_engine() {
    let mut world = World::new(Config { lazy: true, ..lanes(1) });
    world.engine.set_workers(4);
    world.pump();
    assert_eq!(live(&world), 0);
    world.calls(9);
    assert_eq!(live(&world), 4);
}

#[test]
fn idle_workers_that_are_too_many_are_stopped_and_busy_ones_finish_first() {
    let mut world = World::new(lanes(4));
    world.boot_all();
    let job = world.calls(2);
    world.engine.set_workers(1);
    world.pump();
    assert_eq!(live(&world), 1);
    let stopping = |world: &World| world.workers.values().filter(|fake| fake.stopping).count();
    assert_eq!(stopping(&world), 2, "the idle ones");
    world.run_to_end();
    world.pump();
    assert_eq!(world.workers.len() - stopping(&world), 1);
    assert_eq!(world.outcome(job, 1), Some(Settled::Replied { failed: false }));
    assert_eq!(world.engine.stats().restarts, 0, "none of them was replaced");
}

#[test]
fn there_is_always_one_worker_at_least() {
    let mut world = World::new(lanes(3));
    world.boot_all();
    world.engine.set_workers(0);
    world.pump();
    assert_eq!(live(&world), 1);
}

#[test]
fn whoever_waits_for_all_workers_waits_for_as_many_as_there_may_be_now() {
    let mut world = World::new(lanes(1));
    world.engine.await_ready();
    world.engine.set_workers(2);
    world.pump();
    let first = world.worker(0).unwrap();
    world.boot(first);
    assert_eq!(world.ready, []);
    world.engine.set_workers(1);
    world.pump();
    assert_eq!(world.ready, [Ok(())]);
}

#[test]
fn a_lane_has_one_chunk_at_a_time() {
    let mut world = World::new(lanes(1));
    world.boot_all();
    let task = Some(1);
    world.submit(JobSpec { calls: 1, task, ..JobSpec::default() }).unwrap();
    world.run_to_end();
    world.submit(JobSpec { calls: 100, task, ..JobSpec::default() }).unwrap();
    let (worker_id, chunk) = first_chunk(&world);
    assert!(world.workers[&worker_id].calls.iter().all(|call| call.chunk == chunk));
    // At 10 ms a call.
    assert_eq!(world.workers[&worker_id].calls.len(), 5);
}

#[test]
fn a_chunk_that_comes_back_is_sent_again_and_nothing_is_held_against_its_calls() {
    let mut world = World::new(lanes(1));
    world.boot_all();
    let job = world.submit(JobSpec { calls: 1, ..JobSpec::default() }).unwrap();
    for _ in 0..20 {
        let (worker_id, chunk) = first_chunk(&world);
        world.workers.get_mut(&worker_id).unwrap().calls.clear();
        world.engine.returned(worker_id, chunk);
        assert_eq!(world.engine.stats().waiting, 1);
        world.pump();
    }
    world.run_to_end();
    assert_eq!(world.outcome(job, 0), Some(Settled::Replied { failed: false }));
    let stats = world.engine.stats();
    assert_eq!((stats.done, stats.failed, stats.restarts), (1, 0, 0));
}

#[test]
fn what_was_cancelled_does_not_wait_again_when_its_chunk_comes_back() {
    let mut world = World::new(lanes(1));
    world.boot_all();
    let job = world.calls(1);
    let (worker_id, chunk) = first_chunk(&world);
    world.engine.cancel(job);
    world.pump();
    world.workers.get_mut(&worker_id).unwrap().calls.clear();
    world.engine.returned(worker_id, chunk);
    world.pump();
    assert_eq!(world.outcome(job, 0), Some(Settled::Ended(Outcome::Aborted)));
    assert!(!world.engine.is_held());
}

#[test]
fn a_death_far_away_uses_a_retry_and_its_worker_goes_on() {
    let mut world = World::new(lanes(1));
    world.boot_all();
    let job = world.submit(JobSpec { calls: 1, retries: 2, ..JobSpec::default() }).unwrap();
    for _ in 0..2 {
        let (worker_id, chunk) = first_chunk(&world);
        world.workers.get_mut(&worker_id).unwrap().calls.clear();
        assert_eq!(world.engine.replied(worker_id, died(chunk, 0)), Ok(vec![]));
        world.pump();
    }
    let (worker_id, chunk) = first_chunk(&world);
    world.workers.get_mut(&worker_id).unwrap().calls.clear();
    let settled = world.engine.replied(worker_id, died(chunk, 0)).unwrap();
    assert_eq!(settled, [SettledRun { job, calls: 0..1, offset: 0 }]);
    world.pump();
    let stats = world.engine.stats();
    assert_eq!((stats.done, stats.failed, stats.restarts, stats.waiting), (1, 1, 0, 0));
}

#[test]
fn the_rest_of_a_key_is_skipped_after_a_death_far_away_without_a_retry() {
    let mut world = World::new(lanes(1));
    world.boot_all();
    let keys = Some(vec![0, 0]);
    let job =
        world.submit(JobSpec { calls: 2, keys, stop_key_on_error: true, ..JobSpec::default() }).unwrap();
    let (worker_id, chunk) = first_chunk(&world);
    world.workers.get_mut(&worker_id).unwrap().calls.clear();
    assert_eq!(world.engine.replied(worker_id, died(chunk, 0)).map(|settled| settled.len()), Ok(1));
    world.pump();
    assert_eq!(world.outcome(job, 1), Some(Settled::Ended(Outcome::Skipped)));
}

/// Two lanes: the first has several calls, of which it has begun one; the other is idle. Also how many the first has.
fn lanes_with_calls_ahead() -> (World, JobId, WorkerId, usize) {
    let mut world = World::new(lanes(1));
    world.boot_all();
    let task = Some(1);
    world.submit(JobSpec { calls: 1, task, ..JobSpec::default() }).unwrap();
    world.run_to_end();
    let job = world.submit(JobSpec { calls: CALLS, task, ..JobSpec::default() }).unwrap();
    let (first, _) = first_chunk(&world);
    world.begin(first);
    world.engine.set_workers(2);
    world.pump();
    world.boot_all();
    let other = world.worker(1).unwrap();
    while !world.workers[&other].is_free() {
        world.begin(other);
        world.finish(other, false);
    }
    let count = 1 + world.workers[&first].calls.len();
    assert!(count > 2 && world.engine.stats().waiting == 0, "{count} calls of the first");
    (world, job, first, count)
}

const CALLS: u32 = 12;

#[test]
fn calls_that_are_recalled_from_a_lane_are_its_own_until_it_says_that_it_has_skipped_them() {
    let (mut world, job, first, count) = lanes_with_calls_ahead();
    world.pass(60 * MS * 3);
    assert_eq!(world.recalls, 1, "asked for once, and not again");
    assert_eq!(world.engine.stats().waiting, 0, "nothing waits before there is an answer");
    world.finish(first, false);
    world.begin(first);
    let waiting = world.engine.stats().waiting as usize;
    let sent: usize = world.workers.values().map(|fake| fake.calls.len()).sum();
    assert_eq!(waiting + sent, count - 1, "those that it has skipped go elsewhere");
    world.run_to_end();
    assert!((0..CALLS).all(|call| world.executions[&(job, call)] == 1));
    assert_eq!(world.engine.stats().failed, 0);
}

#[test]
fn calls_that_were_recalled_from_a_lane_that_is_lost_wait_again_without_a_retry() {
    let (mut world, job, first, _) = lanes_with_calls_ahead();
    world.pass(60 * MS * 3);
    assert_eq!(world.recalls, 1);
    world.die(first);
    world.run_to_end();
    assert!((0..CALLS).all(|call| world.executions[&(job, call)] == 1));
    let lost =
        (0..CALLS).filter(|&call| world.outcome(job, call) != Some(Settled::Replied { failed: false }));
    assert_eq!(lost.count(), 1, "only what had begun");
}

#[test]
fn a_lane_is_asked_for_calls_once_its_chunk_should_be_done_and_not_before() {
    let (mut world, ..) = lanes_with_calls_ahead();
    world.pass(40 * MS);
    assert_eq!(world.recalls, 0);
}

/// What happens to other workers, and to lanes.
fn lane_events() -> impl Strategy<Value = Event> {
    prop_oneof![
        10 => events(),
        1 => (1usize..5).prop_map(Event::SetWorkers),
        1 => any::<usize>().prop_map(Event::Return),
        1 => (any::<usize>(), 1usize..4).prop_map(|(nth, count)| Event::DieAfar(nth, count)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn every_call_settles_exactly_once_whatever_becomes_of_lanes(
        config in configs(),
        scene in scenes(),
        events in vec(lane_events(), 0..200),
        end in ends(),
        late in vec(lane_events(), 0..30),
    ) {
        check_run(Config { lanes: true, ..config }, scene, events, end, late);
    }
}

#[test]
fn chunks_are_longer_where_there_are_many_lanes() {
    let largest_chunk = |workers| {
        let mut world = World::new(lanes(workers));
        world.cost = MS;
        world.boot_all();
        let spec = |calls| JobSpec { calls, task: Some(1), ..JobSpec::default() };
        world.submit(spec(1)).unwrap();
        world.run_to_end();
        world.submit(spec(100_000)).unwrap();
        world.workers.values().map(|fake| fake.calls.len()).max().unwrap()
    };
    assert_eq!(largest_chunk(20), 59, "60 ms of 1 ms each, and a little");
    assert_eq!(largest_chunk(200), 99, "0.5 ms for each lane");
}
