//! The thin layer between JavaScript and everything else: conversions, event-loop hooks, exports.
//!
//! | file | holds | depends on |
//! |---|---|---|
//! | `js` | values, parts, calls of JavaScript | – |
//! | `event_loop` | libuv's handles | `js` |
//! | `spin` | the poll before sleep | `event_loop` |
//! | `idle_process` | a worker process between two leases | – |
//! | `carrier` | what the addon adds to the contracts between pools and carriers | `js`, `event_loop`, `idle_process` |
//! | `environment` | what one JavaScript environment has of its own | `carrier` |
//! | `carriers` | what moves calls, for each kind of worker | all above |
//! | `pool` | the host of a pool, and how one is made | all above |
//! | `native_pool` | the napi class of a pool | `pool` |
//! | `frame_bytes` | frames as bytes by themselves, for other machines | `js` |
//! | `run_id` | the names of runs | – |
//! | `thread_wait` | how a worker thread waits on the only CPU | `js` |
//! | `watchdog` | how a worker ends with its parent | – |
//! | `worker_channel` | the napi class of a worker's end of the channel | `js`, `event_loop`, `spin`, `watchdog` |
//! | `worker_script` | the JavaScript that workers run, and how one begins with it | – |
//!
//! Called by `lib/`. Must not decide anything: policy is the engine's, values are `lib/`'s.

mod carrier;
mod carriers;
mod environment;
mod event_loop;
mod frame_bytes;
mod idle_process;
mod js;
mod native_pool;
mod pool;
mod run_id;
mod spin;
mod thread_wait;
mod watchdog;
mod worker_channel;
mod worker_script;

use napi::Result;
use napi_derive::napi;

use crate::platform;

/// The version of the package that this addon belongs to.
#[napi(catch_unwind)]
pub fn version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}

/// Where this addon was loaded from: workers load the same file.
#[napi(catch_unwind)]
pub fn addon_path() -> Result<String> {
    let path =
        platform::own_path().map_err(|error| js::io_error("the addon does not find itself", &error))?;
    path.into_os_string()
        .into_string()
        .map_err(|path| napi::Error::from_reason(format!("the path of the addon is no UTF-8: {path:?}")))
}
