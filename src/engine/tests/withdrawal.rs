//! Jobs that are cancelled or dropped, and what still runs of them.

use super::*;

#[test]
fn a_cancelled_call_that_returns_in_time_keeps_its_worker_and_its_result_is_dropped() {
    let mut world = World::new(config(1));
    world.boot_all();
    let job = world.calls(3);
    let worker_id = world.worker(0).unwrap();
    world.begin(worker_id);
    world.engine.cancel(job);
    world.pump();
    for call in 0..3 {
        assert_eq!(world.outcome(job, call), Some(Settled::Ended(Outcome::Aborted)));
    }
    world.pass(100 * MS);
    world.finish(worker_id, false);
    world.pass(2000 * MS);
    assert!(!world.workers[&worker_id].killed);
    assert!(!world.engine.is_held());
}

/// A worker that runs two calls, the first of which was given up; it, and the jobs of the two.
fn world_with_a_call_given_up(grace_period: Duration) -> (World, WorkerId, JobId, JobId) {
    let mut world = World::new(Config { concurrency: 2, grace_period, ..config(1) });
    world.boot_all();
    let worker_id = world.worker(0).unwrap();
    let slow = world.calls(1);
    let neighbour = world.calls(1);
    world.begin(worker_id);
    world.begin(worker_id);
    world.engine.begun(worker_id, world.workers[&worker_id].last_begun);
    world.engine.cancel(slow);
    world.pump();
    (world, worker_id, slow, neighbour)
}

#[test]
fn a_call_that_was_given_up_keeps_others_from_its_worker_where_several_run() {
    let (mut world, worker_id, slow, neighbour) = world_with_a_call_given_up(500 * MS);
    let later = world.calls(1);
    assert!(world.workers[&worker_id].calls.is_empty(), "nothing new for it");
    world.pass(600 * MS);
    assert!(world.workers[&worker_id].killed, "the grace period is over");
    world.die(worker_id);
    assert_eq!(world.outcome(slow, 0), Some(Settled::Ended(Outcome::Aborted)));
    assert_eq!(world.outcome(neighbour, 0), Some(Settled::Ended(Outcome::Exited(worker_id))));
    world.run_to_end();
    assert_eq!(world.outcome(later, 0), Some(Settled::Replied { failed: false }));
}

#[test]
fn once_a_call_that_was_given_up_is_alone_another_worker_takes_over() {
    let (mut world, worker_id, _, neighbour) = world_with_a_call_given_up(60_000 * MS);
    let later = world.calls(1);
    world.pass(1000 * MS);
    assert_eq!(world.workers.len(), 1, "its neighbour is not left behind");
    world.finish_nth(worker_id, 1, false);
    world.pass(100 * MS);
    assert_eq!(world.outcome(neighbour, 0), Some(Settled::Replied { failed: false }));
    let new = world.worker(1).unwrap();
    world.boot(new);
    assert!(world.workers[&new].alive, "its successor is on its way");
    assert_eq!(world.workers[&new].index, None);
    world.pass(100 * MS);
    assert!(world.workers[&worker_id].killed, "a call waits for the index that it has");
    world.die(worker_id);
    world.boot(new);
    assert_eq!(world.workers[&new].calls.len(), 1);
    world.begin(new);
    world.finish(new, false);
    assert_eq!(world.outcome(later, 0), Some(Settled::Replied { failed: false }));
}

#[test]
fn a_call_that_was_given_up_has_its_grace_period_while_nobody_waits() {
    let (mut world, worker_id, ..) = world_with_a_call_given_up(60_000 * MS);
    world.finish_nth(worker_id, 1, false);
    world.pass(10_000 * MS);
    let new = world.worker(1).unwrap();
    world.boot(new);
    assert_eq!(world.workers[&new].index, None, "its successor waits for its index");
    assert!(!world.workers[&worker_id].killed);
    world.finish(worker_id, false);
    assert!(world.workers[&worker_id].stopping, "it goes when it is through");
    world.die(worker_id);
    assert_eq!(world.workers[&new].index, Some(0));
}

