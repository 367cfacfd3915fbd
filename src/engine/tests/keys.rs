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
