//! The engine, the carrier and the hooks of a pool, and what takes more than one of them.
//!
//! Called by the rest of the pool. Must not depend on who shares its workers, nor on when the engine is asked what to
//! do: nothing here does what the engine says.

use std::cell::{OnceCell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};

use super::hooks::Hooks;
use crate::binding::carrier::Carrier;
use crate::binding::environment::Environment;
use crate::engine::{Engine, Outcome, WorkerId};

pub struct PoolCore {
    pub environment: Rc<Environment>,
    pub hooks: Hooks,
    pub engine: RefCell<Engine>,
    /// Set before anything is done; it reports to the pool.
    carrier: OnceCell<Box<dyn Carrier>>,
    /// Invariant: the workers that the engine knows to be gone and the carrier has not forgotten. Their exit reports
    /// are needed until their calls are settled.
    gone: RefCell<Vec<WorkerId>>,
    /// The exit reports of workers that were killed and have not ended.
    outliving: RefCell<Vec<Json>>,
    started: Instant,
}

impl PoolCore {
    pub fn new(environment: Rc<Environment>, hooks: Hooks, engine: Engine) -> PoolCore {
        PoolCore {
            environment,
            hooks,
            engine: RefCell::new(engine),
            carrier: OnceCell::new(),
            gone: RefCell::default(),
            outliving: RefCell::default(),
            started: Instant::now(),
        }
    }

    /// To be called once, by the constructor.
    pub fn set_carrier(&self, carrier: Box<dyn Carrier>) {
        let set = self.carrier.set(carrier);
        debug_assert!(set.is_ok(), "a pool has one carrier");
    }

    pub fn carrier(&self) -> &dyn Carrier {
        self.carrier.get().expect("set by the constructor").as_ref()
    }

    /// The engine's clock.
    pub fn now(&self) -> Duration {
        self.started.elapsed()
    }

    /// The worker is gone, and all that it had sent has been handed in.
    pub fn worker_gone(&self, worker: WorkerId) {
        self.carrier().release(worker);
        let last_begun = self.carrier().last_begun(worker);
        self.engine.borrow_mut().exited(worker, last_begun);
        let mut gone = self.gone.borrow_mut();
        debug_assert!(!gone.contains(&worker), "a worker ends once");
        gone.push(worker);
    }

    /// The worker does not end although it was killed.
    pub fn abandon(&self, worker: WorkerId) {
        self.carrier().abandon_one(worker);
        if let Some(report) = self.report(worker) {
            self.outliving.borrow_mut().push(report);
        }
        self.worker_gone(worker);
    }

    /// The exit reports of workers that were killed and had not ended in time.
    pub fn outliving(&self) -> Json {
        self.outliving.borrow().clone().into()
    }

    /// The ends of all workers that are gone have been told.
    pub fn forget_gone(&self) {
        for worker in self.gone.take() {
            self.carrier().forget(worker);
        }
    }

    /// Has the engine know which calls have begun.
    pub fn read_last_begun(&self) {
        let workers = self.engine.borrow().workers();
        for worker in workers {
            let last_begun = self.carrier().last_begun(worker);
            self.engine.borrow_mut().begun(worker, last_begun);
        }
    }

    /// Tells `debug` what happened to a worker.
    pub fn event(&self, worker: WorkerId, name: &'static str, detail: &Json) {
        let mut event = json!({ "event": name, "worker": worker.0, "pid": self.carrier().pid(worker) });
        for (key, value) in detail.as_object().into_iter().flatten() {
            event[key] = value.clone();
        }
        self.hooks.event(&event);
    }

    /// The name of an outcome, and what is known of the end of the worker that it is about.
    pub fn describe(&self, outcome: Outcome) -> (&'static str, Option<String>) {
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
        let mut report = self.carrier().exit_report(worker)?;
        report["worker"] = worker.0.into();
        report["pid"] = self.carrier().pid(worker).into();
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
            worker["pid"] = worker_id.and_then(|id| self.carrier().pid(WorkerId(id))).into();
        }
        let (sent, received) = self.carrier().traffic();
        stats["bytesSent"] = sent.into();
        stats["bytesReceived"] = received.into();
        stats
    }
}
