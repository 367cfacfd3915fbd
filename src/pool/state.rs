//! The pool itself: does what the engine says, keeps its time, and holds the loop while something is under way.
//!
//! Called by its requests and reports, and by its host when the loop says something. Must not depend on where events
//! come from.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use serde_json::{Value as Json, json};

use super::config::PoolConfig;
use super::host::{Carrier, Host};
use super::workers::Ends;
use crate::engine::{Action, Engine, QueueLoad};
use crate::pace::Waiting;

pub struct Pool<H: Host> {
    pub host: H,
    pub engine: RefCell<Engine>,
    pub(super) ends: Ends,
    /// How many CPUs may be kept awake; with 0, who waits gives way. `None` until somebody has counted them, and where
    /// nobody is to stay awake.
    spin_cpus: Cell<Option<usize>>,
    /// Invariant: the interval that the timer runs with; `None` while it does not.
    armed: Cell<Option<Duration>>,
    /// Invariant: set exactly while `pump` is on the stack.
    pumping: Cell<bool>,
    /// Invariant: whether the host was told that something is under way here.
    held: Cell<bool>,
    /// Whether JavaScript is told when calls begin to wait, when no more may, and when none waits any more.
    queue_watched: Cell<bool>,
    /// What it was told last; `None`: nothing.
    queue_told: Cell<Option<(bool, bool)>>,
    /// Whether JavaScript is told of recalls.
    traces: bool,
    /// Whether it does not count that something is under way, because nothing but the loop itself is waited for.
    hold_suspended: Cell<bool>,
}

impl<H: Host> Pool<H> {
    /// A pool that does nothing yet. Its host makes it ready, then has [`Pool::start`] called.
    pub fn new(host: H, config: &PoolConfig) -> Pool<H> {
        Pool {
            host,
            engine: RefCell::new(Engine::new(config.engine())),
            ends: Ends::default(),
            spin_cpus: Cell::default(),
            armed: Cell::new(None),
            pumping: Cell::new(false),
            held: Cell::new(false),
            queue_watched: Cell::new(false),
            queue_told: Cell::new(None),
            traces: config.traces,
            hold_suspended: Cell::new(false),
        }
    }

    /// Starts its workers; where these are shared, only so many, since others may have started the rest.
    pub fn start(&self, unstarted: Option<usize>) {
        match unstarted {
            None => self.engine.borrow_mut().start(),
            Some(unstarted) => self.engine.borrow_mut().start_some(unstarted),
        }
        self.pump();
    }

    // ---- Doing what the engine says --------------------------------------------------------------------

    /// Does what there is to do, until the engine says no more.
    pub fn pump(&self) {
        if self.host.is_ending() || self.pumping.replace(true) {
            return;
        }
        loop {
            while let Some(action) = self.next_action() {
                self.perform(action);
            }
            if !H::exchange_workers(self) {
                break;
            }
        }
        self.pumping.set(false);
        self.forget_gone();
        self.arm_timer();
        self.update_hold();
        if self.queue_watched.get() {
            self.tell_queue();
        }
    }

    /// Does something of which nothing follows before the next `pump`.
    pub(super) fn without_pumping(&self, act: impl FnOnce()) {
        let was_pumping = self.pumping.replace(true);
        act();
        self.pumping.set(was_pumping);
    }

    fn next_action(&self) -> Option<Action> {
        self.engine.borrow_mut().next_action(self.host.now())
    }

    fn perform(&self, action: Action) {
        debug_assert!(self.pumping.get());
        let carrier = self.host.carrier();
        match action {
            Action::Spawn { worker, index } => H::start_worker(self, worker, index),
            Action::Assign { worker, index } => carrier.assign(worker, index),
            Action::Send { worker, chunk: frame, seq, runs, patient } => {
                carrier.send(worker, frame, seq, &runs, patient);
            }
            Action::Cancel { worker, seqs } => carrier.cancel(worker, &seqs),
            Action::Recall { worker, from, until } => {
                let last_begun = carrier.recall(worker, from, until);
                self.engine.borrow_mut().recalled(worker, last_begun, from, until);
                if self.traces {
                    self.tell_event(worker, "recall", &json!({ "calls": until.wrapping_sub(from) }));
                }
            }
            Action::Stop { worker } => carrier.stop(worker),
            Action::Kill { worker } => {
                self.tell_event(worker, "kill", &Json::Null);
                carrier.kill(worker);
            }
            Action::Abandon { worker } => {
                self.tell_event(worker, "outlives", &Json::Null);
                self.abandon(worker);
            }
            Action::KillSilent { worker } => {
                self.tell_event(worker, "silent", &Json::Null);
                carrier.kill_silent(worker);
            }
            Action::Settle { job, calls, outcome } => {
                let (name, detail) = self.describe(outcome);
                self.host.ended(job, calls, name, detail.as_deref());
            }
            Action::Ready { outcome } => {
                let described = outcome.err().map(|outcome| self.describe(outcome));
                let name = described.as_ref().map(|(name, _)| *name);
                let detail = described.as_ref().and_then(|(_, detail)| detail.as_deref());
                self.host.ready(name, detail);
            }
            Action::Closed => self.host.closed(&self.outliving()),
        }
    }

