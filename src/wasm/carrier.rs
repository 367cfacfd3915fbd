//! The carrier to workers in the module: JavaScript looks after all of them, processes included.
//!
//! Every action becomes a call of JavaScript; what happens to a worker comes in through the exports.
//!
//! Called by the pool. Must not depend on what kind of worker JavaScript looks after.

use std::cell::RefCell;
use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::exports::pool;
use super::memory::passed_numbers;
use crate::engine::{ChunkId, Run, WorkerId};
use crate::pool::{Carrier, Sent, report_sent, waiting_word};

#[derive(Default)]
pub struct WasmCarrier {
    exit_reports: RefCell<BTreeMap<WorkerId, Json>>,
}

mod raw {
    #[link(wasm_import_module = "carrier")]
    unsafe extern "C" {
        /// `runs`: job, first call, end, and so on. → -1: it has failed; 0: the frame is put off; else so many numbers
        /// are in the inbox: the size of the frame, the number of runs that are in it, how many calls of each of them
        /// are, and the offsets of calls that could not be encoded and are not sent.
        pub fn send_calls(
            worker: u32,
            frame: u32,
            seq: u32,
            waiting: u32,
            runs: *const f64,
            runs_len: usize,
        ) -> i32;
        pub fn cancel_calls(worker: u32, seqs: *const u32, len: usize);
        /// → the number of the call that it had begun last; -1 where it cannot be told.
        pub safe fn recall_calls(worker: u32, from: u32, until: u32) -> f64;
        pub safe fn assign_index(worker: u32, index: u32);
        pub safe fn demand_more(worker: u32, seq: u32, taken: u32);
        pub safe fn stop_worker(worker: u32);
        pub safe fn kill_worker(worker: u32);
        pub safe fn kill_silent_worker(worker: u32);
        pub safe fn abandon_worker(worker: u32);
        pub safe fn say_farewell(worker: u32);
        pub safe fn catch_up(worker: u32);
        pub safe fn last_begun(worker: u32) -> u32;
        /// → 0 where it is not known.
        pub safe fn pid_of(worker: u32) -> i32;
    }
}

impl WasmCarrier {
    /// This process ends in an orderly way: a worker that has nothing to do may, too.
    pub fn say_farewell(&self, worker: WorkerId) {
        raw::say_farewell(worker.0);
    }
}

impl Carrier for WasmCarrier {
    fn assign(&self, worker: WorkerId, index: u32) {
        raw::assign_index(worker.0, index);
    }

    fn demand(&self, worker: WorkerId, seq: u32, taken: u32) {
        raw::demand_more(worker.0, seq, taken);
    }

    fn stop(&self, worker: WorkerId) {
        raw::stop_worker(worker.0);
    }

    fn kill(&self, worker: WorkerId) {
        raw::kill_worker(worker.0);
    }

    fn kill_silent(&self, worker: WorkerId) {
        raw::kill_silent_worker(worker.0);
    }

    fn abandon_one(&self, worker: WorkerId) {
        raw::abandon_worker(worker.0);
    }

    fn forget(&self, worker: WorkerId) {
        self.exit_reports.borrow_mut().remove(&worker);
    }

    fn send(&self, worker: WorkerId, frame: ChunkId, seq: u32, runs: &[Run], patient: bool) {
        let pool = pool();
        let fields = |run: &Run| [run.job.0 as f64, run.calls.start.into(), run.calls.end.into()];
        let list: Vec<f64> = runs.iter().flat_map(fields).collect();
        let waiting = waiting_word(pool, patient);
        // SAFETY: pointer and length are of one list, which is only read during the call.
        let count = unsafe { raw::send_calls(worker.0, frame.0, seq, waiting, list.as_ptr(), list.len()) };
        let numbers = passed_numbers(usize::try_from(count).unwrap_or(0));
        let sent = match (count, &numbers[..]) {
            (0, _) => Sent::Deferred,
            (_, [bytes, count, rest @ ..]) => match rest.split_at_checked(*count as usize) {
                Some((filled, skipped)) => Sent::Filled { filled, skipped, bytes: (*bytes).into() },
                None => Sent::Failed,
            },
            _ => Sent::Failed,
        };
        report_sent(pool, worker, frame, runs, sent);
    }

    fn cancel(&self, worker: WorkerId, seqs: &[u32]) {
        // SAFETY: pointer and length are of one list, which is only read during the call.
        unsafe { raw::cancel_calls(worker.0, seqs.as_ptr(), seqs.len()) }
    }

    fn recall(&self, worker: WorkerId, from: u32, until: u32) -> Option<u32> {
        let last_begun = raw::recall_calls(worker.0, from, until);
        (last_begun >= 0.0).then_some(last_begun as u32)
    }

    fn last_begun(&self, worker: WorkerId) -> u32 {
        raw::last_begun(worker.0)
    }

    fn pid(&self, worker: WorkerId) -> Option<i32> {
        Some(raw::pid_of(worker.0)).filter(|&pid| pid != 0)
    }

    fn exit_report(&self, worker: WorkerId) -> Option<Json> {
        self.exit_reports.borrow().get(&worker).cloned()
    }

    fn set_exit_report(&self, worker: WorkerId, report: Json) {
        self.exit_reports.borrow_mut().insert(worker, report);
    }

    /// JavaScript counts them itself.
    fn traffic(&self) -> (u64, u64) {
        (0, 0)
    }

    fn catch_up(&self, worker: WorkerId) {
        raw::catch_up(worker.0);
    }
}
