//! What is known of a pool's workers, and told: their ends, the events of their lives, statistics.
//!
//! Called by the rest of the pool and by its host. Must not depend on when the engine is asked what to do: nothing here
//! does what the engine says.

use std::cell::RefCell;
use std::io;

use serde_json::{Value as Json, json};

use super::host::{Carrier, Host, spawn_report};
use super::state::Pool;
use crate::engine::{Departure, ExitReason, Outcome, WorkerId};

/// Workers that are gone, or as good as that.
#[derive(Default)]
pub struct Ends {
    /// Invariant: the workers that the engine knows to be gone and the carrier has not forgotten. Their exit reports
    /// are needed until their calls are settled.
    gone: RefCell<Vec<WorkerId>>,
    /// The exit reports of workers that were killed and have not ended.
    outliving: RefCell<Vec<Json>>,
}

impl<H: Host> Pool<H> {
    /// The worker could not be started.
    pub fn spawn_failed(&self, worker: WorkerId, error: &io::Error) {
        self.host.carrier().set_exit_report(worker, spawn_report(error));
        self.end_worker(worker);
    }

    /// The worker is gone, and all that it had sent has been handed in. What follows from it is left to the next
    /// [`Pool::pump`].
    pub fn end_worker(&self, worker: WorkerId) {
        self.host.carrier().release(worker);
        let last_begun = self.host.carrier().last_begun(worker);
        let departure = self.engine.borrow_mut().exited(worker, last_begun);
        if let Some(Departure { reason, calls, is_restart }) = departure {
            let report = self.host.carrier().exit_report(worker).unwrap_or_default();
            let detail = json!({
                "reason": name_of(reason),
                "exitCode": report["exitCode"],
                "signal": report["signal"],
                "calls": calls,
                "isRestart": is_restart,
            });
            self.tell_event(worker, "gone", &detail);
        }
        let mut gone = self.ends.gone.borrow_mut();
        debug_assert!(!gone.contains(&worker), "a worker ends once");
        gone.push(worker);
    }

    /// The worker does not end although it was killed.
    pub(super) fn abandon(&self, worker: WorkerId) {
        self.host.carrier().abandon_one(worker);
        if let Some(report) = self.report(worker) {
            self.ends.outliving.borrow_mut().push(report);
        }
        self.end_worker(worker);
    }

    /// The exit reports of workers that were killed and had not ended in time.
    pub(super) fn outliving(&self) -> Json {
        self.ends.outliving.borrow().clone().into()
    }

    /// The ends of all workers that are gone have been told.
    pub(super) fn forget_gone(&self) {
        for worker in self.ends.gone.take() {
            self.host.carrier().forget(worker);
        }
    }

    /// Tells the engine which calls have begun.
    pub(super) fn read_last_begun(&self) {
        let workers = self.engine.borrow().workers();
        for worker in workers {
            let last_begun = self.host.carrier().last_begun(worker);
            self.engine.borrow_mut().begun(worker, last_begun);
        }
    }

    /// The index of a worker in this pool, or in the set that its workers are shared in; `None` while it has none.
    pub fn index_of(&self, worker: WorkerId) -> Option<u32> {
        self.engine.borrow().index_of(worker).or_else(|| self.host.index_in_set(worker))
    }

    /// Tells JavaScript what happened to a worker.
    pub fn tell_event(&self, worker: WorkerId, name: &str, detail: &Json) {
        let mut event = json!({
            "event": name,
            "worker": worker.0,
            "workerIndex": self.index_of(worker),
            "pid": self.host.carrier().pid(worker),
        });
        for (key, value) in detail.as_object().into_iter().flatten() {
            event[key] = value.clone();
        }
        self.host.event(&event);
    }

    /// The name of an outcome, and what is known of the end of the worker that it is about.
    pub(super) fn describe(&self, outcome: Outcome) -> (&'static str, Option<String>) {
        let report = |worker: WorkerId| self.report(worker).map(|report| report.to_string());
        match outcome {
            Outcome::Aborted => ("aborted", None),
            Outcome::TimedOut => ("timedOut", None),
            Outcome::Closed => ("closed", None),
            Outcome::Skipped => ("skipped", None),
            Outcome::Exited(worker) => ("exited", report(worker)),
            Outcome::BootFailed(worker) => ("bootFailed", report(worker)),
        }
    }

    /// What is known of a worker's end.
    fn report(&self, worker: WorkerId) -> Option<Json> {
        let mut report = self.host.carrier().exit_report(worker)?;
        report["worker"] = worker.0.into();
        report["pid"] = self.host.carrier().pid(worker).into();
        Some(report)
    }

    /// A picture of now.
    pub fn stats(&self) -> Json {
        let stats = serde_json::to_value(self.engine.borrow().stats());
        // It holds numbers, texts and lists of them, with texts as keys: nothing that JSON has no place for.
        debug_assert!(stats.is_ok());
        let mut stats = stats.unwrap_or_default();
        for worker in stats["workers"].as_array_mut().into_iter().flatten() {
            let worker_id = worker["id"].as_u64().and_then(|id| u32::try_from(id).ok());
            worker["pid"] = worker_id.and_then(|id| self.host.carrier().pid(WorkerId(id))).into();
            worker["workerIndex"] = worker_id.and_then(|id| self.index_of(WorkerId(id))).into();
        }
        let (sent, received) = self.host.carrier().traffic();
        stats["bytesSent"] = sent.into();
        stats["bytesReceived"] = received.into();
        stats
    }
}

/// What JavaScript calls a reason.
fn name_of(reason: ExitReason) -> &'static str {
    match reason {
        ExitReason::Closed => "closed",
        ExitReason::Idle => "idle",
        ExitReason::Recycled => "recycled",
        ExitReason::Crashed => "crashed",
        ExitReason::Killed => "killed",
        ExitReason::BootFailed => "boot-failed",
    }
}
