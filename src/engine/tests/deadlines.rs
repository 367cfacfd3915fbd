//! Timeouts count the running time of a call.

use super::*;

#[test]
fn a_timeout_counts_from_when_the_call_begins_and_settles_it_before_the_worker_is_killed() {
    let mut world = World::new(config(1));
    world.boot_all();
    let spec = JobSpec { calls: 2, timeout: Some(100 * MS), ..JobSpec::default() };
    let job = world.submit(spec).unwrap();
    let worker_id = world.worker(0).unwrap();
    world.pass(1000 * MS);
    assert_eq!(world.outcome(job, 0), None, "not begun, so its clock stands");
    world.begin(worker_id);
    world.pass(130 * MS);
    assert_eq!(world.outcome(job, 0), Some(Settled::Ended(Outcome::TimedOut)));
    assert_eq!(world.workers[&worker_id].revoked, [1], "the worker is told first");
    assert!(!world.workers[&worker_id].killed);
    world.pass(600 * MS);
    assert!(world.workers[&worker_id].killed);
    world.die(worker_id);
    world.run_to_end();
    assert_eq!(world.outcome(job, 1), Some(Settled::Replied { failed: false }));
}

#[test]
fn a_frozen_process_causes_no_timeout() {
    let mut world = World::new(config(1));
    world.boot_all();
    let spec = JobSpec { calls: 1, timeout: Some(1000 * MS), ..JobSpec::default() };
    let job = world.submit(spec).unwrap();
    let worker_id = world.worker(0).unwrap();
    world.begin(worker_id);
    world.pass(100 * MS);
    world.tick(Duration::from_secs(3600));
    assert_eq!(world.outcome(job, 0), None);
    world.pass(1000 * MS);
    assert_eq!(world.outcome(job, 0), Some(Settled::Ended(Outcome::TimedOut)));
}
