//! A pool whose workers are on lease: what the engine wants and can do without, told to the registry, and what the
//! registry says, told to the engine. [`crate::registry`] has the protocol; this decides nothing.
//!
//! 1. When the engine starts a worker, the set is asked for one. It is started, adopted, or denied.
//! 2. After each round of the engine's actions, what it can spare is handed back, as far as it may go now.
//! 3. Workers that there is no work for go when the loop's turn is over: whoever gets an answer and asks for the
//!    next thing at once finds its worker still there. (Not where idle workers are to be stopped after a time, nor
//!    threads, which cannot go anywhere: how many of these there are is told, so that they are asked for first. Such
//!    a worker is handed back for somebody who waits, and stays with whoever does not want it any more.)
//! 4. When the engine wants no more, what was asked for is withdrawn.
//! 5. When the pool closes as the last of its set, it takes all that is idle, to stop it. When its environment ends, it
//!    hands back what is idle and leaves; its other workers end.

use std::cell::{Cell, RefCell};
use std::os::fd::AsRawFd;
use std::rc::{Rc, Weak};
use std::sync::Arc;

use napi::Result;
use serde_json::{Value as Json, json};

use super::super::environment::Environment;
use super::super::event_loop::{Poll, Prepare, Turn};
use super::super::idle_process::IdleProcess;
use super::super::js::io_error;
use super::PoolState;
use crate::engine::WorkerId;
use crate::platform::Waker;
use crate::registry::{Grant, Lessee, Place, PlaceId, Registry};

/// The one state that belongs to no environment.
static REGISTRY: Registry<IdleProcess> = Registry::new();

pub(super) struct Sharing {
    /// `None` once the environment has ended.
    lessee: RefCell<Option<Lessee<IdleProcess>>>,
    /// Whether a worker was denied, and is waited for.
    waits: Cell<bool>,
    /// How many workers there was no work for, as it was told last where they stay.
    unused: Cell<usize>,
    /// Tells that the situation has changed.
    poll: RefCell<Option<Poll>>,
    /// Called when a turn of the loop is over, while there are workers without work; `None` if these stay.
    turn_over: RefCell<Option<Prepare>>,
}

impl Sharing {
    pub(super) fn join(
        environment: &Environment,
        key: Vec<u8>,
        workers: usize,
        keeps_idle: bool,
        pool: &Weak<PoolState>,
    ) -> Result<Sharing> {
        let waker = Arc::new(Waker::new().map_err(|error| io_error("no descriptor for wake-ups", &error))?);
        let entering = |act: fn(&PoolState)| {
            let pool = pool.clone();
            move || {
                if let Some(pool) = pool.upgrade() {
                    pool.environment.context.enter(|| act(&pool));
                }
            }
        };
        let (woken, cleared) = (entering(PoolState::on_situation), waker.clone());
        let poll = Poll::new(&environment.event_loop, waker.fd().as_raw_fd(), waker.clone(), move |_| {
            cleared.clear();
            woken();
        })?;
        poll.start(false);
        let over = entering(PoolState::on_turn_over);
        let turn_over = match keeps_idle {
            true => None,
            false => Some(Prepare::new(&environment.event_loop, move |_| {
                over();
                Turn::MaySleep
            })?),
        };
        Ok(Sharing {
            lessee: RefCell::new(Some(REGISTRY.join(key, workers, !keeps_idle, waker))),
            waits: Cell::new(false),
            unused: Cell::new(0),
            poll: RefCell::new(Some(poll)),
            turn_over: RefCell::new(turn_over),
        })
    }

    /// How many workers may be started before there is work for them.
    pub(super) fn unstarted(&self) -> usize {
        self.with(Lessee::unstarted).unwrap_or(0)
    }

    fn with<R>(&self, act: impl FnOnce(&Lessee<IdleProcess>) -> R) -> Option<R> {
        self.lessee.borrow().as_ref().map(act)
    }

    /// A worker that has not ended while nobody looked.
    fn ask(&self) -> Grant<IdleProcess> {
        loop {
            match self.with(Lessee::request) {
                // Its place is free once it was reaped.
                Some(Grant::Idle(_, idle)) if idle.is_ended() => drop(idle),
                Some(answer) => {
                    self.waits.set(matches!(answer, Grant::Denied));
                    return answer;
                }
                None => return Grant::Denied,
            }
        }
    }
}

impl PoolState {
    /// Starts a worker, or whatever takes its place.
    pub(super) fn start_worker(&self, worker: WorkerId) {
        let answer = self.sharing().map(Sharing::ask);
        if !matches!(answer, Some(Grant::Denied)) {
            // It waits no more, whatever it was denied before.
            self.engine.borrow_mut().offered();
        }
        let started = match answer {
            None => self.start_new(worker, None),
            Some(Grant::New(place)) => self.start_new(worker, Some(place)),
            Some(Grant::Idle(place, idle)) => self.adopt(worker, place, idle),
            Some(Grant::Denied) => return self.engine.borrow_mut().denied(worker),
        };
        if let Err(error) = started {
            let fate = json!({ "errno": error.raw_os_error(), "message": error.to_string() });
            self.carrier().set_fate(worker, fate);
            self.worker_gone(worker);
        }
    }

