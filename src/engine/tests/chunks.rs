//! How many calls a chunk has, and frames that are cut or deferred.

use super::*;

#[test]
fn a_frame_that_takes_long_to_encode_is_deferred_alone() {
    let mut world = World::new(config(1));
    world.is_deferring = true;
    let spec = JobSpec { calls: 3, chunk_size: Some(3), ..JobSpec::default() };
    let job = world.submit(spec).unwrap();
    world.boot_all();
    let (&worker_id, fake) = world.workers.iter().next().unwrap();
    assert_eq!(fake.deferred.map(|call| call.index), Some(0));
    assert_eq!((world.engine.stats().running, world.engine.stats().waiting), (1, 2));
    world.is_deferring = false;
    world.send_deferred(worker_id);
    assert_eq!(world.workers[&worker_id].calls.len(), 1, "the others come after it");
    world.run_to_end();
    assert!((0..3).all(|call| world.outcome(job, call) == Some(Settled::Replied { failed: false })));
}

#[test]
fn a_deferred_call_may_be_cancelled_or_lose_its_worker() {
    let mut world = World::new(config(1));
    world.is_deferring = true;
    let (first, second) = (world.calls(1), world.calls(1));
    world.boot_all();
    world.engine.cancel(first);
    world.pump();
    let worker_id = world.worker(0).unwrap();
    world.send_deferred(worker_id);
    assert_eq!(world.workers[&worker_id].deferred.map(|call| call.job), Some(second));
    world.die(worker_id);
    assert_eq!(world.outcome(second, 0), None, "it had not begun");
    world.run_to_end();
    assert_eq!(world.outcome(first, 0), Some(Settled::Ended(Outcome::Aborted)));
    assert_eq!(world.outcome(second, 0), Some(Settled::Replied { failed: false }));
}

#[test]
fn calls_that_do_not_fit_into_a_frame_wait_in_their_place() {
    let mut world = World::new(config(1));
    world.cost = MS / 1000;
    world.fitting = 3;
    let job = world.calls(100);
    world.boot_all();
    world.run_to_end();
    let begun: Vec<u32> = world.begun_order.iter().map(|&(_, call)| call).collect();
    assert_eq!(begun, (0..100).collect::<Vec<u32>>());
    assert!((0..100).all(|call| world.outcome(job, call).is_some()));
}

#[test]
fn the_cost_of_one_job_is_known_for_the_next_of_its_task() {
    let mut world = World::new(config(1));
    world.cost = MS / 1000;
    let spec = JobSpec { calls: 2000, task: Some(7), ..JobSpec::default() };
    assert_eq!(world.engine.calls_ahead(7), 1);
    world.submit(spec).unwrap();
    world.boot_all();
    world.run_to_end();
    let known = world.engine.calls_ahead(7);
    assert!((100..=1000).contains(&known), "{known} calls of 1.5 microseconds are about a millisecond");
    assert_eq!(world.engine.calls_ahead(8), 1, "another task is another matter");
}

#[test]
fn large_results_make_small_chunks() {
    let mut world = World::new(config(1));
    world.cost = MS / 1000;
    world.result_size = 500_000;
    world.submit(JobSpec { calls: 100, task: Some(7), ..JobSpec::default() }).unwrap();
    world.boot_all();
    world.run_to_end();
    assert_eq!(world.engine.calls_ahead(7), 1, "two of half a megabyte take more than a millisecond");
}

#[test]
fn a_requested_chunk_size_is_kept_to() {
    let mut world = World::new(config(2));
    let spec = JobSpec { calls: 10, chunk_size: Some(4), ..JobSpec::default() };
    world.submit(spec).unwrap();
    world.boot_all();
    let mut sizes: Vec<usize> = world.workers.values().map(|fake| fake.calls.len()).collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [4, 4]);
    world.run_to_end();
}

/// The sizes of the chunks that workers have been sent, worker by worker.
fn chunk_sizes(world: &World) -> Vec<Vec<usize>> {
    let sizes = |fake: &FakeWorker| {
        let mut chunks: Vec<u32> = fake.calls.iter().map(|call| call.chunk.0).collect();
        chunks.dedup();
        let size = |chunk: &u32| fake.calls.iter().filter(|call| call.chunk.0 == *chunk).count();
        chunks.iter().map(size).collect()
    };
    world.workers.values().map(sizes).collect()
}

