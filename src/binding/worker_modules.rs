//! The JavaScript that workers run, embedded: bundlers drop files that are found by a sibling path.

use napi::{Error, Result};
use napi_derive::napi;

/// By the names that `require` asks for. `worker` is what a worker starts with: a loader, and the modules that
/// build.rs has put together. The others are compiled when they are needed.
const MODULES: [(&str, &str); 14] = [
    ("worker", include_str!(concat!(env!("OUT_DIR"), "/worker.js"))),
    ("v8-codec", include_str!("../../lib/codec/v8-codec.js")),
    ("record-codec", include_str!("../../lib/codec/record-codec.js")),
    ("error-codec", include_str!("../../lib/codec/error-codec.js")),
    ("errors", include_str!("../../lib/errors.js")),
    ("tasks", include_str!("../../lib/worker/tasks.js")),
    ("thread", include_str!("../../lib/worker/thread.js")),
    ("spin", include_str!("../../lib/worker/spin.js")),
    ("slot", include_str!("../../lib/transport/slot.js")),
    ("time-slice", include_str!("../../lib/transport/time-slice.js")),
    ("ports", include_str!("../../lib/transport/ports.js")),
    ("invocation", include_str!("../../lib/worker/invocation.js")),
    ("records", include_str!("../../lib/events/records.js")),
    ("attribute-values", include_str!("../../lib/events/attribute-values.js")),
];

/// The source of one of the modules that workers run.
#[napi(catch_unwind)]
pub fn worker_module(name: String) -> Result<&'static str> {
    let found = MODULES.iter().find(|(known, _)| *known == name);
    found
        .map(|(_, source)| *source)
        .ok_or_else(|| Error::from_reason(format!("workers have no module '{name}'")))
}
