//! The carrier to workers that JavaScript itself looks after: the calling process, lanes to other machines, and worker
//! threads, but for the memory that these share.
//!
//! Every action becomes a call of a hook; what happens to such a worker comes in through the `worker…` methods of
//! `NativePool`. No frame of bytes is made.
//!
//! Called by the pool, and by the carrier to threads. Must not depend on the pool, nor on what kind of worker the hooks
//! look after.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::rc::{Rc, Weak};

use napi::{Result, sys};
use serde_json::Value as Json;

use crate::binding::carrier::{NativeCarrier, Upcalls};
use crate::binding::idle_process::IdleProcess;
use crate::binding::js::{
    Callback, PassedParts, Registers, Value, as_number, halves, number, number_list, read_numbers,
};
use crate::engine::{ChunkId, Run, WorkerId};
use crate::pool::{Carrier, Sent, report_sent, waiting_word};
use crate::protocol::RUN_FIELDS;
use crate::registry::Place;

pub struct ScriptCarrier {
    env: sys::napi_env,
    upcalls: Weak<dyn Upcalls>,
    hooks: Hooks,
    registers: Rc<Registers>,
    /// Whether the workers are in this process.
    own_pid: bool,
    exit_reports: RefCell<BTreeMap<WorkerId, Json>>,
    /// Of workers that are there, where their number is shared.
    places: RefCell<BTreeMap<WorkerId, Place<IdleProcess>>>,
    /// Bytes sent and received, as far as they are counted here.
    traffic: Cell<(u64, u64)>,
}

/// The functions of `lib/` that look after the workers.
struct Hooks {
    /// `(worker, index)` → what is shared with it, where that is a thread. With -1 in place of an index it loads
    /// nothing yet.
    start: Callback,
    /// `(worker, index)`: from now on it may.
    assign: Callback,
    /// `([job, first call, end, …])`, or nothing where there is one run only, and in the registers: worker, frame,
    /// first call's number, how it is to wait after that (with `SEND_PATIENT` if nobody is in a hurry), and the first
    /// run, as job (two words), first call and end. → How many runs, how many calls of each of these went into the
    /// frame, and offsets of those that could not be encoded and are not sent; where that is one run and no offset, so
    /// many calls in the registers, as if it were a single part; the size of the frame follows in the registers. Runs
    /// that are not among them, and calls at the end of the last, did not fit. Nothing: the frame is put off.
    send: Callback,
    /// `(worker, [call's number, …])`.
    cancel: Callback,
    /// `(worker, call's number, values taken)`.
    demand: Callback,
    /// `(worker, from, until)` → the number of the call that it had begun last; nothing, where there is no worker.
    recall: Callback,
    /// `(worker)`, each of them.
    stop: Callback,
    kill: Callback,
    catch_up: Callback,
    /// `(worker)` → the number of the call that it began last.
    last_begun: Callback,
}

impl ScriptCarrier {
    pub fn new(
        env: sys::napi_env,
        upcalls: Weak<dyn Upcalls>,
        hooks: Value,
        registers: Rc<Registers>,
        own_pid: bool,
    ) -> Result<ScriptCarrier> {
        let hook = |name| Callback::method(env, hooks, name);
        let hooks = Hooks {
            start: hook("startWorker")?,
            assign: hook("assignIndex")?,
            send: hook("sendCalls")?,
            cancel: hook("cancelCalls")?,
            demand: hook("demandMore")?,
            recall: hook("recallCalls")?,
            stop: hook("stopWorker")?,
            kill: hook("killWorker")?,
            catch_up: hook("catchUp")?,
            last_begun: hook("lastBegun")?,
        };
        Ok(ScriptCarrier {
            env,
            upcalls,
            hooks,
            registers,
            own_pid,
            exit_reports: RefCell::default(),
            places: RefCell::default(),
            traffic: Cell::default(),
        })
    }

    /// Starts a worker, and returns what is shared with it.
    pub fn start_worker(
        &self,
        worker: WorkerId,
        index: Option<u32>,
        place: Option<Place<IdleProcess>>,
    ) -> Option<Value> {
        self.places.borrow_mut().extend(place.map(|place| (worker, place)));
        let index = index.map_or(-1.0, f64::from);
        self.hooks.start.call(&[number(self.env, worker.0.into()), number(self.env, index)])
    }

    /// Counts what a worker that is gone has been sent and has sent.
    pub fn count_traffic(&self, (sent, received): (u64, u64)) {
        let (past_sent, past_received) = self.traffic.get();
        self.traffic.set((past_sent + sent, past_received + received));
    }

