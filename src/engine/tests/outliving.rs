//! Workers that do not end although they were killed.

use super::*;

fn limited(workers: usize) -> Config {
    Config { kill_limit: Some(5000 * MS), ..config(workers) }
}

#[test]
fn a_worker_that_does_not_end_holds_a_terminated_engine_up_for_so_long_only() {
    let mut world = World::new(limited(2));
    world.boot_all();
    let worker_id = world.worker(0).unwrap();
    let other = world.worker(1).unwrap();
    world.engine.terminate();
    world.pump();
    world.die(other);
    world.pass(4900 * MS);
    assert_eq!((world.closed, &world.abandoned[..]), (0, &[][..]));
    world.pass(300 * MS);
    assert_eq!((world.closed, &world.abandoned[..]), (1, &[worker_id][..]));
    assert!(!world.engine.is_held());
    assert_eq!(world.engine.next_tick(world.now), None);
}

#[test]
fn only_running_time_counts() {
    let mut world = World::new(limited(1));
    world.boot_all();
    world.engine.terminate();
    world.pump();
    world.pass(1000 * MS);
    world.now += 3600 * 1000 * MS;
    world.engine.tick(world.now);
    world.pump();
    assert!(world.abandoned.is_empty(), "frozen for an hour");
    world.pass(4500 * MS);
    assert_eq!(world.closed, 1);
}

#[test]
fn calls_of_a_worker_that_does_not_end_settle_and_a_successor_takes_its_place() {
    let mut world = World::new(Config { concurrency: 2, ..limited(1) });
    world.boot_all();
    let spec = JobSpec { calls: 1, timeout: Some(100 * MS), ..JobSpec::default() };
    let timed = world.submit(spec).unwrap();
    let beside = world.calls(1);
    let worker_id = world.worker(0).unwrap();
    world.begin(worker_id);
    world.begin(worker_id);
    world.pass(700 * MS);
    assert_eq!(world.outcome(timed, 0), Some(Settled::Ended(Outcome::TimedOut)));
    assert!(world.workers[&worker_id].killed);
    assert_eq!(world.outcome(beside, 0), None);
    world.pass(5500 * MS);
    assert_eq!(world.abandoned, [worker_id]);
    assert_eq!(world.outcome(beside, 0), Some(Settled::Ended(Outcome::Exited(worker_id))));
    let job = world.calls(1);
    world.run_to_end();
    assert_eq!(world.outcome(job, 0), Some(Settled::Replied { failed: false }));
}

#[test]
fn a_silent_worker_that_does_not_end_counts_as_a_failed_boot() {
    let mut world = World::new(Config { boot_limit: Some(1000 * MS), ..limited(1) });
    let job = world.calls(1);
    for _ in 0..3 {
        world.pass(12_000 * MS);
    }
    assert!(world.abandoned.len() >= 3);
    let last = world.abandoned[2];
    assert_eq!(world.outcome(job, 0), Some(Settled::Ended(Outcome::BootFailed(last))));
}

#[test]
fn a_silent_worker_that_has_a_reason_may_take_its_time() {
    let mut world = World::new(Config { boot_limit: Some(1000 * MS), ..limited(1) });
    let worker_id = world.worker(0).unwrap();
    world.pass(1100 * MS);
    assert!(world.workers[&worker_id].killed, "it was to be, but it may wait for a debugger");
    world.workers.get_mut(&worker_id).unwrap().killed = false;
    world.engine.alive(worker_id);
    world.pump();
    world.pass(60_000 * MS);
    assert!(!world.workers[&worker_id].killed);
    assert!(world.abandoned.is_empty());
    world.boot_all();
    let job = world.calls(1);
    world.run_to_end();
    assert_eq!(world.outcome(job, 0), Some(Settled::Replied { failed: false }));
}