#[test]
fn a_small_list_is_one_chunk_per_worker() {
    let mut world = World::new(config(2));
    world.boot_all();
    for (cost, calls) in [(MS / 1000, 500), (MS / 50, 9), (MS / 10, 8)] {
        world.cost = cost;
        let spec = |calls| JobSpec { calls, task: Some(cost.as_micros() as u32), ..JobSpec::default() };
        world.submit(spec(2)).unwrap();
        world.run_to_end();
        world.submit(spec(calls)).unwrap();
        let (one, other) = (calls.div_ceil(2) as usize, calls as usize / 2);
        let mut sizes = chunk_sizes(&world);
        sizes.sort();
        let mut expected = vec![vec![one], vec![other]];
        expected.sort();
        assert_eq!(sizes, expected, "{calls} calls of {cost:?}");
        world.run_to_end();
    }
}

/// A world of two workers who have nothing to do, where calls of this task take a microsecond.
fn world_of_cheap_task(task: u32) -> World {
    let mut world = World::new(config(2));
    world.cost = MS / 1000;
    world.boot_all();
    world.submit(JobSpec { calls: 2, task: Some(task), ..JobSpec::default() }).unwrap();
    world.run_to_end();
    world
}

#[test]
fn what_is_not_worth_a_second_worker_is_one_chunk() {
    let calls_of = |specs: &[JobSpec]| {
        let mut world = world_of_cheap_task(7);
        world.submit_all(specs);
        let mut calls: Vec<usize> =
            chunk_sizes(&world).into_iter().map(|chunks| chunks.iter().sum()).collect();
        calls.sort_unstable();
        world.run_to_end();
        calls
    };
    let cheap = JobSpec { calls: 1, task: Some(7), ..JobSpec::default() };
    let all = |spec: &JobSpec| [spec.clone(), spec.clone(), spec.clone(), spec.clone()];
    assert_eq!(calls_of(&all(&cheap)), [0, 4], "calls of several jobs");
    assert_eq!(calls_of(&[JobSpec { calls: 90, ..cheap.clone() }]), [0, 90], "a list");
    assert_eq!(calls_of(&[JobSpec { calls: 120, ..cheap.clone() }]), [60, 60], "too much for one");
    let unknown = JobSpec { task: Some(8), ..cheap.clone() };
    assert_eq!(calls_of(&[cheap.clone(), unknown]), [1, 1], "it may take long");
    let timed = JobSpec { timeout: Some(MS), ..cheap.clone() };
    assert_eq!(calls_of(&[timed.clone(), timed]), [1, 1], "its time is its own");
    let sized = JobSpec { calls: 2, chunk_size: Some(1), ..cheap };
    assert_eq!(calls_of(&[sized]), [1, 1], "so it was wanted");
}

#[test]
fn a_list_that_takes_longer_is_cut_so_that_workers_end_together() {
    let mut world = World::new(config(2));
    world.cost = MS / 10;
    world.boot_all();
    let spec = |calls| JobSpec { calls, task: Some(7), ..JobSpec::default() };
    world.submit(spec(2)).unwrap();
    world.run_to_end();
    world.submit(spec(24)).unwrap();
    let sizes = chunk_sizes(&world);
    assert!(sizes.iter().all(|sizes| sizes.len() == 2 && sizes[0] <= 6), "{sizes:?}");
    world.run_to_end();
}

