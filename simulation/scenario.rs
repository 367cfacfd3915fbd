//! What is simulated: the assumptions, all in one place.
//!
//! Must not depend on how they are played out.

use std::time::Duration;

const fn micros(count: u64) -> Duration {
    Duration::from_micros(count)
}

/// One list of calls that a fleet works off.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    /// Cores of all hosts together.
    pub cores: u32,
    pub cores_per_host: u32,
    /// Calls that a host runs at once: its processes.
    pub slots_per_host: u32,
    /// Jobs of the broker that a host takes at once for each slot, and so many lanes the scheduler has.
    pub lanes_per_slot: u32,
    /// How long the calls of a chunk should take: [`crate::engine::Config::target`].
    pub chunk: Duration,
    /// How long a call runs, on average; the times are distributed exponentially.
    pub call: Duration,
    pub calls: u32,
    /// One way between producer and broker, and between broker and host.
    pub trip: Duration,
    /// Queues, each on a broker of its own. Hosts and lanes are shared out among them.
    pub shards: u32,
    /// What a job costs its broker, which does one thing at a time.
    pub broker_per_job: Duration,
    /// What a job costs the producer's thread besides the scheduler, sending and receiving together.
    pub producer_per_job: Duration,
    /// What a call costs the producer's thread besides the scheduler: encoding, decoding, settling.
    pub producer_per_call: Duration,
    /// What a job costs a host before its calls run.
    pub host_per_job: Duration,
    /// How many hosts die, evenly spread over the ideal time. Their successors are there at once.
    pub deaths: u32,
    /// How long until the producer knows of a death.
    pub detection: Duration,
    pub retries: u32,
    pub seed: u64,
}

impl Default for Scenario {
    /// The costs are those that `npm run bench -- remote` measures: see docs/scale.md.
    fn default() -> Scenario {
        Scenario {
            cores: 1000,
            cores_per_host: 16,
            slots_per_host: 16,
            lanes_per_slot: 2,
            chunk: micros(60_000),
            call: micros(10_000),
            calls: 0,
            trip: micros(250),
            shards: 1,
            broker_per_job: micros(460),
            producer_per_job: micros(650),
            producer_per_call: Duration::from_nanos(700),
            host_per_job: micros(1330),
            deaths: 0,
            detection: micros(4_000_000),
            retries: 1,
            seed: 1,
        }
    }
}

impl Scenario {
    pub fn hosts(&self) -> u32 {
        self.cores.div_ceil(self.cores_per_host).max(1)
    }

    /// The cores of this host: the last one has what is left.
    pub fn cores_of(&self, host: u32) -> u32 {
        (self.cores - host * self.cores_per_host).min(self.cores_per_host).max(1)
    }

    pub fn lanes(&self) -> u32 {
        self.hosts() * self.slots_per_host * self.lanes_per_slot
    }

    /// With the number of calls that keeps all cores busy for this long.
    pub fn lasting(self, ideal: Duration) -> Scenario {
        let calls = ideal.as_secs_f64() * f64::from(self.cores) / self.call.as_secs_f64();
        Scenario { calls: calls.round().clamp(1.0, f64::from(u32::MAX)) as u32, ..self }
    }

    /// How long this call runs. Depends on nothing but its number, so a call that is run again takes as long.
    pub fn call_time(&self, index: u32) -> Duration {
        // SplitMix64: neighbouring numbers give unrelated results.
        let mut bits =
            self.seed.wrapping_add(u64::from(index).wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        bits ^= bits >> 31;
        let uniform = (bits >> 11) as f64 / (1u64 << 53) as f64;
        // No call takes more than 10 times the mean: one would dominate the end of a short list.
        self.call.mul_f64((-(1.0 - uniform).ln()).min(10.0))
    }
}
