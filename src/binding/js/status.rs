//! napi's status codes as results, and other errors as exceptions.
//!
//! Called by whoever calls napi. Must not depend on anything but napi.

use std::io;

use napi::{Error, Result, Status, sys};

/// Turns a napi status into a result.
pub fn check(status: sys::napi_status, what: &str) -> Result<()> {
    match status {
        sys::Status::napi_ok => Ok(()),
        _ => Err(Error::from_reason(format!("{what} (napi status {status})"))),
    }
}

/// For calls that napi refuses only where the environment or the place for the result is null: the caller has both.
pub fn assert_ok(status: sys::napi_status) {
    debug_assert_eq!(status, sys::Status::napi_ok);
}

/// Turns an I/O error into an exception.
pub fn io_error(what: &str, error: &io::Error) -> Error {
    Error::new(Status::GenericFailure, format!("{what}: {error}"))
}
