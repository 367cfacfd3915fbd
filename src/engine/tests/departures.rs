//! What is said of a worker that is gone.

use super::*;

/// The end of a worker of which nothing was told before.
fn departure(world: &mut World, worker_id: WorkerId) -> Departure {
    let last_begun = world.workers[&worker_id].last_begun;
    let departure = world.engine.exited(worker_id, last_begun).expect("it is known");
    world.workers.remove(&worker_id);
    world.pump();
    departure
}

fn reason(world: &mut World, worker_id: WorkerId) -> ExitReason {
    departure(world, worker_id).reason
}

#[test]
fn one_that_ends_by_itself_has_crashed_and_is_replaced_once_it_has_worked() {
    let mut world = World::new(config(2));
    world.boot_all();
    let [first, second] = [world.worker(0).unwrap(), world.worker(1).unwrap()];
    let expected = Departure { reason: ExitReason::Crashed, calls: 0, is_restart: false };
    assert_eq!(departure(&mut world, first), expected, "it had nothing to do");
    world.calls(1);
    world.begin(second);
    world.finish(second, false);
    let expected = Departure { reason: ExitReason::Crashed, calls: 1, is_restart: true };
    assert_eq!(departure(&mut world, second), expected);
}

#[test]
fn one_that_was_never_ready_has_failed_to_boot() {
    let mut world = World::new(config(2));
    let [first, second] = [world.worker(0).unwrap(), world.worker(1).unwrap()];
    assert_eq!(reason(&mut world, first), ExitReason::BootFailed);
    world.engine.load_failed(second);
    world.pump();
    assert_eq!(reason(&mut world, second), ExitReason::BootFailed);
}

#[test]
fn one_that_is_let_go_is_closed_however_it_ends() {
    let mut world = World::new(config(2));
    world.boot_all();
    let [first, second] = [world.worker(0).unwrap(), world.worker(1).unwrap()];
    world.calls(1);
    let busy = if world.workers[&first].is_free() { second } else { first };
    world.begin(busy);
    world.engine.terminate();
    world.pump();
    assert_eq!(reason(&mut world, first), ExitReason::Closed);
    assert_eq!(reason(&mut world, second), ExitReason::Closed);
}

#[test]
fn one_whose_call_does_not_stop_is_killed_and_replaced() {
    let mut world = World::new(config(1));
    world.boot_all();
    let worker_id = world.worker(0).unwrap();
    let slow = world.calls(1);
    world.begin(worker_id);
    world.engine.begun(worker_id, world.workers[&worker_id].last_begun);
    world.engine.cancel(slow);
    world.pass(600 * MS);
    let expected = Departure { reason: ExitReason::Killed, calls: 0, is_restart: true };
    assert_eq!(departure(&mut world, worker_id), expected);
}

#[test]
fn one_without_work_is_idle_and_one_that_has_had_enough_is_recycled() {
    let mut world = World::new(Config { idle_timeout: Some(100 * MS), ..config(1) });
    world.boot_all();
    let worker_id = world.worker(0).unwrap();
    world.pass(200 * MS);
    assert_eq!(reason(&mut world, worker_id), ExitReason::Idle);

    let mut world = World::new(Config { max_calls_per_worker: Some(1), ..config(1) });
    world.boot_all();
    let worker_id = world.worker(0).unwrap();
    world.calls(1);
    world.begin(worker_id);
    world.finish(worker_id, false);
    let expected = Departure { reason: ExitReason::Recycled, calls: 1, is_restart: true };
    assert_eq!(departure(&mut world, worker_id), expected);
}

#[test]
fn the_queue_is_full_when_one_more_call_would_be_refused() {
    let mut world = World::new(Config { max_queue: Some(2), ..config(1) });
    world.boot_all();
    let load = |world: &World| {
        let QueueLoad { waiting, is_full } = world.engine.queue_load();
        (waiting, is_full)
    };
    assert_eq!(load(&world), (0, false));
    world.calls(2);
    assert_eq!(load(&world), (1, false));
    world.calls(1);
    assert_eq!(load(&world), (2, true));
    assert!(world.engine.submit(JobSpec { calls: 1, ..JobSpec::default() }, MS).is_err());
}
