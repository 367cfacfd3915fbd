//! What becomes of the calls of a worker that dies, and who succeeds it.

use super::*;

#[test]
fn a_death_costs_only_the_call_that_had_begun() {
    let mut world = World::new(config(1));
    world.cost = Duration::from_micros(1);
    world.boot_all();
    let learn = world.calls(40);
    let first = world.worker(0).unwrap();
    for _ in 0..10 {
        world.begin(first);
        world.finish(first, false);
    }
    assert!(world.workers[&first].calls.len() > 2, "cheap calls travel together");
    world.begin(first);
    world.die(first);
    assert_eq!(world.outcome(learn, 9), Some(Settled::Replied { failed: false }));
    assert_eq!(world.outcome(learn, 10), Some(Settled::Ended(Outcome::Exited(first))));
    world.run_to_end();
    for call in 11..40 {
        assert_eq!(world.outcome(learn, call), Some(Settled::Replied { failed: false }));
        assert_eq!(world.executions[&(learn, call)], 1);
    }
}

#[test]
fn a_worker_that_is_killed_has_one_successor() {
    let mut world = World::new(config(1));
    world.boot_all();
    let worker_id = world.worker(0).unwrap();
    let slow = world.calls(1);
    world.begin(worker_id);
    world.engine.begun(worker_id, world.workers[&worker_id].last_begun);
    world.engine.cancel(slow);
    world.pass(600 * MS);
    assert!(world.workers[&worker_id].killed);
    // The next call has a worker started before the old one is gone.
    world.calls(1);
    world.die(worker_id);
    assert_eq!(world.workers.len(), 1);
    world.run_to_end();
}

#[test]
fn retries_run_the_begun_call_again_as_often_as_allowed() {
    let mut world = World::new(config(1));
    let job = world.submit(JobSpec { calls: 1, retries: 2, ..JobSpec::default() }).unwrap();
    for death in 0..3 {
        assert_eq!(world.outcome(job, 0), None, "death {death}");
        world.boot_all();
        let worker_id = world.worker(0).unwrap();
        world.begin(worker_id);
        world.die(worker_id);
    }
    assert!(matches!(world.outcome(job, 0), Some(Settled::Ended(Outcome::Exited(_)))));
}

#[test]
fn a_call_whose_workers_keep_dying_before_it_begins_is_taken_for_the_cause() {
    for retries in [0, 3] {
        let mut world = World::new(config(1));
        let job = world.submit(JobSpec { calls: 1, retries, ..JobSpec::default() }).unwrap();
        let mut deaths = 0;
        while world.outcome(job, 0).is_none() {
            world.boot_all();
            world.die(world.worker(0).unwrap());
            deaths += 1;
            assert!(deaths < 100, "forever");
        }
        assert!(matches!(world.outcome(job, 0), Some(Settled::Ended(Outcome::Exited(_)))));
        assert_eq!(deaths, 5 + retries, "a retry is used for each death that counts");
    }
}

/// Whatever the reason is that a worker cannot be worked with: it must not be replaced for ever.
#[test]
fn calls_whose_workers_are_given_up_before_they_begin_fail_after_the_second_time() {
    let mut world = World::new(config(1));
    world.boot_all();
    let job = world.submit(JobSpec { calls: 3, chunk_size: Some(3), ..JobSpec::default() }).unwrap();
    let mut workers = 0;
    while world.outcome(job, 0).is_none() {
        world.boot_all();
        let worker_id = world.worker(0).unwrap();
        world.engine.give_up(worker_id);
        world.pump();
        assert!(world.workers[&worker_id].killed);
        world.die(worker_id);
        workers += 1;
        assert!(workers < 100, "forever");
    }
    assert_eq!(workers, 2);
    for call in 0..3 {
        assert!(matches!(world.outcome(job, call), Some(Settled::Ended(Outcome::Exited(_)))));
    }
    // The pool goes on.
    let next = world.calls(1);
    world.run_to_end();
    assert_eq!(world.outcome(next, 0), Some(Settled::Replied { failed: false }));
}
