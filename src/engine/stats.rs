//! Counts and histograms for `stats()`.
//!
//! Must not depend on anything that they are taken from, and no decision may depend on them.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

/// A snapshot of the engine. Times are in milliseconds.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Stats {
    pub workers: Vec<WorkerStats>,
    /// Calls that wait.
    pub waiting: u64,
    /// Calls that are in flight and wanted.
    pub running: u64,
    /// Calls that have settled, failed ones included.
    pub done: u64,
    /// Calls that have settled with anything but a result.
    pub failed: u64,
    /// Workers that were replaced.
    pub restarts: u64,
    /// Bytes of the arguments of calls in flight and, as far as earlier ones tell, of their results.
    pub bytes_in_flight: u64,
    /// How long the caller's recent turns were busy, in milliseconds; 0 while that makes no difference.
    pub lag: f64,
    /// From submission to being handed to a worker.
    pub wait_time: Times,
    /// From the start of a call to its result, as its worker measured it.
    pub run_time: Times,
}

/// A snapshot of one worker.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkerStats {
    #[serde(rename = "id")]
    pub worker_id: u32,
    pub state: WorkerState,
    /// Calls that it has replied to, failed ones included.
    pub done: u64,
    /// Calls that it has replied to with an error.
    pub failed: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum WorkerState {
    Starting,
    /// Ready for calls, and without any; or ready to take over from a worker that is still there.
    Ready,
    /// Has calls in flight.
    Busy,
    /// Asked to exit, or killed.
    Stopping,
}

/// What a histogram says, in milliseconds; all 0 while it is empty.
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
        // Cannot fail: a histogram may have up to five significant digits. It grows by itself.
        Durations(Histogram::new(2).expect("valid precision"))
    }

    pub(super) fn record(&mut self, duration: Duration, times: u64) {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX / 2);
        // Fails only if the table cannot grow any more, which takes durations of centuries.
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