    /// What the hook `send` gives, as a list in any case, which is empty where the frame is put off; `None` where it
    /// has failed.
    fn call_send(
        &self,
        upcalls: &dyn Upcalls,
        worker: WorkerId,
        frame: ChunkId,
        seq: u32,
        runs: &[Run],
        patient: bool,
    ) -> Option<Vec<u32>> {
        let fields = |run: &Run| -> [f64; RUN_FIELDS] {
            [run.job.0 as f64, run.calls.start.into(), run.calls.end.into()]
        };
        let bounds = runs.iter().flat_map(fields);
        let list = (runs.len() > 1).then(|| number_list(self.env, bounds)).transpose().ok()?;
        let first = runs.first()?;
        let [low, high] = halves(first.job.0);
        let waiting = waiting_word(upcalls, patient);
        let Range { start, end } = first.calls;
        self.registers.set([worker.0, frame.0, seq, waiting, low, high, start, end]);
        let sent = self.hooks.send.call(list.as_slice())?;
        match self.registers.passed(sent) {
            PassedParts::Nothing => Some(Vec::new()),
            PassedParts::Single(..) => Some([[1], self.registers.arguments::<1>()].concat()),
            PassedParts::List(list) => read_numbers(self.env, list).ok(),
        }
    }

    fn tell(&self, hook: &Callback, worker: WorkerId) -> Option<Value> {
        hook.call(&[number(self.env, worker.0.into())])
    }
}

impl Carrier for ScriptCarrier {
    fn assign(&self, worker: WorkerId, index: u32) {
        self.hooks.assign.call(&[worker.0, index].map(|field| number(self.env, field.into())));
    }

    fn demand(&self, worker: WorkerId, seq: u32, taken: u32) {
        self.hooks.demand.call(&[worker.0, seq, taken].map(|field| number(self.env, field.into())));
    }

    fn set_exit_report(&self, worker: WorkerId, report: Json) {
        self.exit_reports.borrow_mut().insert(worker, report);
    }

    fn send(&self, worker: WorkerId, frame: ChunkId, seq: u32, runs: &[Run], patient: bool) {
        let Some(upcalls) = self.upcalls.upgrade() else { return };
        let numbers = self.call_send(&*upcalls, worker, frame, seq, runs, patient);
        let [_, bytes] = self.registers.arguments();
        let sent = match numbers.as_deref() {
            None => Sent::Failed,
            Some([]) => Sent::Deferred,
            Some([count, rest @ ..]) => match rest.split_at_checked(*count as usize) {
                None => Sent::Failed,
                Some((filled, skipped)) => Sent::Filled { filled, skipped, bytes: bytes.into() },
            },
        };
        report_sent(&*upcalls, worker, frame, runs, sent);
    }

    fn cancel(&self, worker: WorkerId, seqs: &[u32]) {
        if let Ok(seqs) = number_list(self.env, seqs.iter().map(|&seq| seq.into())) {
            self.hooks.cancel.call(&[number(self.env, worker.0.into()), seqs]);
        }
    }

    fn recall(&self, worker: WorkerId, from: u32, until: u32) -> Option<u32> {
        let fields = [worker.0, from, until].map(|field| number(self.env, field.into()));
        let last_begun = self.hooks.recall.call(&fields)?;
        as_number(self.env, last_begun).map(|seq| seq as u32)
    }

    fn stop(&self, worker: WorkerId) {
        self.tell(&self.hooks.stop, worker);
    }

    fn kill(&self, worker: WorkerId) {
        self.tell(&self.hooks.kill, worker);
    }

    fn catch_up(&self, worker: WorkerId) {
        self.tell(&self.hooks.catch_up, worker);
    }

    fn last_begun(&self, worker: WorkerId) -> u32 {
        let seq = self.tell(&self.hooks.last_begun, worker);
        seq.and_then(|seq| as_number(self.env, seq)).map_or(0, |seq| seq as u32)
    }

    fn pid(&self, _worker: WorkerId) -> Option<i32> {
        i32::try_from(std::process::id()).ok().filter(|_| self.own_pid)
    }

    fn exit_report(&self, worker: WorkerId) -> Option<Json> {
        self.exit_reports.borrow().get(&worker).cloned()
    }

    fn forget(&self, worker: WorkerId) {
        self.exit_reports.borrow_mut().remove(&worker);
    }

    fn traffic(&self) -> (u64, u64) {
        self.traffic.get()
    }

    fn release(&self, worker: WorkerId) {
        self.places.borrow_mut().remove(&worker);
    }
}

impl NativeCarrier for ScriptCarrier {
    fn index_in_set(&self, worker: WorkerId) -> Option<u32> {
        self.places.borrow().get(&worker).map(|place| place.id().index())
    }

    fn start(
        &self,
        worker: WorkerId,
        index: Option<u32>,
        place: Option<Place<IdleProcess>>,
    ) -> io::Result<()> {
        // What goes wrong is told as the end of the worker.
        self.start_worker(worker, index, place);
        Ok(())
    }

    fn abandon(&self) {
        // Node ends the threads of an environment with it.
        self.places.take();
    }
}