#[test]
fn what_remains_of_a_cancelled_job_can_be_counted_and_ended() {
    let mut world = World::new(config(2));
    world.boot_all();
    let (running, spared) = (world.worker(0).unwrap(), world.worker(1).unwrap());
    let job = world.calls(1);
    let busy = if world.workers[&running].calls.is_empty() { spared } else { running };
    let other = world.calls(1);
    world.begin(busy);
    world.engine.cancel(job);
    world.pump();
    assert_eq!(world.engine.remains(job, true), 0, "it is not known to have begun");
    assert_eq!(world.engine.remains(job, false), 1);
    world.engine.begun(busy, world.workers[&busy].last_begun);
    assert_eq!((world.engine.remains(job, true), world.engine.remains(other, true)), (1, 0));
    world.engine.kill_remains(job);
    world.pump();
    assert!(world.workers[&busy].killed, "without waiting for the grace period");
    assert_eq!(world.workers.values().filter(|fake| fake.killed).count(), 1);
    assert_eq!(world.engine.remains(job, true), 1, "it is not gone");
    world.die(busy);
    assert_eq!(world.engine.remains(job, false), 0);
    world.run_to_end();
    assert_eq!(world.outcome(other, 0), Some(Settled::Replied { failed: false }));
}

#[test]
fn dropped_calls_settle_at_once_and_no_worker_is_killed_for_them() {
    let mut world = World::new(Config { idle_timeout: None, ..config(1) });
    let job = world.calls(5);
    world.boot_all();
    let worker_id = world.worker(0).unwrap();
    world.begin(worker_id);
    world.engine.begun(worker_id, world.workers[&worker_id].last_begun);
    world.engine.drop_calls(job, 0);
    world.pump();
    assert!((0..5).all(|call| world.outcome(job, call) == Some(Settled::Ended(Outcome::Aborted))));
    assert_eq!(world.workers[&worker_id].revoked.len(), 1, "what runs is told");
    world.pass(60_000 * MS);
    assert!(!world.workers[&worker_id].killed);
    world.finish(worker_id, false);
    assert!(!world.engine.is_held());
}

#[test]
fn calls_before_the_first_dropped_one_go_on() {
    let mut world = World::new(config(1));
    let job = world.calls(5);
    world.boot_all();
    world.engine.drop_calls(job, 3);
    world.run_to_end();
    let outcomes: Vec<_> = (0..5).map(|call| world.outcome(job, call).unwrap()).collect();
    assert_eq!(outcomes[..3], [Settled::Replied { failed: false }; 3]);
    assert_eq!(outcomes[3..], [Settled::Ended(Outcome::Aborted); 2]);
}

#[test]
fn calls_that_are_cancelled_while_their_frame_is_made_leave_their_numbers_to_no_one() {
    let mut engine = Engine::new(config(1));
    engine.start();
    let now = Duration::ZERO;
    let Some(Action::Spawn { worker, .. }) = engine.next_action(now) else { panic!("a worker starts") };
    engine.ready(worker);
    let spec = JobSpec { calls: 3, chunk_size: Some(3), ..JobSpec::default() };
    let cancelled = engine.submit(spec.clone(), now).unwrap();
    let Some(Action::Send { chunk, seq: 1, .. }) = engine.next_action(now) else { panic!("it is sent") };
    // By a getter of its second value, which is not sent any more.
    engine.cancel(cancelled);
    engine.cut(worker, chunk, 1);
    let actions: Vec<Action> = std::iter::from_fn(|| engine.next_action(now)).collect();
    let told = Action::Cancel { worker, seqs: vec![1, 2, 3] };
    assert!(actions.contains(&told), "the worker will skip calls of these numbers");
    let skipped = Reply { skipped: true, ..reply(chunk, 0, 1, false, Duration::ZERO) };
    assert_eq!(engine.replied(worker, skipped), Ok(Vec::new()));
    engine.submit(spec, now).unwrap();
    let next = engine.next_action(now);
    assert!(matches!(next, Some(Action::Send { seq: 4.., .. })), "{next:?}");
}
