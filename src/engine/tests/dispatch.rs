//! Which worker gets which calls, and how many may wait.

use super::*;

#[test]
fn calls_spread_over_workers_as_they_become_ready() {
    let mut world = World::new(config(2));
    let job = world.calls(2);
    assert!(world.workers.values().all(|fake| fake.calls.is_empty()));
    world.boot_all();
    assert!(world.workers.values().all(|fake| fake.calls.len() == 1));
    world.run_to_end();
    assert_eq!(world.outcome(job, 1), Some(Settled::Replied { failed: false }));
    assert!(!world.engine.is_held());
}

#[test]
fn a_spread_job_waits_for_workers_that_start_but_not_for_replacements() {
    let mut world = World::new(config(2));
    let spread = |calls| JobSpec { calls, spread: true, ..JobSpec::default() };
    world.submit(spread(2)).unwrap();
    let (one, two) = (world.worker(0).unwrap(), world.worker(1).unwrap());
    assert!(world.workers.values().all(|fake| fake.calls.len() == 1), "one each, ahead of their start");
    world.boot(one);
    world.begin(one);
    world.finish(one, false);
    assert!(world.workers[&one].calls.is_empty(), "the second call is for the other worker");
    world.boot(two);
    world.begin(two);
    world.finish(two, false);
    world.submit(spread(2)).unwrap();
    world.begin(two);
    world.die(two);
    world.begin(one);
    world.finish(one, false);
    world.run_to_end();

    let job = world.submit(JobSpec { retries: 1, ..spread(2) }).unwrap();
    let worker_ids: Vec<WorkerId> = world.workers.keys().copied().collect();
    world.begin(worker_ids[0]);
    world.die(worker_ids[0]);
    world.begin(worker_ids[1]);
    world.finish(worker_ids[1], false);
    world.begin(worker_ids[1]);
    world.finish(worker_ids[1], false);
    assert!((0..2).all(|call| world.outcome(job, call) == Some(Settled::Replied { failed: false })));
}

#[test]
fn a_worker_runs_as_many_calls_at_once_as_it_may() {
    let mut world = World::new(Config { concurrency: 3, ..config(2) });
    let job = world.calls(8);
    world.boot_all();
    let worker_ids: Vec<WorkerId> = world.workers.keys().copied().collect();
    assert!(world.workers.values().all(|fake| fake.calls.len() == 3), "three for each, two wait");
    for _ in 0..3 {
        world.begin(worker_ids[0]);
    }
    assert_eq!(world.workers[&worker_ids[0]].running.len(), 3);
    world.finish_nth(worker_ids[0], 1, false);
    assert_eq!(world.workers[&worker_ids[0]].calls.len(), 1, "one that is done makes room for one");
    world.run_to_end();
    assert!((0..8).all(|call| world.outcome(job, call) == Some(Settled::Replied { failed: false })));
}

#[test]
fn a_full_queue_refuses_all_or_nothing() {
    let mut world = World::new(Config { max_queue: Some(1), ..config(2) });
    world.boot_all();
    world.calls(2);
    assert_eq!(
        world.submit(JobSpec { calls: 2, ..JobSpec::default() }),
        Err(SubmitError::QueueFull { waiting: 0 })
    );
    world.calls(1);
    assert_eq!(
        world.submit(JobSpec { calls: 1, ..JobSpec::default() }),
        Err(SubmitError::QueueFull { waiting: 1 })
    );
    world.run_to_end();
    assert_eq!(world.settled.len(), 3);
}

#[test]
fn a_job_that_limits_itself_is_never_refused() {
    let mut world = World::new(Config { max_queue: Some(1), ..config(1) });
    let spec = |unbounded| JobSpec { calls: 50, unbounded, ..JobSpec::default() };
    assert!(world.submit(spec(false)).is_err());
    assert!(world.submit(spec(true)).is_ok());
    world.run_to_end();
}
