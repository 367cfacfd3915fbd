//! Workers that JavaScript itself looks after: worker threads, and the calling process.
//!
//! Every action becomes a call of a hook; what happens to such a worker comes in through the `worker…` methods
//! of `NativePool`. No frame of bytes is made: `MessagePort`s carry the parts as they are.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::rc::Weak;

use napi::{Result, sys};
use serde_json::Value as Json;

use super::carrier::Carrier;
use super::idle_process::IdleProcess;
use super::js::{Callback, PassedParts, Value, as_number, halves, number, number_list, read_numbers};
use super::pool::PoolState;
use super::script_page::ScriptPage;
use crate::engine::{ChunkId, Run, WorkerId};
use crate::registry::Place;

pub(super) struct ScriptCarrier {
    env: sys::napi_env,
    pool: Weak<PoolState>,
    hooks: Hooks,
    fates: RefCell<BTreeMap<WorkerId, Json>>,
    /// Of threads that are there.
    pages: RefCell<BTreeMap<WorkerId, ScriptPage>>,
    /// Of workers that are there, where their number is shared.
    places: RefCell<BTreeMap<WorkerId, Place<IdleProcess>>>,
}

/// The functions of `lib/` that look after the workers.
struct Hooks {
    /// `(worker)` → the page that is shared with it, if that is looked at here.
    start: Callback,
    /// `([job, first call, end, …])`, or nothing where there is one run only, and in the registers: worker, frame, first
    /// call's number, whether it may stay awake, and the first run, as job (two words), first call and end. → How many runs,
    /// how many calls of each of these went into the frame, and offsets of those that could not be encoded and are not
    /// sent; where that is one run and no offset, so many calls in the registers, as if it were a single part. Runs that are
    /// not among them, and calls at the end of the last, did not fit. Nothing: the frame is put off.
    send: Callback,
    /// `(worker, [call's number, …])`.
    cancel: Callback,
    /// `(worker, from, until)` → the number of the call that it had begun last; nothing, where there is no worker.
    recall: Callback,
    /// `(worker)`, each of them.
    stop: Callback,
    kill: Callback,
    catch_up: Callback,
    take_come: Callback,
    /// `(worker)` → the number of the call that it began last.
    mark: Callback,
}

impl ScriptCarrier {
    pub(super) fn new(env: sys::napi_env, pool: Weak<PoolState>, hooks: Value) -> Result<ScriptCarrier> {
        let hook = |name| Callback::method(env, hooks, name);
        let hooks = Hooks {
            start: hook("startWorker")?,
            send: hook("sendCalls")?,
            cancel: hook("cancelCalls")?,
            recall: hook("recallCalls")?,
            stop: hook("stopWorker")?,
            kill: hook("killWorker")?,
            catch_up: hook("catchUp")?,
            take_come: hook("takeCome")?,
            mark: hook("markOf")?,
        };
        Ok(ScriptCarrier {
            env,
            pool,
            hooks,
            fates: RefCell::default(),
            pages: RefCell::default(),
            places: RefCell::default(),
        })
    }

    /// What the hook `send` gives, as a list in any case, which is empty where the frame is put off; `None` where it has
    /// failed.
    fn call_send(
        &self,
        pool: &PoolState,
        worker: WorkerId,
        frame: ChunkId,
        seq: u32,
        runs: &[Run],
    ) -> Option<Vec<u32>> {
        let bounds =
            runs.iter().flat_map(|run| [run.job.0 as f64, run.calls.start.into(), run.calls.end.into()]);
        let list = (runs.len() > 1).then(|| number_list(self.env, bounds)).transpose().ok()?;
        let registers = pool.registers();
        let first = runs.first()?;
        let [low, high] = halves(first.job.0);
        let may_spin = pool.worker_may_spin().into();
        registers.set([worker.0, frame.0, seq, may_spin, low, high, first.calls.start, first.calls.end]);
        let sent = self.hooks.send.call(list.as_slice())?;
        match registers.passed(sent) {
            PassedParts::Nothing => Some(Vec::new()),
            PassedParts::Single(..) => Some([[1], registers.arguments::<1>()].concat()),
            PassedParts::List(list) => read_numbers(self.env, list).ok(),
        }
    }

