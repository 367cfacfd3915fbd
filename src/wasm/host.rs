//! What is around a pool here: functions that JavaScript gives the module, which `lib/fallback/wasm-pool.js` has.
//!
//! Called by the pool and by the carrier. Must not depend on what is done about what happens.
//!
//! None of these functions throws: what their JavaScript throws is reported as an uncaught exception, since it would
//! leave the module in the middle of what it does.

use std::ops::Range;
use std::time::Duration;

use serde_json::Value as Json;

use super::carrier::WasmCarrier;
use crate::engine::{JobId, WorkerId};
use crate::pool::{Host, Pool, Reports};

/// A pool in the module.
pub type WasmState = Pool<WasmHost>;

pub struct WasmHost {
    pub carrier: WasmCarrier,
    /// When it was made, on JavaScript's clock.
    started: f64,
}

/// See [`imports`].
mod raw {
    #[link(wasm_import_module = "host")]
    unsafe extern "C" {
        /// Milliseconds, from any moment on.
        pub safe fn now() -> f64;
        pub safe fn start_timer(millis: f64);
        pub safe fn stop_timer();
        pub safe fn set_held(held: bool);
        /// With -1 in place of an index it loads nothing before `assign_index`.
        pub safe fn start_worker(worker: u32, index: i32);
        pub fn ended(
            job: f64,
            first: u32,
            end: u32,
            outcome: *const u8,
            outcome_len: usize,
            detail: *const u8,
            detail_len: usize,
        );
        pub fn ready(outcome: *const u8, outcome_len: usize, detail: *const u8, detail_len: usize);
        pub fn event(json: *const u8, len: usize);
        pub fn closed(json: *const u8, len: usize);
        pub fn panicked(text: *const u8, len: usize);
    }
}

impl WasmHost {
    pub fn new() -> WasmHost {
        WasmHost { carrier: WasmCarrier::default(), started: raw::now() }
    }
}

/// Tells JavaScript what went wrong, right before the module gives up.
pub fn panicked(text: &str) {
    // SAFETY: pointer and length are of one text, which is only read during the call. So it is below.
    unsafe { raw::panicked(text.as_ptr(), text.len()) }
}

/// A text for JavaScript, where none is a null pointer.
fn parts_of(text: Option<&str>) -> (*const u8, usize) {
    text.map_or((std::ptr::null(), 0), |text| (text.as_ptr(), text.len()))
}

impl Host for WasmHost {
    type Carrier = WasmCarrier;

    fn carrier(&self) -> &WasmCarrier {
        &self.carrier
    }

    fn now(&self) -> Duration {
        Duration::try_from_secs_f64((raw::now() - self.started) / 1000.0).unwrap_or_default()
    }

    fn start_timer(&self, after: Duration) {
        raw::start_timer(after.as_secs_f64() * 1000.0);
    }

    fn stop_timer(&self) {
        raw::stop_timer();
    }

    fn set_held(&self, held: bool) {
        raw::set_held(held);
    }

    fn start_worker(pool: &WasmState, worker: WorkerId, index: Option<u32>) {
        pool.event(worker, "spawn", &Json::Null);
        // What goes wrong is told as the end of the worker.
        raw::start_worker(worker.0, index.map_or(-1, u32::cast_signed));
    }

    fn ended(&self, job: JobId, calls: Range<u32>, outcome: &str, detail: Option<&str>) {
        let (detail, detail_len) = parts_of(detail);
        let (first, end) = (calls.start, calls.end);
        // SAFETY: each pointer and length are of one text, or of none.
        unsafe {
            raw::ended(job.0 as f64, first, end, outcome.as_ptr(), outcome.len(), detail, detail_len);
        }
    }

    fn ready(&self, outcome: Option<&str>, detail: Option<&str>) {
        let ((outcome, outcome_len), (detail, detail_len)) = (parts_of(outcome), parts_of(detail));
        // SAFETY: each pointer and length are of one text, or of none.
        unsafe { raw::ready(outcome, outcome_len, detail, detail_len) }
    }

    fn event(&self, event: &Json) {
        let text = event.to_string();
        // SAFETY: pointer and length are of one text.
        unsafe { raw::event(text.as_ptr(), text.len()) }
    }

    fn closed(&self, outliving: &Json) {
        let text = outliving.to_string();
        // SAFETY: pointer and length are of one text.
        unsafe { raw::closed(text.as_ptr(), text.len()) }
    }
}
