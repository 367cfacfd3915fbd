//! Closing, and removing workers.

use super::*;

#[test]
fn close_finishes_what_was_accepted() {
    let mut world = World::new(config(2));
    world.calls(7);
    world.engine.close();
    world.pump();
    assert_eq!(world.submit(JobSpec { calls: 1, ..JobSpec::default() }), Err(SubmitError::Closed));
    world.run_to_end();
    assert_eq!(world.closed, 0);
    while let Some(worker_id) = world.worker(0) {
        world.die(worker_id);
    }
    assert_eq!(world.closed, 1);
    assert!(!world.engine.is_held());
}

#[test]
fn a_worker_that_does_not_stop_is_killed() {
    let mut world = World::new(config(1));
    world.boot_all();
    world.engine.close();
    world.pump();
    let worker_id = world.worker(0).unwrap();
    world.pass(7000 * MS);
    assert!(world.workers[&worker_id].killed);
}

#[test]
fn removed_workers_are_replaced_by_the_next_job_only() {
    let mut world = World::new(config(2));
    world.boot_all();
    let job = world.calls(1);
    world.engine.remove_workers();
    world.pump();
    assert_eq!(world.outcome(job, 0), Some(Settled::Ended(Outcome::Closed)));
    while let Some(worker_id) = world.worker(0) {
        world.die(worker_id);
    }
    world.pass(1000 * MS);
    assert!(world.workers.is_empty());
    let job = world.calls(1);
    assert_eq!(world.workers.len(), 1, "as many as there is work for");
    world.run_to_end();
    assert_eq!(world.outcome(job, 0), Some(Settled::Replied { failed: false }));
}
