//! The waiting calls of a job whose records are grouped by key.
//!
//! The calls of a key leave in order, and none leaves while others of its key are in flight. Unless asked for more, one
//! call of a key leaves at a time; a worker that runs calls in order may be given a run of them at once.
//!
//! Must not depend on why a call leaves, comes back or settles.

use std::collections::{BTreeSet, VecDeque};
use std::ops::Range;

use super::WorkerId;

#[derive(Debug)]
pub(super) struct KeyedQueue {
    /// The key of each call of the job.
    key_of: Vec<u32>,
    /// Every key, by its number.
    keys: Vec<Key>,
    /// Whether consecutive calls of a key may be in flight together.
    takes_runs: bool,
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
    /// How many of its calls are in flight and wanted.
    in_flight: u32,
    /// The worker that began this key and gets the rest of it; `None` if any worker may take it.
    home: Option<WorkerId>,
    /// The first call that has failed, so that those after it are not to run. Invariant: none of those waits.
    stopped_by: Option<u32>,
}

impl Key {
    fn is_stopped(&self, call: u32) -> bool {
        self.stopped_by.is_some_and(|failed| failed < call)
    }
}

impl KeyedQueue {
    /// All calls wait; `key_of` has the key of each. With `takes_runs` consecutive calls of a key may leave together.
    pub(super) fn new(key_of: Vec<u32>, takes_runs: bool) -> KeyedQueue {
        let count = key_of.iter().max().map_or(0, |&key| key as usize + 1);
        let mut keys: Vec<Key> = std::iter::repeat_with(Key::default).take(count).collect();
        for (call, &key) in key_of.iter().enumerate() {
            keys[key as usize].calls.push_back(call as u32);
        }
        let ready = (0..count as u32).filter(|&key| !keys[key as usize].calls.is_empty()).collect();
        let waiting = key_of.len() as u64;
        KeyedQueue { key_of, keys, takes_runs, ready, waiting }
    }

    /// How many calls wait.
    pub(super) fn len(&self) -> u64 {
        self.waiting
    }

    /// Takes the next calls that this worker may run: one or, where that is allowed, up to `max_calls` consecutive ones
    /// of the same key.
    pub(super) fn take(&mut self, worker_id: WorkerId, max_calls: u32) -> Option<Range<u32>> {
        let is_allowed = |key: &&u32| self.keys[**key as usize].home.is_none_or(|home| home == worker_id);
        let key = *self.ready.iter().find(is_allowed)?;
        let state = &mut self.keys[key as usize];
        let first = state.calls.pop_front()?;
        self.ready.remove(&key);
        let most = if self.takes_runs { max_calls.max(1) } else { 1 };
        let mut taken = first..first + 1;
        while (taken.len() as u32) < most && state.calls.front() == Some(&taken.end) {
            state.calls.pop_front();
            taken.end += 1;
        }
        state.in_flight = taken.len() as u32;
        state.home = Some(worker_id);
        self.waiting -= taken.len() as u64;
        Some(taken)
    }

    /// A call in flight returns without a reply and waits again, in its place among the calls of its key. False if one
    /// before it has failed meanwhile: then it does not wait, and counts as in flight until it settles.
    pub(super) fn put_back(&mut self, call: u32) -> bool {
        let key = self.key_of[call as usize];
        let state = &mut self.keys[key as usize];
        if state.is_stopped(call) {
            return false;
        }
        state.in_flight -= 1;
        let place = state.calls.partition_point(|&other| other < call);
        state.calls.insert(place, call);
        self.waiting += 1;
        if state.in_flight == 0 {
            self.ready.insert(key);
        }
        true
    }

    /// A call in flight has settled. With `stop`, gives up the later calls of its key and returns those that waited.
    pub(super) fn settled(&mut self, call: u32, stop: bool) -> Vec<u32> {
        let key = self.key_of[call as usize];
        let state = &mut self.keys[key as usize];
        state.in_flight -= 1;
        let mut given_up = Vec::new();
        if stop {
            let failed = state.stopped_by.map_or(call, |failed| failed.min(call));
            state.stopped_by = Some(failed);
            let at = state.calls.partition_point(|&waiting| waiting < failed);
            given_up.extend(state.calls.drain(at..));
            self.waiting -= given_up.len() as u64;
        }
        if state.in_flight == 0 && !state.calls.is_empty() {
            self.ready.insert(key);
        } else {
            self.ready.remove(&key);
        }
        given_up
    }

    /// Whether an earlier call of this one's key has failed, so that this one is not to run.
    pub(super) fn is_stopped(&self, call: u32) -> bool {
        self.keys[self.key_of[call as usize] as usize].is_stopped(call)
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
            let is_ready = !key.calls.is_empty() && key.in_flight == 0;
            debug_assert_eq!(self.ready.contains(&number), is_ready, "key {number} is wrongly ready or not");
            debug_assert!(key.calls.iter().is_sorted(), "the calls of key {number} are out of order");
            let count = in_flight.iter().filter(|&&call| self.key_of[call as usize] == number).count();
            debug_assert_eq!(count, key.in_flight as usize, "calls of key {number} in flight");
            debug_assert!(self.takes_runs || count <= 1, "key {number} has {count} calls in flight");
            let is_stopped = key.calls.iter().any(|&call| key.is_stopped(call));
            debug_assert!(!is_stopped, "calls of key {number} wait for nothing");
        }
    }
}