    fn arm_timer(&self) {
        let wanted = self.engine.borrow_mut().next_tick(self.host.now());
        match (wanted, self.armed.get()) {
            (None, Some(_)) => self.host.stop_timer(),
            (Some(wanted), armed) if armed.is_none_or(|armed| wanted < armed) => {
                self.host.start_timer(wanted);
            }
            _ => return,
        }
        self.armed.set(wanted);
    }

    /// From now on JavaScript is told of the queue, to begin with at the end of the next round.
    pub fn watch_queue(&self) {
        self.queue_watched.set(true);
        self.queue_told.set(None);
    }

    fn tell_queue(&self) {
        let QueueLoad { waiting, is_full } = self.engine.borrow().queue_load();
        let situation = (waiting > 0, is_full);
        if self.queue_told.replace(Some(situation)) != Some(situation) {
            self.host.event(&json!({ "event": "queue", "waiting": waiting, "isFull": is_full }));
        }
    }

    /// Has the loop held no longer, or again, by what is under way.
    pub fn suspend_hold(&self, suspended: bool) {
        self.hold_suspended.set(suspended);
        self.update_hold();
    }

    fn update_hold(&self) {
        let held = self.engine.borrow().is_held() && !self.hold_suspended.get();
        if held != self.held.replace(held) {
            self.host.set_held(held);
            if !held {
                // From now on nobody looks: whoever has something to say wakes this thread.
                self.host.carrier().set_awake(false);
                if self.host.carrier().has_pending() {
                    self.host.carrier().receive_pending();
                    self.pump();
                }
            }
        }
    }

    // ---- What the loop says ----------------------------------------------------------------------------

    /// The time is over that the timer was started with.
    pub fn on_timer(&self) {
        self.armed.set(None);
        let workers = self.engine.borrow().workers();
        // What has been answered must not time out.
        for &worker in &workers {
            self.host.carrier().catch_up(worker);
        }
        self.engine.borrow_mut().tick(self.host.now());
        self.read_last_begun();
        self.pump();
    }

    /// A turn of the loop is over, and was busy for this long. Returns whether [`Pool::level`] is to be called, with
    /// JavaScript entered.
    pub fn on_turn_end(&self, busy: Duration) -> bool {
        let now = self.host.now();
        self.engine.borrow_mut().turned(busy, now);
        self.engine.borrow().is_leveling_due()
    }

    /// Has the engine share out anew what was sent ahead, with all answers in.
    pub fn level(&self) {
        self.host.carrier().receive_pending();
        self.read_last_begun();
        self.pump();
    }

    /// Something has come from a worker.
    pub fn woken(&self) {
        self.host.woken(self.held.get());
    }

    /// This thread is about to sleep, and leaves its CPU.
    pub fn before_sleep(&self) {
        if self.looks_after_cpus() {
            self.host.carrier().fetch_woken();
        }
    }

    /// Whether this pool does anything about where its workers run: not with one CPU, nor where it may not stay awake.
    pub(super) fn looks_after_cpus(&self) -> bool {
        self.spin_cpus.get().is_some_and(|cpus| cpus > 0)
    }

    /// So many CPUs may be kept awake; with 0, who waits gives way.
    pub fn set_spin_cpus(&self, cpus: usize) {
        self.spin_cpus.set(Some(cpus));
    }

    /// How to wait for the answers that are expected. To poll needs a CPU beside those who work on them.
    pub fn waiting(&self) -> Waiting {
        match self.engine.borrow().busy_workers() {
            0 => Waiting::Asleep,
            busy => self.waiting_beside(busy),
        }
    }

    /// How a worker is to wait for the next call after this one: it and those that work need a CPU each, and so does
    /// this thread.
    pub(super) fn waiting_of_worker(&self) -> Waiting {
        self.waiting_beside(self.engine.borrow().busy_workers())
    }

    fn waiting_beside(&self, busy: usize) -> Waiting {
        match self.spin_cpus.get() {
            Some(0) => Waiting::GivingWay,
            Some(cpus) if busy < cpus => Waiting::Polling,
            _ => Waiting::Asleep,
        }
    }
}

impl<H: Host> Drop for Pool<H> {
    fn drop(&mut self) {
        if self.held.get() {
            self.host.set_held(false);
        }
    }
}
