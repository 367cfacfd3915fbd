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
    world.spare(worker_id);
    world.pass(60_000 * MS);
    assert!(!world.workers[&worker_id].killed);
    assert!(world.abandoned.is_empty());
    world.boot_all();
    let job = world.calls(1);
    world.run_to_end();
    assert_eq!(world.outcome(job, 0), Some(Settled::Replied { failed: false }));
}

/// A worker that was killed because it gave no sign of life, and is not gone yet.
fn silenced() -> (World, WorkerId) {
    let mut world = World::new(Config { boot_limit: Some(1000 * MS), ..limited(1) });
    let worker_id = world.worker(0).unwrap();
    world.pass(1100 * MS);
    assert!(world.workers[&worker_id].killed);
    (world, worker_id)
}

#[test]
fn a_worker_that_was_killed_while_it_started_gets_nothing_whatever_it_still_says() {
    let (mut world, worker_id) = silenced();
    let spread = JobSpec { calls: 1, spread: true, ..JobSpec::default() };
    let ahead = world.submit(spread).unwrap();
    world.boot(worker_id);
    let plain = world.calls(1);
    assert!(world.workers[&worker_id].calls.is_empty());
    world.pass(5500 * MS);
    assert_eq!(world.abandoned, [worker_id], "its end is still waited for");
    world.run_to_end();
    for job in [ahead, plain] {
        assert_eq!(world.outcome(job, 0), Some(Settled::Replied { failed: false }));
    }
}

#[test]
fn a_call_whose_frame_was_being_encoded_for_a_worker_that_is_killed_goes_to_its_successor() {
    let mut world = World::new(Config { boot_limit: Some(1000 * MS), ..limited(1) });
    let worker_id = world.worker(0).unwrap();
    world.is_deferring = true;
    let job = world.submit(JobSpec { calls: 1, spread: true, ..JobSpec::default() }).unwrap();
    assert!(world.workers[&worker_id].deferred.is_some());
    world.pass(1100 * MS);
    world.is_deferring = false;
    world.send_deferred(worker_id);
    assert!(world.workers[&worker_id].calls.is_empty());
    world.die(worker_id);
    world.run_to_end();
    assert_eq!(world.outcome(job, 0), Some(Settled::Replied { failed: false }));
    assert_eq!(world.executions[&(job, 0)], 1);
}

#[test]
fn an_index_that_becomes_free_is_not_for_a_worker_that_was_killed() {
    let mut world = World::new(Config { boot_limit: Some(1000 * MS), ..limited(1) });
    let old = world.worker(0).unwrap();
    world.engine.remove_workers();
    world.pump();
    world.calls(1);
    let silent = world.worker(1).unwrap();
    assert_eq!(world.workers[&silent].index, None);
    world.pass(1100 * MS);
    assert!(world.workers[&silent].killed);
    world.die(old);
    assert_eq!(world.workers[&silent].index, None);
    world.die(silent);
    world.run_to_end();
    assert_eq!(world.settled.len(), 1);
}

#[test]
fn a_silent_worker_that_was_killed_for_another_reason_too_is_not_spared() {
    let (mut world, worker_id) = silenced();
    world.engine.give_up(worker_id);
    world.pump();
    // Whoever looked at it did so before.
    world.engine.spared(worker_id);
    world.engine.ready(worker_id);
    let job = world.calls(1);
    assert!(world.workers[&worker_id].calls.is_empty());
    world.pass(5500 * MS);
    assert_eq!(world.abandoned, [worker_id], "its end is still waited for");
    world.run_to_end();
    assert_eq!(world.outcome(job, 0), Some(Settled::Replied { failed: false }));
}

#[test]
fn a_call_whose_frame_is_ready_before_its_silent_worker_is_spared_does_not_wait_for_ever() {
    let mut world = World::new(Config { boot_limit: Some(1000 * MS), ..limited(1) });
    let worker_id = world.worker(0).unwrap();
    world.is_deferring = true;
    let job = world.submit(JobSpec { calls: 1, spread: true, ..JobSpec::default() }).unwrap();
    world.pass(1100 * MS);
    assert!(world.workers[&worker_id].killed, "it was to be, but it may wait for a debugger");
    world.is_deferring = false;
    world.send_deferred(worker_id);
    assert_eq!(world.engine.stats().waiting, 1, "it was never sent");
    world.spare(worker_id);
    world.run_to_end();
    assert_eq!(world.outcome(job, 0), Some(Settled::Replied { failed: false }));
    assert_eq!(world.gone, [], "by the same worker");
}
