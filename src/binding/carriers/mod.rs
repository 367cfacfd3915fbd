//! The carriers: what moves calls to workers and results back, for each kind of worker.
//!
//! | file | holds | depends on |
//! |---|---|---|
//! | `link` | one worker process's channel, page and exit report; the map of all of them | – |
//! | `receive` | frames of worker processes, handled | `link` |
//! | `process` | the carrier to worker processes | `link`, `receive` |
//! | `script_page` | the page shared with a thread | – |
//! | `script` | the carrier to workers that JavaScript looks after | `script_page` |
//!
//! Called by the pool, as [`Carrier`](super::carrier::Carrier)s. Must not depend on the pool: what happens is reported
//! to [`Upcalls`](super::carrier::Upcalls).

mod link;
mod process;
mod receive;
mod script;
mod script_page;

pub use process::ProcessCarrier;
pub use script::ScriptCarrier;
