//! The thin layer between JavaScript and everything else: conversions, event-loop hooks, exports.
//!
//! It may know napi and libuv, and must not decide anything: policy is the engine's, values are `lib/`'s.

mod carrier;
mod environment;
mod event_loop;
mod idle_process;
mod js;
mod pool;
mod process_carrier;
mod script_carrier;
mod script_page;
mod spin;
mod worker;
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
