//! What a worker has ahead: more for a late caller, no more than it should, and never at the expense of an idle worker.

use super::*;

/// Two workers, and a task whose calls are known to take 1 ms, of which a chunk has one while the caller is quick.
fn world() -> World {
    let mut world = World::new(Config { patient_target: MS, ..config(2) });
    world.cost = MS;
    world.boot_all();
    task(&mut world, 2);
    world.run_to_end();
    world
}

fn task(world: &mut World, calls: u32) -> JobId {
    world.submit(JobSpec { calls, task: Some(7), ..JobSpec::default() }).unwrap()
}

/// How many calls each worker has that it has not finished.
fn ahead(world: &World) -> Vec<usize> {
    world.workers.values().map(|fake| fake.calls.len() + fake.running.len()).collect()
}

/// Each worker runs this many of its calls, as far as it has them.
fn run_each(world: &mut World, calls: usize) {
    for nth in 0..world.workers.len() {
        for _ in 0..calls {
            let worker_id = world.worker(nth).unwrap();
            world.begin(worker_id);
            world.finish(worker_id, false);
        }
    }
}

#[test]
fn workers_of_a_late_caller_have_work_for_longer_than_its_turns() {
    let mut world = world();
    task(&mut world, 1000);
    assert!(ahead(&world).iter().all(|&calls| calls <= 2), "a quick one sends two chunks ahead");
    world.turn(50 * MS);
    assert!(ahead(&world).iter().all(|&calls| (90..=130).contains(&calls)), "{:?}", ahead(&world));
    run_each(&mut world, 50);
    world.turn(50 * MS);
    assert!(ahead(&world).iter().all(|&calls| (90..=130).contains(&calls)), "{:?}", ahead(&world));
    for _ in 0..2000 {
        world.turn(MS / 2);
    }
    run_each(&mut world, 140);
    assert!(ahead(&world).iter().all(|&calls| calls <= 2), "it is quick again: {:?}", ahead(&world));
    world.run_to_end();
}

#[test]
fn however_late_the_caller_a_worker_has_a_quarter_of_a_second_ahead_at_most() {
    let mut world = world();
    task(&mut world, 2000);
    world.turn(60_000 * MS);
    assert!(ahead(&world).iter().all(|&calls| (200..=300).contains(&calls)), "{:?}", ahead(&world));
    world.run_to_end();
}

#[test]
fn what_a_worker_has_ahead_is_bounded_in_bytes() {
    for (argument_size, result_size) in [(100_000, 0), (0, 100_000)] {
        let mut world = World::new(config(2));
        (world.cost, world.argument_size, world.result_size) = (MS, argument_size, result_size);
        world.boot_all();
        task(&mut world, 2);
        world.run_to_end();
        task(&mut world, 1000);
        world.turn(1000 * MS);
        // A chunk takes an eighth of the time, and is sent while there is room for some of it.
        assert!(ahead(&world).iter().all(|&calls| (20..=60).contains(&calls)), "{:?}", ahead(&world));
        world.run_to_end();
    }
}

#[test]
fn a_list_that_fits_into_what_may_be_ahead_is_shared_evenly() {
    let mut world = world();
    task(&mut world, 102);
    world.turn(100 * MS);
    let ahead = ahead(&world);
    assert_eq!(ahead.iter().sum::<usize>(), 102, "nothing waits for the caller");
    assert!(ahead[0].abs_diff(ahead[1]) <= 14, "within a chunk: {ahead:?}");
    world.run_to_end();
}

#[test]
fn an_idle_worker_gets_its_share_of_what_another_has_ahead() {
    let mut world = world();
    let job = task(&mut world, 200);
    world.turn(100 * MS);
    // The first one's calls turn out to be short.
    let (first, second) = (world.worker(0).unwrap(), world.worker(1).unwrap());
    world.begin(second);
    while !world.workers[&first].is_free() {
        world.begin(first);
        world.finish(first, false);
    }
    let left = world.workers[&second].calls.len();
    assert!(left > 50 && world.recalls == 0);
    world.turn(MS / 10);
    assert_eq!(world.recalls, 1);
    // What was recalled stays in the other one's queue until it comes to it.
    let shared = world.workers[&first].calls.len();
    assert!(shared.abs_diff(left / 2) <= 14, "{shared} of {left}");
    // Again and again, while there is anything to share: the second one is stuck in its call.
    for _ in 0..10 {
        while !world.workers[&first].is_free() {
            world.begin(first);
            world.finish(first, false);
        }
        world.turn(MS / 10);
    }
    let settled = (0..200).filter(|&call| world.outcome(job, call).is_some()).count();
    assert!(settled >= 197, "{settled}: all but what it runs and two chunks");
    world.run_to_end();
    assert!((0..200).all(|call| world.executions[&(job, call)] == 1));
}

#[test]
fn two_chunks_are_not_too_much_beside_an_idle_worker() {
    let mut world = World::new(config(2));
    world.cost = MS / 4;
    world.boot_all();
    task(&mut world, 2);
    world.run_to_end();
    task(&mut world, 12);
    let first = world.worker(0).unwrap();
    while !world.workers[&first].is_free() {
        world.begin(first);
        world.finish(first, false);
    }
    world.turn(MS / 10);
    assert_eq!(world.recalls, 0, "{:?}", ahead(&world));
    world.run_to_end();
}

#[test]
fn others_that_wait_for_workers_do_not_wait_for_what_these_have_ahead() {
    let mut world = world();
    task(&mut world, 1000);
    world.engine.set_demand(1);
    world.turn(100 * MS);
    assert!(ahead(&world).iter().all(|&calls| calls <= 2), "{:?}", ahead(&world));
    world.run_to_end();
}

#[test]
fn a_deadline_counts_from_the_beginning_of_a_call_however_far_ahead_it_was_sent() {
    let mut world = world();
    let timeout = Some(20 * MS);
    let job = world.submit(JobSpec { calls: 100, task: Some(7), timeout, ..JobSpec::default() }).unwrap();
    world.turn(100 * MS);
    assert_eq!(ahead(&world).iter().sum::<usize>(), 100);
    world.pass(200 * MS);
    assert!((0..100).all(|call| world.outcome(job, call).is_none()), "none has begun");
    let first = world.worker(0).unwrap();
    world.begin(first);
    world.pass(40 * MS);
    let timed_out = (0..100).filter(|&call| world.outcome(job, call).is_some()).count();
    assert_eq!(timed_out, 1);
    world.run_to_end();
}
