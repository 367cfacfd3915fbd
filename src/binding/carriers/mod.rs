//! The carriers: what moves calls to workers and results back, for each kind of worker.
//!
//! | file | holds | depends on |
//! |---|---|---|
//! | `link_error` | why a worker cannot be worked with any more | – |
//! | `page_words` | single words of the page that is shared with a worker | – |
//! | `sending` | calls of a chunk, encoded into a frame | – |
//! | `frames` | frames of workers, handled | `link_error` |
//! | `link` | one worker process's channel, page and exit report; the map of all of them | `page_words` |
//! | `receive` | what worker processes send | `link`, `frames` |
//! | `process` | the carrier to worker processes | `link`, `receive`, `sending` |
//! | `script` | the carrier to workers that JavaScript looks after | – |
//! | `thread_link` | the rings shared with one thread, and what is known of its port | `page_words` |
//! | `thread_frame` | a frame of calls for a thread | `sending` |
//! | `thread` | the carrier to threads | `script`, `frames`, `sending`, `thread_link`, `thread_frame` |
//!
//! Called by the pool, as [`Carrier`](super::carrier::Carrier)s. Must not depend on the pool: what happens is reported
//! to [`Upcalls`](super::carrier::Upcalls).

mod frames;
mod link;
mod link_error;
mod page_words;
mod process;
mod receive;
mod script;
mod sending;
mod thread;
mod thread_frame;
mod thread_link;
mod time_slice;

pub use process::ProcessCarrier;
pub use script::ScriptCarrier;
pub use thread::ThreadCarrier;
