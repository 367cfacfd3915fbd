//! How a pool is made in the addon, and how the event loop reaches it.
//!
//! Called by the napi class. Must not depend on what is done about what happens.

use std::rc::{Rc, Weak};

use napi::{Env, Result};

use super::hooks::Hooks;
use super::host::{NativeHost, NativeState};
use super::lease::PoolLease;
use super::spawn_spec::spawn_spec;
use super::turns::Turns;
use crate::binding::carrier::{NativeCarrier, Upcalls};
use crate::binding::carriers::{ProcessCarrier, ScriptCarrier, ThreadCarrier};
use crate::binding::environment::Environment;
use crate::binding::event_loop::Timer;
use crate::binding::js::{Registers, Value};
use crate::binding::spin::{Spin, Watch};
use crate::channel::Room;
use crate::pace::Waiting;
use crate::pool::{Host, Pool, PoolConfig};

/// Makes a pool, and starts its workers.
pub fn create(
    env: &Env,
    config: &PoolConfig,
    hooks_object: Value,
    init_parts: Value,
    registers: Registers,
) -> Result<Rc<NativeState>> {
    let environment = Environment::get(env)?;
    let registers = Rc::new(registers);
    let hooks = Hooks::new(env.raw(), hooks_object, registers.clone())?;
    let host = NativeHost::new(environment.clone(), hooks, registers.clone());
    let state = Rc::new(Pool::new(host, config));
    let upcalls: Weak<dyn Upcalls> = Rc::downgrade(&state) as _;
    let mut key = config.share_key.clone().map(String::into_bytes);
    let carrier: Box<dyn NativeCarrier> = match &config.process {
        Some(process) => {
            let spec = spawn_spec(process)?;
            environment.listen_for_exit(env)?;
            // The key has what the frame has, and not what is beside it.
            let room = if key.is_some() { Room::NONE } else { ProcessCarrier::INIT_ROOM };
            let init = ProcessCarrier::init_frame(env.raw(), &process.init, init_parts, room)?;
            // Workers that were told something else at the start are not the same.
            key.iter_mut().for_each(|key| key.extend_from_slice(&init.bytes));
            Box::new(ProcessCarrier::new(upcalls.clone(), environment.clone(), spec, init))
        }
        None if config.inline || config.remote => {
            let own_pid = !config.remote;
            Box::new(ScriptCarrier::new(env.raw(), upcalls.clone(), hooks_object, registers, own_pid)?)
        }
        None => Box::new(ThreadCarrier::new(env.raw(), upcalls.clone(), hooks_object, registers)?),
    };
    state.host.set_carrier(carrier);
    if let Some(key) = key {
        let on_situation = entering(&state, on_situation);
        let on_turn_over = entering(&state, on_turn_over);
        let keeps_idle = config.keeps_idle();
        let lease =
            PoolLease::join(&environment, key, config.workers, keeps_idle, on_situation, on_turn_over)?;
        state.host.set_lease(lease);
    }
    let timer = Timer::new(&environment.event_loop, entering(&state, NativeState::on_timer))?;
    *state.host.timer.borrow_mut() = Some(timer);
    let watch = PoolWatch(Rc::downgrade(&state));
    *state.host.spin.borrow_mut() = Some(Spin::new(&environment.event_loop, watch)?);
    // Lanes to other machines are sent nothing ahead, however late this thread is.
    if !config.inline && !config.remote {
        let weak = Rc::downgrade(&state);
        let on_end = move |busy| {
            if let Some(state) = weak.upgrade()
                && state.on_turn_end(busy)
            {
                state.host.environment.context.enter(|| state.level());
            }
        };
        *state.host.turns.borrow_mut() = Some(Turns::new(&environment.event_loop, on_end)?);
    }
    environment.add_pool(upcalls);
    state.start(state.host.lease().map(PoolLease::unstarted));
    Ok(state)
}

/// Enters JavaScript to do something with a pool, as long as that is there.
fn entering(state: &Rc<NativeState>, act: fn(&NativeState)) -> impl Fn() + 'static {
    let weak = Rc::downgrade(state);
    move || {
        if let Some(state) = weak.upgrade() {
            state.host.environment.context.enter(|| act(&state));
        }
    }
}

fn on_situation(state: &NativeState) {
    if let Some(lease) = state.host.lease() {
        lease.see_situation(state);
        state.pump();
    }
}

fn on_turn_over(state: &NativeState) {
    if let Some(lease) = state.host.lease() {
        lease.hand_back_spare(state, true);
    }
    state.pump();
}

/// A pool that waits for its workers.
struct PoolWatch(Weak<NativeState>);

impl Watch for PoolWatch {
    fn waiting(&self) -> Waiting {
        self.0.upgrade().map_or(Waiting::Asleep, |state| state.waiting())
    }

    fn set_awake(&self, awake: bool) {
        if let Some(state) = self.0.upgrade() {
            state.host.carrier().set_awake(awake);
        }
    }

    fn has_pending(&self) -> bool {
        self.0.upgrade().is_some_and(|state| state.host.carrier().has_pending())
    }

    fn before_sleep(&self) {
        if let Some(state) = self.0.upgrade() {
            state.before_sleep();
        }
    }

    fn receive_pending(&self) {
        if let Some(state) = self.0.upgrade() {
            state.host.environment.context.enter(|| {
                state.host.carrier().receive_pending();
                state.pump();
            });
        }
    }
}
