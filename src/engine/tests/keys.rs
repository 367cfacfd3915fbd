//! Calls with keys. (Their order is checked in `any_order`.)

use super::*;

#[test]
fn a_failed_key_skips_its_later_calls_where_asked() {
    let mut world = World::new(config(2));
    world.boot_all();
    let job = world
        .submit(JobSpec {
            calls: 5,
            keys: Some(vec![0, 1, 0, 0, 1]),
            stop_key_on_error: true,
            ..JobSpec::default()
        })
        .unwrap();
    let first = world.workers.iter().find(|(_, fake)| fake.calls.front().unwrap().index == 0);
    let worker_id = *first.unwrap().0;
    world.begin(worker_id);
    world.finish(worker_id, true);
    for call in [2, 3] {
        assert_eq!(world.outcome(job, call), Some(Settled::Ended(Outcome::Skipped)));
    }
    world.run_to_end();
    assert_eq!(world.outcome(job, 4), Some(Settled::Replied { failed: false }));
}

/// A world whose tasks of this number are known to be cheap, so that a chunk has many calls.
fn world_of_cheap_calls() -> World {
    let mut world = World::new(config(1));
    world.cost = MS / 100;
    world.boot_all();
    world.submit(JobSpec { calls: 4, task: Some(7), ..JobSpec::default() }).unwrap();
    world.run_to_end();
    world
}

/// Cheap calls, several of which may be in flight for one key.
fn runs(keys: &[u32]) -> JobSpec {
    let (calls, keys) = (keys.len() as u32, Some(keys.to_vec()));
    JobSpec { calls, keys, key_runs: true, stop_key_on_error: true, task: Some(7), ..JobSpec::default() }
}

/// The calls that the only worker has and has not begun.
fn sent(world: &World) -> Vec<u32> {
    world.workers.values().flat_map(|fake| &fake.calls).map(|call| call.index).collect()
}

#[test]
fn a_chunk_has_several_calls_of_a_key_where_that_is_allowed() {
    let keys = [0, 0, 0, 1, 1, 2];
    let mut world = world_of_cheap_calls();
    world.submit(runs(&keys)).unwrap();
    assert_eq!(sent(&world), [0, 1, 2, 3, 4, 5]);
    for spec in [
        JobSpec { key_runs: false, ..runs(&keys) },
        // A worker that is past a call may have begun the next one before that is known to have timed out.
        JobSpec { timeout: Some(50 * MS), ..runs(&keys) },
    ] {
        let mut world = world_of_cheap_calls();
        world.submit(spec).unwrap();
        assert_eq!(sent(&world), [0, 3, 5]);
    }
    // Calls that run at once are in no order.
    let mut world = World::new(Config { concurrency: 2, ..config(1) });
    world.boot_all();
    world.submit(runs(&[0, 0, 0])).unwrap();
    assert_eq!(sent(&world), [0]);
}

#[test]
fn a_worker_skips_the_calls_that_it_has_of_a_key_that_failed() {
    let mut world = world_of_cheap_calls();
    let job = world.submit(runs(&[0, 0, 0, 0, 1])).unwrap();
    let worker_id = *world.workers.keys().next().unwrap();
    for failed in [false, true] {
        world.begin(worker_id);
        world.finish(worker_id, failed);
    }
    assert_eq!(world.outcome(job, 2), None, "the worker has it");
    world.run_to_end();
    let outcomes: Vec<_> = (0..5).map(|call| world.outcome(job, call).unwrap()).collect();
    let (done, skipped) = (Settled::Replied { failed: false }, Settled::Ended(Outcome::Skipped));
    assert_eq!(outcomes, [done, Settled::Replied { failed: true }, skipped, skipped, done]);
    assert_eq!(world.executions.get(&(job, 2)), None);
}

#[test]
fn a_death_within_a_run_of_calls_costs_only_the_call_that_had_begun() {
    for stops in [true, false] {
        let mut world = world_of_cheap_calls();
        let job = world.submit(JobSpec { stop_key_on_error: stops, ..runs(&[0, 0, 0, 0, 1]) }).unwrap();
        let worker_id = *world.workers.keys().next().unwrap();
        world.begin(worker_id);
        world.finish(worker_id, false);
        world.begin(worker_id);
        world.die(worker_id);
        assert_eq!(world.outcome(job, 1), Some(Settled::Ended(Outcome::Exited(worker_id))));
        world.run_to_end();
        let rest = if stops { Settled::Ended(Outcome::Skipped) } else { Settled::Replied { failed: false } };
        assert_eq!([2, 3].map(|call| world.outcome(job, call)), [Some(rest); 2]);
        assert_eq!(world.outcome(job, 4), Some(Settled::Replied { failed: false }));
        let begun: Vec<u32> =
            world.begun_order.iter().filter(|(begun, _)| *begun == job).map(|(_, call)| *call).collect();
        assert!(begun.is_sorted(), "{begun:?}");
    }
}

#[test]
fn a_call_that_is_retried_comes_before_those_of_its_key_that_were_sent_with_it() {
    let mut world = world_of_cheap_calls();
    let job = world.submit(JobSpec { retries: 1, ..runs(&[0, 0, 0]) }).unwrap();
    let worker_id = *world.workers.keys().next().unwrap();
    world.begin(worker_id);
    world.die(worker_id);
    world.run_to_end();
    let begun: Vec<(JobId, u32)> =
        world.begun_order.iter().copied().filter(|(begun, _)| *begun == job).collect();
    assert_eq!(begun, [(job, 0), (job, 0), (job, 1), (job, 2)]);
}
