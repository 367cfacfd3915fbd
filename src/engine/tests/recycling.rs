//! Workers that are replaced or stopped because of a limit.

use super::*;

#[test]
fn a_spent_worker_gets_no_more_than_it_may_and_its_successor_starts_early() {
    let mut world = World::new(Config { max_calls_per_worker: Some(2), ..config(1) });
    world.boot_all();
    world.calls(5);
    let worker_id = world.worker(0).unwrap();
    world.begin(worker_id);
    world.finish(worker_id, false);
    assert_eq!(world.workers.len(), 2, "the successor boots during the last call");
    world.run_to_end();
    assert_eq!(world.settled.len(), 5);
}

#[test]
fn the_successor_of_a_worker_that_is_nearly_spent_stands_by() {
    let mut world = World::new(Config { max_calls_per_worker: Some(20), ..config(1) });
    world.boot_all();
    let job = world.calls(21);
    let old = world.worker(0).unwrap();
    world.cost = 40 * MS;
    for call in 0..20 {
        assert_eq!(
            world.workers.len() > 1,
            call > 7,
            "12 calls of 40 ms are the first that take less than 500"
        );
        world.boot_all();
        world.begin(old);
        world.finish(old, false);
    }
    let new = world.worker(1).unwrap();
    assert!(world.workers[&old].stopping);
    assert_eq!(world.workers[&new].index, None, "it may not load anything yet");
    assert!(world.workers[&new].alive, "but it has started");
    world.die(old);
    assert_eq!(world.workers[&new].index, Some(0));
    world.boot(new);
    assert_eq!(world.workers[&new].calls.len(), 1, "the next call finds it ready");
    world.run_to_end();
    assert_eq!(world.workers.len(), 1, "and there is no other");
    assert_eq!(world.outcome(job, 20), Some(Settled::Replied { failed: false }));
    assert_eq!(world.engine.stats().restarts, 1);
}

#[test]
fn a_standby_goes_with_a_worker_that_is_stopped_and_takes_the_place_of_one_that_dies() {
    for dies in [false, true] {
        let limits = Config { max_calls_per_worker: Some(20), idle_timeout: Some(100 * MS), ..config(1) };
        let mut world = World::new(limits);
        world.boot_all();
        world.calls(1);
        let old = world.worker(0).unwrap();
        world.begin(old);
        world.finish(old, false);
        world.boot_all();
        let new = world.worker(1).unwrap();
        if dies {
            world.die(old);
            world.calls(1);
            assert_eq!(world.workers.len(), 1);
            assert_eq!(world.workers[&new].index, Some(0));
            world.boot(new);
            assert_eq!(world.workers[&new].calls.len(), 1);
        } else {
            world.pass(150 * MS);
            assert!(world.workers.values().all(|fake| fake.stopping));
        }
        world.run_to_end();
    }
}

#[test]
fn a_standby_that_cannot_be_brought_up_is_tried_again_less_and_less_often() {
    let mut world = World::new(Config { max_calls_per_worker: Some(200), ..config(1) });
    world.boot_all();
    let old = world.worker(0).unwrap();
    world.cost = MS;
    let mut failed = 0;
    for _ in 0..150 {
        world.calls(2);
        let standby = world.workers.keys().find(|&&worker_id| worker_id != old).copied();
        if let Some(standby) = standby {
            world.die(standby);
            failed += 1;
        }
        for _ in 0..2 {
            world.tick(5 * MS);
            world.begin(old);
            world.finish(old, false);
        }
        if world.workers[&old].stopping {
            break;
        }
    }
    assert!((2..8).contains(&failed), "{failed} times in a second and a half");
    assert!(world.workers[&old].stopping);
    world.run_to_end();
}

#[test]
fn a_worker_over_its_memory_limit_serves_until_its_successor_is_ready() {
    let mut world = World::new(Config { max_worker_memory: Some(1000), ..config(1) });
    world.boot_all();
    let old = world.worker(0).unwrap();
    world.engine.memory(old, 2000);
    world.pump();
    world.calls(2);
    assert_eq!(world.workers[&old].calls.len(), 1);
    let new = world.worker(1).unwrap();
    world.boot(new);
    world.begin(old);
    world.finish(old, false);
    assert!(world.workers[&old].stopping);
    world.run_to_end();
}

#[test]
fn idle_workers_stop_and_come_back() {
    let mut world = World::new(Config { idle_timeout: Some(1000 * MS), ..config(2) });
    world.boot_all();
    world.tick(Duration::from_secs(7200));
    assert!(world.workers.values().all(|fake| !fake.stopping), "a freeze is no idleness");
    world.pass(1200 * MS);
    assert!(world.workers.values().all(|fake| fake.stopping));
    let job = world.calls(1);
    world.run_to_end();
    assert_eq!(world.outcome(job, 0), Some(Settled::Replied { failed: false }));
}

#[test]
fn the_keys_of_a_spent_worker_do_not_wait_for_its_replacement() {
    let limits = Config { max_calls_per_worker: Some(2), max_worker_memory: Some(1000), ..config(2) };
    let mut world = World::new(limits);
    world.boot_all();
    let keys = Some(vec![0, 0, 0]);
    let job = world.submit(JobSpec { calls: 3, keys, ..JobSpec::default() }).unwrap();
    let is_its = |fake: &FakeWorker| fake.calls.front().is_some_and(|call| call.job == job);
    let holder = |world: &World| world.workers.iter().find(|(_, fake)| is_its(fake)).map(|(&id, _)| id);
    let first = holder(&world).unwrap();
    world.begin(first);
    world.engine.memory(first, 5000);
    world.pump();
    world.finish(first, false);
    assert_eq!(holder(&world), Some(first), "it goes on until it is replaced");
    world.begin(first);
    world.finish(first, false);
    let next = holder(&world).expect("another one has the last call");
    assert!(next != first && world.workers[&next].booted);
    world.run_to_end();
    assert_eq!(world.executions[&(job, 2)], 1);
}