#[test]
fn few_dear_calls_go_together_where_nobody_is_in_a_hurry_for_single_answers() {
    let largest = |cost: Duration, target: Duration, job: JobSpec| {
        let mut world = World::new(Config { patient_target: target, ..config(2) });
        world.cost = cost;
        world.boot_all();
        world.submit(JobSpec { calls: 2, task: Some(7), ..JobSpec::default() }).unwrap();
        world.run_to_end();
        world.submit(JobSpec { task: Some(7), ..job }).unwrap();
        let sizes = chunk_sizes(&world);
        assert!(sizes.iter().all(|sizes| sizes.len() == 2), "one to run, and one that waits: {sizes:?}");
        world.run_to_end();
        sizes.into_iter().flatten().max().unwrap()
    };
    let single = |calls| JobSpec { calls, ..JobSpec::default() };
    let bulk = |calls| JobSpec { bulk: true, ..single(calls) };
    assert_eq!(largest(MS / 4, 5 * MS, bulk(100)), 19, "five milliseconds");
    assert_eq!(largest(MS / 4, 5 * MS, single(100)), 3, "somebody waits");
    assert_eq!(largest(MS / 4, 5 * MS, single(700)), 3, "87 milliseconds for each worker");
    assert_eq!(largest(MS / 4, 5 * MS, single(900)), 19, "112 milliseconds");
    assert_eq!(largest(MS / 4, MS, bulk(100)), 3, "where nothing else happens meanwhile");
    assert_eq!(largest(7 * MS, 5 * MS, bulk(100)), 1);
    assert_eq!(largest(MS / 32, 5 * MS, bulk(2000)), 64, "no more calls");
    assert_eq!(largest(MS / 100, 5 * MS, bulk(2000)), 95, "cheap ones: a millisecond");
    let keyed = JobSpec { keys: Some((0..100).collect()), ..bulk(100) };
    assert_eq!(largest(MS / 4, 5 * MS, keyed), 3, "what is behind a long one could not be recalled");
}

#[test]
fn workers_that_others_wait_for_get_no_longer_chunks() {
    let mut world = World::new(config(2));
    world.cost = MS / 4;
    world.boot_all();
    let bulk = |calls| JobSpec { calls, bulk: true, task: Some(7), ..JobSpec::default() };
    world.submit(bulk(2)).unwrap();
    world.run_to_end();
    world.engine.set_demand(1);
    world.submit(bulk(100)).unwrap();
    assert_eq!(chunk_sizes(&world), [[3, 3], [3, 3]]);
    world.run_to_end();
}

#[test]
fn one_call_that_takes_long_makes_no_small_chunks_where_nobody_waits_for_it_alone() {
    let largest = |bulk: bool| {
        let mut world = World::new(config(1));
        world.boot_all();
        for (cost, calls) in [(MS / 4, 20), (MS * 10, 1)] {
            world.cost = cost;
            world.submit(JobSpec { calls, task: Some(7), ..JobSpec::default() }).unwrap();
            world.run_to_end();
        }
        world.cost = MS / 4;
        world.submit(JobSpec { calls: 100, bulk, task: Some(7), ..JobSpec::default() }).unwrap();
        let largest = chunk_sizes(&world).into_iter().flatten().max();
        world.run_to_end();
        largest
    };
    assert_eq!(largest(true), Some(3), "the mean is 1.5 milliseconds");
    assert_eq!(largest(false), Some(1), "with caution it is ten");
}

#[test]
fn a_call_that_somebody_waits_for_does_not_go_behind_many_dear_ones() {
    let mut world = World::new(config(1));
    world.cost = MS / 4;
    world.boot_all();
    let spec = |calls, bulk| JobSpec { calls, bulk, task: Some(7), ..JobSpec::default() };
    world.submit(spec(2, true)).unwrap();
    world.run_to_end();
    world.submit_all(&[spec(8, true), spec(4, false)]);
    let sizes = chunk_sizes(&world);
    assert_eq!(sizes, [[6, 3]], "half of all, then the rest and what still fits into a millisecond");
    world.run_to_end();
}

#[test]
fn nothing_is_left_that_is_not_worth_a_message() {
    let mut world = World::new(config(1));
    world.cost = MS / 1000;
    world.boot_all();
    let spec = |calls| JobSpec { calls, task: Some(7), ..JobSpec::default() };
    world.submit(spec(1)).unwrap();
    world.run_to_end();
    world.submit(spec(1500)).unwrap();
    let mut smallest = usize::MAX;
    while world.engine.is_held() {
        smallest = smallest.min(chunk_sizes(&world).into_iter().flatten().min().unwrap_or(usize::MAX));
        let worker_id = world.worker(0).unwrap();
        let chunk = world.workers[&worker_id].calls.front().map(|call| call.chunk);
        while world.workers[&worker_id].calls.front().is_some_and(|call| Some(call.chunk) == chunk) {
            world.begin(worker_id);
            world.finish(worker_id, false);
        }
    }
    assert!(smallest >= 50, "a chunk of {smallest} calls of 1.5 microseconds");
}
