//! Hosts: each has cores, and slots for jobs that share them.
//!
//! A host works off the calls of its jobs in the order in which they came, with all cores: a call begins when a core is
//! free. That is what a local pool does.
//!
//! Must not depend on where jobs come from.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::Duration;

use super::scenario::Scenario;

#[derive(Debug)]
pub struct Hosts {
    hosts: Vec<Host>,
    /// The hosts with a free slot, by shard: once for each.
    free: Vec<VecDeque<u32>>,
}

#[derive(Debug)]
struct Host {
    /// When each core has done what it was given; the earliest first.
    cores: BinaryHeap<Reverse<Duration>>,
    /// How often it has died: what was promised before is void.
    deaths: u32,
    /// The jobs that it runs.
    jobs: Vec<usize>,
    /// How many jobs it takes at once.
    slots: u32,
}

/// A job that a host has begun.
#[derive(Clone, Debug)]
pub struct Work {
    pub host: u32,
    /// How often the host had died before.
    pub deaths: u32,
    /// When each of its calls begins and ends.
    pub calls: Vec<(Duration, Duration)>,
}

impl Work {
    pub fn end(&self) -> Duration {
        self.calls.iter().map(|&(_, end)| end).max().unwrap_or_default()
    }
}

impl Hosts {
    pub fn new(scenario: &Scenario, shards: u32) -> Hosts {
        let shards = shards.max(1);
        let mut hosts = Hosts { hosts: Vec::new(), free: vec![VecDeque::new(); shards as usize] };
        for number in 0..scenario.hosts() {
            let cores = (0..scenario.cores_of(number)).map(|_| Reverse(Duration::ZERO)).collect();
            let slots = scenario.slots_per_host * scenario.lanes_per_slot;
            hosts.hosts.push(Host { cores, deaths: 0, jobs: Vec::new(), slots });
            hosts.offer(number, slots);
        }
        hosts
    }

    fn offer(&mut self, host: u32, slots: u32) {
        let shard = host as usize % self.free.len();
        self.free[shard].extend((0..slots).map(|_| host));
    }

    /// A host of this shard that could begin a job.
    pub fn take_free(&mut self, shard: usize) -> Option<u32> {
        self.free[shard].pop_front()
    }

    /// Puts back a host that was taken, for there is nothing to do.
    pub fn return_free(&mut self, shard: usize, host: u32) {
        self.free[shard].push_front(host);
    }

    /// A host begins a job whose calls take so long each.
    pub fn begin(
        &mut self,
        host: u32,
        job: usize,
        now: Duration,
        times: impl Iterator<Item = Duration>,
    ) -> Work {
        let state = &mut self.hosts[host as usize];
        state.jobs.push(job);
        let mut calls = Vec::with_capacity(times.size_hint().0);
        for time in times {
            // Never empty: a core that is taken out is put back at once.
            let Some(Reverse(free_at)) = state.cores.pop() else { break };
            let begin = free_at.max(now);
            state.cores.push(Reverse(begin + time));
            calls.push((begin, begin + time));
        }
        Work { host, deaths: state.deaths, calls }
    }

    /// A job has ended; false if its host had died before.
    pub fn end(&mut self, job: usize, work: &Work) -> bool {
        let state = &mut self.hosts[work.host as usize];
        if state.deaths != work.deaths {
            return false;
        }
        state.jobs.retain(|&other| other != job);
        self.offer(work.host, 1);
        true
    }

    /// A host dies, and another takes its place. Returns the jobs that died with it.
    pub fn die(&mut self, host: u32, now: Duration) -> Vec<usize> {
        let state = &mut self.hosts[host as usize];
        state.deaths += 1;
        state.cores = state.cores.iter().map(|_| Reverse(now)).collect();
        let (lost, slots) = (std::mem::take(&mut state.jobs), state.slots);
        let shard = host as usize % self.free.len();
        self.free[shard].retain(|&other| other != host);
        self.offer(host, slots);
        lost
    }
}