    fn start_new(&self, worker: WorkerId, place: Option<Place<IdleProcess>>) -> std::io::Result<()> {
        self.event(worker, "spawn", &Json::Null);
        self.carrier().start(worker, place)
    }

    fn adopt(&self, worker: WorkerId, place: PlaceId, idle: IdleProcess) -> std::io::Result<()> {
        let history = idle.history().ok_or(std::io::ErrorKind::NotFound)?;
        self.carrier().adopt(worker, place, idle)?;
        self.engine.borrow_mut().adopted(worker, history);
        self.event(worker, "adopted", &Json::Null);
        Ok(())
    }

    /// Takes on workers that nobody has asked for; whether there were any.
    pub(super) fn adopt_all(
        &self,
        take: impl FnOnce(&Lessee<IdleProcess>) -> Vec<(PlaceId, IdleProcess)>,
    ) -> bool {
        let Some(taken) = self.sharing().and_then(|sharing| sharing.with(take)) else { return false };
        let any = !taken.is_empty();
        for (place, idle) in taken {
            // What cannot be taken on ends as it is dropped.
            if let Some(history) = idle.history() {
                let worker = self.engine.borrow_mut().adopt(history);
                if self.carrier().adopt(worker, place, idle).is_err() {
                    self.worker_gone(worker);
                }
            }
        }
        any
    }

    /// Hands back what the engine can spare; whether anything was.
    pub(super) fn hand_back_spare(&self, unused: bool) -> bool {
        let Some(sharing) = self.sharing() else { return false };
        // What it was told last may have been met in another way, or may hold again.
        self.see_asked(sharing);
        let spare = self.engine.borrow().spare(unused);
        if spare.is_empty() {
            return false;
        }
        let mut any = false;
        for worker in spare {
            if self.carrier().is_lent(worker) {
                continue;
            }
            any = true;
            if self.hand_back(sharing, worker) {
                self.engine.borrow_mut().handed_back(worker);
                self.event(worker, "handedBack", &Json::Null);
            } else {
                self.engine.borrow_mut().not_taken_back(worker);
            }
        }
        self.see_situation(sharing);
        any
    }

    fn hand_back(&self, sharing: &Sharing, worker: WorkerId) -> bool {
        let history = self.engine.borrow().history(worker);
        let (Some(place), Some(history)) = (self.carrier().place(worker), history) else { return false };
        let detach = || self.carrier().detach(worker, history);
        sharing.with(|lessee| lessee.hand_back(place, detach)).unwrap_or(false)
    }

    fn see_asked(&self, sharing: &Sharing) {
        let situation = sharing.with(Lessee::situation).unwrap_or_default();
        self.engine.borrow_mut().set_demand(situation.demand);
    }

    fn see_situation(&self, sharing: &Sharing) {
        let situation = sharing.with(Lessee::situation).unwrap_or_default();
        let mut engine = self.engine.borrow_mut();
        engine.set_demand(situation.demand);
        if situation.is_promised {
            engine.offered();
        }
    }

    fn on_situation(&self) {
        if let Some(sharing) = self.sharing() {
            self.see_situation(sharing);
            self.pump();
        }
    }

    fn on_turn_over(&self) {
        self.hand_back_spare(true);
        self.pump();
    }

    /// At the end of a round: says what is not wanted any more. Whether that has brought workers nevertheless.
    pub(super) fn settle_lease(&self) -> bool {
        let Some(sharing) = self.sharing() else { return false };
        let mut is_more = false;
        if sharing.waits.get() && !self.engine.borrow().wants_more() {
            sharing.waits.set(false);
            is_more = self.adopt_all(Lessee::withdraw);
            self.engine.borrow_mut().offered();
        }
        let unused = self.engine.borrow().unused();
        match &*sharing.turn_over.borrow() {
            Some(turn_over) if unused > 0 => turn_over.start(),
            Some(turn_over) => turn_over.stop(),
            None if unused != sharing.unused.replace(unused) => {
                sharing.with(|lessee| lessee.tell_unused(unused));
            }
            None => {}
        }
        is_more
    }

    /// The environment ends. JavaScript must not be called any more.
    pub(super) fn leave(self: &Rc<Self>) {
        let Some(sharing) = self.sharing() else { return };
        let idle = self.engine.borrow().idle_workers();
        for worker in idle {
            if !self.carrier().is_lent(worker) {
                self.hand_back(sharing, worker);
            }
        }
        sharing.turn_over.take();
        sharing.poll.take();
        sharing.lessee.take();
    }
}
