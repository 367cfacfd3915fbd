//! Replies that cannot be true.

use super::*;

#[test]
fn replies_that_cannot_be_true_are_violations() {
    let mut world = World::new(config(1));
    world.boot_all();
    world.calls(1);
    let worker_id = world.worker(0).unwrap();
    let chunk = world.workers[&worker_id].calls[0].chunk;
    let mut refusal = |reply| world.engine.replied(worker_id, reply).unwrap_err();
    assert_eq!(refusal(reply(ChunkId(99), 0, 1, false, MS)), ProtocolViolation::UnknownChunk);
    assert_eq!(refusal(reply(chunk, 0, 2, false, MS)), ProtocolViolation::UnknownCalls);
    assert_eq!(refusal(reply(chunk, 1, u32::MAX, false, MS)), ProtocolViolation::UnknownCalls);
    let unknown = world.engine.replied(WorkerId(99), reply(chunk, 0, 1, false, MS));
    assert_eq!(unknown, Err(ProtocolViolation::UnknownWorker));
    world.engine.give_up(worker_id);
    world.pump();
    assert!(world.workers[&worker_id].killed);
}

#[test]
fn a_worker_that_was_told_nothing_must_not_skip_calls() {
    let mut world = World::new(config(1));
    world.boot_all();
    world.calls(1);
    let worker_id = world.worker(0).unwrap();
    let chunk = world.workers[&worker_id].calls[0].chunk;
    let skipped = Reply { skipped: true, ..reply(chunk, 0, 1, false, MS) };
    assert_eq!(world.engine.replied(worker_id, skipped), Err(ProtocolViolation::UnexpectedSkip));
}

#[test]
fn a_call_is_replied_to_once() {
    let mut world = World::new(config(1));
    world.boot_all();
    let spec = JobSpec { calls: 2, chunk_size: Some(2), ..JobSpec::default() };
    world.submit(spec).unwrap();
    let worker_id = world.worker(0).unwrap();
    let chunk = world.workers[&worker_id].calls[0].chunk;
    let first = reply(chunk, 0, 1, false, MS);
    assert_eq!(world.engine.replied(worker_id, first).map(|settled| settled.len()), Ok(1));
    assert_eq!(world.engine.replied(worker_id, first), Err(ProtocolViolation::RepeatedReply));
}