    fn tell(&self, hook: &Callback, worker: WorkerId) -> Option<Value> {
        hook.call(&[number(self.env, worker.0.into())])
    }
}

impl Carrier for ScriptCarrier {
    fn start(&self, worker: WorkerId, place: Option<Place<IdleProcess>>) -> io::Result<()> {
        self.places.borrow_mut().extend(place.map(|place| (worker, place)));
        // What goes wrong is told as the end of the worker.
        let page = self.tell(&self.hooks.start, worker);
        let page = page.and_then(|page| ScriptPage::new(self.env, page).ok());
        self.pages.borrow_mut().extend(page.map(|page| (worker, page)));
        Ok(())
    }

    fn set_fate(&self, worker: WorkerId, fate: Json) {
        self.fates.borrow_mut().insert(worker, fate);
    }

    fn send(&self, worker: WorkerId, frame: ChunkId, seq: u32, runs: &[Run]) {
        let Some(pool) = self.pool.upgrade() else { return };
        let Some(sent) = self.call_send(&pool, worker, frame, seq, runs) else { return pool.give_up(worker) };
        let Some((&count, rest)) = sent.split_first() else { return pool.defer(worker, frame) };
        let Some((filled, skipped)) = rest.split_at_checked(count as usize) else {
            return pool.give_up(worker);
        };
        for (run, &calls) in runs.iter().zip(filled) {
            pool.filled(run, calls);
        }
        let kept: u32 = filled.iter().sum();
        if (kept as usize) < runs.iter().map(|run| run.calls.len()).sum() {
            pool.cut(worker, frame, kept);
        }
        for &offset in skipped {
            pool.encode_failed(worker, frame, offset);
        }
    }

    fn cancel(&self, worker: WorkerId, seqs: &[u32]) {
        if let Ok(seqs) = number_list(self.env, seqs.iter().map(|&seq| seq.into())) {
            self.hooks.cancel.call(&[number(self.env, worker.0.into()), seqs]);
        }
    }

    fn recall(&self, worker: WorkerId, from: u32, until: u32) -> Option<u32> {
        let fields = [worker.0, from, until].map(|field| number(self.env, field.into()));
        let mark = self.hooks.recall.call(&fields)?;
        as_number(self.env, mark).map(|mark| mark as u32)
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

    fn mark(&self, worker: WorkerId) -> u32 {
        let mark = self.tell(&self.hooks.mark, worker);
        mark.and_then(|mark| as_number(self.env, mark)).map_or(0, |mark| mark as u32)
    }

    fn pid(&self, _worker: WorkerId) -> Option<i32> {
        i32::try_from(std::process::id()).ok()
    }

    fn fate(&self, worker: WorkerId) -> Option<Json> {
        self.fates.borrow().get(&worker).cloned()
    }

    fn forget(&self, worker: WorkerId) {
        self.fates.borrow_mut().remove(&worker);
    }

    fn poll(&self, polls: bool) {
        self.pages.borrow().values().for_each(|page| page.set_polling(polls));
    }

    fn has_come(&self) -> bool {
        self.pages.borrow().values().any(ScriptPage::has_pending)
    }

    fn take_come(&self) {
        let come = |(&worker, page): (&WorkerId, &ScriptPage)| page.has_pending().then_some(worker);
        let workers: Vec<WorkerId> = self.pages.borrow().iter().filter_map(come).collect();
        for worker in workers {
            self.tell(&self.hooks.take_come, worker);
        }
    }

    fn traffic(&self) -> (u64, u64) {
        (0, 0)
    }

    fn ended(&self, worker: WorkerId) {
        self.places.borrow_mut().remove(&worker);
        self.pages.borrow_mut().remove(&worker);
    }

    fn abandon(&self) {
        // Node ends the threads of an environment with it.
        self.places.take();
        self.pages.take();
    }
}
