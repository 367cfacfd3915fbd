//! Replies that cannot be true.

use super::*;

#[test]
fn replies_that_cannot_be_are_violations() {
    let mut world = World::new(config(1));
    world.boot_all();
    world.calls(1);
    let id = world.worker(0).unwrap();
    let chunk = world.workers[&id].calls[0].chunk;
    assert!(world.engine.replied(id, reply(ChunkId(99), 0, 1, false, MS)).is_err());
    assert!(world.engine.replied(id, reply(chunk, 0, 2, false, MS)).is_err());
    assert!(world.engine.replied(id, reply(chunk, 1, u32::MAX, false, MS)).is_err());
    world.engine.give_up(id);
    world.pump();
    assert!(world.workers[&id].killed);
}

#[test]
fn who_was_told_nothing_must_not_skip() {
    let mut world = World::new(config(1));
    world.boot_all();
    world.calls(1);
    let id = world.worker(0).unwrap();
    let chunk = world.workers[&id].calls[0].chunk;
    let skipped = Reply { skipped: true, ..reply(chunk, 0, 1, false, MS) };
    assert!(world.engine.replied(id, skipped).is_err());
}
