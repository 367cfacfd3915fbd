//! Jobs with a call for each worker.

use super::*;

fn broadcast(world: &mut World, retries: u32) -> JobId {
    let calls = world.max_workers;
    world.submit(JobSpec { calls, retries, pinned: true, ..JobSpec::default() }).unwrap()
}

#[test]
fn each_worker_gets_its_own_call_even_one_that_has_yet_to_start() {
    let mut world = World::new(Config { lazy: true, ..config(3) });
    world.calls(1);
    assert_eq!(world.workers.len(), 1);
    world.boot_all();
    let job = broadcast(&mut world, 0);
    assert_eq!(world.workers.len(), 3, "those that are missing are started");
    world.boot_all();
    let busy = world.worker(0).unwrap();
    for nth in [1, 2] {
        let worker_id = world.worker(nth).unwrap();
        world.begin(worker_id);
        world.finish(worker_id, false);
    }
    assert_eq!(world.outcome(job, 0), None, "nobody else does what is for the one that is busy");
    for _ in 0..2 {
        world.begin(busy);
        world.finish(busy, false);
    }
    assert_eq!((0..3).filter(|&call| world.outcome(job, call).is_some()).count(), 3);
}

#[test]
fn what_is_for_each_worker_does_not_count_for_how_many_calls_one_may_have() {
    let mut world = World::new(Config { max_calls_per_worker: Some(2), ..config(1) });
    world.boot_all();
    let worker_id = world.worker(0).unwrap();
    let work = |world: &mut World| {
        world.begin(worker_id);
        world.finish(worker_id, false);
    };
    world.calls(1);
    work(&mut world);
    for _ in 0..5 {
        let job = broadcast(&mut world, 0);
        work(&mut world);
        assert_eq!(world.outcome(job, 0), Some(Settled::Replied { failed: false }));
    }
    assert!(!world.workers[&worker_id].stopping);
    world.calls(1);
    work(&mut world);
    assert!(world.workers[&worker_id].stopping);
}

#[test]
fn a_death_costs_the_call_of_that_worker_or_a_retry_by_its_successor() {
    for retries in [0, 1] {
        let mut world = World::new(config(2));
        world.boot_all();
        let job = broadcast(&mut world, retries);
        let dying = world.worker(0).unwrap();
        let index = world.workers[&dying].index.unwrap();
        world.begin(dying);
        world.die(dying);
        if retries == 0 {
            assert_eq!(world.outcome(job, index), Some(Settled::Ended(Outcome::Exited(dying))));
        }
        world.run_to_end();
        let ended =
            (0..2).filter(|&call| world.outcome(job, call) == Some(Settled::Replied { failed: false }));
        assert_eq!(ended.count(), if retries == 0 { 1 } else { 2 });
    }
}

#[test]
fn the_time_of_a_call_that_waits_for_its_caller_does_not_pass() {
    let mut world = World::new(config(1));
    world.boot_all();
    let spec = JobSpec { calls: 1, timeout: Some(100 * MS), ..JobSpec::default() };
    let job = world.submit(spec).unwrap();
    let worker_id = world.worker(0).unwrap();
    world.begin(worker_id);
    world.pass(60 * MS);
    world.engine.pause(job, 0, true);
    world.pass(10_000 * MS);
    assert_eq!(world.outcome(job, 0), None);
    world.engine.pause(job, 0, false);
    world.pass(80 * MS);
    assert_eq!(world.outcome(job, 0), Some(Settled::Ended(Outcome::TimedOut)));
    world.finish(worker_id, false);
}

#[test]
fn a_call_whose_caller_has_something_of_it_is_not_run_again() {
    let mut world = World::new(config(1));
    world.boot_all();
    let job = world.submit(JobSpec { calls: 1, retries: 5, ..JobSpec::default() }).unwrap();
    let worker_id = world.worker(0).unwrap();
    world.begin(worker_id);
    world.engine.forbid_retries(job);
    world.die(worker_id);
    assert_eq!(world.outcome(job, 0), Some(Settled::Ended(Outcome::Exited(worker_id))));
}

#[test]
fn calls_may_be_for_some_of_the_workers_only() {
    let mut world = World::new(config(3));
    world.boot_all();
    let spec = JobSpec { calls: 1, pinned: true, first_worker: 2, ..JobSpec::default() };
    let job = world.submit(spec).unwrap();
    let worker_id = world.worker(2).unwrap();
    assert_eq!(world.workers[&worker_id].index, Some(2));
    world.begin(worker_id);
    world.finish(worker_id, false);
    assert!(world.outcome(job, 0).is_some());
}

#[test]
fn lanes_take_them_in_any_order_and_are_not_asked_for_them() {
    let mut world = World::new(Config { target: 60 * MS, lanes: true, ..config(3) });
    world.boot_all();
    let spec = JobSpec { calls: 2, pinned: true, first_worker: 7, chunk_size: Some(1), ..JobSpec::default() };
    let job = world.submit(spec).unwrap();
    assert_eq!(world.workers.values().filter(|fake| fake.calls.len() == 1).count(), 2);
    world.tick(500 * MS);
    assert_eq!(world.recalls, 0, "a lane is idle, but they are not for it");
    world.run_to_end();
    assert!((0..2).all(|call| world.outcome(job, call).is_some()));
}
