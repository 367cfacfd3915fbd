//! The pool itself: does what the engine says, keeps its time, and holds and polls the loop while something is under
//! way.
//!
//! Called by its requests and upcalls, by the loop's timer, and by the poll before sleep. Must not depend on where
//! events come from.

use std::cell::{Cell, OnceCell, RefCell};
use std::rc::{Rc, Weak};
use std::time::Duration;

use napi::{Env, Result};
use serde_json::Value as Json;

use super::config::PoolConfig;
use super::core::PoolCore;
use super::hooks::Hooks;
use super::lease::{PoolLease, start_worker};
use super::turns::Turns;
use crate::binding::carrier::{Carrier, Upcalls};
use crate::binding::carriers::{ProcessCarrier, ScriptCarrier};
use crate::binding::environment::{Environment, process_ends};
use crate::binding::event_loop::Timer;
use crate::binding::js::{Registers, Value};
use crate::binding::spin::{Spin, Watch};
use crate::channel::Room;
use crate::engine::{Action, Engine};

pub struct PoolState {
    pub(super) core: PoolCore,
    pub(super) registers: Rc<Registers>,
    /// Set by the constructor where workers are shared.
    lease: OnceCell<PoolLease>,
    /// `None` once the environment has ended, as `spin`.
    timer: RefCell<Option<Timer>>,
    spin: RefCell<Option<Spin>>,
    /// `None` also where workers run within the turns of this very loop, whose length then says nothing.
    turns: RefCell<Option<Turns>>,
    spin_cpus: usize,
    /// Invariant: the interval that the timer runs with; `None` while it does not.
    armed: Cell<Option<Duration>>,
    /// Invariant: set exactly while `pump` is on the stack.
    pumping: Cell<bool>,
    /// Invariant: whether the environment is told that something is under way here; `spin` and `turns` run exactly
    /// then.
    held: Cell<bool>,
    /// Whether it does not count that something is under way, because nothing but the loop itself is waited for.
    hold_suspended: Cell<bool>,
}

impl PoolState {
    pub fn new(
        env: &Env,
        config: &PoolConfig,
        hooks_object: Value,
        init_parts: Value,
        registers: Registers,
    ) -> Result<Rc<PoolState>> {
        let environment = Environment::get(env)?;
        let registers = Rc::new(registers);
        let hooks = Hooks::new(env.raw(), hooks_object, registers.clone())?;
        let state = Rc::new(PoolState {
            core: PoolCore::new(environment.clone(), hooks, Engine::new(config.engine())),
            registers: registers.clone(),
            lease: OnceCell::new(),
            timer: RefCell::default(),
            spin: RefCell::default(),
            turns: RefCell::default(),
            spin_cpus: config.spin_cpus,
            armed: Cell::new(None),
            pumping: Cell::new(false),
            held: Cell::new(false),
            hold_suspended: Cell::new(false),
        });
        let upcalls: Weak<dyn Upcalls> = Rc::downgrade(&state) as _;
        let mut key = config.share_key.clone().map(String::into_bytes);
        let carrier: Box<dyn Carrier> = match &config.process {
            Some(process) => {
                let spec = process.spawn_spec()?;
                environment.listen_for_exit(env)?;
                // The key has what the frame has, and not what is beside it.
                let room = if key.is_some() { Room::NONE } else { ProcessCarrier::INIT_ROOM };
                let init = ProcessCarrier::init_frame(env.raw(), &process.init, init_parts, room)?;
                // Workers that were told something else at the start are not the same.
                key.iter_mut().for_each(|key| key.extend_from_slice(&init.bytes));
                Box::new(ProcessCarrier::new(upcalls.clone(), environment.clone(), spec, init))
            }
            None => Box::new(ScriptCarrier::new(env.raw(), upcalls.clone(), hooks_object, registers)?),
        };
        state.core.set_carrier(carrier);
        if let Some(key) = key {
            let lease = PoolLease::join(
                &environment,
                key,
                config.workers,
                config.keeps_idle(),
                entering(&state, PoolState::on_situation),
                entering(&state, PoolState::on_turn_over),
            )?;
            let set = state.lease.set(lease);
            debug_assert!(set.is_ok(), "a pool has one lease");
        }
        let timer = Timer::new(&environment.event_loop, entering(&state, PoolState::on_timer))?;
        *state.timer.borrow_mut() = Some(timer);
        let watch = PoolWatch(Rc::downgrade(&state));
        *state.spin.borrow_mut() = Some(Spin::new(&environment.event_loop, watch)?);
        if !config.inline {
            let weak = Rc::downgrade(&state);
            let on_end = move |busy| {
                if let Some(state) = weak.upgrade() {
                    state.on_turn_end(busy);
                }
            };
            *state.turns.borrow_mut() = Some(Turns::new(&environment.event_loop, on_end)?);
        }
        environment.add_pool(upcalls);
        match state.lease().map(PoolLease::unstarted) {
            None => state.core.engine.borrow_mut().start(),
            // Others may have started them.
            Some(unstarted) => state.core.engine.borrow_mut().start_some(unstarted),
        }
        state.pump();
        Ok(state)
    }

