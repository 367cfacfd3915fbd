//! The waiting calls of a job whose records are grouped by key.
//!
//! Invariants: at most one call of a key is in flight; a key is in `ready` exactly when it has waiting calls
//! and none in flight; the calls of a key leave in order.

use std::collections::{BTreeSet, VecDeque};

use super::WorkerId;

#[derive(Debug)]
pub(super) struct Keyed {
    /// The key of each call of the job.
    key_of: Vec<u32>,
    keys: Vec<Key>,
    /// Numbered in the order of their first record, so the smallest is the next.
    ready: BTreeSet<u32>,
    waiting: u64,
}

#[derive(Debug, Default)]
struct Key {
    calls: VecDeque<u32>,
    in_flight: bool,
    /// The worker that began this key and gets the rest of it.
    home: Option<WorkerId>,
}

impl Keyed {
    pub(super) fn new(key_of: Vec<u32>) -> Keyed {
        let count = key_of.iter().max().map_or(0, |&key| key as usize + 1);
        let mut keys: Vec<Key> = std::iter::repeat_with(Key::default).take(count).collect();
        for (call, &key) in key_of.iter().enumerate() {
            keys[key as usize].calls.push_back(call as u32);
        }
        let ready = (0..count as u32).filter(|&key| !keys[key as usize].calls.is_empty()).collect();
        let waiting = key_of.len() as u64;
        Keyed { key_of, keys, ready, waiting }
    }

    pub(super) fn len(&self) -> u64 {
        self.waiting
    }

    /// The next call that this worker may run.
    pub(super) fn take(&mut self, worker: WorkerId) -> Option<u32> {
        let fits = |key: &&u32| self.keys[**key as usize].home.is_none_or(|home| home == worker);
        let key = *self.ready.iter().find(fits)?;
        self.ready.remove(&key);
        let state = &mut self.keys[key as usize];
        state.in_flight = true;
        state.home = Some(worker);
        self.waiting -= 1;
        state.calls.pop_front()
    }

    /// A call comes back unanswered, to be the next of its key.
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

    /// A worker takes no more calls: its keys may move.
    pub(super) fn release_home(&mut self, worker: WorkerId) {
        for key in &mut self.keys {
            if key.home == Some(worker) {
                key.home = None;
            }
        }
    }

    /// Takes what waits from this call on.
    pub(super) fn drain_from(&mut self, from: u32) -> Vec<u32> {
        let mut calls = Vec::new();
        for (number, key) in (0..).zip(&mut self.keys) {
            // The calls of a key are in order.
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
}
