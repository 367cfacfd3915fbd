//! What goes first.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn submit(world: &mut World, calls: u32, priority: i32) -> JobId {
    world.submit(JobSpec { calls, priority, task: Some(1), ..JobSpec::default() }).unwrap()
}

/// The only worker begins the next call; which that is.
fn begin_next(world: &mut World) -> (JobId, u32) {
    let worker_id = world.worker(0).unwrap();
    let before = world.begun_order.len();
    // What was recalled is skipped first.
    for _ in 0..1000 {
        world.begin(worker_id);
        if world.begun_order.len() > before {
            return world.begun_order[before];
        }
    }
    panic!("there is nothing to do");
}

/// The only worker does the next call; which that was.
fn next(world: &mut World) -> (JobId, u32) {
    let begun = begin_next(world);
    let worker_id = world.worker(0).unwrap();
    world.finish(worker_id, false);
    begun
}

#[test]
fn a_higher_priority_goes_first_and_the_oldest_within_one() {
    let mut world = World::new(config(1));
    let low = submit(&mut world, 1, -1);
    let first = submit(&mut world, 2, 0);
    let second = submit(&mut world, 1, 0);
    let high = submit(&mut world, 1, 7);
    world.boot_all();
    let order: Vec<(JobId, u32)> = (0..5).map(|_| next(&mut world)).collect();
    assert_eq!(order, [(high, 0), (first, 0), (first, 1), (second, 0), (low, 0)]);
}

#[test]
fn calls_that_were_sent_ahead_in_an_earlier_turn_are_overtaken_unless_they_have_begun() {
    let mut world = World::new(config(1));
    world.boot_all();
    world.cost = MS / 100;
    let known = submit(&mut world, 1, 0);
    assert_eq!(next(&mut world), (known, 0));
    let many = submit(&mut world, 50, 0);
    let worker_id = world.worker(0).unwrap();
    assert!(world.workers[&worker_id].calls.len() > 10, "sent ahead");
    world.begin(worker_id);
    world.turn(MS);
    let high = submit(&mut world, 1, 1);
    world.finish(worker_id, false);
    assert_eq!(next(&mut world), (high, 0));
    assert_eq!(next(&mut world), (many, 1), "and then it goes on where it was");
    assert!(world.recalls > 0);
    world.run_to_end();
    assert!(world.executions.values().all(|&count| count == 1));
}

#[test]
fn what_waits_gains_a_level_per_second_of_running_time() {
    for (waited, is_overtaken) in [(2500, true), (3500, false)] {
        let mut world = World::new(config(1));
        world.boot_all();
        let running = submit(&mut world, 1, 0);
        let worker_id = world.worker(0).unwrap();
        world.begin(worker_id);
        let old = submit(&mut world, 1, 1);
        world.pass(waited * MS);
        let new = submit(&mut world, 1, 4);
        world.finish(worker_id, false);
        assert_eq!(world.outcome(running, 0), Some(Settled::Replied { failed: false }));
        assert_eq!(next(&mut world).0, if is_overtaken { new } else { old });
    }
}

#[test]
fn a_freeze_is_no_running_time() {
    let mut world = World::new(config(1));
    world.boot_all();
    submit(&mut world, 1, 0);
    let worker_id = world.worker(0).unwrap();
    world.begin(worker_id);
    submit(&mut world, 1, 1);
    world.pass(SECOND / 10);
    // An hour in which this process was not there.
    world.tick(3600 * SECOND);
    let new = submit(&mut world, 1, 4);
    world.finish(worker_id, false);
    assert_eq!(next(&mut world).0, new);
}

#[derive(Clone, Debug)]
enum Step {
    Submit(u32, i32),
    Pass(u64),
    Next,
}

fn steps() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (1u32..6, -2i32..4).prop_map(|(calls, priority)| Step::Submit(calls, priority)),
        2 => (0u64..2500).prop_map(Step::Pass),
        6 => Just(Step::Next),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Whatever was sent ahead: the call that begins is the first by priority and waiting time.
    #[test]
    fn calls_begin_in_the_order_of_their_priorities(steps in vec(steps(), 1..60), cheap in any::<bool>()) {
        let mut world = World::new(config(1));
        world.boot_all();
        world.cost = if cheap { MS / 100 } else { 20 * MS };
        // Each call that has not begun: when it was submitted, less a second per level; job; number.
        let mut waiting: Vec<(i64, JobId, u32)> = Vec::new();
        let mut is_busy = false;
        let worker_id = world.worker(0).unwrap();
        for step in steps {
            match step {
                Step::Submit(calls, priority) => {
                    let order = world.now.as_micros() as i64 - i64::from(priority) * 1_000_000;
                    let job = submit(&mut world, calls, priority);
                    waiting.extend((0..calls).map(|call| (order, job, call)));
                }
                Step::Pass(millis) => world.pass(Duration::from_millis(millis)),
                Step::Next => {
                    world.finish(worker_id, false);
                    is_busy = false;
                }
            }
            // A worker that has nothing to do begins what comes at once.
            if !is_busy && !waiting.is_empty() {
                waiting.sort_unstable();
                let (_, job, call) = waiting.remove(0);
                prop_assert_eq!(begin_next(&mut world), (job, call));
                is_busy = true;
            }
        }
        world.run_to_end();
        prop_assert!(world.executions.values().all(|&count| count == 1));
    }
}