    pub(super) fn lease(&self) -> Option<&PoolLease> {
        self.lease.get()
    }

    // ---- Doing what the engine says --------------------------------------------------------------------

    /// Does what there is to do, until the engine says no more.
    pub fn pump(&self) {
        if self.core.environment.event_loop.is_ending() || self.pumping.replace(true) {
            return;
        }
        loop {
            while let Some(action) = self.next_action() {
                self.perform(action);
            }
            let is_more = self
                .lease()
                .is_some_and(|lease| lease.hand_back_spare(&self.core, false) || lease.settle(&self.core));
            if !is_more {
                break;
            }
        }
        self.pumping.set(false);
        self.core.forget_gone();
        self.arm_timer();
        self.update_hold();
    }

    fn next_action(&self) -> Option<Action> {
        self.core.engine.borrow_mut().next_action(self.core.now())
    }

    fn perform(&self, action: Action) {
        debug_assert!(self.pumping.get());
        let carrier = self.core.carrier();
        match action {
            Action::Spawn { worker } => start_worker(&self.core, self.lease(), worker),
            Action::Send { worker, chunk: frame, seq, runs } => carrier.send(worker, frame, seq, &runs),
            Action::Cancel { worker, seqs } => carrier.cancel(worker, &seqs),
            Action::Recall { worker, from, until } => {
                let last_begun = carrier.recall(worker, from, until);
                self.core.engine.borrow_mut().recalled(worker, last_begun, from, until);
            }
            Action::Stop { worker } => carrier.stop(worker),
            Action::Kill { worker } => {
                self.core.event(worker, "kill", &Json::Null);
                carrier.kill(worker);
            }
            Action::Abandon { worker } => {
                self.core.event(worker, "outlives", &Json::Null);
                self.core.abandon(worker);
            }
            Action::KillSilent { worker } => {
                self.core.event(worker, "silent", &Json::Null);
                carrier.kill_silent(worker);
            }
            Action::Settle { job, calls, outcome } => {
                let (name, detail) = self.core.describe(outcome);
                self.core.hooks.ended(job, calls, name, detail.as_deref());
            }
            Action::Ready { outcome } => {
                let described = outcome.err().map(|outcome| self.core.describe(outcome));
                let name = described.as_ref().map(|(name, _)| *name);
                let detail = described.as_ref().and_then(|(_, detail)| detail.as_deref());
                self.core.hooks.ready(name, detail);
            }
            Action::Closed => self.core.hooks.closed(&self.core.outliving()),
        }
    }

    fn arm_timer(&self) {
        let wanted = self.core.engine.borrow_mut().next_tick(self.core.now());
        let timer = self.timer.borrow();
        let Some(timer) = &*timer else { return };
        match (wanted, self.armed.get()) {
            (None, Some(_)) => timer.stop(),
            (Some(wanted), armed) if armed.is_none_or(|armed| wanted < armed) => timer.start(wanted),
            _ => return,
        }
        self.armed.set(wanted);
    }

    /// Has the loop held no longer, or again, by what is under way.
    pub fn suspend_hold(&self, suspended: bool) {
        self.hold_suspended.set(suspended);
        self.update_hold();
    }

    fn update_hold(&self) {
        let held = self.core.engine.borrow().is_held() && !self.hold_suspended.get();
        if held != self.held.replace(held) {
            self.core.environment.hold(held);
            if let Some(spin) = &*self.spin.borrow() {
                if held { spin.start() } else { spin.stop() }
            }
            // Last, to be called first: a poll before sleep belongs to the next turn.
            if let Some(turns) = &*self.turns.borrow() {
                if held { turns.start() } else { turns.stop() }
            }
            if !held {
                // From now on nobody looks: whoever has something to say wakes this thread.
                self.core.carrier().set_awake(false);
                if self.core.carrier().has_pending() {
                    self.core.carrier().receive_pending();
                    self.pump();
                }
            }
        }
    }

