//! Brokers: each has a queue of jobs, and does one thing at a time.
//!
//! Must not depend on what a job is.

use std::collections::VecDeque;
use std::time::Duration;

/// One broker for each shard.
#[derive(Debug)]
pub struct Brokers(Vec<Broker>);

#[derive(Debug, Default)]
struct Broker {
    /// When it has done everything that it was asked for.
    free_at: Duration,
    busy: Duration,
    /// Jobs that no host has taken, by their numbers.
    waiting: VecDeque<usize>,
}

impl Brokers {
    pub fn new(shards: u32) -> Brokers {
        Brokers((0..shards.max(1)).map(|_| Broker::default()).collect())
    }

    /// Which one a host or a lane belongs to.
    pub fn shard_of(&self, number: u32) -> usize {
        number as usize % self.0.len()
    }

    /// Something that takes `cost` is asked of a broker. Returns when it is done. To be called in the order of time.
    pub fn serve(&mut self, shard: usize, asked: Duration, cost: Duration) -> Duration {
        let broker = &mut self.0[shard];
        broker.free_at = broker.free_at.max(asked) + cost;
        broker.busy += cost;
        broker.free_at
    }

    pub fn put(&mut self, shard: usize, job: usize) {
        self.0[shard].waiting.push_back(job);
    }

    pub fn take(&mut self, shard: usize) -> Option<usize> {
        self.0[shard].waiting.pop_front()
    }

    /// How long the busiest one was busy.
    pub fn max_busy(&self) -> Duration {
        self.0.iter().map(|broker| broker.busy).max().unwrap_or_default()
    }
}
