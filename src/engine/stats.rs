//! Counts and histograms, for `stats()`. Nothing here is used for a decision.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

/// A picture of the engine at one moment. Times are milliseconds.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Stats {
    pub workers: Vec<WorkerStats>,
    pub waiting: u64,
    pub running: u64,
    /// Settled, `failed` included.
    pub done: u64,
    pub failed: u64,
    pub restarts: u64,
    pub wait_time: Times,
    pub run_time: Times,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkerStats {
    pub id: u32,
    pub state: WorkerState,
    pub done: u64,
    pub failed: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum WorkerState {
    Starting,
    Ready,
    Busy,
    Stopping,
}

#[derive(Debug, Default, Serialize)]
pub struct Times {
    pub count: u64,
    pub min: f64,
    pub mean: f64,
    pub p50: f64,
    pub p90: f64,
    pub p99: f64,
    pub max: f64,
}

/// A histogram of durations, kept in microseconds with two significant digits.
pub(super) struct Durations(Histogram<u64>);

impl Durations {
    pub(super) fn new() -> Durations {
        // Cannot fail: two significant digits are within what the histogram allows. It grows by itself.
        Durations(Histogram::new(2).expect("valid precision"))
    }

    pub(super) fn record(&mut self, duration: Duration, times: u64) {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX / 2);
        // Fails only where the table cannot grow any more: after some centuries.
        let _ = self.0.record_n(micros, times);
    }

    pub(super) fn summary(&self) -> Times {
        if self.0.is_empty() {
            return Times::default();
        }
        let millis = |micros: u64| micros as f64 / 1000.0;
        Times {
            count: self.0.len(),
            min: millis(self.0.min()),
            mean: self.0.mean() / 1000.0,
            p50: millis(self.0.value_at_quantile(0.5)),
            p90: millis(self.0.value_at_quantile(0.9)),
            p99: millis(self.0.value_at_quantile(0.99)),
            max: millis(self.0.max()),
        }
    }
}
