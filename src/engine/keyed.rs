//! The waiting calls of a job whose records are grouped by key.
//!
//! At most one call of a key is in flight, and the calls of a key leave in order.
//!
//! Must not depend on why a call leaves, comes back or settles.

use std::collections::{BTreeSet, VecDeque};

use super::WorkerId;

#[derive(Debug)]
pub(super) struct KeyedQueue {
    /// The key of each call of the job.
    key_of: Vec<u32>,
    /// Every key, by its number.
    keys: Vec<Key>,
    /// The keys whose next call may be taken. Keys are numbered in the order of their first record, so the smallest
    /// is the next. Invariant: a key is in it exactly if it has waiting calls and none in flight.
    ready: BTreeSet<u32>,
    /// Invariant: the number of waiting calls of all keys.
    waiting: u64,
}

#[derive(Debug, Default)]
struct Key {
    /// The calls that wait. Invariant: in ascending order.
    calls: VecDeque<u32>,
    /// Whether one of its calls is in flight and wanted.
    in_flight: bool,
    /// The worker that began this key and gets the rest of it; `None` if any worker may take it.
    home: Option<WorkerId>,
}

impl KeyedQueue {
    /// All calls wait; `key_of` has the key of each.
    pub(super) fn new(key_of: Vec<u32>) -> KeyedQueue {
        let count = key_of.iter().max().map_or(0, |&key| key as usize + 1);
        let mut keys: Vec<Key> = std::iter::repeat_with(Key::default).take(count).collect();
        for (call, &key) in key_of.iter().enumerate() {
            keys[key as usize].calls.push_back(call as u32);
        }
        let ready = (0..count as u32).filter(|&key| !keys[key as usize].calls.is_empty()).collect();
        let waiting = key_of.len() as u64;
        KeyedQueue { key_of, keys, ready, waiting }
    }

    /// How many calls wait.
    pub(super) fn len(&self) -> u64 {
        self.waiting
    }

    /// Takes the next call that this worker may run.
    pub(super) fn take(&mut self, worker_id: WorkerId) -> Option<u32> {
        let is_allowed = |key: &&u32| self.keys[**key as usize].home.is_none_or(|home| home == worker_id);
        let key = *self.ready.iter().find(is_allowed)?;
        self.ready.remove(&key);
        let state = &mut self.keys[key as usize];
        state.in_flight = true;
        state.home = Some(worker_id);
        self.waiting -= 1;
        state.calls.pop_front()
    }

    /// A call in flight returns without a reply and becomes the next of its key.
    pub(super) fn put_back(&mut self, call: u32) {
        let key = self.key_of[call as usize];
        let state = &mut self.keys[key as usize];
        state.in_flight = false;
        state.calls.push_front(call);
        self.ready.insert(key);
        self.waiting += 1;
    }

    /// A call in flight has settled. With `stop`, gives up the later calls of its key and returns them.
    pub(super) fn settled(&mut self, call: u32, stop: bool) -> Vec<u32> {
        let key = self.key_of[call as usize];
        let state = &mut self.keys[key as usize];
        state.in_flight = false;
        if stop {
            let given_up: Vec<u32> = state.calls.drain(..).collect();
            self.waiting -= given_up.len() as u64;
            return given_up;
        }
        if !state.calls.is_empty() {
            self.ready.insert(key);
        }
        Vec::new()
    }

    /// A worker takes no more calls: its keys may move to others.
    pub(super) fn release_home(&mut self, worker_id: WorkerId) {
        for key in &mut self.keys {
            if key.home == Some(worker_id) {
                key.home = None;
            }
        }
    }

    /// Takes the waiting calls from this one on, in ascending order.
    pub(super) fn drain_from(&mut self, from: u32) -> Vec<u32> {
        let mut calls = Vec::new();
        for (number, key) in (0..).zip(&mut self.keys) {
            let at = key.calls.partition_point(|&call| call < from);
            calls.extend(key.calls.drain(at..));
            if key.calls.is_empty() {
                self.ready.remove(&number);
            }
        }
        self.waiting -= calls.len() as u64;
        calls.sort_unstable();
        calls
    }

    /// Panics if an invariant does not hold; `in_flight` has the calls of the job that are in flight and wanted.
    pub(super) fn check_invariants(&self, in_flight: &[u32]) {
        let waiting: usize = self.keys.iter().map(|key| key.calls.len()).sum();
        debug_assert_eq!(self.waiting, waiting as u64, "the count of waiting calls is wrong");
        for (number, key) in (0..).zip(&self.keys) {
            let is_ready = !key.calls.is_empty() && !key.in_flight;
            debug_assert_eq!(self.ready.contains(&number), is_ready, "key {number} is wrongly ready or not");
            debug_assert!(key.calls.iter().is_sorted(), "the calls of key {number} are out of order");
            let count = in_flight.iter().filter(|&&call| self.key_of[call as usize] == number).count();
            debug_assert_eq!(count, usize::from(key.in_flight), "calls of key {number} in flight");
        }
    }
}
