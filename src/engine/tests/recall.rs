//! Recalling calls that wait behind one that takes long.

use super::*;

/// Two workers: the first has these calls, none of which it has begun; the other is idle.
fn world_with_calls_ahead(spec: JobSpec) -> (World, JobId, WorkerId, WorkerId) {
    let mut world = World::new(Config { max_calls_per_worker: Some(100), ..config(2) });
    world.cost = MS / 10;
    let first = world.worker(0).unwrap();
    let other = world.worker(1).unwrap();
    world.boot(first);
    // Calls that are known to be cheap are sent together.
    for calls in [1, 8] {
        world.submit(JobSpec { calls, task: Some(7), ..JobSpec::default() }).unwrap();
        while !world.workers[&first].is_free() {
            world.begin(first);
            world.finish(first, false);
        }
    }
    let job = world.submit(JobSpec { task: Some(7), ..spec }).unwrap();
    world.boot(other);
    world.begin(other);
    world.finish(other, false);
    (world, job, first, other)
}

#[test]
fn calls_behind_one_that_takes_long_go_to_an_idle_worker() {
    let (mut world, job, first, other) = world_with_calls_ahead(JobSpec { calls: 6, ..JobSpec::default() });
    world.begin(first);
    while !world.workers[&other].is_free() {
        world.begin(other);
        world.finish(other, false);
    }
    let behind = world.workers[&first].calls.len();
    assert!(behind > 0 && world.workers[&first].running.len() == 1);
    world.pass(RECALL_AFTER / 2);
    assert!(world.workers[&other].is_free(), "not at once");
    world.pass(RECALL_AFTER * 3);
    while !world.workers[&other].is_free() {
        world.begin(other);
        world.finish(other, false);
    }
    let settled = (0..6).filter(|&call| world.outcome(job, call).is_some()).count();
    assert_eq!(settled, 5, "all but the one that runs");
    assert_eq!(world.engine.next_tick(world.now), None, "nothing is left to take back");
    assert_eq!(world.engine.stats().running, 1);
    world.finish(first, false);
    while !world.workers[&first].is_free() {
        world.begin(first);
        assert!(world.workers[&first].running.is_empty(), "skipped");
    }
    world.run_to_end();
    assert!((0..6).all(|call| world.executions[&(job, call)] == 1));
    let done: u64 = world.engine.stats().workers.iter().map(|worker| worker.done).sum();
    assert_eq!(done, 15, "who skips a call has not done it");
}

#[test]
fn a_call_with_none_behind_it_is_not_watched() {
    let mut world = World::new(config(2));
    world.boot_all();
    world.calls(1);
    let worker_id = *world.workers.iter().find(|(_, fake)| !fake.is_free()).unwrap().0;
    assert_eq!(world.engine.next_tick(world.now), None);
    world.begin(worker_id);
    assert_eq!(world.engine.next_tick(world.now), None);
}

#[test]
fn calls_that_must_stay_are_not_recalled() {
    let chunk = JobSpec { calls: 3, chunk_size: Some(3), ..JobSpec::default() };
    let keys = JobSpec { calls: 3, keys: Some(vec![0, 1, 2]), ..JobSpec::default() };
    for (spec, begun) in [(chunk.clone(), true), (keys, false), (JobSpec { sent_once: true, ..chunk }, false)]
    {
        let (mut world, job, first, _) = world_with_calls_ahead(spec);
        assert!(world.workers[&first].calls.len() > 1 || begun);
        if begun {
            world.begin(first);
            world.engine.begun(first, world.workers[&first].last_begun);
        }
        assert_eq!(world.engine.next_tick(world.now), None);
        assert!(!world.engine.recall(first));
        world.run_to_end();
        assert!((0..3).all(|call| world.outcome(job, call).is_some()));
    }
}

#[test]
fn a_chunk_that_has_not_begun_is_recalled_as_a_whole() {
    let (mut world, job, first, other) =
        world_with_calls_ahead(JobSpec { calls: 3, chunk_size: Some(3), ..JobSpec::default() });
    world.pass(RECALL_AFTER * 3);
    assert_eq!((world.recalls, world.workers[&other].calls.len()), (1, 3));
    world.begin(first);
    assert!(world.workers[&first].is_free(), "all skipped in one reply");
    world.run_to_end();
    assert!((0..3).all(|call| world.executions[&(job, call)] == 1));
}

#[test]
fn a_call_that_was_skipped_after_all_waits_again() {
    let (mut world, job, first, other) =
        world_with_calls_ahead(JobSpec { calls: 3, chunk_size: Some(3), retries: 0, ..JobSpec::default() });
    // It says that it begins the first one just before the parent writes the range.
    world.publish(first);
    assert!(world.engine.recall(first));
    world.pump();
    assert_eq!(world.engine.stats().running, 3, "one that has begun, two that the other has");
    assert_eq!(world.workers[&other].calls.len(), 2);
    world.begin(first);
    assert_eq!((world.missed, world.workers[&first].calls.len()), (1, 1), "and who is free gets it");
    world.run_to_end();
    assert!((0..3).all(|call| world.executions[&(job, call)] == 1));
}

#[test]
fn a_worker_that_cannot_be_told_keeps_its_calls() {
    let (mut world, job, first, _) =
        world_with_calls_ahead(JobSpec { calls: 3, chunk_size: Some(3), ..JobSpec::default() });
    assert!(world.engine.next_tick(world.now).is_some());
    assert!(world.engine.recall(first));
    let Some(Action::Recall { from, until, .. }) = world.engine.next_action(world.now) else { panic!() };
    world.engine.recalled(first, None, from, until);
    world.pump();
    assert_eq!(world.engine.next_tick(world.now), None);
    assert_eq!(world.workers[&first].calls.len(), 3);
    world.run_to_end();
    assert!((0..3).all(|call| world.outcome(job, call).is_some()));
}
