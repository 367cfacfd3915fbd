//! Workers that cannot be brought up.

use super::*;

#[test]
fn a_module_that_cannot_be_loaded_fails_the_waiting_calls_and_is_tried_again_later() {
    let mut world = World::new(config(2));
    let job = world.calls(3);
    world.engine.await_ready();
    let (one, two) = (world.worker(0).unwrap(), world.worker(1).unwrap());
    world.engine.load_failed(one);
    world.pump();
    assert_eq!(world.ready, [Err(Outcome::BootFailed(one))]);
    assert_eq!(world.outcome(job, 0), None, "another worker may still load it");
    world.engine.load_failed(two);
    world.pump();
    for call in 0..3 {
        assert_eq!(world.outcome(job, call), Some(Settled::Ended(Outcome::BootFailed(two))));
    }
    world.die(one);
    world.die(two);
    assert!(world.workers.is_empty(), "nothing spins");
    let job = world.calls(1);
    world.run_to_end();
    assert_eq!(world.outcome(job, 0), Some(Settled::Replied { failed: false }));
}

#[test]
fn deaths_at_boot_are_retried_with_a_back_off_and_then_reported() {
    let mut world = World::new(config(2));
    let job = world.calls(1);
    let mut rounds = 0;
    while world.outcome(job, 0).is_none() {
        rounds += 1;
        assert!(rounds < 10);
        while let Some(worker_id) = world.worker(0) {
            world.die(worker_id);
        }
        world.pass(500 * MS);
    }
    assert!(matches!(world.outcome(job, 0), Some(Settled::Ended(Outcome::BootFailed(_)))));
    assert_eq!(rounds, 3);
}

#[test]
fn deaths_at_boot_are_reported_as_soon_the_next_time() {
    let mut world = World::new(config(2));
    let mut took = Vec::new();
    for _ in 0..4 {
        let began = world.now;
        let job = world.calls(1);
        while world.outcome(job, 0).is_none() {
            while let Some(worker_id) = world.worker(0) {
                world.die(worker_id);
            }
            world.pass(10 * MS);
        }
        took.push(world.now - began);
    }
    assert!(took.iter().all(|took| *took < 1000 * MS), "{took:?}");
}

#[test]
fn while_others_work_failing_boots_become_less_and_less_frequent() {
    let mut world = World::new(config(2));
    let one = world.worker(0).unwrap();
    world.boot(one);
    let other = world.worker(1).unwrap();
    world.die(other);
    let job = world.calls(2);
    world.begin(one);
    let mut starts = 0;
    for _ in 0..6000 {
        for worker_id in
            world.workers.keys().copied().filter(|&worker_id| worker_id != one).collect::<Vec<_>>()
        {
            starts += 1;
            world.die(worker_id);
        }
        world.pass(10 * MS);
    }
    assert_eq!(world.outcome(job, 0), None, "it still runs");
    assert!((10..30).contains(&starts), "{starts} starts in a minute");
    // Once one is up again, everything is as before.
    let waits = |world: &World| world.workers.keys().copied().find(|&worker_id| worker_id != one);
    while waits(&world).is_none() {
        world.pass(10 * MS);
    }
    world.boot_all();
    world.run_to_end();
    assert_eq!(world.outcome(job, 1), Some(Settled::Replied { failed: false }));
}

#[test]
fn a_worker_without_a_sign_of_life_is_killed_as_one_that_does_not_boot() {
    let mut world = World::new(Config { boot_limit: Some(1000 * MS), ..config(1) });
    let job = world.calls(1);
    let first = world.worker(0).unwrap();
    world.pass(950 * MS);
    assert!(!world.workers[&first].killed);
    world.pass(100 * MS);
    assert!(world.workers[&first].killed);
    world.die(first);
    world.pass(500 * MS);
    // The next one runs, and takes long to load the module.
    let second = world.worker(0).unwrap();
    world.engine.alive(second);
    world.pass(5000 * MS);
    assert!(!world.workers[&second].killed);
    world.boot(second);
    world.run_to_end();
    assert_eq!(world.outcome(job, 0), Some(Settled::Replied { failed: false }));
}

#[test]
fn workers_that_fail_one_after_another_count_as_a_round_too() {
    let mut world = World::new(config(3));
    let job = world.calls(5);
    let mut failures = 0;
    while world.outcome(job, 0).is_none() {
        let worker_id = *world.workers.keys().next().expect("one that starts");
        world.engine.load_failed(worker_id);
        world.pump();
        world.die(worker_id);
        failures += 1;
        world.pass(100 * MS);
        assert!(failures < 100, "forever");
    }
    assert!(matches!(world.outcome(job, 4), Some(Settled::Ended(Outcome::BootFailed(_)))));
}