    // ---- What the loop says ----------------------------------------------------------------------------

    fn on_timer(&self) {
        self.armed.set(None);
        let workers = self.core.engine.borrow().workers();
        // What has been answered must not time out.
        for &worker in &workers {
            self.core.carrier().catch_up(worker);
        }
        self.core.engine.borrow_mut().tick(self.core.now());
        self.core.read_last_begun();
        self.pump();
    }

    /// The loop's turn is over, and was busy for this long.
    fn on_turn_end(&self, busy: Duration) {
        let now = self.core.now();
        self.core.engine.borrow_mut().turned(busy, now);
        if self.core.engine.borrow().is_leveling_due() {
            self.core.environment.context.enter(|| {
                self.core.carrier().receive_pending();
                self.core.read_last_begun();
                self.pump();
            });
        }
    }

    fn on_situation(&self) {
        if let Some(lease) = self.lease() {
            lease.see_situation(&self.core);
            self.pump();
        }
    }

    fn on_turn_over(&self) {
        if let Some(lease) = self.lease() {
            lease.hand_back_spare(&self.core, true);
        }
        self.pump();
    }

    /// Something has come from a worker.
    pub(super) fn woken(&self) {
        if let Some(spin) = &*self.spin.borrow() {
            spin.woken();
        }
        if self.held.get() {
            // What comes until this thread sleeps again is seen before it does.
            self.core.carrier().set_awake(true);
        }
    }

    /// Whether an answer is expected, and there is a CPU for whoever waits for it beside those who work on it.
    fn may_spin(&self) -> bool {
        let busy = self.core.engine.borrow().busy_workers();
        busy > 0 && busy < self.spin_cpus
    }

    /// Whether a worker may stay awake for the next call after this one: it and those that work need a CPU each,
    /// and so does this thread.
    pub(super) fn worker_may_spin(&self) -> bool {
        self.spin_cpus > 0 && self.core.engine.borrow().busy_workers() < self.spin_cpus
    }

    /// Says farewell to the workers that have nothing to do, and with `all` to those that are kept for whoever shares
    /// them.
    pub(super) fn say_farewell(&self, all: bool) {
        let workers = self.core.engine.borrow().unoccupied();
        for worker in workers {
            self.core.carrier().say_farewell(worker);
        }
        if let Some(lease) = self.lease().filter(|_| all) {
            lease.say_farewell();
        }
    }

    /// The environment ends: closes the handles. JavaScript must not be called any more.
    pub(super) fn end(&self) {
        if process_ends() {
            self.say_farewell(false);
        }
        if let Some(lease) = self.lease() {
            lease.leave(&self.core);
        }
        self.core.carrier().abandon();
        self.timer.take();
        self.spin.take();
        self.turns.take();
    }
}

/// Enters JavaScript to do something with a pool, as long as that is there.
fn entering(state: &Rc<PoolState>, act: fn(&PoolState)) -> impl Fn() + 'static {
    let weak = Rc::downgrade(state);
    move || {
        if let Some(state) = weak.upgrade() {
            state.core.environment.context.enter(|| act(&state));
        }
    }
}

/// A pool that waits for its workers.
struct PoolWatch(Weak<PoolState>);

impl Watch for PoolWatch {
    fn is_wanted(&self) -> bool {
        self.0.upgrade().is_some_and(|state| state.may_spin())
    }

    fn set_awake(&self, awake: bool) {
        if let Some(state) = self.0.upgrade() {
            state.core.carrier().set_awake(awake);
        }
    }

    fn has_pending(&self) -> bool {
        self.0.upgrade().is_some_and(|state| state.core.carrier().has_pending())
    }

    fn receive_pending(&self) {
        if let Some(state) = self.0.upgrade() {
            state.core.environment.context.enter(|| {
                state.core.carrier().receive_pending();
                state.pump();
            });
        }
    }
}

impl Drop for PoolState {
    fn drop(&mut self) {
        if self.held.get() {
            self.core.environment.hold(false);
        }
    }
}
