//! How many calls there are in each state. Nothing else changes these counts.
//!
//! A call waits, then runs, and may return to wait; it is done exactly once, from either state.
//!
//! Must not depend on which calls these are.

/// Counts of all calls that were accepted.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counters {
    waiting: u64,
    running: u64,
    done: u64,
    failed: u64,
}

impl Counters {
    /// Calls that wait. Invariant: the sum over all jobs.
    pub(super) fn waiting(&self) -> u64 {
        self.waiting
    }

    /// Calls that are in flight and wanted. Invariant: the sum over all workers.
    pub(super) fn running(&self) -> u64 {
        self.running
    }

    /// Calls that have settled, failed ones included.
    pub(super) fn done(&self) -> u64 {
        self.done
    }

    /// Calls that have settled with anything but a result. Invariant: at most `done`.
    pub(super) fn failed(&self) -> u64 {
        self.failed
    }

    /// Calls were submitted.
    pub(super) fn submitted(&mut self, calls: u64) {
        self.waiting += calls;
    }

    /// Calls that waited were handed to a worker.
    pub(super) fn started(&mut self, calls: u64) {
        self.waiting -= calls;
        self.running += calls;
    }

    /// Calls in flight wait again.
    pub(super) fn returned(&mut self, calls: u64) {
        self.running -= calls;
        self.waiting += calls;
    }

    /// Calls that waited have settled, as failed: there is no other way for them.
    pub(super) fn gave_up_waiting(&mut self, calls: u64) {
        self.waiting -= calls;
        self.done += calls;
        self.failed += calls;
    }

    /// Calls in flight have settled.
    pub(super) fn finished(&mut self, calls: u64, failed: bool) {
        self.running -= calls;
        self.done += calls;
        self.failed += if failed { calls } else { 0 };
    }
}
