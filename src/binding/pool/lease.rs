//! A pool whose workers are on lease: what the engine wants and can do without, told to the registry, and what the
//! registry says, told to the engine. [`crate::registry`] has the protocol.
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
//!
//! Called by the pool. Must not decide anything, nor depend on when the pool does what the engine says.

use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::AsRawFd;
use std::sync::Arc;

use napi::Result;
use serde_json::Value as Json;

use super::host::NativeState;
use crate::binding::environment::Environment;
use crate::binding::event_loop::{Poll, Prepare, Turn};
use crate::binding::idle_process::IdleProcess;
use crate::binding::js::io_error;
use crate::engine::WorkerId;
use crate::platform::Waker;
use crate::pool::Host;
use crate::registry::{Grant, Lessee, Place, PlaceId, Registry};

/// The one state that belongs to no environment.
static REGISTRY: Registry<IdleProcess> = Registry::new();

pub struct PoolLease {
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

impl PoolLease {
    /// Joins the set of this key. `on_situation` is called when the registry has something to say, and `on_turn_over`
    /// when a turn of the loop is over and there are workers without work that need not stay.
    pub fn join(
        environment: &Environment,
        key: Vec<u8>,
        workers: usize,
        keeps_idle: bool,
        on_situation: impl Fn() + 'static,
        on_turn_over: impl Fn() + 'static,
    ) -> Result<PoolLease> {
        let waker = Arc::new(Waker::new().map_err(|error| io_error("no descriptor for wake-ups", &error))?);
        let cleared = waker.clone();
        let poll = Poll::new(&environment.event_loop, waker.fd().as_raw_fd(), waker.clone(), move |_| {
            cleared.clear();
            on_situation();
        })?;
        poll.start(false);
        let turn_over = match keeps_idle {
            true => None,
            false => Some(Prepare::new(&environment.event_loop, move |_| {
                on_turn_over();
                Turn::MaySleep
            })?),
        };
        Ok(PoolLease {
            lessee: RefCell::new(Some(REGISTRY.join(key, workers, !keeps_idle, waker))),
            waits: Cell::new(false),
            unused: Cell::new(0),
            poll: RefCell::new(Some(poll)),
            turn_over: RefCell::new(turn_over),
        })
    }

    /// This process ends in an orderly way: so may the workers that nobody has.
    pub fn say_farewell(&self) {
        self.with(|lessee| lessee.each_idle(IdleProcess::say_farewell));
    }

    /// How many workers may be started before there is work for them.
    pub fn unstarted(&self) -> usize {
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

    /// Takes on workers that nobody has asked for. Returns whether there were any.
    pub fn adopt_all(
        &self,
        pool: &NativeState,
        take: impl FnOnce(&Lessee<IdleProcess>) -> Vec<(PlaceId, IdleProcess)>,
    ) -> bool {
        let Some(taken) = self.with(take) else { return false };
        let any = !taken.is_empty();
        for (place, idle) in taken {
            // What cannot be taken on ends as it is dropped.
            if let Some(history) = idle.history() {
                let worker = pool.engine.borrow_mut().adopt(history);
                if pool.host.carrier().adopt(worker, place, idle).is_err() {
                    pool.end_worker(worker);
                }
            }
        }
        any
    }

    /// Hands back what the engine can spare. Returns whether that was anything.
    pub fn hand_back_spare(&self, pool: &NativeState, unused: bool) -> bool {
        // What it was told last may have been met in another way, or may hold again.
        self.see_demand(pool);
        let spare = pool.engine.borrow().spare(unused);
        if spare.is_empty() {
            return false;
        }
        let mut any = false;
        for worker in spare {
            if pool.host.carrier().is_in_use(worker) {
                continue;
            }
            any = true;
            if self.hand_back(pool, worker) {
                pool.engine.borrow_mut().handed_back(worker);
                pool.tell_event(worker, "handedBack", &Json::Null);
            } else {
                pool.engine.borrow_mut().not_taken_back(worker);
            }
        }
        self.see_situation(pool);
        any
    }

    fn hand_back(&self, pool: &NativeState, worker: WorkerId) -> bool {
        let history = pool.engine.borrow().history(worker);
        let (Some(place), Some(history)) = (pool.host.carrier().place(worker), history) else { return false };
        let detach = || pool.host.carrier().detach(worker, history);
        self.with(|lessee| lessee.hand_back(place, detach)).unwrap_or(false)
    }

    fn see_demand(&self, pool: &NativeState) {
        let situation = self.with(Lessee::situation).unwrap_or_default();
        pool.engine.borrow_mut().set_demand(situation.demand);
    }

    /// Tells the engine what the registry says.
    pub fn see_situation(&self, pool: &NativeState) {
        let situation = self.with(Lessee::situation).unwrap_or_default();
        let mut engine = pool.engine.borrow_mut();
        engine.set_demand(situation.demand);
        if situation.is_promised {
            engine.offered();
        }
    }

    /// At the end of a round: says what is not wanted any more. Returns whether that has brought workers nevertheless.
    pub fn settle(&self, pool: &NativeState) -> bool {
        let mut is_more = false;
        if self.waits.get() && !pool.engine.borrow().wants_more() {
            self.waits.set(false);
            is_more = self.adopt_all(pool, Lessee::withdraw);
            pool.engine.borrow_mut().offered();
        }
        let unused = pool.engine.borrow().unused();
        match &*self.turn_over.borrow() {
            Some(turn_over) if unused > 0 => turn_over.start(),
            Some(turn_over) => turn_over.stop(),
            None if unused != self.unused.replace(unused) => {
                self.with(|lessee| lessee.tell_unused(unused));
            }
            None => {}
        }
        is_more
    }

    /// The environment ends. JavaScript must not be called any more.
    pub fn leave(&self, pool: &NativeState) {
        let idle = pool.engine.borrow().idle_workers();
        for worker in idle {
            if !pool.host.carrier().is_in_use(worker) {
                self.hand_back(pool, worker);
            }
        }
        self.turn_over.take();
        self.poll.take();
        self.lessee.take();
    }
}

/// Starts a worker, or whatever takes its place.
pub fn start_worker(pool: &NativeState, lease: Option<&PoolLease>, worker: WorkerId, index: Option<u32>) {
    let answer = lease.map(PoolLease::ask);
    if !matches!(answer, Some(Grant::Denied)) {
        // It waits no more, whatever it was denied before.
        pool.engine.borrow_mut().offered();
    }
    let started = match answer {
        None => start_new(pool, worker, index, None),
        Some(Grant::New(place)) => start_new(pool, worker, Some(place.id().index()), Some(place)),
        Some(Grant::Idle(place, idle)) => adopt(pool, worker, place, idle),
        Some(Grant::Denied) => return pool.engine.borrow_mut().denied(worker),
    };
    if let Err(error) = started {
        pool.spawn_failed(worker, &error);
    }
}

fn start_new(
    pool: &NativeState,
    worker: WorkerId,
    index: Option<u32>,
    place: Option<Place<IdleProcess>>,
) -> io::Result<()> {
    pool.tell_event(worker, "spawn", &Json::Null);
    pool.host.carrier().start(worker, index, place)
}

fn adopt(pool: &NativeState, worker: WorkerId, place: PlaceId, idle: IdleProcess) -> io::Result<()> {
    let history = idle.history().ok_or(io::ErrorKind::NotFound)?;
    pool.host.carrier().adopt(worker, place, idle)?;
    pool.engine.borrow_mut().adopted(worker, history);
    pool.tell_event(worker, "adopted", &Json::Null);
    Ok(())
}
