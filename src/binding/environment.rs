//! What one JavaScript environment (the main thread, or one worker thread of Node) has of its own: its loop, its
//! mailbox for what happens to processes, and the pools that it owns.
//!
//! Nothing of it is shared between environments, but that the process ends; the supervisor behind the mailbox is, and
//! holds plain data. (So does
//! the registry of workers that may change hands, see [`crate::registry`].)
//!
//! Called by pools and carriers. Must not depend on either: what it has for them goes through
//! [`Upcalls`](super::carrier::Upcalls).

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::os::fd::AsRawFd;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use napi::bindgen_prelude::{FnArgs, Function, JsObjectValue, Object, Unknown};
use napi::{Env, Result, sys};

use super::carrier::Upcalls;
use super::event_loop::{EventLoop, Poll};
use super::js::{Context, io_error};
use crate::engine::WorkerId;
use crate::platform;
use crate::process::{Mailbox, ProcessEvent, Ticket};

/// An event, and what is called for it.
type ListenerArgs<'a> = FnArgs<(&'static str, Function<'a, (), ()>)>;

/// A worker of a pool.
type Owner = (Weak<dyn Upcalls>, WorkerId);

pub struct Environment {
    pub env: sys::napi_env,
    pub event_loop: EventLoop,
    pub context: Context,
    pub mailbox: Arc<Mailbox>,
    mailbox_poll: RefCell<Option<Poll>>,
    /// Which worker of which pool a process event is about.
    owners: RefCell<HashMap<Ticket, Owner>>,
    pools: RefCell<Vec<Weak<dyn Upcalls>>>,
    /// Pools that have something under way. Invariant: the loop is held exactly while there is one.
    holds: Cell<usize>,
    /// The same as tools see it that list what keeps a process alive.
    held: Rc<Cell<bool>>,
    /// Whether it is told of its end by `process`.
    listens: Cell<bool>,
}

/// Whether the whole process is about to end in an orderly way, by the end of its main thread. It concerns all
/// environments: those of the other threads are torn down without a word to their JavaScript.
static PROCESS_ENDS: AtomicBool = AtomicBool::new(false);

/// See [`PROCESS_ENDS`].
pub fn process_ends() -> bool {
    PROCESS_ENDS.load(Ordering::Relaxed)
}

impl Environment {
    /// The environment's state, made at first use.
    pub fn get(env: &Env) -> Result<Rc<Environment>> {
        if let Some(environment) = env.get_instance_data::<Rc<Environment>>()? {
            return Ok(environment.clone());
        }
        let environment = Environment::new(env.raw())?;
        env.set_instance_data(environment.clone(), (), |_| {})?;
        Ok(environment)
    }

    fn new(env: sys::napi_env) -> Result<Rc<Environment>> {
        let mailbox = Mailbox::new().map_err(|error| io_error("no descriptor for wake-ups", &error))?;
        let held = Rc::new(Cell::new(false));
        let context = Context::new(env, "ParallelizerEvents", held.clone())?;
        let weak_slot: Rc<RefCell<Weak<Environment>>> = Rc::default();
        let at_end = weak_slot.clone();
        let event_loop = EventLoop::new(env, move || {
            if let Some(environment) = at_end.borrow().upgrade() {
                environment.end();
            }
        })?;
        let environment = Rc::new(Environment {
            env,
            event_loop,
            context,
            mailbox: mailbox.clone(),
            mailbox_poll: RefCell::new(None),
            owners: RefCell::default(),
            pools: RefCell::default(),
            holds: Cell::new(0),
            held,
            listens: Cell::new(false),
        });
        *weak_slot.borrow_mut() = Rc::downgrade(&environment);
        let weak = Rc::downgrade(&environment);
        let fd = mailbox.fd().as_raw_fd();
        let poll = Poll::new(&environment.event_loop, fd, mailbox, move |_| {
            if let Some(environment) = weak.upgrade() {
                environment.context.enter(|| environment.deliver());
            }
        })?;
        poll.start(false);
        *environment.mailbox_poll.borrow_mut() = Some(poll);
        Ok(environment)
    }

    /// Has a pool told when the environment ends.
    pub fn add_pool(&self, pool: Weak<dyn Upcalls>) {
        let mut pools = self.pools.borrow_mut();
        pools.retain(|pool| pool.strong_count() > 0);
        pools.push(pool);
    }

    /// Has the pools told when this thread, or this process, is about to end in an orderly way: when `process` emits
    /// 'exit', of which there is nothing if it is killed or crashes. To be called before workers are started that
    /// should know; it listens once.
    pub fn listen_for_exit(self: &Rc<Self>, env: &Env) -> Result<()> {
        if self.listens.replace(true) {
            return Ok(());
        }
        let process: Object<'_> = env.get_global()?.get_named_property("process")?;
        let weak = Rc::downgrade(self);
        let listener = env.create_function_from_closure("parallelizerExit", move |call| {
            let process: Object<'_> = call.env.get_global()?.get_named_property("process")?;
            // Some programs emit the event themselves, and go on.
            if process.get_named_property::<bool>("_exiting").unwrap_or(true)
                && let Some(environment) = weak.upgrade()
            {
                environment.say_farewell();
            }
            Ok(())
        })?;
        // The first of all: a listener of the user's that calls `process.exit` again would be the last.
        let prepend: Function<'_, ListenerArgs<'_>, Unknown<'_>> =
            process.get_named_property("prependListener")?;
        prepend.apply(process, FnArgs { data: ("exit", listener) })?;
        Ok(())
    }

    fn say_farewell(&self) {
        let is_main = platform::is_main_thread();
        if is_main {
            PROCESS_ENDS.store(true, Ordering::Relaxed);
        }
        let pools: Vec<_> = self.pools.borrow().iter().filter_map(Weak::upgrade).collect();
        pools.iter().for_each(|pool| pool.say_farewell(is_main));
    }

    /// Routes the events of a process to a worker of a pool.
    pub fn own(&self, ticket: Ticket, pool: Weak<dyn Upcalls>, worker: WorkerId) {
        self.owners.borrow_mut().insert(ticket, (pool, worker));
    }

    /// The process is no longer this environment's.
    pub fn disown(&self, ticket: Ticket) {
        self.owners.borrow_mut().remove(&ticket);
    }

    /// One pool more, or one less, has something under way: the loop stays alive while any has.
    pub fn hold(&self, held: bool) {
        let before = self.holds.get();
        debug_assert!(held || before > 0, "given back more often than taken");
        let after = if held { before + 1 } else { before - 1 };
        self.holds.set(after);
        self.held.set(after > 0);
        if (before == 0) != (after == 0)
            && let Some(poll) = &*self.mailbox_poll.borrow()
        {
            poll.hold(after > 0);
        }
    }

    fn deliver(&self) {
        for event in self.mailbox.drain() {
            let ticket = event.ticket();
            let is_last = matches!(event, ProcessEvent::Exited { .. } | ProcessEvent::SpawnFailed { .. });
            let owner = match is_last {
                true => self.owners.borrow_mut().remove(&ticket),
                false => self.owners.borrow().get(&ticket).cloned(),
            };
            if let Some((pool, worker)) = owner
                && let Some(pool) = pool.upgrade()
            {
                pool.on_process_event(worker, event);
            }
        }
    }

    /// The environment ends: closes every handle. JavaScript must not be called any more.
    fn end(&self) {
        for pool in self.pools.take() {
            if let Some(pool) = pool.upgrade() {
                pool.abandon();
            }
        }
        self.owners.take();
        self.mailbox_poll.take();
    }
}
