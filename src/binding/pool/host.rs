//! What is around a pool in the addon: the environment with its loop, JavaScript's hooks, the carrier, and whoever
//! shares the workers.
//!
//! Called by the pool. Must not depend on what is done about what happens.

use std::cell::{OnceCell, RefCell};
use std::ops::Range;
use std::rc::Rc;
use std::time::{Duration, Instant};

use serde_json::Value as Json;

use super::hooks::Hooks;
use super::lease::{PoolLease, start_worker};
use super::turns::Turns;
use crate::binding::carrier::NativeCarrier;
use crate::binding::environment::{Environment, process_ends};
use crate::binding::event_loop::Timer;
use crate::binding::js::Registers;
use crate::binding::spin::Spin;
use crate::engine::{JobId, WorkerId};
use crate::pool::{Host, Pool};
use crate::registry::Lessee;

/// A pool in the addon.
pub type NativeState = Pool<NativeHost>;

pub struct NativeHost {
    pub environment: Rc<Environment>,
    pub hooks: Hooks,
    pub registers: Rc<Registers>,
    /// Set before anything is done; it reports to the pool.
    carrier: OnceCell<Box<dyn NativeCarrier>>,
    /// Set by the constructor where workers are shared.
    lease: OnceCell<PoolLease>,
    /// `None` once the environment has ended, as `spin`.
    pub timer: RefCell<Option<Timer>>,
    pub spin: RefCell<Option<Spin>>,
    /// `None` also where workers run within the turns of this very loop, whose length then says nothing.
    pub turns: RefCell<Option<Turns>>,
    started: Instant,
}

impl NativeHost {
    pub fn new(environment: Rc<Environment>, hooks: Hooks, registers: Rc<Registers>) -> NativeHost {
        NativeHost {
            environment,
            hooks,
            registers,
            carrier: OnceCell::new(),
            lease: OnceCell::new(),
            timer: RefCell::default(),
            spin: RefCell::default(),
            turns: RefCell::default(),
            started: Instant::now(),
        }
    }

    /// To be called once, by the constructor.
    pub fn set_carrier(&self, carrier: Box<dyn NativeCarrier>) {
        let set = self.carrier.set(carrier);
        debug_assert!(set.is_ok(), "a pool has one carrier");
    }

    /// To be called once, by the constructor.
    pub fn set_lease(&self, lease: PoolLease) {
        let set = self.lease.set(lease);
        debug_assert!(set.is_ok(), "a pool has one lease");
    }

    pub fn lease(&self) -> Option<&PoolLease> {
        self.lease.get()
    }
}

impl Host for NativeHost {
    type Carrier = dyn NativeCarrier;

    fn carrier(&self) -> &(dyn NativeCarrier + 'static) {
        self.carrier.get().expect("set by the constructor").as_ref()
    }

    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    fn is_ending(&self) -> bool {
        self.environment.event_loop.is_ending()
    }

    fn start_timer(&self, after: Duration) {
        if let Some(timer) = &*self.timer.borrow() {
            timer.start(after);
        }
    }

    fn stop_timer(&self) {
        if let Some(timer) = &*self.timer.borrow() {
            timer.stop();
        }
    }

    fn set_held(&self, held: bool) {
        self.environment.hold(held);
        if let Some(spin) = &*self.spin.borrow() {
            if held { spin.start() } else { spin.stop() }
        }
        // Last, to be called first: a poll before sleep belongs to the next turn.
        if let Some(turns) = &*self.turns.borrow() {
            if held { turns.start() } else { turns.stop() }
        }
    }

    fn stays_awake(&self) -> bool {
        self.spin.borrow().as_ref().is_some_and(Spin::is_ready)
    }

    fn woken(&self, held: bool) {
        if let Some(spin) = &*self.spin.borrow() {
            spin.woken();
        }
        // What comes until this thread sleeps again is seen before it does. But where nothing is under way nobody
        // looks: what comes after this has to wake it again, since its sender finds it woken otherwise.
        self.carrier().set_awake(held);
    }

    fn start_worker(pool: &NativeState, worker: WorkerId, index: Option<u32>) {
        start_worker(pool, pool.host.lease(), worker, index);
    }

    fn index_in_set(&self, worker: WorkerId) -> Option<u32> {
        self.carrier().index_in_set(worker)
    }

    fn exchange_workers(pool: &NativeState) -> bool {
        pool.host.lease().is_some_and(|lease| lease.hand_back_spare(pool, false) || lease.settle(pool))
    }

    fn take_idle_workers(pool: &NativeState, closes: bool) {
        if let Some(lease) = pool.host.lease() {
            lease.adopt_all(pool, if closes { Lessee::close } else { Lessee::take_all });
        }
    }

    fn ended(&self, job: JobId, calls: Range<u32>, outcome: &str, detail: Option<&str>) {
        self.hooks.ended(job, calls, outcome, detail);
    }

    fn ready(&self, outcome: Option<&str>, detail: Option<&str>) {
        self.hooks.ready(outcome, detail);
    }

    fn event(&self, event: &Json) {
        self.hooks.event(event);
    }

    fn closed(&self, outliving: &Json) {
        self.hooks.closed(outliving);
    }
}

impl NativeState {
    /// Handles what a thread has put into shared memory; false: that is being done already, further up the stack.
    pub fn receive_shared(&self, worker: WorkerId, was_woken: bool) -> bool {
        if was_woken {
            self.woken();
        }
        let is_received = self.host.carrier().receive_shared(worker);
        if is_received {
            self.pump();
        }
        is_received
    }

    /// Says farewell to the workers that have nothing to do, and with `all` to those that are kept for whoever shares
    /// them.
    pub(super) fn dismiss(&self, all: bool) {
        let workers = self.engine.borrow().unoccupied();
        for worker in workers {
            self.host.carrier().say_farewell(worker);
        }
        if let Some(lease) = self.host.lease().filter(|_| all) {
            lease.say_farewell();
        }
    }

    /// The environment ends: closes the handles. JavaScript must not be called any more.
    pub(super) fn end(&self) {
        if process_ends() {
            self.dismiss(false);
        }
        if let Some(lease) = self.host.lease() {
            lease.leave(self);
        }
        self.host.carrier().abandon();
        self.host.timer.take();
        self.host.spin.take();
        self.host.turns.take();
    }
}
